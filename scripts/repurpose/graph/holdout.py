"""Held-out message edges: a share for validation, which chooses the best epoch, and a share for the gate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repurpose.core import streams
from repurpose.graph.graph import Graph

FEW_EDGES = 20  # with fewer held-out edges, the AUROC of a relation depends mostly on chance


@dataclass(frozen=True)
class Holdout:
    """The edges of each message relation in three parts: int64 (2, E), head and tail indices within types."""

    train: tuple[np.ndarray, ...]
    valid: tuple[np.ndarray, ...]
    check: tuple[np.ndarray, ...]


def split(kg: Graph, share: float, seed: int) -> Holdout:
    """Draw `share` of each message relation for validation, and as many other edges for the gate's check.

    The draw depends only on the graph, the share and the seed, so the gate can repeat the split that training
    used. From a relation with fewer than 1 / share edges nothing is held out.
    """
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    for index in kg.of_role("message"):
        edges = np.stack([kg.heads[index], kg.tails[index]]).astype(np.int64)
        order = streams.generator(seed, "held-out edges", index).permutation(edges.shape[1])
        held = int(share * len(order))
        rows_by_part = (order[2 * held :], order[:held], order[held : 2 * held])
        for edges_by_relation, rows in zip(parts, rows_by_part, strict=True):
            edges_by_relation.append(edges[:, np.sort(rows)])
    return Holdout(*(tuple(edges_by_relation) for edges_by_relation in parts))


def keys(edges: np.ndarray, width: int, symmetric: bool) -> np.ndarray:
    """Sorted int64 keys of edges (2, E): head * width + tail, with the smaller node first if symmetric."""
    return np.sort(pair_keys(edges[0], edges[1], width, symmetric))


def pair_keys(heads: np.ndarray, tails: np.ndarray, width: int, symmetric: bool) -> np.ndarray:
    """The same keys as `keys` for pairs of heads and tails (n,), in the order of the pairs."""
    if symmetric:
        heads, tails = np.minimum(heads, tails), np.maximum(heads, tails)
    return heads.astype(np.int64) * width + tails


def contains(sorted_keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each of `wanted`, whether it is among `sorted_keys`: bool, same length as `wanted`."""
    if not len(sorted_keys):
        return np.zeros(len(wanted), bool)
    position = np.searchsorted(sorted_keys, wanted)
    return sorted_keys[np.minimum(position, len(sorted_keys) - 1)] == wanted


def merge(*parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Concatenate several parts of a holdout, relation by relation."""
    return [np.concatenate(edges, axis=1) for edges in zip(*parts, strict=True)]
