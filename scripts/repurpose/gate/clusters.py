"""Enrichment: nearest neighbours in an embedding share more graph neighbours than in a rewired graph.

A tail (a disease) has one set of graph neighbours per group of relations: its genes over the named
relations, and other tails over each relation among tails (a hierarchy). The null model rewires these sets.
It keeps all degrees and the nearest neighbours of the embedding, so it includes the effect of popularity,
and nothing is trained again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from repurpose.core import streams
from repurpose.graph import matrices
from repurpose.graph.graph import Graph
from repurpose.training import compared

REWIRINGS = 100
NEIGHBOURS = 10
ANCHORS = 2000  # at most so many nodes of a type are measured; of more, a random sample is
CHUNK_PAIRS = 4096  # pairs of sets that are compared at once, to bound the memory
REPAIR_ROUNDS = 100  # after a shuffle, repeated pairs are swapped with others in at most so many rounds


def neighbour_sets(kg: Graph, names: Sequence[str], tail_type: str) -> dict[str, sparse.csr_array]:
    """The sets of graph neighbours of each tail: name of the group -> (tails, nodes) of ones.

    The relations of `names` together are one group; each other relation among tails is a group of its own.
    Raises InputError if one of `names` is no message relation of the tail type.
    """
    compared.require(kg.relations, names, tail_type)
    edges = kg.message_edges()
    sets_by_group = {" + ".join(names): matrices.neighbours(kg, edges, names, tail_type)} if names else {}
    for relation, (heads, tails) in zip(kg.message_relations, edges, strict=True):
        if relation.head_type == relation.tail_type == tail_type and relation.relation not in names:
            forward = matrices.counts(heads, tails, (kg.count(tail_type),) * 2, np.int64)
            sets_by_group[relation.relation] = matrices.binarize(forward + forward.T)
    return {name: incidence for name, incidence in sets_by_group.items() if incidence.nnz}


def enrichment(rows: np.ndarray, incidence: sparse.csr_array, seed: int) -> dict[str, Any] | None:
    """Mean Jaccard index of a tail's set with the sets of its nearest neighbours, and the same when rewired.

    rows: (tails, d); nearest by centred cosine, among the tails whose set is not empty. `null` is the mean
    of the rewirings, 95 % of them lie between `null_low` and `null_high`, and `ratio` is overlap / null.
    None if fewer than three tails have a set, or if no rewiring has any overlap.
    """
    has_set = np.flatnonzero(np.diff(incidence.indptr))
    if len(has_set) < 3:
        return None
    generator = streams.generator(seed, "rewiring of the clusters")
    anchors = np.sort(generator.permutation(len(has_set))[:ANCHORS])
    nearest = nearest_rows(rows[has_set], anchors)
    sets_of_tails = sparse.csr_array(incidence[has_set])
    overlap = _overlap(sets_of_tails, anchors, nearest)
    members = sets_of_tails.tocoo()
    null = [_overlap(_rewired(members, generator), anchors, nearest) for _ in range(REWIRINGS)]
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
    """The enrichment of each group of sets, without the groups for which it is None."""
    by_group = {name: enrichment(rows, incidence, seed) for name, incidence in groups.items()}
    return {name: measured for name, measured in by_group.items() if measured is not None}


def rewire(heads: np.ndarray, tails: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Shuffle the tails (E,) of the pairs: every degree stays, and no pair occurs twice.

    A pair that the shuffle repeats swaps its tail with a random other pair, in up to `REPAIR_ROUNDS` rounds.
    If the degrees are too high for that, some pairs stay repeated.
    """
    tails, width = generator.permutation(tails), int(tails.max(initial=0)) + 1
    for _ in range(REPAIR_ROUNDS):
        keys = heads.astype(np.int64) * width + tails
        order = np.argsort(keys, kind="stable")
        repeats = order[1:][keys[order[1:]] == keys[order[:-1]]]
        if not len(repeats):
            break
        for repeated, other in zip(repeats, generator.integers(0, len(tails), len(repeats)), strict=True):
            tails[repeated], tails[other] = tails[other], tails[repeated]
    return tails


def nearest_rows(rows: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Indices (a, k) of the nearest other rows of each of the rows `anchors` (a,), by centred cosine."""
    centred = rows - rows.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    count = min(NEIGHBOURS, len(unit) - 1)
    nearest_parts = []
    for chunk in np.array_split(anchors, max(1, len(anchors) // 512)):
        cosine = unit[chunk] @ unit.T
        cosine[np.arange(len(chunk)), chunk] = -np.inf
        nearest_parts.append(np.argpartition(-cosine, count - 1, axis=1)[:, :count])
    return np.concatenate(nearest_parts)


def _rewired(members: sparse.coo_array, generator: np.random.Generator) -> sparse.csr_array:
    columns = rewire(members.row, members.col, generator)
    return matrices.binarize(matrices.counts(members.row, columns, members.shape, np.int64))


def _overlap(incidence: sparse.csr_array, anchors: np.ndarray, nearest: np.ndarray) -> float:
    """Mean Jaccard index of the sets of `anchors` (a,) with the sets of their `nearest` rows (a, k)."""
    return float(jaccard(incidence, np.repeat(anchors, nearest.shape[1]), nearest.ravel()).mean())


def jaccard(incidence: sparse.csr_array, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jaccard index (p,) of the sets of the rows `first` (p,) and `second` (p,); 0 if both sets are empty."""
    set_sizes, index_parts = np.diff(incidence.indptr), []
    for chunk in np.array_split(np.arange(len(first)), max(1, len(first) // CHUNK_PAIRS)):
        one, other = first[chunk], second[chunk]
        shared = np.asarray(incidence[one].multiply(incidence[other]).sum(axis=1)).ravel()
        index_parts.append(shared / np.maximum(set_sizes[one] + set_sizes[other] - shared, 1))
    return np.concatenate(index_parts)
