from collections import Counter

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from edge_rows import (
    BASE,
    ROWS,
    SETTINGS,
    TYPES,
    Row,
    build,
    edges,
    entry,
    nodes_table,
    refusal,
    table,
    triples,
    turned,
    warned,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from repurpose.ingest import tables
from repurpose.ingest.ledger import count_missing

QUICK = settings(deadline=None, max_examples=60)


def account(rows: list[Row], directed: list[str], listed: list[str]) -> tuple[set, dict[str, Counter]]:
    """A slow, simple reference: the edges by types and ids, and the counts per relation."""
    seen: dict[tuple, Counter] = {}
    counts: dict[str, Counter] = {}
    outside = {
        name: [not {row[1], row[3]} <= set(listed) for row in rows if row[0] == name and row[1] and row[3]]
        for name in {row[0] for row in rows}
    }
    for relation, head_type, head, tail_type, tail in rows:
        count = counts.setdefault(relation, Counter())
        count["rows"] += 1
        ends = [(head_type, head), (tail_type, tail)]
        if relation and outside[relation] and all(outside[relation]):
            count["excluded"] += 1
        elif not relation:
            count["empty_relation"] += 1
        elif not (head_type and tail_type):
            count["empty_type"] += 1
        elif not (head and tail):
            count["empty_id"] += 1
        elif not {head_type, tail_type} <= set(listed):
            count["unknown_type"] += 1
        elif ends[0] == ends[1]:
            count["self_loop"] += 1
        else:
            has_target_types = {head_type, tail_type} == {"drug", "disease"}
            if has_target_types:
                ends.sort(key=lambda end: end[0] == "disease")
            elif relation not in directed:
                ends.sort()
            key = (relation, *ends[0], *ends[1], relation in directed and not has_target_types)
            seen.setdefault(key, Counter())[ends[0] == (head_type, head)] += 1
    for key, rows_by_direction in seen.items():
        n_directions, n_rows = len(rows_by_direction), sum(rows_by_direction.values())
        counts[key[0]].update(kept=1, mirrored=n_directions - 1, duplicate=n_rows - n_directions)
    return set(seen), counts


@QUICK
@given(ROWS, st.sampled_from([[], ["regulates"]]), st.sampled_from([[], ["drug", "disease"]]))
def test_graph_and_ledger_equal_those_of_the_simple_reference(rows, directed, listed):
    rows = [*rows, ("regulates", "gene", "1", "gene", "2")]
    expected, counts = account([*BASE, *rows], directed, listed or TYPES[:3])
    kg, ledger = build(rows, directed_relations=directed, node_types=listed, keep_relations=["indication"])
    assert edges(kg) == expected
    assert [entry["relation"] for entry in ledger["relations"]] == sorted(counts)
    for of_relation in ledger["relations"]:
        flat = {**of_relation, **of_relation["dropped"]}
        count = counts[of_relation["relation"]]
        assert {key: flat[key] for key in flat if isinstance(flat[key], int)} == {
            key: count[key] for key in flat if isinstance(flat[key], int)
        }
    for counted in (ledger, *ledger["relations"]):
        used = counted["kept"] + counted["mirrored"] + counted["excluded"]
        assert counted["rows"] == used + sum(counted["dropped"].values())
    assert ledger["rows"] == len(rows) + len(BASE)
    assert ledger["kept"] == sum(relation.edges for relation in kg.relations) == len(expected)


@pytest.mark.parametrize(
    ("forward", "backward", "mirrored", "duplicate"),
    [(1, 0, 0, 0), (0, 1, 0, 0), (1, 1, 1, 0), (3, 2, 1, 3), (0, 3, 0, 2)],
)
def test_a_mirrored_row_is_no_loss_and_a_repeated_one_is(forward, backward, mirrored, duplicate):
    row = ("binds", "drug", "d1", "gene", "g")
    _, ledger = build([row] * forward + [turned(row)] * backward)
    binds = entry(ledger, "binds")
    assert (binds["kept"], binds["mirrored"], binds["dropped"]["duplicate"]) == (1, mirrored, duplicate)


def test_a_relation_without_listed_types_is_excluded_and_one_with_some_loses_rows():
    rows = [
        ("near", "gene", "1", "organ", "1"),
        ("near", "gene", "1", "organ", "1"),
        ("binds", "drug", "d1", "gene", "1"),
        ("binds", "drug", "d1", "organ", "1"),
    ]
    kg, ledger = build(rows, node_types=["drug", "disease", "gene"])
    assert kg.node_types == ("disease", "drug", "gene")
    assert entry(ledger, "near")["excluded"] == 2
    assert entry(ledger, "binds")["dropped"]["unknown_type"] == 1
    assert ("drug", "binds", "gene") in triples(kg)
    assert (ledger["excluded"], ledger["dropped"]["unknown_type"]) == (2, 1)


# ---- losses ----


def losing(empty: int) -> list[Row]:
    """100 rows, of which `empty` have no node type."""
    rows = [("binds", "drug", "d1", "gene", str(i)) for i in range(100 - empty)]
    return rows + [("binds", "", "d1", "gene", "1")] * empty


def test_repeated_edges_and_self_loops_are_no_loss():
    rows = [("binds", "drug", "d1", "gene", "1"), *[("interacts", "gene", "1", "gene", "2")] * 50]
    rows += [("interacts", "gene", "3", "gene", "3")] * 50
    _, ledger = build(rows, max_dropped_share=0.0)
    assert entry(ledger, "interacts")["dropped"]["duplicate"] == 49
    assert entry(ledger, "interacts")["dropped"]["self_loop"] == 50


def test_a_relation_of_self_loops_only_has_lost_everything():
    assert "50 are edges from a node to itself" in refusal(
        *[("interacts", "gene", "3", "gene", "3")] * 50, max_dropped_share=0.5
    )


def test_the_error_names_a_relation_that_loses_too_many_rows():
    build(losing(5), max_dropped_share=0.05)
    sentence = refusal(*losing(6), max_dropped_share=0.05)
    for words in (
        "edges.csv",
        "relation binds",
        "6 %",
        "100 rows",
        "6 are rows without a node type",
        "graph.max_dropped_share",
    ):
        assert words in sentence


def test_the_error_names_the_main_reason_of_the_loss():
    rows = [*losing(10), *[("binds", "drug", "d1", "gene", "")] * 30]
    assert "30 are rows without a node id" in refusal(*rows, max_dropped_share=0.05)


def test_rows_without_a_relation_count_as_a_share_of_the_whole_table():
    rows = [*losing(0), ("", "drug", "d1", "gene", "1")]
    build(rows, max_dropped_share=0.05)
    sentence = refusal(*rows, *rows[-1:] * 9, max_dropped_share=0.05)
    assert "the table loses" in sentence
    assert "rows without a relation" in sentence


def test_excluded_and_mirrored_rows_are_no_loss():
    rows = [
        ("near", "gene", "1", "organ", "1"),
        ("binds", "drug", "d1", "drug", "d2"),
        ("binds", "drug", "d2", "drug", "d1"),
    ]
    build(rows, max_dropped_share=0.0, node_types=["drug", "disease"])


# ---- cells that spell a missing value are dropped or kept, and always reported ----

SPELT = [("binds", "drug", "nan", "gene", "1"), ("binds", "drug", "d1", "gene", "nan")]


@pytest.mark.parametrize("value", SETTINGS["missing"])
def test_an_id_that_spells_a_missing_value_is_no_node_and_gives_a_warning(value):
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


def test_a_spelling_that_may_be_an_id_is_kept_and_gives_a_warning():
    kg, ledger = build([("binds", "drug", "d1", "gene", "NA")])
    assert kg.node_ids["gene"].tolist() == ["NA"] and ledger["dropped"]["empty_id"] == 0
    (sentence,) = warned(ledger)
    assert "1 rows have NA in the column y_id of type gene, which is kept as it is" in sentence
    assert "add it to graph.missing" in sentence
    kg, ledger = build([("binds", "drug", "d1", "gene", "NA")], missing=["NA"])
    assert "gene" not in kg.node_types and ledger["dropped"]["empty_id"] == 1


def test_with_an_empty_list_nan_is_an_id_and_gives_a_warning():
    kg, ledger = build(SPELT, missing=[])
    assert "nan" in kg.node_ids["gene"] and "nan" in kg.node_ids["drug"]
    assert [row["is_empty"] for row in ledger["missing"]] == [False, False]
    assert len(warned(ledger)) == 2


def test_the_same_spellings_are_missing_relations_types_and_names():
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
    (sentence,) = warned(ledger)
    assert "nodes.csv: 1 rows have nan in the column node_id of type gene" in sentence


def test_the_error_names_the_spellings_that_cost_too_many_rows():
    sentence = refusal(*SPELT, ("binds", "drug", "d1", "gene", "1"), max_dropped_share=0.5)
    assert "2 are rows without a node id" in sentence
    assert "graph.missing, from which you may take what is a true id, empties" in sentence
    assert "nan in the column x_id of type drug (1 rows)" in sentence
    assert "graph.missing" not in refusal(*[("binds", "drug", "d1", "gene", "")] * 3, max_dropped_share=0.5)


def test_ordinary_ids_give_no_warning():
    _, ledger = build(
        [("binds", "drug", "d1", "gene", id_) for id_ in ("nana", "Nan1", "0", "-", "None of these")]
    )
    assert ledger["missing"] == [] and warned(ledger) == []


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_reading_a_table_does_not_change_spellings_of_missing_values(tmp_path, suffix):
    content = table([*BASE, *SPELT])
    path = tmp_path / f"t.{suffix}"
    pa.csv.write_csv(content, path) if suffix == "csv" else pq.write_table(content, path)
    read = tables.read(path, content.column_names)
    missing = count_missing(read, SETTINGS["columns"], ["nan"], "t")
    assert [(row["column"], row["rows"]) for row in missing] == [("x_id", 1), ("y_id", 1)]
