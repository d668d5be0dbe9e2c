"""The graphs for benchmarks/attention.py: a random one with PrimeKG's proportions, and the demo graph."""

import sys
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import build_demo
import build_graph
from repurpose.config.sections import GraphSettings, Target
from repurpose.graph import graph
from repurpose.graph.graph import Graph, GraphFiles, Relation

CONFIG = Path(__file__).resolve().parents[1] / "config" / "config.yaml"
# Node counts of PrimeKG, without its two small node types.
NODES = {
    "anatomy": 14035,
    "biological_process": 28642,
    "disease": 17080,
    "drug": 7957,
    "gene": 27671,
    "molecular_function": 11169,
    "pathway": 2516,
    "phenotype": 15311,
}
# The largest relations of PrimeKG between these types, with thousands of rows (both directions).
RELATIONS = (
    ("gene", "ppi", "gene", 642),
    ("drug", "ddi", "drug", 2672),
    ("anatomy", "expresses", "gene", 3036),
    ("disease", "has", "phenotype", 300),
    ("biological_process", "process_of", "gene", 290),
    ("disease", "assoc", "gene", 161),
    ("molecular_function", "function_of", "gene", 139),
    ("pathway", "contains", "gene", 85),
    ("drug", "side_effect", "phenotype", 130),
)
EXPONENT = 0.75  # exponent of the Zipf law of degrees
RANK_OFFSET = 5  # flattens the head of the law; without it one node has a large part of the edges
DENSEST = 0.5  # above this share of all possible pairs, drawing without repetition takes too long


def synthetic(nodes: int, edges: int, seed: int) -> Graph:
    """A random graph with PrimeKG's proportions and skewed degrees, all relations undirected.

    `edges` counts message edges, two for each undirected edge. Raises ValueError if that is more than
    half of all pairs of a relation.
    """
    generator = np.random.default_rng(seed)
    # The running sum is rounded, not each count, so that the counts add up to `nodes`.
    last_nodes = np.cumsum([0, *NODES.values()])
    counts = dict(
        zip(NODES, np.diff(np.rint(last_nodes * nodes / last_nodes[-1])).astype(int).tolist(), strict=True)
    )
    per_row = edges / 2 / sum(rows for *_, rows in RELATIONS)
    relations, heads, tails = [], [], []
    for head_type, name, tail_type, rows in RELATIONS:
        count = round(rows * per_row)
        head, tail = _draw(generator, counts[head_type], counts[tail_type], count, head_type == tail_type)
        relations.append(Relation(head_type, name, tail_type, len(head), "message", False))
        heads.append(head)
        tails.append(tail)
    ids = {t: np.arange(count).astype(str).astype(object) for t, count in counts.items()}
    return Graph(tuple(NODES), ids, ids, tuple(relations), tuple(heads), tuple(tails))


def primekg(folder: Path, scale: float) -> None:
    """Plant the demo graph and build it, as the workflow's first two rules do with the default config."""
    config = yaml.safe_load(CONFIG.read_text())
    table = folder / "table.parquet"
    build_demo.main(edges_out=table, scale=scale, seed=config["demo"]["seed"])
    build_graph.main(
        edges=str(table),
        nodes="",
        graph_out=GraphFiles.in_folder(folder),
        ledger_out=folder / "ledger.json",
        sources_out=folder / "sources.parquet",
        settings=GraphSettings(**config["graph"]),
        target=Target(**config["target"]),
    )
    table.unlink()


def save(kg: Graph, folder: Path) -> None:
    """Write a graph's files into a folder."""
    graph.save(kg, GraphFiles.in_folder(folder))


def load(folder: Path) -> Graph:
    """Read the graph of a folder."""
    return graph.load(GraphFiles.in_folder(folder))


def _draw(
    generator: np.random.Generator, heads: int, tails: int, count: int, symmetric: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` different edges, sorted by tail, then head; the smaller node is the head if symmetric.

    Raises ValueError if that is more than half of all pairs.
    """
    possible = heads * (heads - 1) // 2 if symmetric else heads * tails
    if count > DENSEST * possible:
        raise ValueError(
            f"{count} edges do not fit between {heads} and {tails} nodes: give --nodes more or --edges less"
        )
    by_degree = [_popularity(generator, heads), _popularity(generator, tails)]
    keys = np.zeros(0, np.int64)
    while missing := max(count - len(keys), 0):
        size = missing * 3 // 2 + 1000
        head, tail = (generator.choice(len(p), size, p=p) for p in by_degree)
        if symmetric:
            head, tail = np.minimum(head, tail), np.maximum(head, tail)
            head, tail = head[head < tail], tail[head < tail]
        keys = np.unique(np.concatenate([keys, tail * heads + head]))
    keys = np.sort(generator.choice(keys, count, replace=False))
    return (keys % heads).astype(np.int32), (keys // heads).astype(np.int32)


def _popularity(generator: np.random.Generator, nodes: int) -> np.ndarray:
    """Probabilities of a Zipf law, in random order, one per node."""
    weight = (generator.permutation(nodes) + RANK_OFFSET) ** -EXPONENT
    return weight / weight.sum()
