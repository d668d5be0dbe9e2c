import itertools
import json
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from edge_rows import build, is_same
from hypothesis import given, settings
from hypothesis import strategies as st

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.kernels.csr import csr

ROWS = [
    ("drug_gene", "drug", "d1", "gene", "9"),
    ("drug_gene", "drug", "d2", "gene", "10"),
    ("regulates", "gene", "9", "gene", "10"),
    ("regulates", "gene", "10", "gene", "9"),
    ("contains", "region", "b", "region", "a"),
]


@pytest.fixture
def kg():
    return build(ROWS, directed_relations=["regulates"], exclude_relations=["contains"])[0]


@pytest.fixture
def saved(kg, tmp_path):
    """The graph's three files."""
    paths = GraphFiles.in_folder(tmp_path)
    graph.save(kg, paths)
    return paths


def refusal(paths, index: int) -> str:
    """The error with which load refuses the files; it must name the file at `index` and how to rebuild it."""
    with pytest.raises(InputError) as caught:
        graph.load(paths)
    assert str(caught.value).startswith(str(paths[index]))
    assert f"--forcerun {paths[index]}" in str(caught.value)
    return str(caught.value)


def change(path, column: str, values: list) -> None:
    table = files.read_table(path)
    field = table.schema.field(column)
    files.write_table(
        path, table.set_column(table.column_names.index(column), field, pa.array(values, field.type))
    )


def test_a_saved_graph_loads_unchanged(kg, saved):
    loaded = graph.load(saved)
    assert is_same(loaded, kg)
    assert all(array.dtype == np.int32 and array.flags.writeable for array in loaded.heads + loaded.tails)
    assert all(isinstance(name, str) for names in loaded.node_names.values() for name in names)
    assert not is_same(
        replace(loaded, node_names={**loaded.node_names, "drug": loaded.node_ids["drug"][::-1]}), kg
    )


def test_the_files_have_the_documented_columns(saved):
    nodes, edges = (files.read_table(path) for path in saved[:2])
    assert nodes.column_names == ["node_type", "node_id", "node_index", "node_name"]
    assert edges.column_names == ["relation_index", "head_index", "tail_index"]
    assert set(edges.schema.types) == {pa.int32()}
    assert set(json.loads(saved[2].read_text())[0]) == {
        "head_type",
        "relation",
        "tail_type",
        "edges",
        "role",
        "directed",
        "turned",
    }


def test_a_relation_without_edges_is_saved_and_loaded(kg, saved):
    empty = np.zeros(0, np.int32)
    extended = replace(
        kg,
        relations=(*kg.relations, graph.Relation("drug", "none", "gene", 0, "message", False)),
        heads=(*kg.heads, empty),
        tails=(*kg.tails, empty),
    )
    graph.save(extended, saved)
    assert is_same(graph.load(saved), extended)


def test_a_graph_counts_nodes_and_lists_relations_by_role(kg):
    assert {name: kg.count(name) for name in kg.node_types} == {
        "disease": 1,
        "drug": 2,
        "gene": 2,
        "region": 2,
    }
    names = [relation.relation for relation in kg.relations]
    assert [names[i] for i in kg.of_role("message")] == ["drug_gene", "regulates"]
    assert [names[i] for i in kg.of_role("target")] == ["indication"]
    assert [names[i] for i in kg.of_role("excluded")] == ["contains"]


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("content", [None, b"", b"PAR1 and no more"])
def test_a_missing_or_corrupt_file_is_named(saved, index, content):
    saved[index].unlink()
    if content is not None:
        saved[index].write_bytes(content)
    refusal(saved, index)


@pytest.mark.parametrize("index", [0, 1])
def test_a_truncated_file_is_named(saved, index):
    saved[index].write_bytes(saved[index].read_bytes()[:-20])
    refusal(saved, index)


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("head_index", [0, 1, 0, 0, 1, 5], "points outside"),
        ("head_index", [0, 1, 0, 0, 1, -1], "points outside"),
        ("relation_index", [0, 1, 1, 2, 3, 4], "relation_index"),
        ("relation_index", [0, 1, 1, 2, 3, -1], "relation_index"),
        ("relation_index", [1, 0, 1, 2, 3, 3], "relation_index"),
        ("relation_index", [0, 1, 2, 2, 3, 3], "edges of drug_gene"),
        ("tail_index", [1, 1, 0, 0, 1, 0], "not sorted by tail"),
    ],
)
def test_edges_that_do_not_match_the_graph_are_refused(saved, column, values, reason):
    assert reason in refusal_of_change(saved, 1, column, values)


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("node_type", ["drug", "disease", "drug", "gene", "gene", "region", "region"], "not sorted by type"),
        ("node_index", [0, 0, 1, 1, 0, 0, 1], "indices of gene"),
        ("node_id", ["s1", "d1", "d1", "10", "9", "a", "b"], "id of drug occurs twice"),
        ("node_id", ["s1", "d1", None, "10", "9", "a", "b"], "node_id is not string in every row"),
    ],
)
def test_nodes_that_do_not_match_the_schema_are_refused(saved, column, values, reason):
    assert reason in refusal_of_change(saved, 0, column, values)


def refusal_of_change(saved, index: int, column: str, values: list) -> str:
    before = files.read_table(saved[index])
    change(saved[index], column, before[column].to_pylist())
    graph.load(saved)  # rewriting the same values is no error
    change(saved[index], column, values)
    return refusal(saved, index)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("head_type", "plant", "connects plant"),
        ("role", "guest", "role guest"),
        ("other", 1, "not a list of relations"),
    ],
)
def test_relations_that_do_not_match_the_graph_are_refused(saved, key, value, reason):
    content = json.loads(saved[2].read_text())
    content[0][key] = value
    saved[2].write_text(json.dumps(content))
    assert reason in refusal(saved, 2)


@pytest.mark.parametrize("content", ["{}", "3", '["a"]', "null"])
def test_json_that_is_no_list_of_relations_is_refused(saved, content):
    saved[2].write_text(content)
    with pytest.raises(InputError):
        graph.load(saved)


def test_columns_of_other_names_or_types_are_refused(saved):
    table = files.read_table(saved[1])
    files.write_table(saved[1], table.rename_columns(["relation", "head_index", "tail_index"]))
    assert "relation_index" in refusal(saved, 1)
    files.write_table(saved[1], table.cast(pa.schema([(name, pa.int64()) for name in table.column_names])))
    assert "int32" in refusal(saved, 1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=30))
def test_csr_lists_the_columns_of_each_row_in_order(pairs):
    rows, columns = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    expected = defaultdict(list)
    for row, column in pairs:
        expected[row].append(column)
    indptr, indices = csr(rows, columns, 5)
    assert (indptr.dtype, indices.dtype) == (np.int64, np.int32)
    assert [indices[a:b].tolist() for a, b in itertools.pairwise(indptr)] == [
        expected[row] for row in range(5)
    ]
