"""Message edges that training does not see: some to choose the best state, as many for the gate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repurpose.graph.graph import Graph

FEW_EDGES = 20  # a relation with fewer held-out edges has an AUROC of chance


@dataclass(frozen=True)
class Holdout:
    """Per message relation (2, E) int64 arrays of head and tail indices within their types."""

    train: tuple[np.ndarray, ...]
    valid: tuple[np.ndarray, ...]
    check: tuple[np.ndarray, ...]


def split(kg: Graph, share: float, seed: int) -> Holdout:
    """Draw `share` of each message relation for validation and as many again for the gate's check.

    The draw depends on the graph, the share and the seed alone, so that the gate finds again what
    training left out. A relation with fewer than 1 / share edges stays whole.
    """
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    for index in kg.of_role("message"):
        edges = np.stack([kg.heads[index], kg.tails[index]]).astype(np.int64)
        order = np.random.default_rng([seed, index]).permutation(edges.shape[1])
        held = int(share * len(order))
        bounds = (order[2 * held :], order[:held], order[held : 2 * held])
        for part, rows in zip(parts, bounds, strict=True):
            part.append(edges[:, np.sort(rows)])
    return Holdout(*(tuple(part) for part in parts))


def keys(edges: np.ndarray, width: int, symmetric: bool) -> np.ndarray:
    """Sorted int64 keys of edges (2, E): head * width + tail, the smaller node first where symmetric."""
    return np.sort(pair_keys(edges[0], edges[1], width, symmetric))


def pair_keys(heads: np.ndarray, tails: np.ndarray, width: int, symmetric: bool) -> np.ndarray:
    """Keys of pairs in the order given, comparable with `keys`."""
    if symmetric:
        heads, tails = np.minimum(heads, tails), np.maximum(heads, tails)
    return heads.astype(np.int64) * width + tails


def contains(sorted_keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of `wanted` are among `sorted_keys`."""
    if not len(sorted_keys):
        return np.zeros(len(wanted), bool)
    at = np.searchsorted(sorted_keys, wanted)
    return sorted_keys[np.minimum(at, len(sorted_keys) - 1)] == wanted


def merged(*parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The edges of several parts of a holdout, joined per relation."""
    return [np.concatenate(edges, axis=1) for edges in zip(*parts, strict=True)]
