"""Do nearest neighbours share neighbours in the graph, more than its degrees alone would make them?

A tail (a disease) has sets of nodes: its genes over the named relations, and the tails that it is joined to
over relations among tails (a hierarchy). The null keeps each embedding's neighbours and all degrees and
rewires the sets: nothing is trained again, and what popularity alone gives is in it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from repurpose.graph import matrices
from repurpose.graph.graph import Graph
from repurpose.training import compared

REWIRINGS = 100
NEIGHBOURS = 10
ANCHORS = 2000  # nodes of a type, drawn at random where there are more, whose neighbours are looked at
CHUNK = 4096  # pairs whose sets are held at once
REPAIRS = 100  # rounds in which pairs that a shuffle has made twice are swapped with others


def sets(kg: Graph, names: Sequence[str], tail_type: str) -> dict[str, sparse.csr_array]:
    """What groups tails: name -> (tails, nodes) of ones.

    The relations of `names` make one group together, each relation among tails is another.
    """
    compared.require(kg.relations, names, tail_type)
    edges = kg.message_edges()
    found = {" + ".join(names): matrices.neighbours(kg, edges, names, tail_type)} if names else {}
    for relation, (heads, tails) in zip(kg.message_relations, edges, strict=True):
        if relation.head_type == relation.tail_type == tail_type and relation.relation not in names:
            forward = matrices.counts(heads, tails, (kg.count(tail_type),) * 2, np.int64)
            found[relation.relation] = matrices.binarize(forward + forward.T)
    return {name: incidence for name, incidence in found.items() if incidence.nnz}


def enrichment(rows: np.ndarray, incidence: sparse.csr_array, seed: int) -> dict[str, Any] | None:
    """Mean Jaccard overlap of a tail's set with those of its nearest neighbours, and of rewired sets.

    rows: (tails, d); neighbours are the nearest by centred cosine among the tails that have a set.
    `null_low` and `null_high` hold 95 % of the rewirings; `ratio` is overlap / the rewirings' mean. None
    where fewer than three tails have a set, or no rewiring has any overlap.
    """
    has_set = np.flatnonzero(np.diff(incidence.indptr))
    if len(has_set) < 3:
        return None
    generator = np.random.default_rng([seed, 12])
    anchors = np.sort(generator.permutation(len(has_set))[:ANCHORS])
    nearest = nearest_rows(rows[has_set], anchors)
    own = sparse.csr_array(incidence[has_set])
    overlap = _overlap(own, anchors, nearest)
    cells = own.tocoo()
    null = [_overlap(_rewired(cells, generator), anchors, nearest) for _ in range(REWIRINGS)]
    if not np.mean(null):
        return None
    low, high = np.percentile(null, [2.5, 97.5])
    return {
        "tails": len(has_set),
        "overlap": overlap,
        "null": float(np.mean(null)),
        "null_low": float(low),
        "null_high": float(high),
        "ratio": overlap / float(np.mean(null)),
    }


def measure(rows: np.ndarray, groups: Mapping[str, sparse.csr_array], seed: int) -> dict[str, dict[str, Any]]:
    """The enrichment of each group of sets that has one."""
    found = {name: enrichment(rows, incidence, seed) for name, incidence in groups.items()}
    return {name: each for name, each in found.items() if each is not None}


def rewire(heads: np.ndarray, tails: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Tails (E,) dealt out anew among the pairs: no pair twice, every degree as it was.

    Pairs that come out twice are swapped with others at random, many times over; where degrees leave no
    other way, some stay.
    """
    tails, width = generator.permutation(tails), int(tails.max(initial=0)) + 1
    for _ in range(REPAIRS):
        keys = heads.astype(np.int64) * width + tails
        order = np.argsort(keys, kind="stable")
        twice = order[1:][keys[order[1:]] == keys[order[:-1]]]
        if not len(twice):
            break
        for at, other in zip(twice, generator.integers(0, len(tails), len(twice)), strict=True):
            tails[at], tails[other] = tails[other], tails[at]
    return tails


def nearest_rows(rows: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """The nearest others of some rows (a,) by centred cosine: (a, k)."""
    centred = rows - rows.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    count = min(NEIGHBOURS, len(unit) - 1)
    parts = []
    for chunk in np.array_split(anchors, max(1, len(anchors) // 512)):
        cosine = unit[chunk] @ unit.T
        cosine[np.arange(len(chunk)), chunk] = -np.inf
        parts.append(np.argpartition(-cosine, count - 1, axis=1)[:, :count])
    return np.concatenate(parts)


def _rewired(cells: sparse.coo_array, generator: np.random.Generator) -> sparse.csr_array:
    columns = rewire(cells.row, cells.col, generator)
    return matrices.binarize(matrices.counts(cells.row, columns, cells.shape, np.int64))


def _overlap(incidence: sparse.csr_array, anchors: np.ndarray, nearest: np.ndarray) -> float:
    """Mean Jaccard index of the anchors' sets (a,) with those of their `nearest` (a, k)."""
    return float(jaccard(incidence, np.repeat(anchors, nearest.shape[1]), nearest.ravel()).mean())


def jaccard(incidence: sparse.csr_array, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jaccard index of each pair's sets (p,); 0 for two empty ones."""
    size, parts = np.diff(incidence.indptr), []
    for chunk in np.array_split(np.arange(len(first)), max(1, len(first) // CHUNK)):
        one, other = first[chunk], second[chunk]
        shared = np.asarray(incidence[one].multiply(incidence[other]).sum(axis=1)).ravel()
        parts.append(shared / np.maximum(size[one] + size[other] - shared, 1))
    return np.concatenate(parts)
