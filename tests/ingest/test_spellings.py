import pytest
from edge_rows import TARGET, build, nodes_table

from repurpose.ingest import spellings

GENES = [("binds", "drug", "d1", "gene", str(i)) for i in range(5)]


def warned(rows, words: str, **changes) -> list[str]:
    """The warnings of the ledger that have these words."""
    _, ledger = build([*GENES, *rows], **changes)
    return [sentence for sentence in ledger["warnings"] if words in sentence]


def test_a_sound_table_has_no_warning():
    _, ledger = build(GENES)
    assert ledger["warnings"] == []


def test_types_with_few_nodes_are_named_but_not_those_of_the_target():
    (sentence,) = warned([("binds", "drug", "d1", "x_type", "9")], "fewer than 3 nodes")
    assert ": x_type: if they are no types" in sentence


def test_types_and_relations_in_two_spellings_are_named():
    rows = [("Binds ", "drug", "d1", "Gene", str(i)) for i in range(3)]
    (types,) = warned(rows, "node types 'Gene'")
    assert "'gene' (5 nodes)" in types
    (relations,) = warned(rows, "the relations 'Binds '")
    assert "'binds' (5 edges)" in relations


def test_a_relation_that_is_spelt_almost_like_the_target_is_named():
    (sentence,) = warned([("Indication", "drug", "d2", "disease", "s1")], "did you mean it too?")
    assert "'Indication'" in sentence
    assert "its 1 pairs are left out" in sentence
    assert not warned([("off_label", "drug", "d2", "disease", "s1")], "did you mean it too?")


def test_ids_that_differ_by_case_or_a_final_zero_only_are_counted_within_their_type():
    rows = [("binds", "drug", "d1", "gene", "9796"), ("binds", "drug", "d1", "gene", "9796.0")]
    (sentence,) = warned([*rows, ("binds", "drug", "D1", "gene", "1")], "ids of the type gene")
    assert "2 ids" in sentence and "9796.0" in sentence
    assert len(warned([("binds", "drug", "D1", "gene", "1")], "ids of the type drug")) == 1
    assert not warned([("binds", "drug", "s1", "gene", "1")], "differ from another one")


def test_rows_of_the_nodes_table_with_a_type_that_the_edges_lack_are_counted_by_type():
    nodes = nodes_table([("drug", "d1", "a"), ("Drug", "d2", "b"), ("Drug", "d3", "c"), ("plant", "p", "")])
    (sentence,) = warned([], "rows have a type", nodes=nodes)
    assert "3 of 4 rows" in sentence
    assert "Drug (2), plant (1)" in sentence


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("indication", "Indication", True),
        ("gene/protein", "Gene Protein", True),
        ("biolink:Drug", "drug", True),
        ("disease", "diseases", False),
        ("+", "-", False),
    ],
)
def test_spelling(first, second, same):
    assert (spellings.spelling(first) == spellings.spelling(second)) == same


def test_a_listing_says_how_many_more_there_are():
    assert spellings.listing([str(i) for i in range(7)]) == "0, 1, 2, 3, 4 and 2 more"
    assert TARGET.types == ("drug", "disease")
