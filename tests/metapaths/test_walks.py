"""Counts of walks equal those of walks made one by one."""

import numpy as np
import pytest
from metapath_graphs import PAIRS, random_graph, walks_between

from repurpose.metapaths import steps, walks

TAILS = np.arange(5)


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_the_weights_of_all_walks(seed):
    kg = random_graph(seed)
    found = steps.of_graph(kg)
    metapaths = steps.metapaths(found, "drug", "disease", 4, 1000)
    counts = walks.counts(found, metapaths, TAILS, 6)
    for number, metapath in enumerate(metapaths):
        names = tuple(found.names[step] for step in metapath)
        for head, tail in PAIRS:
            expected = walks_between(kg, names, head, tail, steps.DAMPING)
            assert counts[number, tail, head] == pytest.approx(expected, rel=1e-5), names


def test_counts_of_some_tails_are_those_of_all_and_means_are_their_means():
    found = steps.of_graph(random_graph(3))
    metapaths = steps.metapaths(found, "drug", "disease", 4, 1000)
    counts = walks.counts(found, metapaths, TAILS, 6)
    assert np.array_equal(walks.counts(found, metapaths, np.array([3, 1]), 6), counts[:, [3, 1]])
    assert np.allclose(walks.means(found, metapaths), counts.mean(axis=(1, 2)))
    assert np.array_equal(walks.counts(found, metapaths[::-1], TAILS, 6), counts[::-1])


def test_the_cost_counts_shared_last_steps_once_and_affordable_keeps_within_it():
    found = steps.of_graph(random_graph(0))
    metapaths = steps.metapaths(found, "drug", "disease", 3, 1000)
    short = metapaths[0]
    assert walks.cost(found, [short]) == found.cost(short[0])
    both = [short, next(m for m in metapaths if m[1:] == short)]
    assert walks.cost(found, both) == walks.cost(found, both[1:])
    for limit in (0, walks.cost(found, [short]), walks.cost(found, metapaths)):
        kept = walks.affordable(found, metapaths, limit)
        assert walks.cost(found, kept) <= limit
        assert len(kept) == len(metapaths) or any(
            walks.cost(found, [*kept, other]) > limit for other in metapaths if other not in kept
        )
    assert walks.affordable(found, metapaths, walks.cost(found, metapaths)) == tuple(metapaths)
