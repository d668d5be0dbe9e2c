"""Negative edges: pairs of the right types that are no edges, in part sampled in proportion to degree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repurpose.graph import holdout
from repurpose.graph.graph import Graph

REDRAWS = 8


@dataclass(frozen=True)
class Candidates:
    """The nodes and known pairs of one relation, from which `corrupt` draws negatives."""

    edges: np.ndarray  # (2, E); degree-matched nodes are drawn from their endpoints
    known: np.ndarray  # sorted keys of the pairs that must not be drawn
    heads: int
    tails: int
    symmetric: bool


def candidates(kg: Graph, edges: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> list[Candidates]:
    """One `Candidates` per message relation; `known` (2, E) are the pairs that must not be drawn."""
    result = []
    for index, drawn, pairs in zip(kg.of_role("message"), edges, known, strict=True):
        relation = kg.relations[index]
        symmetric = relation.is_symmetric
        heads, tails = kg.count(relation.head_type), kg.count(relation.tail_type)
        result.append(Candidates(drawn, holdout.keys(pairs, tails, symmetric), heads, tails, symmetric))
    return result


def corrupt(
    source: Candidates, positives: np.ndarray, matched: float, generator: np.random.Generator
) -> np.ndarray:
    """One negative per positive edge (2, P): its head or its tail (even odds) is replaced by another node.

    The new node has the same type. With probability `matched` it is an endpoint of a random edge, that is,
    drawn in proportion to degree; otherwise it is drawn uniformly. Known pairs and self-loops of symmetric
    relations are drawn again, up to REDRAWS times in all. Pairs that are still known then, as in a nearly
    complete relation, are left out. Returns (2, P') with P' <= P.
    """
    heads, tails = positives.copy()
    replace_head = generator.random(len(heads)) < 0.5
    wrong = np.arange(len(heads))
    for _ in range(REDRAWS):
        at_head = replace_head[wrong]
        heads[wrong[at_head]] = _draw(source.edges[0], source.heads, at_head.sum(), matched, generator)
        tails[wrong[~at_head]] = _draw(source.edges[1], source.tails, (~at_head).sum(), matched, generator)
        wrong = wrong[_is_known(source, heads[wrong], tails[wrong])]
        if not len(wrong):
            break
    kept = np.ones(len(heads), bool)
    kept[wrong] = False
    return np.stack([heads[kept], tails[kept]])


def _draw(
    endpoints: np.ndarray, nodes: int, size: int, matched: float, generator: np.random.Generator
) -> np.ndarray:
    drawn = generator.integers(0, nodes, size)
    if len(endpoints):
        by_degree = endpoints[generator.integers(0, len(endpoints), size)]
        drawn = np.where(generator.random(size) < matched, by_degree, drawn)
    return drawn


def _is_known(source: Candidates, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
    known = holdout.contains(source.known, holdout.pair_keys(heads, tails, source.tails, source.symmetric))
    return known | (heads == tails) if source.symmetric else known
