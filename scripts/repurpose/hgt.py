"""The encoder: learned node inputs, Heterogeneous Graph Transformer layers, a decoder per relation.

Hu et al., "Heterogeneous Graph Transformer", WWW 2020, in the form of PyG's `HGTConv`, whose
parameters the layer keeps. Node types and relations are addressed by position ("n0", "r0"): their
names come from data and may be anything.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from repurpose import fused, messages, readout
from repurpose.graph import Graph, Relation
from repurpose.messages import Messages, Numbered
from repurpose.pyg_layer import EdgeType, Layer

INPUT_SCALE = 0.5  # standard deviation of the learned inputs at the start


@dataclass(frozen=True)
class Settings:
    """Widths and shape of the encoder; the config section `hgt`."""

    hidden_dim: int
    embedding_dim: int
    layers: int
    heads: int
    attention: str
    dropout: float
    decoder: str

    def __post_init__(self) -> None:
        if self.hidden_dim % self.heads:
            raise ValueError(f"hidden_dim {self.hidden_dim} is not divisible by heads {self.heads}")
        if self.attention not in ("fused", "pyg"):
            raise ValueError(f"attention {self.attention} is neither fused nor pyg")
        if self.decoder not in ("distmult", "dot"):
            raise ValueError(f"decoder {self.decoder} is neither distmult nor dot")


@dataclass(frozen=True)
class EdgeLists:
    """Message edges as PyG's layer reads them: per relation (2, E) of head and tail within their types."""

    whole: list[Tensor]

    def without(self, hidden: Sequence[np.ndarray]) -> list[Tensor]:
        """The same without the edges at the positions `hidden` of each relation."""
        return [_without(edges, rows) for edges, rows in zip(self.whole, hidden, strict=True)]


@dataclass(frozen=True)
class SortedEdges:
    """Message edges as the fused layer reads them; relation i has the edge numbers from starts[i] on."""

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


