import numpy as np
import pyarrow as pa
from edge_rows import BASE, COLUMNS, NODE_COLUMNS, SETTINGS, TARGET, build, edges, nodes_table, table
from hypothesis import given, settings
from hypothesis import strategies as st

from repurpose.config.sections import GraphSettings
from repurpose.ingest import ingest, numbering


def test_type_and_id_identify_a_node():
    kg, ledger = build([("binds", "drug", "3091", "gene", "3091"), ("binds", "drug", "0012", "gene", "12")])
    assert kg.node_ids["drug"].tolist() == ["0012", "3091", "d1"]
    assert kg.node_ids["gene"].tolist() == ["12", "3091"]
    assert ledger["nodes"] == {"disease": 1, "drug": 3, "gene": 2}
    assert ledger["dropped"]["self_loop"] == 0


def test_nodes_are_sorted_by_type_and_by_id_as_a_string():
    kg, _ = build([("near", "gene", id_, "organ", id_) for id_ in ("9", "é", "10", "a", "B")])
    assert kg.node_types == ("disease", "drug", "gene", "organ")
    assert kg.node_ids["gene"].tolist() == ["10", "9", "B", "a", "é"]


def test_a_node_of_a_dropped_row_is_in_the_graph():
    kg, _ = build([("binds", "gene", "lonely", "gene", "lonely"), ("", "organ", "o", "gene", "")])
    assert kg.node_ids["gene"].tolist() == ["lonely"]
    assert kg.node_ids["organ"].tolist() == ["o"]


def test_a_node_has_its_smallest_name_in_any_order_of_rows_or_else_its_id():
    rows = [("binds", "drug", "d", "gene", "g"), ("binds", "drug", "d", "gene", "h")]
    names = {("gene", "h"): "H", ("disease", "s1"): "sickness"}
    first, second = (
        table([row], {**names, ("drug", "d"): name})
        for row, name in zip(rows, ("Zeta", "Alpha"), strict=True)
    )
    base = table(BASE, names)
    for tables in ([base, first, second], [second, first, base]):
        kg = ingest.build(pa.concat_tables(tables), GraphSettings(**SETTINGS), TARGET).kg
        assert kg.node_names["drug"].tolist() == ["Alpha", "d1"]
        assert kg.node_names["gene"].tolist() == ["g", "H"]
        assert kg.node_names["disease"].tolist() == ["sickness"]


def test_columns_of_names_may_be_left_out():
    columns = {**COLUMNS, "head_name": "", "tail_name": "y_name"}
    raw = table(BASE, {("drug", "d1"): "Drug", ("disease", "s1"): "Sickness"})
    kg = ingest.build(raw, GraphSettings(**{**SETTINGS, "columns": columns}), TARGET).kg
    assert kg.node_names["drug"].tolist() == ["d1"]
    assert kg.node_names["disease"].tolist() == ["Sickness"]


def test_the_nodes_table_renames_and_adds_nodes():
    nodes = nodes_table(
        [
            ("drug", "d1", "Beta"),
            ("drug", "d1", "Alpha"),
            ("drug", "d0", ""),
            ("disease", "s1", ""),
            ("plant", "p", "no edge has this type"),
            ("", "x", "no type"),
            ("drug", "", "no id"),
        ]
    )
    kg, ledger = build([], nodes=nodes)
    assert kg.node_types == ("disease", "drug")
    assert kg.node_ids["drug"].tolist() == ["d0", "d1"]
    assert kg.node_names["drug"].tolist() == ["d0", "Alpha"]
    assert kg.node_names["disease"].tolist() == ["s1"]
    assert ledger["nodes_table"] == {
        "file": "nodes.csv",
        "rows": 7,
        "kept": 3,
        "added": 1,
        "excluded": 0,
        "dropped": {"empty_type": 1, "empty_id": 1, "unknown_type": 1, "duplicate": 1},
    }
    assert edges(kg) == edges(build([])[0])


def test_the_nodes_table_adds_only_nodes_of_listed_types():
    nodes = nodes_table([("gene", "g", "G"), ("drug", "d1", "D")])
    kg, ledger = build([("binds", "drug", "d1", "gene", "g")], nodes=nodes, node_types=["drug", "disease"])
    assert kg.node_types == ("disease", "drug")
    assert ledger["nodes_table"]["excluded"] == 1
    assert kg.node_names["drug"].tolist() == ["D"]


def test_a_nodes_table_without_names_keeps_the_names_of_the_edges_table():
    raw = table(BASE, {("drug", "d1"): "Drug"})
    nodes = nodes_table([("drug", "d1", "Other"), ("drug", "d2", "Other")])
    for name, expected in (("", ["Drug", "d2"]), ("node_name", ["Other", "Other"])):
        chosen = GraphSettings(**{**SETTINGS, "node_columns": {**NODE_COLUMNS, "name": name}})
        kg = ingest.build(raw, chosen, TARGET, nodes).kg
        assert kg.node_names["drug"].tolist() == expected


# ---- codes of values ----

TEXTS = st.lists(st.sampled_from(["", "b", "a", "B", "10", "9", "é", "NA"]), min_size=1, max_size=20)


@settings(deadline=None, max_examples=50)
@given(TEXTS, TEXTS, st.booleans())
def test_texts_can_be_decoded_from_their_codes(first, second, encoded):
    columns = [pa.chunked_array([text[:3], text[3:]], pa.string()) for text in (first, second)]
    if encoded:
        columns = [column.dictionary_encode() for column in columns]
    numbers, values = numbering.encode_texts(columns)
    assert values.to_pylist() == sorted({*first, *second} - {""})
    for text, number in zip((first, second), numbers, strict=True):
        assert number.dtype == np.int32
        assert [values[int(i)].as_py() if i >= 0 else "" for i in number] == text


def test_dictionaries_that_differ_between_chunks_are_unified():
    chunks = [pa.array(texts).dictionary_encode() for texts in (["b", "a"], ["c", "b"])]
    (numbers,), values = numbering.encode_texts([pa.chunked_array(chunks)])
    assert numbers.tolist() == [1, 0, 2, 1]
    assert values.to_pylist() == ["a", "b", "c"]


def test_values_of_a_dictionary_that_no_cell_uses_are_left_out():
    column = pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array([1, 1]), ["unused", "used"])])
    assert numbering.encode_texts([column])[1].to_pylist() == ["used"]


def test_null_counts_as_an_empty_text():
    columns = [pa.chunked_array([["a", None]]), pa.chunked_array([pa.array([None, "a"]).dictionary_encode()])]
    numbers, _ = numbering.encode_texts(columns)
    assert [codes.tolist() for codes in numbers] == [[0, -1], [-1, 0]]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-5, 2**60), max_size=30))
def test_codes_of_numbers_equal_those_of_numpy_unique(numbers):
    array = np.array(numbers, dtype=np.int64)
    expected, inverse = np.unique(array, return_inverse=True)
    codes, distinct = numbering.encode_numbers(array)
    assert (distinct == expected).all()
    assert (codes == inverse).all()
