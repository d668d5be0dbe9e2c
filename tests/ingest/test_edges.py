import numpy as np
import pytest
from edge_rows import ROWS, build, edges, entry, is_same, triples, turned
from hypothesis import given, settings
from hypothesis import strategies as st

QUICK = settings(deadline=None, max_examples=60)


def test_a_relation_name_with_several_pairs_of_types_becomes_several_relations():
    kg, ledger = build([("near", "gene", "1", "organ", "1"), ("near", "drug", "1", "organ", "1")])
    assert {key for key in triples(kg) if key[1] == "near"} == {
        ("drug", "near", "organ"),
        ("gene", "near", "organ"),
    }
    assert entry(ledger, "near")["kept"] == 2


def test_undirected_relations_have_the_smaller_type_or_the_smaller_index_as_head():
    kg, _ = build([("near", "organ", "o", "gene", "g"), ("binds", "gene", "2", "gene", "1")])
    assert edges(kg) == {
        ("indication", "drug", "d1", "disease", "s1", False),
        ("near", "gene", "g", "organ", "o", False),
        ("binds", "gene", "1", "gene", "2", False),
    }


def test_what_people_read_has_the_order_of_the_table_and_not_of_the_alphabet():
    rows = [("near", "organ", "o", "gene", str(i)) for i in range(3)] + [("near", "gene", "9", "organ", "o")]
    rows += [("has", "gene", "1", "organ", "o"), ("binds", "gene", "2", "gene", "1")]
    kg, _ = build(rows)
    texts = {kind.relation: kind.text for kind in kg.relations}
    assert texts == {
        "indication": "drug -> indication -> disease",
        "near": "organ -> near -> gene",
        "has": "gene -> has -> organ",
        "binds": "gene -- binds -- gene",
    }
    assert {kind.relation for kind in kg.relations if kind.turned} == {"near"}


def test_directed_relations_keep_their_orientation():
    rows = [("regulates", "gene", "2", "gene", "1"), ("regulates", "organ", "2", "gene", "1")]
    kg, _ = build(rows, directed_relations=["regulates"])
    assert edges(kg) == {
        ("indication", "drug", "d1", "disease", "s1", False),
        ("regulates", "gene", "2", "gene", "1", True),
        ("regulates", "organ", "2", "gene", "1", True),
    }


@pytest.mark.parametrize("directed", [[], ["worsens"]])
def test_edges_between_the_target_types_run_from_head_type_to_tail_type(directed):
    kg, _ = build([("worsens", "disease", "s1", "drug", "d2")], directed_relations=directed)
    assert ("worsens", "drug", "d2", "disease", "s1", False) in edges(kg)


def test_the_target_orientation_follows_the_target_and_not_the_alphabet():
    kg, _ = build([], target={"head_type": "disease", "tail_type": "drug"})
    assert edges(kg) == {("indication", "disease", "s1", "drug", "d1", False)}


def test_edges_are_sorted_by_tail_then_head():
    rows = [("near", "gene", g, "organ", o) for o in "ba" for g in "321"]
    kg, _ = build(rows)
    index = [relation.relation for relation in kg.relations].index("near")
    assert kg.tails[index].tolist() == [0, 0, 0, 1, 1, 1]
    assert kg.heads[index].tolist() == [0, 1, 2, 0, 1, 2]
    assert kg.heads[index].dtype == kg.tails[index].dtype == np.int32


def test_only_relations_between_the_target_types_and_excluded_ones_leave_the_graph():
    rows = [
        ("contraindication", "drug", "d2", "disease", "s1"),
        ("off_label", "disease", "s1", "drug", "d2"),
        ("indication", "drug", "d1", "gene", "g"),
        ("binds", "drug", "d1", "gene", "g"),
        ("near", "gene", "g", "organ", "o"),
    ]
    kg, _ = build(rows, target={"negative": ["contraindication"]}, exclude_relations=["near"])
    assert triples(kg) == {
        ("drug", "indication", "disease"): "target",
        ("drug", "contraindication", "disease"): "target",
        ("drug", "off_label", "disease"): "excluded",
        ("drug", "indication", "gene"): "message",
        ("drug", "binds", "gene"): "message",
        ("gene", "near", "organ"): "excluded",
    }


# ---- the same graph from different tables ----


@QUICK
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, rng):
    shuffled = rng.sample(rows, len(rows))
    first, second = (build(table, keep_relations=["indication"]) for table in (rows, shuffled))
    assert is_same(first[0], second[0])
    assert first[1] == second[1]


@QUICK
@given(ROWS, st.lists(st.sampled_from(["as it is", "turned", "both ways"]), min_size=25, max_size=25))
def test_the_table_may_have_undirected_edges_in_either_direction_or_in_both(rows, directions):
    forms = {
        "as it is": lambda row: [row],
        "turned": lambda row: [turned(row)],
        "both ways": lambda row: [turned(row), row],
    }
    other = [form for row, name in zip(rows, directions, strict=False) for form in forms[name](row)]
    first, second = (build(table, keep_relations=["indication"])[0] for table in (rows, other))
    assert is_same(first, second)


def test_the_direction_of_a_directed_edge_matters():
    rows = [("regulates", "gene", "1", "gene", "2")]
    forward, backward, mutual = (
        build(table, directed_relations=["regulates"])[0]
        for table in (rows, [turned(rows[0])], [*rows, turned(rows[0])])
    )
    assert edges(forward) != edges(backward)
    assert edges(mutual) == edges(forward) | edges(backward)
