"""Cells that spell a missing value: dropped and named, or kept and named, never silent."""

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from edge_rows import BASE, SETTINGS, build, entry, nodes_table, refusal, table

from repurpose.ingest import missing, tables

SPELT = [("binds", "drug", "nan", "gene", "1"), ("binds", "drug", "d1", "gene", "nan")]


@pytest.mark.parametrize("value", SETTINGS["missing"])
def test_an_id_that_spells_a_missing_value_is_no_node_and_is_named(value):
    rows = [("binds", "drug", f"d{i}", "gene", value) for i in range(8)]
    kg, ledger = build(
        [*rows, ("binds", "drug", "d1", "gene", "1"), ("indication", "drug", "d2", "disease", value)]
    )
    assert value not in [*kg.node_ids["gene"], *kg.node_ids["disease"]]
    assert entry(ledger, "binds")["dropped"]["empty_id"] == 8
    assert [(row["column"], row["value"], row["type"], row["rows"]) for row in ledger["missing"]] == [
        ("y_id", value, "disease", 1),
        ("y_id", value, "gene", 8),
    ]
    assert (
        f"edges.csv: 8 rows have {value} in the column y_id of type gene, which graph.missing counts as "
        "empty: they are dropped"
    ) in ledger["warnings"]


def test_a_spelling_that_may_be_an_id_is_kept_and_warned_about():
    kg, ledger = build([("binds", "drug", "d1", "gene", "NA")])
    assert kg.node_ids["gene"].tolist() == ["NA"] and ledger["dropped"]["empty_id"] == 0
    (sentence,) = ledger["warnings"]
    assert "1 rows have NA in the column y_id of type gene, which is kept as it is" in sentence
    assert "add it to graph.missing" in sentence
    kg, ledger = build([("binds", "drug", "d1", "gene", "NA")], missing=["NA"])
    assert "gene" not in kg.node_types and ledger["dropped"]["empty_id"] == 1


def test_with_an_empty_list_nan_is_an_id_and_is_warned_about():
    kg, ledger = build(SPELT, missing=[])
    assert "nan" in kg.node_ids["gene"] and "nan" in kg.node_ids["drug"]
    assert [row["is_empty"] for row in ledger["missing"]] == [False, False]
    assert len(ledger["warnings"]) == 2


def test_types_relations_and_names_are_empty_by_the_same_spellings():
    rows = [
        ("nan", "drug", "d1", "gene", "1"),
        ("binds", "None", "d1", "gene", "1"),
        ("binds", "drug", "d1", "gene", "1"),
    ]
    kg, ledger = build(rows)
    assert (ledger["dropped"]["empty_relation"], ledger["dropped"]["empty_type"]) == (1, 1)
    assert [(row["column"], row["value"], row["type"]) for row in ledger["missing"]] == [
        ("relation", "nan", ""),
        ("x_type", "None", ""),
    ]
    nodes = nodes_table([("drug", "d1", "nan"), ("gene", "nan", "a"), ("drug", "d2", "NaN")])
    kg, ledger = build(rows[2:], nodes=nodes)
    assert kg.node_names["drug"].tolist() == ["d1", "d2"]
    assert ledger["nodes_table"]["dropped"]["empty_id"] == 1
    (sentence,) = ledger["warnings"]
    assert "nodes.csv: 1 rows have nan in the column node_id of type gene" in sentence


def test_rows_lost_to_such_spellings_stop_the_run_with_their_name():
    sentence = refusal(*SPELT, ("binds", "drug", "d1", "gene", "1"), max_dropped_share=0.5)
    assert "2 are rows without a node id" in sentence
    assert "graph.missing, from which you may take what is a true id, empties" in sentence
    assert "nan in the column x_id of type drug (1 rows)" in sentence
    assert "graph.missing" not in refusal(*[("binds", "drug", "d1", "gene", "")] * 3, max_dropped_share=0.5)


def test_ordinary_ids_are_not_named():
    _, ledger = build(
        [("binds", "drug", "d1", "gene", id_) for id_ in ("nana", "Nan1", "0", "-", "None of these")]
    )
    assert ledger["missing"] == [] and ledger["warnings"] == []


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_readers_of_tables_leave_the_spellings_to_the_ledger(tmp_path, suffix):
    content = table([*BASE, *SPELT])
    path = tmp_path / f"t.{suffix}"
    pa.csv.write_csv(content, path) if suffix == "csv" else pq.write_table(content, path)
    read = tables.read(path, content.column_names)
    found = missing.count(read, SETTINGS["columns"], ["nan"], "t")
    assert [(row["column"], row["rows"]) for row in found] == [("x_id", 1), ("y_id", 1)]
