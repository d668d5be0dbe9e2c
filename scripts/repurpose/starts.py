"""What an encoder takes from linear algebra: the inputs it starts from, and rows beside its vectors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from repurpose import graph, hgt, profiles, spectral
from repurpose.graph import Graph

BLOCK = 32  # numbers of a relation's SVD
WHOLE_WEIGHT = 2.0  # of the whole graph's rows beside those of one relation
# Lengths of a vector's other parts, where its profile has length 1.
SVD_LENGTH, LAYERS_LENGTH = 0.4, 0.55
SHORTEST = 0.05  # of a profile, where the other parts follow its length

Inputs = dict[int, tuple[np.ndarray, np.ndarray]]


class Found(NamedTuple):
    """What an encoder is given.

    inputs: to start from, number of a type -> (nodes (m,), rows (m, width)). beside: rows (nodes,
    profile_dim + svd_dim) of its vectors. lengths: (nodes,) that its own part of them is scaled to.
    """

    inputs: Inputs | None
    beside: np.ndarray | None
    lengths: np.ndarray | None


def find(kg: Graph, edges: Sequence[np.ndarray], encoder: hgt.Settings, seed: int) -> Found:
    """What an encoder takes from linear algebra on `edges`: first inputs, rows beside its vectors.

    Inputs have a root mean square of `hgt.INPUT_SCALE`; on a graph of fewer nodes than their width the last
    columns are zero. Where profiles are beside the vectors, all their parts are as long as much is known of
    the node (see `profiles.rows`); else the SVD's rows are as long as those that the layers give.
    """
    whole = spectral.rows(kg, edges, encoder.svd_size, seed) if encoder.svd_size else None
    if whole is not None:
        whole = np.pad(whole, ((0, 0), (0, encoder.svd_size - whole.shape[1])))
    inputs = _inputs(kg, edges, encoder, whole, seed)
    parts, length, lengths = [], np.float32(np.sqrt(encoder.projected)), None
    if encoder.profile_dim:
        of_type = profiles.rows(kg, edges, encoder.profile_dim, seed)
        parts.append(np.concatenate([of_type[t] for t in kg.node_types]))
        known = np.maximum(np.linalg.norm(parts[0], axis=1), SHORTEST).astype(np.float32)
        length, lengths = known[:, None] * np.float32(SVD_LENGTH), known * np.float32(LAYERS_LENGTH)
    if encoder.svd_dim:
        parts.append(spectral.first(whole, encoder.svd_dim) * length)
    return Found(inputs, np.concatenate(parts, axis=1) if parts else None, lengths)


def give(model: hgt.HGT, kg: Graph, edges: Sequence[np.ndarray], seed: int) -> None:
    """Put what `find` finds for a model's settings into it."""
    found = find(kg, edges, model.settings, seed)
    if found.inputs is not None:
        model.start_from(found.inputs)
    if found.beside is not None:
        model.keep_beside(found.beside, found.lengths)


def _inputs(
    kg: Graph, edges: Sequence[np.ndarray], encoder: hgt.Settings, whole: np.ndarray | None, seed: int
) -> Inputs | None:
    width = encoder.hidden_dim
    if encoder.inputs == "learned":
        return None
    begun = spectral.first(whole, width)
    if encoder.inputs == "spectral":
        rows = begun * np.float32(hgt.INPUT_SCALE * np.sqrt(width))
    else:
        of_type = spectral.relation_rows(kg, edges, BLOCK, seed)
        parts = [
            np.concatenate([WHOLE_WEIGHT * begun[graph.span(kg, t)], *of_type[number]], axis=1)
            for number, t in enumerate(kg.node_types)
        ]
        rows = np.concatenate([spectral.components(each, width, hgt.INPUT_SCALE) for each in parts])
    connected, result = graph.connected(kg), {}
    for number, node_type in enumerate(kg.node_types):
        nodes = np.flatnonzero(connected[node_type])
        result[number] = nodes, rows[graph.span(kg, node_type)][nodes]
    return result
