"""What an encoder takes from linear algebra: the inputs it starts from, and rows beside its vectors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from repurpose.graph.graph import Graph
from repurpose.hgt import hgt
from repurpose.vectors import profiles, spectral
from repurpose.vectors.spectral import Axes

BLOCK = 32  # numbers of a relation's SVD
WHOLE_WEIGHT = 2.0  # of the whole graph's rows beside those of one relation

Inputs = dict[int, tuple[np.ndarray, np.ndarray]]


class Found(NamedTuple):
    """What an encoder is given.

    inputs: to start from, number of a type -> (nodes (m,), rows (m, width)). beside: rows (nodes,
    profile_dim + svd_dim) of its vectors. lengths: (nodes,) that its own part of them is scaled to.
    axes: what the SVD's part of `beside` comes from. divisors: (nodes, most sides) of the profile's
    parts, zeros where a type has fewer.
    """

    inputs: Inputs | None
    beside: np.ndarray | None
    lengths: np.ndarray | None
    axes: Axes | None
    divisors: np.ndarray | None


def find(kg: Graph, edges: Sequence[np.ndarray], encoder: hgt.Settings, seed: int) -> Found:
    """What an encoder takes from linear algebra on `edges`: first inputs, rows beside its vectors.

    Inputs have a root mean square of `hgt.INPUT_SCALE`; on a graph of fewer nodes than their width the last
    columns are zero. Where profiles are beside the vectors, all their parts are as long as much is known of
    the node (see `profiles.rows`); else the SVD's rows are as long as those that the layers give.
    """
    whole, axes = None, None
    if encoder.svd_size:
        whole = spectral.axes(kg, edges, encoder.svd_size, seed).padded(encoder.svd_size)
    inputs = _inputs(kg, edges, encoder, whole, seed)
    parts, length, lengths, divisors = [], np.float32(np.sqrt(encoder.projected)), None, None
    if encoder.profile_dim:
        of_types = [profiles.rows(kg, edges, t, encoder.profile_dim, seed) for t in kg.node_types]
        parts.append(np.concatenate([each.rows for each in of_types]))
        most = max(each.divisors.shape[1] for each in of_types)
        divisors = np.concatenate(
            [np.pad(each.divisors, ((0, 0), (0, most - each.divisors.shape[1]))) for each in of_types]
        )
        known = profiles.profile_lengths(parts[0])
        length = known[:, None] * np.float32(profiles.SVD_LENGTH)
        lengths = known * np.float32(profiles.ENCODER_LENGTH)
    if encoder.svd_dim:
        axes = whole.first(encoder.svd_dim)
        parts.append(axes.rows * length)
    return Found(inputs, np.concatenate(parts, axis=1) if parts else None, lengths, axes, divisors)


def blocks(kg: Graph, encoder: hgt.Settings) -> dict[str, list[int]]:
    """Where the parts of a type's vectors end: each side's profile, the SVD, what the layers give."""
    ends = {encoder.profile_dim, encoder.profile_dim + encoder.svd_dim, encoder.embedding_dim}
    result = {}
    for node_type in kg.node_types:
        parts = profiles.columns(kg, node_type, encoder.profile_dim).values()
        result[node_type] = sorted((ends | {part.stop for part in parts}) - {0})
    return result


def give(model: hgt.HGT, kg: Graph, edges: Sequence[np.ndarray], seed: int) -> None:
    """Put what `find` finds for a model's settings into it."""
    found = find(kg, edges, model.settings, seed)
    if found.inputs is not None:
        model.start_from(found.inputs)
    if found.beside is not None:
        model.keep_beside(found.beside, found.lengths, found.axes, found.divisors)


def _inputs(
    kg: Graph, edges: Sequence[np.ndarray], encoder: hgt.Settings, whole: Axes | None, seed: int
) -> Inputs | None:
    width = encoder.hidden_dim
    if encoder.inputs == "learned":
        return None
    begun = whole.first(width).rows
    if encoder.inputs == "spectral":
        rows = begun * np.float32(hgt.INPUT_SCALE * np.sqrt(width))
    else:
        of_type = spectral.relation_rows(kg, edges, BLOCK, seed)
        parts = [
            np.concatenate([WHOLE_WEIGHT * begun[kg.span(t)], *of_type[number]], axis=1)
            for number, t in enumerate(kg.node_types)
        ]
        rows = np.concatenate([spectral.components(each, width, hgt.INPUT_SCALE) for each in parts])
    connected, result = kg.connected(), {}
    for number, node_type in enumerate(kg.node_types):
        nodes = np.flatnonzero(connected[node_type])
        result[number] = nodes, rows[kg.span(node_type)][nodes]
    return result
