"""A small graph with planted communities, for the tests of the encoder and its gate."""

import numpy as np

from repurpose.graph.graph import Graph, Relation

COUNTS = {"disease": 60, "drug": 50, "gene": 150}
COMMUNITIES = 5


def build(seed: int = 0, noise: float = 0.1) -> Graph:
    """Diseases, drugs and genes in communities; most edges are between nodes of one community.

    Node i of a type belongs to community i modulo `COMMUNITIES`.
    """
    generator = np.random.default_rng(seed)
    specs = [
        ("disease", "disease_gene", "gene", 700, False, "message"),
        ("drug", "drug_gene", "gene", 500, False, "message"),
        ("gene", "gene_gene", "gene", 900, False, "message"),
        ("gene", "regulates", "gene", 400, True, "message"),
        ("drug", "indication", "disease", 120, False, "target"),
    ]
    relations, heads, tails = [], [], []
    for head_type, name, tail_type, edges, directed, role in specs:
        head, tail = _edges(COUNTS[head_type], COUNTS[tail_type], edges, noise, generator)
        if head_type == tail_type:
            keep = head != tail if directed else head < tail
            head, tail = head[keep], tail[keep]
        relations.append(Relation(head_type, name, tail_type, len(head), role, directed))
        heads.append(head)
        tails.append(tail)
    ids = {t: np.array([str(i + 1) for i in range(n)], object) for t, n in COUNTS.items()}
    names = {t: np.array([f"{t} {i + 1}" for i in range(n)], object) for t, n in COUNTS.items()}
    return Graph(tuple(sorted(COUNTS)), ids, names, tuple(relations), tuple(heads), tuple(tails))


def _edges(
    heads: int, tails: int, edges: int, noise: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct edges in the order of the graph's files: by tail, then head."""
    head = generator.integers(0, heads, 4 * edges)
    tail = generator.integers(0, tails, 4 * edges)
    inside = (head % COMMUNITIES == tail % COMMUNITIES) | (generator.random(4 * edges) < noise / COMMUNITIES)
    keys = np.unique(tail[inside] * heads + head[inside])
    keys = np.sort(generator.permutation(keys)[:edges])
    return (keys % heads).astype(np.int32), (keys // heads).astype(np.int32)
