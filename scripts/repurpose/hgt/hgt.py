"""The encoder: learned node inputs, Heterogeneous Graph Transformer layers, a decoder per relation.

Hu et al., "Heterogeneous Graph Transformer", WWW 2020, in the form of PyG's `HGTConv`, whose
parameters the layer keeps. Node types and relations are addressed by position ("n0", "r0"): their
names come from data and may be anything.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from repurpose.graph.graph import Graph, Relation
from repurpose.hgt import fused, message_edges, readout, sampling
from repurpose.hgt.decoder import Decoder
from repurpose.hgt.message_edges import EdgeLists, SortedEdges
from repurpose.hgt.messages import Messages
from repurpose.hgt.pyg_layer import Layer
from repurpose.hgt.sampling import Level
from repurpose.hgt.torch_private import EdgeType
from repurpose.vectors.spectral import Axes

INPUTS = ("learned", "spectral", "blocks")
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
    inputs: str = "learned"
    svd_dim: int = 0
    profile_dim: int = 0

    def __post_init__(self) -> None:
        if self.hidden_dim % self.heads:
            raise ValueError(f"hidden_dim {self.hidden_dim} is not divisible by heads {self.heads}")
        if self.attention not in ("fused", "pyg"):
            raise ValueError(f"attention {self.attention} is neither fused nor pyg")
        if self.decoder not in ("distmult", "dot"):
            raise ValueError(f"decoder {self.decoder} is neither distmult nor dot")
        if self.inputs not in INPUTS:
            raise ValueError(f"inputs {self.inputs} is none of {', '.join(INPUTS)}")
        if self.projected < 1:
            raise ValueError(
                f"embedding_dim {self.embedding_dim} leaves no room beside {self.svd_dim} of the SVD and "
                f"{self.profile_dim} of profiles"
            )

    @property
    def projected(self) -> int:
        """Length of what the layers give; the SVD's and the profiles' parts make it embedding_dim."""
        return self.embedding_dim - self.svd_dim - self.profile_dim

    @property
    def svd_size(self) -> int:
        """Dimensions of the graph's SVD that are needed, for inputs or beside the vectors; 0 for none."""
        return max(self.svd_dim, self.hidden_dim if self.inputs in ("spectral", "blocks") else 0)


