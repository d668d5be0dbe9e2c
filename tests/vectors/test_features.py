"""Node features are matched by type and id, checked, and become inputs of the encoder."""

import communities
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from repurpose.core.errors import InputError
from repurpose.vectors import features

KG = communities.build()


def table(path, types=("drug", "drug", "gene"), ids=("3", "1", "2"), vectors=((1, 2), (3, 4), (5, 6, 7))):
    columns = {"node_type": list(types), "node_id": list(ids), "vector": [list(v) for v in vectors]}
    pq.write_table(pa.table(columns), path)
    return path


def test_vectors_are_matched_with_their_nodes(tmp_path):
    features_by_type = features.read(table(tmp_path / "v.parquet"), KG)
    assert features_by_type.keys() == {"drug", "gene"}
    assert features_by_type["drug"].rows.tolist() == [2, 0]
    assert features_by_type["drug"].vectors.tolist() == [[1, 2], [3, 4]]
    assert features_by_type["gene"].vectors.dtype == np.float32


def test_nodes_that_the_graph_lacks_are_left_out_and_counted(tmp_path, caplog):
    path = table(tmp_path / "v.parquet", ids=("3", "nobody", "2"))
    assert features.read(path, KG)["drug"].rows.tolist() == [2]
    assert "1 vectors are of nodes that the graph lacks" in caplog.text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ids": ("3", "3", "2")}, "gives drug 3 more than one vector"),
        ({"vectors": ((1, 2), (3, 4, 5), (5, 6))}, "have 2 to 3 numbers; give all nodes of a type"),
        ({"types": ("a", "b", "c")}, "vectors for none of the graph's nodes"),
        ({"vectors": (("x",), ("y",), ("z",))}, "lists of numbers are expected"),
    ],
)
def test_an_unusable_table_is_refused_with_a_sentence(change, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        features.read(table(tmp_path / "v.parquet", **change), KG)


def test_a_truncated_file_is_the_users_to_replace(tmp_path):
    path = table(tmp_path / "v.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"v\.parquet is not a readable parquet .*; correct or replace it$"):
        features.read(path, KG)


def test_a_table_without_its_columns_is_refused(tmp_path):
    pq.write_table(pa.table({"node_type": ["drug"], "node_id": ["1"]}), tmp_path / "v.parquet")
    with pytest.raises(InputError, match="lacks the column vector"):
        features.read(tmp_path / "v.parquet", KG)


@pytest.mark.parametrize("size", [3, 16, 40])
def test_inputs_preserve_distances_between_nodes(size):
    """With at most 16 columns all distances are kept; with more, principal components keep them nearly."""
    generator = np.random.default_rng(0)
    low_rank = generator.standard_normal((50, 3)) @ generator.standard_normal((3, size))
    features_by_type = {"drug": features.NodeFeatures(np.arange(50), (low_rank * 7 + 100).astype(np.float32))}
    inputs = features.inputs(features_by_type, KG.node_types, 16, 0.5, seed=1)["drug"]
    assert inputs.shape == (50, 16)
    assert np.sqrt((inputs**2).mean()) == pytest.approx(0.5, rel=1e-4)
    standardised = (low_rank - low_rank.mean(axis=0)) / low_rank.std(axis=0)
    distances, input_distances = (
        np.linalg.norm(x[:, None] - x[None], axis=2).ravel() for x in (standardised, inputs)
    )
    assert np.corrcoef(distances, input_distances)[0, 1] > 0.999


def test_a_constant_column_is_ignored():
    vectors = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    vectors[:, 1] = 5.0
    features_by_type = {"drug": features.NodeFeatures(np.arange(50), vectors)}
    assert np.isfinite(features.inputs(features_by_type, KG.node_types, 16, 0.5, seed=1)["drug"]).all()
