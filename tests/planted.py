"""Graphs made by hand for the tests of pairs, baselines, the classifier and candidates."""

from collections.abc import Sequence

import numpy as np

from repurpose.config.sections import Target
from repurpose.graph.graph import Graph, Relation

TARGET = Target(
    head_type="drug",
    tail_type="disease",
    positive=["indication"],
    negative=["contraindication"],
)


def graph(
    counts: dict[str, int], relations: Sequence[tuple[str, str, str, str, Sequence[tuple[int, int]]]]
) -> Graph:
    """A graph with nodes 0 to n - 1 of each type; a relation is (head type, name, tail type, role, edges)."""
    relations_of_graph, heads, tails = [], [], []
    for head_type, name, tail_type, role, edges in relations:
        pairs = np.array(edges, np.int32).reshape(-1, 2)
        pairs = pairs[np.lexsort(pairs.T)]
        relations_of_graph.append(Relation(head_type, name, tail_type, len(pairs), role, False))
        heads.append(pairs[:, 0].copy())
        tails.append(pairs[:, 1].copy())
    ids = {
        node_type: np.array([f"{node_type}:{index}" for index in range(n)], object)
        for node_type, n in counts.items()
    }
    names = {
        node_type: np.array([f"{node_type} number {index}" for index in range(n)], object)
        for node_type, n in counts.items()
    }
    return Graph(tuple(sorted(counts)), ids, names, tuple(relations_of_graph), tuple(heads), tuple(tails))


def repurposing(
    n_drugs: int = 60, n_diseases: int = 50, *, seed: int = 0, shuffled: bool = False
) -> tuple[Graph, dict[str, np.ndarray]]:
    """A graph whose indications are between drugs and diseases with similar vectors, and these vectors.

    The pairs with the highest inner product are indications, those with the lowest are contraindications,
    and 30 others are palliated. With `shuffled` the numbers of pairs stay, but the pairs are random.
    Vectors: type -> float32 (n, 6).
    """
    generator = np.random.default_rng(seed)
    counts = {"disease": n_diseases, "drug": n_drugs, "gene": 80}
    vectors = {
        node_type: generator.standard_normal((n, 6)).astype(np.float32) for node_type, n in counts.items()
    }
    order = np.argsort(-(vectors["drug"] @ vectors["disease"].T), axis=None)
    if shuffled:
        order = generator.permutation(order)
    pairs = np.stack(np.unravel_index(order, (n_drugs, n_diseases)), axis=1)
    positive = len(pairs) // 20
    relations = [
        ("drug", "indication", "disease", "target", pairs[:positive]),
        ("drug", "contraindication", "disease", "target", pairs[-positive // 2 :]),
        ("drug", "palliates", "disease", "excluded", pairs[positive : positive + 30]),
        ("disease", "associated", "gene", "message", _edges(n_diseases, 80, 300, generator)),
        ("drug", "binds", "gene", "message", _edges(n_drugs, 80, 300, generator)),
    ]
    return graph(counts, relations), vectors


def _edges(n_heads: int, n_tails: int, count: int, rng: np.random.Generator) -> np.ndarray:
    codes = rng.permutation(n_heads * n_tails)[:count]
    return np.stack([codes // n_tails, codes % n_tails], axis=1)
