"""Given node vectors are matched by type and id, checked, and become the first inputs."""

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


def test_vectors_find_their_nodes(tmp_path):
    found = features.read(table(tmp_path / "v.parquet"), KG)
    assert found.keys() == {"drug", "gene"}
    assert found["drug"].rows.tolist() == [2, 0]
    assert found["drug"].vectors.tolist() == [[1, 2], [3, 4]]
    assert found["gene"].vectors.dtype == np.float32


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
def test_a_table_that_is_no_use_is_refused_with_a_sentence(change, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        features.read(table(tmp_path / "v.parquet", **change), KG)


def test_a_table_without_its_columns_is_refused(tmp_path):
    pq.write_table(pa.table({"node_type": ["drug"], "node_id": ["1"]}), tmp_path / "v.parquet")
    with pytest.raises(InputError, match="lacks the column vector"):
        features.read(tmp_path / "v.parquet", KG)


@pytest.mark.parametrize("size", [3, 16, 40])
def test_inputs_keep_what_is_alike(size):
    """Fewer columns than the width: every distance; more: all but what the last components hold."""
    generator = np.random.default_rng(0)
    low = generator.standard_normal((50, 3)) @ generator.standard_normal((3, size))
    given = {"drug": features.Given(np.arange(50), (low * 7 + 100).astype(np.float32))}
    inputs = features.inputs(given, KG.node_types, 16, 0.5, seed=1)["drug"]
    assert inputs.shape == (50, 16)
    assert np.sqrt((inputs**2).mean()) == pytest.approx(0.5, rel=1e-4)
    standard = (low - low.mean(axis=0)) / low.std(axis=0)
    before, after = (np.linalg.norm(x[:, None] - x[None], axis=2).ravel() for x in (standard, inputs))
    assert np.corrcoef(before, after)[0, 1] > 0.999


def test_a_column_that_never_varies_is_no_matter():
    vectors = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    vectors[:, 1] = 5.0
    given = {"drug": features.Given(np.arange(50), vectors)}
    assert np.isfinite(features.inputs(given, KG.node_types, 16, 0.5, seed=1)["drug"]).all()
