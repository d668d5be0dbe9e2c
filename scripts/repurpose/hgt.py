"""The encoder: learned node inputs, Heterogeneous Graph Transformer layers, a decoder per relation.

Hu et al., "Heterogeneous Graph Transformer", WWW 2020, in the form of PyG's `HGTConv`, whose
parameters the layer keeps. Node types and relations are addressed by position ("n0", "r0"): their
names come from data and may be anything.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch_geometric.nn import HGTConv
from torch_geometric.nn.dense import HeteroLinear
from torch_geometric.utils import softmax

from repurpose.graph import Graph, Relation

EdgeType = tuple[str, str, str]

INPUT_SCALE = 0.5  # standard deviation of the learned inputs at the start
# Per-edge activations above this many bytes are recomputed in the backward pass, head by head.
KEPT_ACTIVATIONS = 1 << 31


@dataclass(frozen=True)
class Settings:
    """Widths and shape of the encoder; the config section `hgt`."""

    hidden_dim: int
    embedding_dim: int
    layers: int
    heads: int
    dropout: float
    decoder: str

    def __post_init__(self) -> None:
        if self.hidden_dim % self.heads:
            raise ValueError(f"hidden_dim {self.hidden_dim} is not divisible by heads {self.heads}")
        if self.decoder not in ("distmult", "dot"):
            raise ValueError(f"decoder {self.decoder} is neither distmult nor dot")


class TypedLinear(HeteroLinear):
    """PyG's linear map per type with one concatenation in place of a write into a slice per type.

    Each slice write makes autograd touch the whole tensor again in the backward pass, which is what
    makes `HGTConv` several times slower where pyg-lib is not installed.
    """

    def forward_naive(self, x: Tensor, type_ptr: Tensor) -> Tensor:
        sizes = type_ptr.diff().tolist()
        return torch.cat([part @ weight for part, weight in zip(x.split(sizes), self.weight, strict=True)])


class Layer(HGTConv):
    """One HGT layer with HGTConv's parameters; `propagate` is the seam for other attention kernels."""

    def __init__(self, width: int, metadata: tuple[list[str], list[EdgeType]], heads: int) -> None:
        super().__init__(width, width, metadata, heads=heads)
        relations = heads * len(metadata[1])
        for name in ("k_rel", "v_rel"):
            setattr(
                self, name, TypedLinear(width // heads, width // heads, relations, is_sorted=True, bias=False)
            )

    def propagate(self, edge_index: Tensor, k: Tensor, q: Tensor, v: Tensor, edge_attr: Tensor) -> Tensor:
        """Attention over edges, returns (N, H * D).

        `edge_index` (2, E) from row of k and v to row of q; q (N, H, D); k, v (rows, H, D);
        `edge_attr` (E, H) the relation's prior. PyG's own while its activations per edge (four of
        width H * D are kept) are small, else head by head and computed again in the backward pass.
        """
        if not torch.is_grad_enabled() or 4 * 4 * edge_index.size(1) * q[0].numel() <= KEPT_ACTIVATIONS:
            return super().propagate(edge_index, k=k, q=q, v=v, edge_attr=edge_attr)
        inputs = ((q[:, h], k[:, h], v[:, h], edge_attr[:, h], *edge_index) for h in range(q.size(1)))
        return torch.cat([checkpoint(_attend, *head, use_reentrant=False) for head in inputs], dim=1)


def _attend(q: Tensor, k: Tensor, v: Tensor, prior: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """One head: softmax over each node's incoming edges of prior * q.k / sqrt(D), then the mean of v.

    q (N, D), k and v (rows, D), prior (E,); returns (N, D).
    """
    score = (q.index_select(0, target) * k.index_select(0, source)).sum(-1) * prior / math.sqrt(q.size(1))
    weight = softmax(score, target, num_nodes=len(q))
    return torch.zeros_like(q).index_add(0, target, v.index_select(0, source) * weight.unsqueeze(1))


class HGT(nn.Module):
    """Learned inputs -> HGT layers -> a linear map per node type.

    `relations` are the message relations only; z and node indices are global: the nodes of type i
    start at `offsets[i]`.
    """

    def __init__(
        self,
        counts: Sequence[int],
        node_types: Sequence[str],
        relations: Sequence[Relation],
        settings: Settings,
    ):
        super().__init__()
        self.counts = list(counts)
        self.settings = settings
        position = {name: index for index, name in enumerate(node_types)}
        self.edge_types = [_edge_types(i, position, relation) for i, relation in enumerate(relations)]
        names = [f"n{i}" for i in range(len(self.counts))]
        metadata = (names, [edge_type for pair in self.edge_types for edge_type in pair])
        width = settings.hidden_dim
        self.inputs = nn.ParameterList(
            [nn.Parameter(torch.randn(n, width) * INPUT_SCALE) for n in self.counts]
        )
        self.layers = nn.ModuleList([Layer(width, metadata, settings.heads) for _ in range(settings.layers)])
        self.outputs = nn.ModuleList([nn.Linear(width, settings.embedding_dim) for _ in names])
        self.decoder = Decoder(len(relations), settings.embedding_dim, settings.decoder)
        self._clear_biases()

    def forward(self, edges: Sequence[Tensor]) -> Tensor:
        """Embeddings of all nodes, (nodes, embedding_dim), from message edges.

        `edges`: per message relation a (2, E) int64 tensor of head and tail indices within their types.
        """
        edge_index = self._both_ways(edges)
        x = {f"n{i}": self._drop(table) for i, table in enumerate(self.inputs)}
        for layer in self.layers:
            # HGTConv returns only the types that receive messages; the others keep what they have.
            x = {**x, **{name: self._drop(value) for name, value in layer(x, edge_index).items()}}
        z = torch.cat([output(x[f"n{i}"]) for i, output in enumerate(self.outputs)])
        # Without it logits start near zero, gradients vanish and the loss sits at 2 ln 2 for long.
        return nn.functional.layer_norm(z, (z.shape[1],))

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
        return product.sum(-1) / math.sqrt(z.size(1)) + self.bias.index_select(0, relation)


def build(kg: Graph, settings: Settings, seed: int) -> HGT:
    """A model for the message relations of `kg`, its initial weights fixed by `seed`."""
    torch.manual_seed(seed)
    relations = [kg.relations[i] for i in kg.of_role("message")]
    return HGT([kg.count(t) for t in kg.node_types], kg.node_types, relations, settings)


def _edge_types(index: int, position: dict[str, int], relation: Relation) -> list[EdgeType]:
    """Edge types of one relation: both directions, which are one type where the relation is symmetric."""
    head, tail = f"n{position[relation.head_type]}", f"n{position[relation.tail_type]}"
    if head == tail and not relation.directed:
        return [(head, f"r{index}", tail)]
    return [(head, f"r{index}", tail), (tail, f"r{index}_reverse", head)]
