"""Pairs that are no edges: of the right types, filtered, partly matched to degree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repurpose.graph import holdout
from repurpose.graph.graph import Graph

REDRAWS = 8


@dataclass(frozen=True)
class Candidates:
    """What is needed to corrupt the edges of one relation."""

    edges: np.ndarray  # (2, E) from whose endpoints degree-matched nodes are drawn
    known: np.ndarray  # sorted keys of the pairs that may not be drawn
    heads: int
    tails: int
    symmetric: bool


def candidates(kg: Graph, edges: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> list[Candidates]:
    """One `Candidates` per message relation; `known` (2, E) are the pairs that count as edges."""
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
    """One negative per positive edge: its head or its tail (even odds) replaced by a node of the same type.

    With probability `matched` the new node is an endpoint of a random edge (in proportion to degree),
    else any node. Draws that are known pairs or self-loops are drawn anew. Returns (2, P'), P' <= P:
    what is still an edge after some redraws (a relation that is nearly complete) is left out.
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