class HGT(nn.Module):
    """Learned inputs -> HGT layers -> a linear map per node type.

    `relations` are the message relations only; z and node indices are global: the nodes of type i
    are rows bounds[i] to bounds[i + 1]. `fused` chooses the CPU's own kernels or PyG's layer; both have
    the same parameters.
    """

    def __init__(
        self,
        counts: Sequence[int],
        node_types: Sequence[str],
        relations: Sequence[Relation],
        settings: Settings,
        fused: bool,
    ):
        super().__init__()
        self.counts = list(counts)
        self.bounds = [0, *itertools.accumulate(counts)]
        self.settings, self.fused = settings, fused
        position = {name: index for index, name in enumerate(node_types)}
        self.edge_types = [_edge_types(i, position, relation) for i, relation in enumerate(relations)]
        self.names = [f"n{i}" for i in range(len(self.counts))]
        metadata = (self.names, [edge_type for pair in self.edge_types for edge_type in pair])
        width = settings.hidden_dim
        self.inputs = nn.Parameter(torch.randn(sum(counts), width) * INPUT_SCALE)
        self.layers = nn.ModuleList([Layer(width, metadata, settings.heads) for _ in range(settings.layers)])
        self.outputs = nn.ModuleList([nn.Linear(width, settings.embedding_dim) for _ in self.names])
        self.decoder = Decoder(len(relations), settings.embedding_dim, settings.decoder)
        self._clear_biases()

    def prepare(self, edges: Sequence[np.ndarray]) -> EdgeLists | SortedEdges:
        """Message edges, sorted once; `whole` or `without` the hidden ones they go to `forward`.

        `edges`: per message relation (2, E) int64 head and tail indices within their types.
        """
        if not self.fused:
            return EdgeLists([torch.from_numpy(each).to(self.inputs.device) for each in edges])
        starts = [0, *itertools.accumulate(each.shape[1] for each in edges)][:-1]
        directions = []
        for edge_types, edge, start in zip(self.edge_types, edges, starts, strict=True):
            head, tail = (
                each + self.bounds[int(n[1:])] for each, n in zip(edge, edge_types[0][::2], strict=True)
            )
            number = np.arange(len(head)) + start
            if len(edge_types) == 1:
                both = [np.concatenate(each) for each in ((head, tail), (tail, head), (number, number))]
                directions.append(tuple(both))
            else:
                directions += [(head, tail, number), (tail, head, number)]
        return SortedEdges(messages.build(self.bounds[-1], directions), starts)

    def forward(self, edges: list[Tensor] | Messages) -> Tensor:
        """Embeddings of all nodes, (nodes, embedding_dim), from the message edges of `prepare`."""
        if self.fused:
            x = self._drop(self.inputs)
            for layer in self.layers:
                x = self._drop(fused.layer(layer, x, edges, self.bounds))
            weight = torch.stack([output.weight for output in self.outputs])
            bias = torch.stack([output.bias for output in self.outputs])
            return fused.standardise(fused.typed_linear(x, weight, bias, self.bounds))
        edge_index = self._both_ways(edges)
        x = dict(zip(self.names, self._drop(self.inputs).split(self.counts), strict=True))
        for layer in self.layers:
            # HGTConv returns only the types that receive messages; the others keep what they have.
            x = {**x, **{name: self._drop(value) for name, value in layer(x, edge_index).items()}}
        z = torch.cat([output(x[f"n{i}"]) for i, output in enumerate(self.outputs)])
        # Without it logits start near zero, gradients vanish and the loss sits at 2 ln 2 for long.
        return nn.functional.layer_norm(z, (z.shape[1],))

    def read(
        self, z: Tensor, relation: Tensor, head: Tensor, tail: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits (P,) of P triples of relation index and global node indices, and the vectors z[rows]."""
        if self.fused:
            product, vectors = readout.score(z, self.decoder.weight, relation, head, tail, rows)
            return self.decoder.logits(product, relation), vectors
        return self.decoder(z, relation, head, tail), z.index_select(0, rows)

    @torch.no_grad()
    def _clear_biases(self) -> None:
        """Start all biases at zero: random ones are alike for all nodes of a type and drown their inputs."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()

    def _drop(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, self.settings.dropout, self.training)

    def _both_ways(self, edges: Sequence[Tensor]) -> dict[EdgeType, Tensor]:
        """Message edges by edge type, in the order of the layers' metadata (HGTConv relies on it)."""
        result: dict[EdgeType, Tensor] = {}
        for edge_types, edge in zip(self.edge_types, edges, strict=True):
            if len(edge_types) == 1:
                result[edge_types[0]] = torch.cat([edge, edge.flip(0)], dim=1)
            else:
                result[edge_types[0]], result[edge_types[1]] = edge, edge.flip(0)
        return result


class Decoder(nn.Module):
    """Score of a (head, relation, tail) triple: DistMult (Yang et al., ICLR 2015) or the dot product."""

    def __init__(self, relations: int, dim: int, kind: str) -> None:
        super().__init__()
        # The dot product is DistMult with weights of one that are not trained.
        self.weight = nn.Parameter(torch.ones(relations, dim), requires_grad=kind == "distmult")
        self.bias = nn.Parameter(torch.zeros(relations))

    def forward(self, z: Tensor, relation: Tensor, head: Tensor, tail: Tensor) -> Tensor:
        """Logits (P,) of P triples of relation index and global node indices; z is (nodes, dim)."""
        weight = self.weight.index_select(0, relation)
        product = z.index_select(0, head) * weight * z.index_select(0, tail)
        return self.logits(product.sum(-1), relation)

    def logits(self, product: Tensor, relation: Tensor) -> Tensor:
        """Logits from the sums of products, both (P,)."""
        return product / math.sqrt(self.weight.size(1)) + self.bias.index_select(0, relation)


def is_fused(settings: Settings, device: str) -> bool:
    """Whether the fused attention runs: it is the CPU's; other devices have PyG's layer whatever is set."""
    return settings.attention == "fused" and torch.device(device).type == "cpu"


def build(kg: Graph, settings: Settings, seed: int, device: str = "cpu") -> HGT:
    """A model for the message relations of `kg` on a torch device, its initial weights fixed by `seed`."""
    torch.manual_seed(seed)
    relations = [kg.relations[i] for i in kg.of_role("message")]
    counts = [kg.count(t) for t in kg.node_types]
    return HGT(counts, kg.node_types, relations, settings, is_fused(settings, device)).to(device)


def _edge_types(index: int, position: dict[str, int], relation: Relation) -> list[EdgeType]:
    """Edge types of one relation: both directions, which are one type where the relation is symmetric."""
    head, tail = f"n{position[relation.head_type]}", f"n{position[relation.tail_type]}"
    if head == tail and not relation.directed:
        return [(head, f"r{index}", tail)]
    return [(head, f"r{index}", tail), (tail, f"r{index}_reverse", head)]


def _without(edges: Tensor, rows: np.ndarray) -> Tensor:
    """The edges (2, E) but those at `rows`."""
    keep = torch.ones(edges.shape[1], dtype=torch.bool, device=edges.device)
    keep[torch.from_numpy(rows).to(edges.device)] = False
    return edges[:, keep]
