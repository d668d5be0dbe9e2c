"""Treatments at random: the null model of a run, with the degrees of the known treatments."""

from dataclasses import replace

import numpy as np

from repurpose.config.sections import Target
from repurpose.core import streams
from repurpose.graph.graph import Graph

SWAPS = 10  # tried per edge, of which most succeed


def shuffle_treatments(kg: Graph, target: Target, seed: int) -> Graph:
    """The graph with other treatments: each head and each tail has as many as before.

    Two treatments exchange their tails, again and again (Hanhijärvi, Garriga, Puolamäki, "Randomization
    techniques for graphs", SDM 2009), unless a pair would become a treatment twice or is a known negative.
    """
    taken = set()
    for index in _between(kg, target):
        taken |= set(zip(kg.heads[index].tolist(), kg.tails[index].tolist(), strict=True))
    heads, tails = list(kg.heads), list(kg.tails)
    for index in _between(kg, target):
        if kg.relations[index].relation in target.positive:
            rng = streams.generator(seed, "shuffled treatments", index)
            swapped = _swapped(heads[index].tolist(), tails[index].tolist(), taken, rng)
            order = np.lexsort(swapped)
            heads[index], tails[index] = (column[order] for column in swapped)
    return replace(kg, heads=tuple(heads), tails=tuple(tails))


def _between(kg: Graph, target: Target) -> list[int]:
    """The relations of the target, from heads to tails."""
    names = {*target.positive, *target.negative}
    return [
        index
        for index, kind in enumerate(kg.relations)
        if kind.relation in names and (kind.head_type, kind.tail_type) == target.types
    ]


def _swapped(
    heads: list[int], tails: list[int], taken: set[tuple[int, int]], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails after SWAPS exchanges per edge; taken: pairs that no edge may become (it changes)."""
    for first, second in rng.integers(0, len(heads), (SWAPS * len(heads), 2)).tolist():
        old = (heads[first], tails[first]), (heads[second], tails[second])
        new = (heads[first], tails[second]), (heads[second], tails[first])
        if taken.isdisjoint(new) and new[0] != new[1]:
            taken.difference_update(old)
            taken.update(new)
            tails[first], tails[second] = tails[second], tails[first]
    return np.array(heads, np.int32), np.array(tails, np.int32)
