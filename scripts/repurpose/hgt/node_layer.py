"""An HGT layer at one node, in numpy: what `fused.layer` computes for all of them.

Keys and values are never made: a query goes through a relation's and a type's matrices once, and then meets
all neighbours as they are. That makes a node of 10,000 neighbours a matter of milliseconds.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from repurpose.hgt.trained import Parameters


class Neighbours(NamedTuple):
    """Who sends to a node: rows (n, F) of the layer's input, edge types (n,), node types (n,)."""

    rows: np.ndarray
    kinds: np.ndarray
    types: np.ndarray


def output(layer: Parameters, node_type: int, row: np.ndarray, senders: Neighbours) -> np.ndarray:
    """The layer's output (F,) for a node of type number `node_type` whose input is `row` (F,)."""
    share = layer.share[node_type]
    if not share:
        return row
    heads, _, width = layer.relations.shape[1:4]
    weights = attention(layer, node_type, row, senders)
    received = np.zeros((heads, width), np.float32)
    for kind in np.unique(senders.kinds):
        at = senders.kinds == kind
        matrix, bias = _of_type(layer, senders.types[at][0])
        # The values' weighted sum is the value of the weighted sum of the rows.
        mixed = weights[at].T @ senders.rows[at]
        value = np.einsum("hdf,hf->hd", matrix[:, 1], mixed) + bias[:, 1] * weights[at].sum(axis=0)[:, None]
        received += np.einsum("hd,hde->he", value, layer.relations[1, :, kind])
    active = received.ravel()
    active = active * special.ndtr(active)  # gelu
    moved = layer.out[node_type] @ active + layer.out_bias[node_type]
    return ((1 - share) * row + share * moved).astype(np.float32)


def attention(layer: Parameters, node_type: int, row: np.ndarray, senders: Neighbours) -> np.ndarray:
    """Weights (n, H) of the senders in a node's output, which add up to 1 for each head."""
    matrix, bias = _of_type(layer, node_type)
    query = matrix[:, 2] @ row + bias[:, 2]
    scores = np.zeros((len(senders.rows), len(query)), np.float32)
    for kind in np.unique(senders.kinds):
        at = senders.kinds == kind
        matrix, bias = _of_type(layer, senders.types[at][0])
        wanted = np.einsum("hde,he->hd", layer.relations[0, :, kind], query)
        along = np.einsum("hdf,hd->hf", matrix[:, 0], wanted)
        scores[at] = senders.rows[at] @ along.T + (bias[:, 0] * wanted).sum(axis=1)
    return special.softmax(scores, axis=0) if len(scores) else scores


def projected(matrix: np.ndarray, bias: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The layers' part (projected,) of a node's vector: mapped, then with mean 0 and variance 1."""
    z = matrix @ row + bias
    return (z - z.mean()) / np.sqrt(z.var() + np.float32(1e-5))


def _of_type(layer: Parameters, node_type: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (H, 3, D, F) and biases (H, 3, D) of a type's keys, values and queries."""
    heads, width = layer.relations.shape[1], layer.relations.shape[3]
    return (
        layer.kvq[node_type].reshape(heads, 3, width, -1),
        layer.kvq_bias[node_type].reshape(heads, 3, width),
    )