@dataclass(frozen=True)
class Block:
    """What one layer reads: edges among nodes whose types have these bounds, and which nodes go on.

    kept: positions (n,); None where all go on.
    """

    edges: Messages | dict[EdgeType, Tensor]
    bounds: Sequence[int]
    kept: Tensor | None


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
        self.edge_types = [
            message_edges.edge_types(i, position, relation) for i, relation in enumerate(relations)
        ]
        self.names = [f"n{i}" for i in range(len(self.counts))]
        metadata = (self.names, [edge_type for pair in self.edge_types for edge_type in pair])
        width = settings.hidden_dim
        self.inputs = nn.Parameter(torch.randn(sum(counts), width) * INPUT_SCALE)
        self.layers = nn.ModuleList([Layer(width, metadata, settings.heads) for _ in range(settings.layers)])
        self.outputs = nn.ModuleList([nn.Linear(width, settings.projected) for _ in self.names])
        self.decoder = Decoder(len(relations), settings.projected, settings.decoder)
        self.beside: Tensor | None = None  # (nodes, embedding_dim - projected), no part of the training
        self.lengths: Tensor | None = None  # (nodes, 1) of the layers' part of the vectors
        self.axes: Axes | None = None  # that a part of `beside` comes from
        self.divisors: np.ndarray | None = None  # of another part, see starts.Found
        self._clear_biases()

    def prepare(self, edges: Sequence[np.ndarray]) -> EdgeLists | SortedEdges:
        """Message edges, sorted once; `whole` or `without` the hidden ones they go to `forward`.

        `edges`: per message relation (2, E) int64 head and tail indices within their types.
        """
        if self.fused:
            return message_edges.sort(edges, self.edge_types, self.bounds)
        moved = [torch.from_numpy(each).to(self.inputs.device) for each in edges]
        return EdgeLists(moved, self.edge_types)

    def blocks(self, levels: Sequence[Level]) -> list[Block]:
        """Levels of a sampled batch in the form that this model's layers read."""
        device, flat = self.inputs.device, list(itertools.chain.from_iterable(self.edge_types))
        result = []
        for level in levels:
            edges: Messages | dict[EdgeType, Tensor] = level.messages
            if not self.fused:
                lists = sampling.by_edge_type(level, [message_edges.ends(edge_type) for edge_type in flat])
                edges = {t: torch.from_numpy(each).to(device) for t, each in zip(flat, lists, strict=True)}
            result.append(Block(edges, level.bounds, torch.from_numpy(level.kept).to(device)))
        return result

    def forward(self, edges: Messages | dict[EdgeType, Tensor]) -> Tensor:
        """Embeddings of all nodes, (nodes, projected), from the message edges of `prepare`."""
        return self.encode(self.inputs, [Block(edges, self.bounds, None)] * len(self.layers), self.bounds)

    def encode(self, x: Tensor, blocks: Sequence[Block], bounds: Sequence[int]) -> Tensor:
        """Embeddings (n, projected) from the inputs x of the first block's nodes, one block a layer.

        bounds: those of the nodes that the last block keeps.
        """
        x = self._drop(x)
        for layer, block in zip(self.layers, blocks, strict=True):
            x = self._drop(self.apply_layer(layer, x, block))
        return self.project(x, bounds)

    def apply_layer(self, layer: Layer, x: Tensor, block: Block) -> Tensor:
        """One layer's output for the nodes that its block keeps."""
        if self.fused:
            y = fused.layer(layer, x, block.edges, block.bounds)
        else:
            parts = dict(zip(self.names, _split(x, block.bounds), strict=True))
            # HGTConv returns only the types that receive messages; the others keep what they have.
            parts |= layer(parts, block.edges)
            y = torch.cat([parts[name] for name in self.names])
        return y if block.kept is None else y.index_select(0, block.kept)

    def project(self, x: Tensor, bounds: Sequence[int]) -> Tensor:
        """Embeddings from the last layer's output: a linear map per type, then rows of variance 1."""
        if self.fused:
            weight = torch.stack([output.weight for output in self.outputs])
            bias = torch.stack([output.bias for output in self.outputs])
            return fused.standardise(fused.typed_linear(x, weight, bias, bounds))
        parts = zip(self.outputs, _split(x, bounds), strict=True)
        z = torch.cat([output(part) for output, part in parts])
        # Without it logits start near zero, gradients vanish and the loss sits at 2 ln 2 for long.
        return nn.functional.layer_norm(z, (z.shape[1],))

    @torch.no_grad()
    def vectors(self, z: Tensor) -> Tensor:
        """What is kept of embeddings z of all nodes: z, behind the rows `beside` where there are any."""
        if self.lengths is not None:
            z = nn.functional.normalize(z, dim=1) * self.lengths.to(z.device)
        return z if self.beside is None else torch.cat([self.beside.to(z.device), z], dim=1)

    def read(
        self, z: Tensor, relation: Tensor, head: Tensor, tail: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits (P,) of P triples of relation index and global node indices, and the vectors z[rows]."""
        if self.fused:
            product, vectors = readout.score(z, self.decoder.weight, relation, head, tail, rows)
            return self.decoder.logits(product, relation), vectors
        return self.decoder(z, relation, head, tail), z.index_select(0, rows)

    def keep_beside(
        self,
        rows: np.ndarray,
        lengths: np.ndarray | None = None,
        axes: Axes | None = None,
        divisors: np.ndarray | None = None,
    ) -> None:
        """Put rows (nodes, k) before what the layers give, scaled to `lengths` (nodes,), in `vectors`.

        axes: what rows of an SVD among them come from. divisors: of the parts of profiles among them.
        """
        self.beside, self.axes, self.divisors = torch.from_numpy(rows), axes, divisors
        self.lengths = None if lengths is None else torch.from_numpy(lengths)[:, None]

    @torch.no_grad()
    def start_from(self, given: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> None:
        """Put rows (m, hidden_dim) in place of random inputs: number of a type -> (nodes (m,), rows)."""
        for kind, (nodes, rows) in given.items():
            at = torch.from_numpy(nodes + self.bounds[kind]).to(self.inputs.device)
            self.inputs[at] = torch.from_numpy(rows).to(self.inputs.device)

    @torch.no_grad()
    def _clear_biases(self) -> None:
        """Start all biases at zero: random ones are alike for all nodes of a type and drown their inputs."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()

    def _drop(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, self.settings.dropout, self.training)


def is_fused(settings: Settings, device: str) -> bool:
    """Whether the fused attention runs: it is the CPU's; other devices have PyG's layer whatever is set."""
    return settings.attention == "fused" and torch.device(device).type == "cpu"


def build(kg: Graph, settings: Settings, seed: int, device: str = "cpu") -> HGT:
    """A model for the message relations of `kg` on a torch device, its initial weights fixed by `seed`."""
    torch.manual_seed(seed)
    relations = kg.message_relations
    counts = [kg.count(t) for t in kg.node_types]
    return HGT(counts, kg.node_types, relations, settings, is_fused(settings, device)).to(device)


def _split(x: Tensor, bounds: Sequence[int]) -> tuple[Tensor, ...]:
    return x.split([last - first for first, last in itertools.pairwise(bounds)])
