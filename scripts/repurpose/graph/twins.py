"""Twins: nodes of a type with the same neighbours in each relation. Their edges say nothing apart of them."""

from collections.abc import Sequence

import numpy as np

from repurpose.graph.graph import Graph


def one_of_each(kg: Graph, edges: Sequence[np.ndarray]) -> np.ndarray:
    """Bool (nodes,): True for the first node of each type with its neighbours; False for its twins.

    edges: of each message relation, int64 (2, E), head and tail indices within their types. Nodes without
    edges are twins of one another.
    """
    seen = np.zeros(kg.nodes, np.uint64)
    for number, (relation, pairs, offset) in enumerate(
        zip(kg.message_relations, edges, kg.offsets(), strict=True)
    ):
        heads, tails = (pairs + offset).astype(np.uint64)
        # Ends of a symmetric relation are interchangeable, so both look at the other with the same eyes.
        for side, (nodes, others) in enumerate(((heads, tails), (tails, heads))):
            stream = np.uint64(2 * number + (0 if relation.is_symmetric else side))
            np.add.at(seen, nodes, _mixed(others, stream))
    node_type = np.repeat(np.arange(len(kg.node_types), dtype=np.uint64), np.diff(kg.bounds))
    _, kept = np.unique(np.stack([node_type, seen]), axis=1, return_index=True)
    result = np.zeros(len(node_type), bool)
    result[kept] = True
    return result


def _mixed(numbers: np.ndarray, stream: np.uint64) -> np.ndarray:
    """A pseudo-random uint64 for each number: Steele et al., "Fast splittable pseudorandom number generators"
    (OOPSLA 2014). The sum over a set of neighbours differs for different sets, but for one in 2^64 by chance.
    """
    with np.errstate(over="ignore"):
        z = numbers * np.uint64(0x9E3779B97F4A7C15) + stream * np.uint64(0xD1B54A32D192ED03) + np.uint64(1)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
