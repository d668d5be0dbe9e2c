"""Graphs made of a graph: a part with all its relations, and one with all its degrees but shuffled edges."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from repurpose.graph.graph import Graph
from repurpose.graph.holdout import pair_keys


def part(
    kg: Graph, edges: Sequence[np.ndarray], most: int, generator: np.random.Generator
) -> tuple[Graph, list[np.ndarray]]:
    """A graph of some edges of each message relation and the nodes that they join; its edges.

    edges: (2, E) per message relation, to draw from. most: directed edges of all relations together.
    """
    relations = kg.message_relations
    each_most = max(1, most // (2 * len(relations)))
    drawn = [each[:, generator.permutation(each.shape[1])[:each_most]] for each in edges]
    nodes = {}
    for t in kg.node_types:
        ends = [
            each[side]
            for relation, each in zip(relations, drawn, strict=True)
            for side, kind in enumerate((relation.head_type, relation.tail_type))
            if kind == t
        ]
        nodes[t] = np.unique(np.concatenate([np.zeros(1, np.int64), *ends]))
    kept = [
        np.stack([np.searchsorted(nodes[r.head_type], each[0]), np.searchsorted(nodes[r.tail_type], each[1])])
        for r, each in zip(relations, drawn, strict=True)
    ]
    found = tuple(replace(r, edges=each.shape[1]) for r, each in zip(relations, kept, strict=True))
    ids, names = ({t: of[t][nodes[t]] for t in kg.node_types} for of in (kg.node_ids, kg.node_names))
    return Graph(kg.node_types, ids, names, found, *(tuple(e[i] for e in kept) for i in (0, 1))), kept


def shuffled(kg: Graph, seed: int) -> Graph:
    """The graph with the tails of every message relation dealt out anew: all degrees stay, all else goes."""
    generator = np.random.default_rng([seed, 6])
    relations, heads, tails = list(kg.relations), list(kg.heads), list(kg.tails)
    for index in kg.of_role("message"):
        relation = kg.relations[index]
        head, tail = kg.heads[index], generator.permutation(kg.tails[index])
        if relation.is_symmetric:
            head, tail = np.minimum(head, tail), np.maximum(head, tail)
            head, tail = head[head != tail], tail[head != tail]
        # A pair that is there twice would be held out and trained on.
        width = kg.count(relation.head_type)
        keys = np.unique(pair_keys(tail, head, width, symmetric=False))
        tails[index], heads[index] = (keys // width).astype(np.int32), (keys % width).astype(np.int32)
        relations[index] = replace(relation, edges=len(keys))
    return replace(kg, relations=tuple(relations), heads=tuple(heads), tails=tuple(tails))
