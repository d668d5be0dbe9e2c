from collections import Counter

import pytest
from edge_rows import BASE, ROWS, TYPES, Row, build, edges, entry, refusal, triples, turned
from hypothesis import given, settings
from hypothesis import strategies as st

QUICK = settings(deadline=None, max_examples=60)


def account(rows: list[Row], directed: list[str], listed: list[str]) -> tuple[set, dict[str, Counter]]:
    """A slow and plain reference: the edges by types and ids, and the counts per relation."""
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
            joins = {head_type, tail_type} == {"drug", "disease"}
            if joins:
                ends.sort(key=lambda end: end[0] == "disease")
            elif relation not in directed:
                ends.sort()
            key = (relation, *ends[0], *ends[1], relation in directed and not joins)
            seen.setdefault(key, Counter())[ends[0] == (head_type, head)] += 1
    for key, ways in seen.items():
        counts[key[0]].update(kept=1, mirrored=len(ways) - 1, duplicate=sum(ways.values()) - len(ways))
    return set(seen), counts


@QUICK
@given(ROWS, st.sampled_from([[], ["regulates"]]), st.sampled_from([[], ["drug", "disease"]]))
def test_graph_and_ledger_agree_with_a_plain_account_of_every_row(rows, directed, listed):
    rows = [*rows, ("regulates", "gene", "1", "gene", "2")]
    expected, counts = account([*BASE, *rows], directed, listed or TYPES[:3])
    kg, ledger = build(rows, directed_relations=directed, node_types=listed, keep_relations=["indication"])
    assert edges(kg) == expected
    assert [entry["relation"] for entry in ledger["relations"]] == sorted(counts)
    for found in ledger["relations"]:
        flat = {**found, **found["dropped"]}
        count = counts[found["relation"]]
        assert {key: flat[key] for key in flat if isinstance(flat[key], int)} == {
            key: count[key] for key in flat if isinstance(flat[key], int)
        }
    for found in (ledger, *ledger["relations"]):
        parts = found["kept"] + found["mirrored"] + found["excluded"] + sum(found["dropped"].values())
        assert found["rows"] == parts
    assert ledger["rows"] == len(rows) + len(BASE)
    assert ledger["kept"] == sum(kind.edges for kind in kg.relations) == len(expected)


@pytest.mark.parametrize(
    ("forward", "backward", "mirrored", "duplicate"),
    [(1, 0, 0, 0), (0, 1, 0, 0), (1, 1, 1, 0), (3, 2, 1, 3), (0, 3, 0, 2)],
)
def test_a_mirrored_row_is_no_loss_and_a_repeated_one_is(forward, backward, mirrored, duplicate):
    row = ("binds", "drug", "d1", "gene", "g")
    _, ledger = build([row] * forward + [turned(row)] * backward)
    found = entry(ledger, "binds")
    assert (found["kept"], found["mirrored"], found["dropped"]["duplicate"]) == (1, mirrored, duplicate)


def test_a_relation_wholly_outside_the_listed_types_is_excluded_and_one_partly_outside_loses_rows():
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


def losing(duplicates: int) -> list[Row]:
    rows = [("binds", "drug", "d1", "gene", str(i)) for i in range(100 - duplicates)]
    return rows + rows[:duplicates]


def test_a_relation_that_loses_too_much_stops_with_its_name():
    build(losing(5), max_dropped_share=0.05)
    sentence = refusal(*losing(6), max_dropped_share=0.05)
    for part in (
        "edges.csv",
        "relation binds",
        "6 %",
        "100 rows",
        "6 are repeated edges",
        "graph.max_dropped_share",
    ):
        assert part in sentence


def test_the_main_reason_is_named():
    rows = [*losing(10), *[("binds", "drug", "d1", "gene", "")] * 30]
    assert "30 are rows without a node id" in refusal(*rows, max_dropped_share=0.05)


def test_rows_without_a_relation_count_against_the_whole_table():
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
