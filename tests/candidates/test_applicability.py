"""What a classifier has no experience with is said, and nothing of what it has."""

import numpy as np
import planted
import pytest

from repurpose.candidates import applicability

RNG = np.random.default_rng(0)


def graph(edges):
    sizes = {"drug": 12, "gene": 6, "disease": 4}
    return planted.graph(sizes, [("drug", "binds", "gene", "message", edges)])


def test_a_drug_without_what_most_treated_ones_have_is_said_to_lack_it():
    kg = graph([(drug, drug % 6) for drug in range(9)])
    rows = np.ones((12, 3), np.float32)
    found = applicability.cautions(kg, "drug", rows, np.arange(8))
    assert found.tolist() == [""] * 9 + ["no binds"] * 3


def test_what_few_treated_ones_have_is_no_lack():
    kg = graph([(drug, drug % 6) for drug in range(6)])
    found = applicability.cautions(kg, "drug", np.ones((12, 3), np.float32), np.arange(8))
    assert set(found) == {""}  # six of eight are less than 80 %


def test_a_node_like_none_that_was_learned_from_is_said_to_be():
    kg = graph([(drug, 0) for drug in range(12)])
    rows = (np.array([1, 0, 0]) + 0.1 * RNG.normal(size=(12, 3))).astype(np.float32)
    rows[10] = [0, 0, 1]
    rows[11] = 0
    learned = np.arange(9)
    found = applicability.cautions(kg, "drug", rows, learned)
    assert found[10] == found[11] == "like no drug with a known pair"
    assert (found[:10] == "").all()


def test_what_was_learned_from_is_like_itself_at_least():
    """Negative control: the oddest of the nodes learned from is less like the others than they are."""
    kg = graph([(drug, 0) for drug in range(12)])
    rows = (np.array([1, 0, 0]) + 0.1 * RNG.normal(size=(12, 3))).astype(np.float32)
    rows[8] = rows[9] = [0, 0, 1]
    rows[9] += 0.01
    nearest = applicability._nearest(rows, np.arange(9))
    assert nearest[8] < np.quantile(nearest[:9], applicability.UNLIKE)
    assert applicability.cautions(kg, "drug", rows, np.arange(9))[8] == ""


def test_a_node_is_not_like_itself():
    """Negative control: counted as its own neighbour, an odd node that was learned from would be like one."""
    rows = np.eye(12, 12, dtype=np.float32)
    rows[:11] = np.array([1] + [0] * 11) + 0.1 * RNG.normal(size=(11, 12))
    found = applicability._nearest(rows, np.arange(12))
    assert found[11] < 0.5 and found[:11].min() > 0.7
    assert np.allclose(applicability._nearest(rows, np.array([11]))[11], -1)


@pytest.mark.parametrize("learned", [[], [3]])
def test_of_too_few_nodes_learned_from_nothing_is_concluded(learned):
    kg = graph([(drug, 0) for drug in range(12)])
    found = applicability.cautions(kg, "drug", np.ones((12, 3), np.float32), np.array(learned, int))
    assert set(found) == {""}
