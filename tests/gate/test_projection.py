"""The map of an embedding: two coordinates of each node, and the nearest heads and tails."""

import numpy as np
import pytest

from repurpose.gate import projection

GENERATOR = np.random.default_rng(0)
# Two groups that differ in one direction far more than in others.
GROUPS = {
    "drug": np.concatenate(
        [GENERATOR.normal([5, 0, 0, 0], 0.3, (10, 4)), GENERATOR.normal([0, 5, 0, 0], 0.3, (10, 4))]
    ),
    "gene": GENERATOR.normal([0, 0, 5, 0], 0.3, (12, 4)),
}


# umap compiles code for a minute.
@pytest.mark.parametrize("method", ["pca", pytest.param("umap", marks=pytest.mark.slow)])
def test_groups_of_vectors_are_apart_on_the_map(method):
    places = projection.project(GROUPS, method, 3)
    assert [places[node_type].shape for node_type in GROUPS] == [(20, 2), (12, 2)]
    groups = places["drug"][:10], places["drug"][10:], places["gene"]
    centres = [group.mean(axis=0) for group in groups]
    within = max(
        np.linalg.norm(group - centre, axis=1).max() for group, centre in zip(groups, centres, strict=True)
    )
    between = min(np.linalg.norm(a - b) for a, b in ((centres[0], centres[1]), (centres[0], centres[2])))
    assert between > within
    again = projection.project(GROUPS, method, 3)
    assert all(np.array_equal(places[node_type], again[node_type]) for node_type in GROUPS)


def test_the_two_directions_are_those_of_most_variance():
    rows = GROUPS["drug"] / np.linalg.norm(GROUPS["drug"], axis=1, keepdims=True)
    places = projection.project({"drug": GROUPS["drug"]}, "pca", 0)["drug"]
    variances = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)[:2]
    np.testing.assert_allclose(np.linalg.norm(places - places.mean(axis=0), axis=0), variances, rtol=1e-4)


def test_vectors_of_one_number_and_few_vectors_have_a_map():
    assert projection.project({"drug": np.ones((5, 1))}, "pca", 0)["drug"].shape == (5, 2)
    assert np.isnan(projection.project({"drug": np.ones((2, 3))}, "pca", 0)["drug"]).all()


def test_nearest_rows_are_sorted_and_leave_out_the_row_itself():
    rows = np.array([[1, 0], [1, 0.1], [1, 0.3], [0, 1]])
    assert projection.nearest(rows, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert projection.nearest(rows, 9).shape == (4, 3)


def test_the_table_has_nulls_for_what_is_not_known():
    vectors = {"drug": GROUPS["drug"], "gene": GROUPS["gene"].copy()}
    vectors["gene"][3] = np.nan
    table = projection.table(vectors, ("drug", "gene"), "pca", 3, 0)
    frame = table.to_pandas()
    assert table.schema == projection.SCHEMA and len(frame) == 32
    assert frame["x"].isna().sum() == 1 and frame["y"].isna()[23]
    assert frame["nearest"][:20].map(len).eq(3).all() and frame["nearest"][20:].isna().all()
    assert projection.table({}, ("drug", "gene"), "pca", 3, 0).num_rows == 0
