"""Graphs derived from a graph: a sample of its edges, and a null model with shuffled edges."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from repurpose.core import streams
from repurpose.graph.graph import Graph
from repurpose.graph.holdout import pair_keys


def sample(
    kg: Graph, edges: Sequence[np.ndarray], most: int, generator: np.random.Generator
) -> tuple[Graph, list[np.ndarray]]:
    """A subgraph of randomly drawn edges of each message relation with their nodes, and its edges (2, E').

    edges: (2, E) per message relation, to draw from. most: number of directed edges in all relations
    together. Each node type keeps at least its first node.
    """
    relations = kg.message_relations
    most_per_relation = max(1, most // (2 * len(relations)))
    drawn = [pairs[:, generator.permutation(pairs.shape[1])[:most_per_relation]] for pairs in edges]
    nodes = {}
    for t in kg.node_types:
        ends = [
            pairs[side]
            for relation, pairs in zip(relations, drawn, strict=True)
            for side, node_type in enumerate((relation.head_type, relation.tail_type))
            if node_type == t
        ]
        nodes[t] = np.unique(np.concatenate([np.zeros(1, np.int64), *ends]))
    renumbered = [
        np.stack(
            [np.searchsorted(nodes[r.head_type], pairs[0]), np.searchsorted(nodes[r.tail_type], pairs[1])]
        )
        for r, pairs in zip(relations, drawn, strict=True)
    ]
    sampled = tuple(replace(r, edges=pairs.shape[1]) for r, pairs in zip(relations, renumbered, strict=True))
    ids, names = ({t: texts[t][nodes[t]] for t in kg.node_types} for texts in (kg.node_ids, kg.node_names))
    heads, tails = (tuple(pairs[side] for pairs in renumbered) for side in (0, 1))
    return Graph(kg.node_types, ids, names, sampled, heads, tails), renumbered


def shuffle_edges(kg: Graph, seed: int) -> Graph:
    """A null model: the tails of each message relation are permuted at random, which keeps the degrees.

    Then repeated pairs are removed, and in symmetric relations also self-loops.
    """
    generator = streams.generator(seed, "shuffled edges")
    relations, heads, tails = list(kg.relations), list(kg.heads), list(kg.tails)
    for index in kg.of_role("message"):
        relation = kg.relations[index]
        head, tail = kg.heads[index], generator.permutation(kg.tails[index])
        if relation.is_symmetric:
            head, tail = np.minimum(head, tail), np.maximum(head, tail)
            head, tail = head[head != tail], tail[head != tail]
        # One copy of a repeated pair could be held out while the other is trained on.
        width = kg.count(relation.head_type)
        keys = np.unique(pair_keys(tail, head, width, symmetric=False))
        tails[index], heads[index] = (keys // width).astype(np.int32), (keys % width).astype(np.int32)
        relations[index] = replace(relation, edges=len(keys))
    return replace(kg, relations=tuple(relations), heads=tuple(heads), tails=tuple(tails))
