"""Nodes outside the applicability domain get a caution; the others get none."""

import numpy as np
import planted
import pytest

from repurpose.candidates import applicability

RNG = np.random.default_rng(0)


def graph(edges):
    sizes = {"drug": 12, "gene": 6, "disease": 4}
    return planted.graph(sizes, [("drug", "binds", "gene", "message", edges)])


def test_a_drug_without_a_usual_relation_gets_a_caution():
    kg = graph([(drug, drug % 6) for drug in range(9)])
    rows = np.ones((12, 3), np.float32)
    found = applicability.cautions(kg, "drug", rows, np.arange(8))
    assert found.tolist() == [""] * 9 + ["no link “binds”"] * 3


def test_a_relation_that_few_trained_drugs_have_gives_no_caution():
    kg = graph([(drug, drug % 6) for drug in range(6)])
    found = applicability.cautions(kg, "drug", np.ones((12, 3), np.float32), np.arange(8))
    assert set(found) == {""}  # six of eight are less than 80 %


def test_a_new_node_unlike_all_trained_nodes_gets_a_caution():
    kg = graph([(drug, 0) for drug in range(12)])
    rows = (np.array([1, 0, 0]) + 0.1 * RNG.normal(size=(12, 3))).astype(np.float32)
    rows[10] = [0, 0, 1]
    rows[11] = 0
    trained = np.arange(9)
    found = applicability.cautions(kg, "drug", rows, trained)
    assert found[10] == found[11] == "unlike every drug with a known treatment"
    assert (found[:10] == "").all()


def test_a_trained_node_gets_no_caution_even_if_it_is_unlike_the_others():
    """Negative control: the vector of this trained node is below the limit for new nodes."""
    kg = graph([(drug, 0) for drug in range(12)])
    rows = (np.array([1, 0, 0]) + 0.1 * RNG.normal(size=(12, 3))).astype(np.float32)
    rows[8] = rows[9] = [0, 0, 1]
    rows[9] += 0.01
    nearest = applicability._nearest(rows, np.arange(9))
    assert nearest[8] < np.quantile(nearest[:9], applicability.UNLIKE)
    assert applicability.cautions(kg, "drug", rows, np.arange(9))[8] == ""


def test_a_node_is_not_its_own_nearest_node():
    """Negative control: with itself as neighbour, an unusual trained node would have similarity 1."""
    rows = np.eye(12, 12, dtype=np.float32)
    rows[:11] = np.array([1] + [0] * 11) + 0.1 * RNG.normal(size=(11, 12))
    found = applicability._nearest(rows, np.arange(12))
    assert found[11] < 0.5 and found[:11].min() > 0.7
    assert np.allclose(applicability._nearest(rows, np.array([11]))[11], -1)


def test_a_disease_unlike_all_diseases_with_a_known_treatment_gets_a_caution():
    sizes = {"drug": 12, "gene": 6, "disease": 14}
    edges = [(disease, disease % 6) for disease in range(14)]
    kg = planted.graph(sizes, [("disease", "associates", "gene", "message", edges)])
    rows = (np.array([1, 0, 0]) + 0.1 * np.random.default_rng(1).normal(size=(14, 3))).astype(np.float32)
    rows[[10, 11, 13]] = 2 * rows[[0, 1, 3]]  # of the direction of treated diseases
    rows[12] = [0, 0, 1]
    treated = np.arange(4), np.arange(10)
    heads, tails = applicability.of_target(kg, planted.TARGET, (np.ones((12, 3), np.float32), rows), treated)
    assert tails[12] == "unlike every disease with a known treatment"
    assert (np.delete(tails, 12) == "").all() and (heads == "").all()
    assert applicability.unlike(rows, treated[1]).tolist() == [place == 12 for place in range(14)]


@pytest.mark.parametrize("trained", [[], [3]])
def test_too_few_trained_nodes_give_no_cautions(trained):
    kg = graph([(drug, 0) for drug in range(12)])
    found = applicability.cautions(kg, "drug", np.ones((12, 3), np.float32), np.array(trained, int))
    assert set(found) == {""}
    assert not applicability.unlike(np.eye(12, dtype=np.float32), np.array(trained, int)).any()
