"""Steps and metapaths of a graph."""

import numpy as np
import planted
import pytest
from metapath_graphs import random_graph

from repurpose.graph.names import in_words
from repurpose.metapaths import steps, votes


def names(found):
    return {"/".join(found.names[number] for number in metapath) for metapath in found_metapaths(found)}


def found_metapaths(found, longest=3, most=1000):
    return steps.metapaths(found, "drug", "disease", longest, most)


def test_a_symmetric_relation_is_one_step_and_any_other_two():
    found = steps.of_graph(random_graph(0))
    assert found.names == (
        "binds",
        "<binds",
        "associates",
        "<associates",
        "resembles",
        "regulates",
        "<regulates",
    )
    assert [found.reverse[found.reverse[number]] for number in range(7)] == list(range(7))
    assert found.reverse[4] == 4


def test_an_edge_is_weighted_by_the_degrees_of_both_ends():
    kg = random_graph(1)
    matrix = steps.of_graph(kg).matrices[0].toarray()
    count = np.zeros((6, 4))
    count[kg.heads[0], kg.tails[0]] = 1
    degrees = count.sum(axis=1, keepdims=True) * count.sum(axis=0)
    assert np.allclose(matrix, np.where(count > 0, np.maximum(degrees, 1) ** -0.4, 0))


def test_the_metapaths_of_up_to_three_steps_without_the_target():
    assert names(steps.of_graph(random_graph(0))) == {
        "binds/<associates",
        "resembles/binds/<associates",
        "binds/regulates/<associates",
        "binds/<regulates/<associates",
    }


def test_lengths_with_too_many_metapaths_are_left_out():
    found = steps.of_graph(random_graph(0))
    assert [len(metapath) for metapath in found_metapaths(found, 4, 4)] == [2, 3, 3, 3]
    assert [len(metapath) for metapath in found_metapaths(found, 4, 3)] == [2]
    assert len(found_metapaths(found, 4)) > 10


def test_every_metapath_connects_the_two_types_and_other_numbers_do_not():
    found = steps.of_graph(random_graph(0))
    metapaths = found_metapaths(found, 4)
    assert all(steps.connects(found, metapath, "drug", "disease") for metapath in metapaths)
    first = metapaths[0]
    for wrong in ((), (99, 0), (-1,), first[:-1], first[::-1], (*first, first[0])):
        assert not steps.connects(found, wrong, "drug", "disease"), wrong


def test_a_metapath_reads_as_words():
    found = steps.of_graph(random_graph(0))
    assert steps.text(found, found_metapaths(found)[0]) == "drug -binds- gene -associates- disease"


@pytest.mark.parametrize(
    ("relation", "types", "expected"),
    [
        ("compound_binds_gene", ("compound", "gene"), "binds"),
        ("compound_causes_side_effect", ("side_effect", "compound"), "causes"),
        ("gene_regulates_gene", ("gene", "gene"), "regulates"),
        ("drug_drug", ("drug", "drug"), "drug drug"),
        ("drug_protein", ("drug", "gene/protein"), "drug protein"),
        ("disease_phenotype_positive", ("disease", "effect/phenotype"), "disease phenotype positive"),
        ("biolink:treats_or_studied", ("biolink:Drug", "biolink:Disease"), "treats or studied"),
    ],
)
def test_a_relation_is_read_without_the_types_that_it_links(relation, types, expected):
    assert in_words(relation, *types) == expected


def test_a_relation_that_repeats_its_types_is_a_mere_link():
    counts = {"drug": 1, "gene/protein": 1, "disease": 1}
    edges = [("drug", "drug_protein", "gene/protein", "message", [(0, 0)])]
    edges.append(("disease", "disease_protein_absent", "gene/protein", "message", [(0, 0)]))
    found = steps.of_graph(planted.graph(counts, edges))
    (metapath,) = steps.metapaths(found, "drug", "disease", 2, 10)
    text = "drug - gene/protein -disease protein absent- disease"
    assert steps.text(found, metapath) == text
    said = votes.text(votes.Vote(0, None), found, "drug", "disease")
    assert said == "drugs with the same gene/protein are known for this disease"


def test_names_of_biolink_are_read_without_their_prefix():
    kinds = ("biolink:SmallMolecule", "biolink:Gene", "biolink:Disease")
    edges = [(kinds[0], "biolink:affects", kinds[1], "message", [(0, 0)])]
    edges.append((kinds[2], "biolink:has", kinds[1], "message", [(0, 0)]))
    found = steps.of_graph(planted.graph(dict.fromkeys(kinds, 1), edges))
    (metapath,) = steps.metapaths(found, kinds[0], kinds[2], 2, 10)
    assert steps.text(found, metapath) == "SmallMolecule -affects- Gene -has- Disease"
    kind = votes.Vote(0, None)
    words = "SmallMolecules with the same Gene (affects) are known for this Disease"
    assert votes.text(kind, found, kinds[0], kinds[2]) == words
