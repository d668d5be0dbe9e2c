"""The two back ends that compute the encoder: the project's own kernels on the CPU, and PyG's layer.

Both work on the same parameters and give the same results up to rounding. A back end has no state.
"""

import itertools
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from repurpose.hgt import fused, message_edges, readout, sampling
from repurpose.hgt.decoder import Decoder
from repurpose.hgt.layer import EdgeType, Layer, Metadata
from repurpose.hgt.message_edges import EdgeLists, SortedEdges
from repurpose.hgt.messages import Messages
from repurpose.hgt.sampling import Level

Edges = Messages | dict[EdgeType, Tensor]  # message edges in the form that a back end's layer reads


class Backend(Protocol):
    """How the encoder's parts are computed. Nodes are numbered over all types, separated by `bounds`."""

    def make_layer(self, width: int, metadata: Metadata, heads: int) -> Layer:
        """A new layer, or PyG's with the same parameters; the same seed draws the same values for both."""

    def prepare(
        self,
        edges: Sequence[np.ndarray],
        edge_types: Sequence[list[EdgeType]],
        bounds: Sequence[int],
        device: torch.device,
    ) -> EdgeLists | SortedEdges:
        """Bring message edges, per relation (2, E) indices within their types, into the layer's form."""

    def level_edges(self, level: Level, edge_types: Sequence[list[EdgeType]], device: torch.device) -> Edges:
        """The message edges of one level of a sampled batch."""

    def layer(self, layer: Layer, x: Tensor, edges: Edges, bounds: Sequence[int]) -> Tensor:
        """Output (n, F) of an HGT layer; node types that receive no messages keep their x."""

    def project(self, outputs: nn.ModuleList, x: Tensor, bounds: Sequence[int]) -> Tensor:
        """Embeddings from the last layer's output: a linear map per type, then rows of variance 1."""

    def read(
        self, decoder: Decoder, z: Tensor, relation: Tensor, head: Tensor, tail: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits (P,) of P triples of relation index and node numbers, and the embeddings z[rows]."""


class FusedBackend:
    """The project's own kernels; CPU only."""

    def make_layer(self, width: int, metadata: Metadata, heads: int) -> Layer:
        """See `Backend`."""
        return Layer(width, metadata, heads)

    def prepare(
        self,
        edges: Sequence[np.ndarray],
        edge_types: Sequence[list[EdgeType]],
        bounds: Sequence[int],
        device: torch.device,
    ) -> SortedEdges:
        """See `Backend`."""
        return message_edges.sort(edges, edge_types, bounds)

    def level_edges(
        self, level: Level, edge_types: Sequence[list[EdgeType]], device: torch.device
    ) -> Messages:
        """See `Backend`."""
        return level.messages

    def layer(self, layer: Layer, x: Tensor, edges: Messages, bounds: Sequence[int]) -> Tensor:
        """See `Backend`."""
        return fused.layer(layer, x, edges, bounds)

    def project(self, outputs: nn.ModuleList, x: Tensor, bounds: Sequence[int]) -> Tensor:
        """See `Backend`."""
        weight = torch.stack([output.weight for output in outputs])
        bias = torch.stack([output.bias for output in outputs])
        return fused.standardise(fused.typed_linear(x, weight, bias, bounds))

    def read(
        self, decoder: Decoder, z: Tensor, relation: Tensor, head: Tensor, tail: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Backend`."""
        product, vectors = readout.score(z, decoder.weight, relation, head, tail, rows)
        return decoder.logits(product, relation), vectors


class PygBackend:
    """PyG's layer and plain PyTorch; any device."""

    def make_layer(self, width: int, metadata: Metadata, heads: int) -> Layer:
        """See `Backend`."""
        from repurpose.hgt.pyg_layer import Layer as PygLayer  # takes seconds; most jobs do without

        return PygLayer(width, metadata, heads)

    def prepare(
        self,
        edges: Sequence[np.ndarray],
        edge_types: Sequence[list[EdgeType]],
        bounds: Sequence[int],
        device: torch.device,
    ) -> EdgeLists:
        """See `Backend`."""
        return EdgeLists([torch.from_numpy(indices).to(device) for indices in edges], edge_types)

    def level_edges(
        self, level: Level, edge_types: Sequence[list[EdgeType]], device: torch.device
    ) -> dict[EdgeType, Tensor]:
        """See `Backend`."""
        flat = list(itertools.chain.from_iterable(edge_types))
        lists = sampling.by_edge_type(level, [message_edges.ends(edge_type) for edge_type in flat])
        return {t: torch.from_numpy(indices).to(device) for t, indices in zip(flat, lists, strict=True)}

    def layer(self, layer: Layer, x: Tensor, edges: dict[EdgeType, Tensor], bounds: Sequence[int]) -> Tensor:
        """See `Backend`."""
        x_by_type = dict(zip(layer.node_types, split(x, bounds), strict=True))
        # HGTConv returns only the types that receive messages; the others keep their x.
        x_by_type |= layer(x_by_type, edges)
        return torch.cat([x_by_type[name] for name in layer.node_types])

    def project(self, outputs: nn.ModuleList, x: Tensor, bounds: Sequence[int]) -> Tensor:
        """See `Backend`."""
        by_type = zip(outputs, split(x, bounds), strict=True)
        z = torch.cat([output(x_of_type) for output, x_of_type in by_type])
        # Without it logits start near zero, gradients vanish and the loss stays at 2 ln 2 for many steps.
        return nn.functional.layer_norm(z, (z.shape[1],))

    def read(
        self, decoder: Decoder, z: Tensor, relation: Tensor, head: Tensor, tail: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See `Backend`."""
        return decoder(z, relation, head, tail), z.index_select(0, rows)


def split(x: Tensor, bounds: Sequence[int]) -> tuple[Tensor, ...]:
    """The rows of each node type."""
    return x.split([last - first for first, last in itertools.pairwise(bounds)])
