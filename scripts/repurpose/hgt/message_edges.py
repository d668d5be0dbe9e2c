"""Message edges in the two forms that HGT layers read, and their edge types.

A relation has two edge types, one per direction; a symmetric relation has one. Node types and relations are
addressed by position ("n0", "r0", "r0_reverse").
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from repurpose.graph.graph import Relation
from repurpose.hgt import messages
from repurpose.hgt.layer import EdgeType
from repurpose.hgt.messages import Messages, Numbered


@dataclass(frozen=True)
class EdgeLists:
    """Message edges as PyG's layer reads them, (2, E) head and tail within their types per relation."""

    by_relation: list[Tensor]
    edge_types: list[list[EdgeType]]

    @property
    def whole(self) -> dict[EdgeType, Tensor]:
        """All edges, in both directions."""
        return _both_directions(self.edge_types, self.by_relation)

    def without(self, hidden: Sequence[np.ndarray]) -> dict[EdgeType, Tensor]:
        """Without the edges at the positions `hidden` of each relation."""
        kept = [_without(edges, rows) for edges, rows in zip(self.by_relation, hidden, strict=True)]
        return _both_directions(self.edge_types, kept)


@dataclass(frozen=True)
class SortedEdges:
    """Message edges as the fused layer reads them; the edges of relation i are numbered from starts[i] on."""

    numbered: Numbered
    starts: list[int]

    @property
    def whole(self) -> Messages:
        """All edges."""
        return self.numbered.whole

    def without(self, hidden: Sequence[np.ndarray]) -> Messages:
        """Without the edges at the positions `hidden` of each relation."""
        numbers = [rows + start for rows, start in zip(hidden, self.starts, strict=True)]
        return self.numbered.without(np.concatenate(numbers))


def sort(
    edges: Sequence[np.ndarray], edge_types: Sequence[list[EdgeType]], bounds: Sequence[int]
) -> SortedEdges:
    """Number the message edges, (2, E) head and tail within their types per relation, and sort them.

    bounds: the nodes of type t are numbered from bounds[t] on.
    """
    starts = [0, *itertools.accumulate(each.shape[1] for each in edges)][:-1]
    directions = []
    for types, edge, start in zip(edge_types, edges, starts, strict=True):
        head, tail = (each + bounds[node_type] for each, node_type in zip(edge, ends(types[0]), strict=True))
        number = np.arange(len(head)) + start
        if len(types) == 1:
            directed = [np.concatenate(each) for each in ((head, tail), (tail, head), (number, number))]
            directions.append(tuple(directed))
        else:
            directions += [(head, tail, number), (tail, head, number)]
    return SortedEdges(messages.build(bounds[-1], directions), starts)


def edge_types(index: int, position: dict[str, int], relation: Relation) -> list[EdgeType]:
    """Edge types of one relation: one per direction, or a single one if the relation is symmetric."""
    head, tail = f"n{position[relation.head_type]}", f"n{position[relation.tail_type]}"
    if head == tail and not relation.directed:
        return [(head, f"r{index}", tail)]
    return [(head, f"r{index}", tail), (tail, f"r{index}_reverse", head)]


def ends(edge_type: EdgeType) -> tuple[int, int]:
    """Source and target node type of an edge type, by position."""
    return int(edge_type[0][1:]), int(edge_type[2][1:])


def _both_directions(edge_types: Sequence[list[EdgeType]], edges: Sequence[Tensor]) -> dict[EdgeType, Tensor]:
    """Edges in both directions by edge type, in the order of `edge_types`."""
    result: dict[EdgeType, Tensor] = {}
    for types, edge in zip(edge_types, edges, strict=True):
        if len(types) == 1:
            result[types[0]] = torch.cat([edge, edge.flip(0)], dim=1)
        else:
            result[types[0]], result[types[1]] = edge, edge.flip(0)
    return result


def _without(edges: Tensor, rows: np.ndarray) -> Tensor:
    """The edges (2, E) except those at `rows`."""
    keep = torch.ones(edges.shape[1], dtype=torch.bool, device=edges.device)
    keep[torch.from_numpy(rows).to(edges.device)] = False
    return edges[:, keep]
