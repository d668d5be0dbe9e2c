"""The output of an HGT layer for one node, in numpy; `fused.layer` computes it for all nodes.

Keys and values are never computed. Instead, the query is multiplied by the relation's and the type's
matrices once, and then by the inputs of all neighbours. A node with 10,000 neighbours takes milliseconds.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from repurpose.hgt.trained import Parameters


class Neighbours(NamedTuple):
    """The senders of a node's messages: rows (n, F) of the layer's input, edge types and node types (n,)."""

    rows: np.ndarray
    edge_types: np.ndarray
    node_types: np.ndarray


def output(layer: Parameters, node_type: int, row: np.ndarray, senders: Neighbours) -> np.ndarray:
    """The layer's output (F,) for a node of type number `node_type` whose input is `row` (F,)."""
    share = layer.share[node_type]
    if not share:
        return row
    heads, _, width = layer.relations.shape[1:4]
    weights = attention(layer, node_type, row, senders)
    received = np.zeros((heads, width), np.float32)
    for edge_type in np.unique(senders.edge_types):
        chosen = senders.edge_types == edge_type
        matrix, bias = _of_type(layer, senders.node_types[chosen][0])
        # Values are linear in the rows, so the rows' weighted sum is enough.
        mixed = weights[chosen].T @ senders.rows[chosen]
        message = (
            np.einsum("hdf,hf->hd", matrix[:, 1], mixed) + bias[:, 1] * weights[chosen].sum(axis=0)[:, None]
        )
        received += np.einsum("hd,hde->he", message, layer.relations[1, :, edge_type])
    active = received.ravel()
    active = active * special.ndtr(active)  # gelu
    mapped = layer.out[node_type] @ active + layer.out_bias[node_type]
    return ((1 - share) * row + share * mapped).astype(np.float32)


def attention(layer: Parameters, node_type: int, row: np.ndarray, senders: Neighbours) -> np.ndarray:
    """Attention weights (n, H) of a node's senders; they add up to 1 for each head."""
    matrix, bias = _of_type(layer, node_type)
    query = matrix[:, 2] @ row + bias[:, 2]
    scores = np.zeros((len(senders.rows), len(query)), np.float32)
    for edge_type in np.unique(senders.edge_types):
        chosen = senders.edge_types == edge_type
        matrix, bias = _of_type(layer, senders.node_types[chosen][0])
        key_query = np.einsum("hde,he->hd", layer.relations[0, :, edge_type], query)
        row_query = np.einsum("hdf,hd->hf", matrix[:, 0], key_query)
        scores[chosen] = senders.rows[chosen] @ row_query.T + (bias[:, 0] * key_query).sum(axis=1)
    return special.softmax(scores, axis=0) if len(scores) else scores


def projected(matrix: np.ndarray, bias: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The encoder output (projected,) of a node: a linear map, then mean 0 and variance 1."""
    z = matrix @ row + bias
    return (z - z.mean()) / np.sqrt(z.var() + np.float32(1e-5))


def _of_type(layer: Parameters, node_type: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrices (H, 3, D, F) and biases (H, 3, D) of a type's keys, values and queries."""
    heads, width = layer.relations.shape[1], layer.relations.shape[3]
    return (
        layer.kvq[node_type].reshape(heads, 3, width, -1),
        layer.kvq_bias[node_type].reshape(heads, 3, width),
    )
