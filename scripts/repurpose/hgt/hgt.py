"""The encoder: learned node inputs, Heterogeneous Graph Transformer layers, and a decoder of triples.

Hu et al., "Heterogeneous Graph Transformer", WWW 2020. The layers have the parameters of PyG's `HGTConv`.
Node types and relations are addressed by position ("n0", "r0"), because their names come from data and may
be anything.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from repurpose.config.sections import EncoderSettings
from repurpose.core import streams
from repurpose.graph.graph import Graph, Relation
from repurpose.hgt import message_edges
from repurpose.hgt.backends import Backend, Edges, FusedBackend, PygBackend
from repurpose.hgt.decoder import Decoder
from repurpose.hgt.layer import Layer
from repurpose.hgt.message_edges import EdgeLists, SortedEdges
from repurpose.hgt.sampling import Level

INPUTS = ("learned", "spectral", "blocks")
INPUT_SCALE = 0.5  # standard deviation of the learned inputs at the start


@dataclass(frozen=True)
class Block:
    """What one layer reads: message edges, and the bounds by type of the nodes that they connect.

    kept: positions (n,) of the nodes that the next layer reads; None for all.
    """

    edges: Edges
    bounds: Sequence[int]
    kept: Tensor | None


class HGT(nn.Module):
    """Learned inputs -> HGT layers -> a linear map per node type.

    `relations` are the message relations. Nodes are numbered over all types: those of type i are the rows
    bounds[i] to bounds[i + 1]. `backend` computes the layers; it can be replaced, the parameters stay.
    """

    def __init__(
        self,
        counts: Sequence[int],
        node_types: Sequence[str],
        relations: Sequence[Relation],
        settings: EncoderSettings,
        backend: Backend,
    ):
        super().__init__()
        self.bounds = [0, *itertools.accumulate(counts)]
        self.settings, self.backend = settings, backend
        position = {name: index for index, name in enumerate(node_types)}
        self.edge_types = [
            message_edges.edge_types(i, position, relation) for i, relation in enumerate(relations)
        ]
        names = [f"n{i}" for i in range(len(counts))]
        metadata = (names, [edge_type for pair in self.edge_types for edge_type in pair])
        width = settings.hidden_dim
        self.inputs = nn.Parameter(torch.randn(sum(counts), width) * INPUT_SCALE)
        self.layers = nn.ModuleList(
            [backend.make_layer(width, metadata, settings.heads) for _ in range(settings.layers)]
        )
        self.outputs = nn.ModuleList([nn.Linear(width, settings.projected) for _ in names])
        self.decoder = Decoder(len(relations), settings.projected, settings.decoder)
        self._clear_biases()

    def prepare(self, edges: Sequence[np.ndarray]) -> EdgeLists | SortedEdges:
        """Sort the message edges once; `forward` takes the result's `whole`, or `without` hidden edges.

        edges: per message relation (2, E) int64 head and tail indices within their types.
        """
        return self.backend.prepare(edges, self.edge_types, self.bounds, self.inputs.device)

    def blocks(self, levels: Sequence[Level]) -> list[Block]:
        """The levels of a sampled batch in the form that the layers read."""
        device = self.inputs.device
        return [
            Block(
                self.backend.level_edges(level, self.edge_types, device),
                level.bounds,
                torch.from_numpy(level.kept).to(device),
            )
            for level in levels
        ]

    def forward(self, edges: Edges) -> Tensor:
        """Embeddings of all nodes, (nodes, projected), from the message edges of `prepare`."""
        return self.encode(self.inputs, [Block(edges, self.bounds, None)] * len(self.layers), self.bounds)

    def encode(self, x: Tensor, blocks: Sequence[Block], bounds: Sequence[int]) -> Tensor:
        """Embeddings (n, projected) from the inputs x of the first block's nodes, one block per layer.

        bounds: by type, of the nodes that the last block keeps.
        """
        x = self._drop(x)
        for layer, block in zip(self.layers, blocks, strict=True):
            x = self._drop(self.apply_layer(layer, x, block))
        return self.project(x, bounds)

    def apply_layer(self, layer: Layer, x: Tensor, block: Block) -> Tensor:
        """One layer's output for the nodes that its block keeps."""
        y = self.backend.layer(layer, x, block.edges, block.bounds)
        return y if block.kept is None else y.index_select(0, block.kept)

    def project(self, x: Tensor, bounds: Sequence[int]) -> Tensor:
        """Embeddings from the last layer's output: a linear map per type, then rows of variance 1."""
        return self.backend.project(self.outputs, x, bounds)

    def read(
        self, z: Tensor, relation: Tensor, head: Tensor, tail: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits (P,) of P triples of relation index and node numbers, and the embeddings z[rows]."""
        return self.backend.read(self.decoder, z, relation, head, tail, rows)

    @torch.no_grad()
    def start_from(self, inputs_by_type: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> None:
        """Replace random inputs by rows (m, hidden_dim): number of a type -> (nodes (m,), rows)."""
        for node_type, (nodes, rows) in inputs_by_type.items():
            numbers = torch.from_numpy(nodes + self.bounds[node_type]).to(self.inputs.device)
            self.inputs[numbers] = torch.from_numpy(rows).to(self.inputs.device)

    @torch.no_grad()
    def _clear_biases(self) -> None:
        """Set all biases to zero: a random bias is the same for a type's nodes and hides their inputs."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()

    def _drop(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, self.settings.dropout, self.training)


def is_fused(settings: EncoderSettings, device: str) -> bool:
    """Whether the fused kernels run: on the CPU if the config does not ask for PyG; never elsewhere."""
    return settings.attention == "fused" and torch.device(device).type == "cpu"


def build(kg: Graph, settings: EncoderSettings, seed: int, device: str = "cpu") -> HGT:
    """A model for the message relations of `kg` on a torch device, its initial weights fixed by `seed`."""
    torch.manual_seed(streams.seed_of(seed, "initial weights"))
    counts = [kg.count(t) for t in kg.node_types]
    backend = FusedBackend() if is_fused(settings, device) else PygBackend()
    return HGT(counts, kg.node_types, kg.message_relations, settings, backend).to(device)


def count_parameters(kg: Graph, settings: EncoderSettings) -> int:
    """Number of parameters of the model that `build` makes, from their shapes: nothing is allocated."""
    width, heads = settings.hidden_dim, settings.heads
    # Linear maps for key, query, value and output, and a gate, per node type (see `Layer` and `HGT`).
    per_type = 4 * width * (width + 1) + 1
    # Matrices for keys and values of each head, and a prior per head, per edge type.
    per_edge_type = heads * (2 * (width // heads) ** 2 + 1)
    types, relations = len(kg.node_types), len(kg.message_relations)
    position = {name: index for index, name in enumerate(kg.node_types)}
    edge_types = sum(
        len(message_edges.edge_types(i, position, relation))
        for i, relation in enumerate(kg.message_relations)
    )
    layers = settings.layers * (types * per_type + edge_types * per_edge_type)
    outputs = types * (width + 1) * settings.projected
    decoder = relations * (settings.projected + 1)
    return kg.nodes * width + layers + outputs + decoder
