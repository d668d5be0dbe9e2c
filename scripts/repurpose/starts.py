"""What an encoder takes from linear algebra: the inputs it starts from, and rows beside its vectors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from repurpose import graph, hgt, spectral
from repurpose.graph import Graph

BLOCK = 32  # numbers of a relation's SVD
WHOLE_WEIGHT = 2.0  # of the whole graph's rows beside those of one relation


class Found(NamedTuple):
    """Inputs to start from, number of a type -> (nodes (m,), rows (m, width)), and rows (nodes, svd_dim)."""

    inputs: dict[int, tuple[np.ndarray, np.ndarray]] | None
    beside: np.ndarray | None


def find(kg: Graph, edges: Sequence[np.ndarray], encoder: hgt.Settings, seed: int) -> Found:
    """What an encoder takes from SVDs of `edges`: its first inputs, rows beside its vectors, both or none.

    Inputs have a root mean square of `hgt.INPUT_SCALE`; on a graph of fewer nodes than their width the last
    columns are zero. The rows beside are as long as those that the layers give.
    """
    width, size = encoder.hidden_dim, encoder.svd_size
    if not size:
        return Found(None, None)
    whole = spectral.rows(kg, edges, size, seed)
    whole = np.pad(whole, ((0, 0), (0, size - whole.shape[1])))
    inputs = beside = None
    if encoder.inputs == "spectral":
        inputs = _inputs(kg, spectral.first(whole, width), hgt.INPUT_SCALE * np.sqrt(width))
    elif encoder.inputs == "blocks":
        of_type = spectral.relation_rows(kg, edges, BLOCK, seed)
        begun = WHOLE_WEIGHT * spectral.first(whole, width)
        parts = [
            np.concatenate([begun[graph.span(kg, t)], *of_type[number]], axis=1)
            for number, t in enumerate(kg.node_types)
        ]
        inputs = _inputs(
            kg, np.concatenate([spectral.components(each, width, hgt.INPUT_SCALE) for each in parts]), 1.0
        )
    if encoder.svd_dim:
        beside = spectral.first(whole, encoder.svd_dim) * np.float32(np.sqrt(encoder.projected))
    return Found(inputs, beside)


def give(model: hgt.HGT, kg: Graph, edges: Sequence[np.ndarray], seed: int) -> None:
    """Put what `find` finds for a model's settings into it."""
    found = find(kg, edges, model.settings, seed)
    if found.inputs is not None:
        model.start_from(found.inputs)
    if found.beside is not None:
        model.keep_beside(found.beside)


def _inputs(kg: Graph, found: np.ndarray, scale: float) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    connected, result = graph.connected(kg), {}
    for number, node_type in enumerate(kg.node_types):
        nodes = np.flatnonzero(connected[node_type])
        result[number] = nodes, found[graph.span(kg, node_type)][nodes] * np.float32(scale)
    return result
