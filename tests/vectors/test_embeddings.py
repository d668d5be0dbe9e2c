"""The embedding file: vectors survive writing and reading, and invalid files are refused."""

import json

import communities
import numpy as np
import pyarrow as pa
import pytest

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.vectors import embeddings


@pytest.fixture(name="kg")
def graph():
    return communities.build()


@pytest.fixture(name="vectors")
def random_vectors(kg):
    generator = np.random.default_rng(0)
    return {t: generator.normal(size=(kg.count(t), 6)).astype(np.float32) for t in kg.node_types}


def test_vectors_come_back_in_the_order_of_the_graph(kg, vectors, tmp_path):
    path = tmp_path / "embeddings.parquet"
    embeddings.write(path, kg, vectors, {"device": "cpu"})
    embedded = embeddings.read(path)
    assert embedded.metadata["device"] == "cpu"
    assert embedded.dim == 6
    for node_type, rows in embeddings.aligned(embedded, kg, path).items():
        np.testing.assert_array_equal(rows, vectors[node_type])


def test_the_column_is_a_fixed_size_list_of_float32(kg, vectors, tmp_path):
    embeddings.write(tmp_path / "e.parquet", kg, vectors, {})
    assert files.read_table(tmp_path / "e.parquet").schema.field("embedding").type == pa.list_(
        pa.float32(), 6
    )


def test_a_refused_training_leaves_a_file_without_rows_that_can_be_read(kg, tmp_path):
    path = tmp_path / "e.parquet"
    embeddings.write(path, kg, {t: np.zeros((0, 6), np.float32) for t in kg.node_types}, {"device": "cpu"})
    assert files.read_table(path).num_rows == 0
    embedded = embeddings.read(path)
    assert embedded.vectors == {}
    assert embedded.metadata["device"] == "cpu"


def test_the_parts_of_vectors_are_read_from_the_metadata(kg, vectors, tmp_path):
    path = tmp_path / "e.parquet"
    embeddings.write(path, kg, vectors, {"blocks": json.dumps({"drug": [2, 6], "disease": [6]})})
    assert embeddings.blocks(embeddings.read(path), ("drug", "disease"), path) == ([2, 6], [6])
    embeddings.write(path, kg, vectors, {})
    assert embeddings.blocks(embeddings.read(path), ("drug", "disease"), path) is None


@pytest.mark.parametrize(
    "blocks",
    [
        "[6]",
        "{",
        '{"drug": [2, 5]}',
        '{"drug": [4, 2, 6]}',
        '{"drug": [0, 6]}',
        '{"drug": []}',
        '{"drug": ["a", 6]}',
        '{"drug": [2.5, 6]}',
        '{"gene": [6]}',
    ],
)
def test_invalid_ends_of_parts_are_refused(kg, vectors, tmp_path, blocks):
    path = tmp_path / "e.parquet"
    embeddings.write(path, kg, vectors, {"blocks": blocks})
    with pytest.raises(
        InputError, match=r"e.parquet: its metadata blocks is no list of where the parts of drug"
    ):
        embeddings.blocks(embeddings.read(path), ("drug",), path)


def test_rows_in_another_order_are_aligned_by_type_and_id(kg, vectors, tmp_path):
    path = tmp_path / "e.parquet"
    embeddings.write(path, kg, vectors, {})
    table = files.read_table(path)
    files.write_table(path, table.take(np.random.default_rng(1).permutation(len(table))))
    for node_type, rows in embeddings.aligned(embeddings.read(path), kg, path).items():
        np.testing.assert_array_equal(rows, vectors[node_type])


def test_a_node_without_a_vector_is_named(kg, vectors, tmp_path):
    path = tmp_path / "e.parquet"
    embeddings.write(path, kg, vectors, {})
    files.write_table(path, files.read_table(path).slice(1))
    with pytest.raises(
        InputError, match=r"no vector for 1 of the graph's 60 nodes of type disease .*first is 1\)"
    ):
        embeddings.aligned(embeddings.read(path), kg, path)


def test_the_old_csv_with_lists_as_text_is_read(tmp_path):
    path = tmp_path / "old.csv"
    path.write_text('node_id,node_type,embedding\n3091,gene,"[1.0, 2.5]"\n3091,disease,"[0.5, -1]"\n')
    embedded = embeddings.read(path)
    assert embedded.vectors["gene"].tolist() == [[1.0, 2.5]]
    assert embedded.ids["disease"].tolist() == ["3091"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("node_id,node_type\n1,gene\n", "has no column embedding"),
        (
            'node_id,node_type,embedding\n1,gene,"[1.0"\n',
            "row 1 of the column embedding is no list of numbers",
        ),
        ('node_id,node_type,embedding\n1,gene,"[1]"\n2,gene,"[1, 2]"\n', "differ in length"),
    ],
)
def test_a_damaged_csv_is_refused(tmp_path, content, sentence):
    path = tmp_path / "old.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=sentence):
        embeddings.read(path)


def test_vectors_of_different_lengths_are_refused(tmp_path):
    path = tmp_path / "e.parquet"
    columns = {"node_type": ["a", "a"], "node_id": ["1", "2"], "embedding": [[1.0, 2.0, 3.0], [1.0]]}
    files.write_table(path, pa.table(columns))
    with pytest.raises(InputError, match="differ in length"):
        embeddings.read(path)


def test_a_truncated_file_is_named_with_the_command_that_rebuilds_it(kg, vectors, tmp_path):
    path = tmp_path / "e.parquet"
    embeddings.write(path, kg, vectors, {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"e\.parquet is not a readable parquet file.*snakemake"):
        embeddings.read(path)
    with pytest.raises(
        InputError, match=r"e\.parquet is not a readable parquet file.*; correct or replace it$"
    ):
        embeddings.read(path, is_result=False)


def test_types_that_are_not_required_may_have_no_vectors_but_not_some(kg, vectors, tmp_path):
    path, types = tmp_path / "e.parquet", ("drug", "disease")
    embeddings.write(path, kg, {t: vectors[t] for t in types}, {})
    embedded = embeddings.read(path)
    found = embeddings.aligned(embedded, kg, path, types)
    assert sorted(found) == sorted(types)
    for node_type in types:
        np.testing.assert_array_equal(found[node_type], vectors[node_type])
    with pytest.raises(InputError, match="no vector for 150 of the graph's 150 nodes of type gene"):
        embeddings.aligned(embedded, kg, path)
    with pytest.raises(InputError, match="no vector for 150 of the graph's 150 nodes of type gene"):
        embeddings.aligned(embedded, kg, path, (*types, "gene"))
    embeddings.write(path, kg, vectors, {})
    files.write_table(path, files.read_table(path).slice(0, 200))
    with pytest.raises(InputError, match="no vector for 60 of the graph's 150 nodes of type gene"):
        embeddings.aligned(embeddings.read(path), kg, path, types)
