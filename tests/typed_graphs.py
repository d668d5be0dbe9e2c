"""Random typed graphs, and the layer of PyG on them in float64 and float32, for the tests of the encoder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.nn import HGTConv

from repurpose.hgt import fused, messages, pyg_layer, workspace

ERROR = 1e-5  # an error up to this share of a tensor's largest value is always allowed


@dataclass(frozen=True)
class TypedGraph:
    """Node counts per type; for each edge type its (source, target) types and indices (2, E) within them."""

    counts: tuple[int, ...]
    kinds: tuple[tuple[int, int], ...]
    edges: tuple[np.ndarray, ...]

    @property
    def bounds(self) -> list[int]:
        return [0, *accumulate(self.counts)]

    @property
    def metadata(self) -> tuple[list[str], list[tuple[str, str, str]]]:
        names = [f"n{i}" for i in range(len(self.counts))]
        return names, [(names[s], f"r{i}", names[t]) for i, (s, t) in enumerate(self.kinds)]

    @property
    def receiving(self) -> Tensor:
        """Bool (nodes, 1): True if at least one edge type has the type of the node as its target."""
        targets = {target for _, target in self.kinds}
        return torch.tensor([t in targets for t in range(len(self.counts))]).repeat_interleave(
            torch.tensor(self.counts)
        )[:, None]

    def directions(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Sources, targets and edge numbers of each edge type; nodes are numbered over all types."""
        starts = [0, *accumulate(edge.shape[1] for edge in self.edges)]
        return [
            (edge[0] + self.bounds[s], edge[1] + self.bounds[t], np.arange(edge.shape[1]) + start)
            for (s, t), edge, start in zip(self.kinds, self.edges, starts[:-1], strict=True)
        ]

    def messages(self) -> messages.Messages:
        return messages.build(self.bounds[-1], self.directions()).whole


@st.composite
def typed_graphs(draw) -> TypedGraph:
    """Random graphs with isolated nodes, types of one node, empty edge types, self-relations, equal edges."""
    counts = draw(st.lists(st.sampled_from([1, 2, 3, 7, 40]), min_size=1, max_size=4))
    types = st.integers(0, len(counts) - 1)
    kinds = draw(st.lists(st.tuples(types, types), min_size=1, max_size=5))
    sizes = [draw(st.sampled_from([0, 1, 2, 5, 31, 33, 90])) for _ in kinds]
    return random_graph(counts, kinds, sizes, draw(st.integers(0, 2**32 - 1)))


def random_graph(
    counts: Sequence[int], kinds: Sequence[tuple[int, int]], sizes: Sequence[int], seed: int
) -> TypedGraph:
    """A graph with `sizes` edges of each type; heads and tails are uniform, and pairs may repeat."""
    generator = np.random.default_rng(seed)
    edges = [
        np.stack([generator.integers(0, counts[t], size) for t in types])
        for types, size in zip(kinds, sizes, strict=True)
    ]
    return TypedGraph(tuple(counts), tuple(kinds), tuple(edges))


def varied() -> TypedGraph:
    """A graph with a type of one node, a type that sends nothing, self-relations, repeated and no edges."""
    kinds = [(0, 1), (1, 0), (0, 0), (2, 0), (1, 3), (0, 1), (1, 1)]
    graph = random_graph([60, 25, 1, 9], kinds, [300, 300, 200, 40, 60, 0, 1], seed=5)
    symmetric = np.concatenate([graph.edges[2], graph.edges[2][::-1]], axis=1)
    twice = np.concatenate([graph.edges[0], graph.edges[0][:, ::3]], axis=1)
    return TypedGraph(graph.counts, graph.kinds, (twice, graph.edges[1], symmetric, *graph.edges[3:]))


def random_layer(graph: TypedGraph, heads: int, width: int, seed: int, scale: float) -> pyg_layer.Layer:
    """A layer with attention heads of `width` and random parameters; scale 1 is the usual initialisation."""
    layer = pyg_layer.Layer(heads * width, graph.metadata, heads)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            rows = parameter.shape[-1] if parameter.dim() > 1 else 1
            parameter.normal_(0, scale / rows**0.5, generator=generator)
    return layer


def inputs(graph: TypedGraph, width: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random x and gradient of the output, (nodes, width); the gradient is 0 for types without messages."""
    generator = torch.Generator().manual_seed(seed)
    x, upstream = torch.randn(2, graph.bounds[-1], width, generator=generator)
    return x, upstream * graph.receiving


def run_fused(layer: HGTConv, graph: TypedGraph, x: Tensor, upstream: Tensor) -> dict[str, Tensor]:
    """Output and all gradients of the fused layer."""
    layer.zero_grad()
    x = x.clone().requires_grad_()
    y = fused.layer(layer, x, graph.messages(), graph.bounds)
    y.backward(upstream)
    return {"y": y.detach(), "x": x.grad, **gradients(layer)}


def run_stock(
    layer: HGTConv, graph: TypedGraph, x: Tensor, upstream: Tensor, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Output and all gradients of PyG's HGTConv with the same parameters; types without messages keep x."""
    conv = HGTConv(layer.in_channels, layer.out_channels, graph.metadata, heads=layer.heads)
    conv.load_state_dict(layer.state_dict())
    conv, x = conv.to(dtype), x.to(dtype, copy=True).requires_grad_()
    names, edge_types = graph.metadata
    by_type = dict(zip(names, x.split(graph.counts), strict=True))
    outputs = conv(by_type, dict(zip(edge_types, map(torch.from_numpy, graph.edges), strict=True)))
    y = torch.cat([outputs.get(name, by_type[name]) for name in names])
    y.backward(upstream.to(dtype))
    return {"y": y.detach(), "x": x.grad, **gradients(conv)}


def gradients(conv: HGTConv) -> dict[str, Tensor]:
    """Gradients of all parameters, stacked over node types; keys, queries and values are separate."""
    linear = [conv.kqv_lin.lins[name] for name in conv.node_types]
    receiving = [name for name in conv.node_types if name in conv.dst_node_types]
    out = [conv.out_lin.lins[name] for name in receiving]
    gradient_by_name = {
        "out weight": torch.stack([module.weight.grad for module in out]),
        "out bias": torch.stack([module.bias.grad for module in out]),
        "skip": torch.cat([conv.skip[name].grad for name in receiving]),
        "prior": torch.cat([module.grad for module in conv.p_rel.values()]),
        "k_rel": conv.k_rel.weight.grad,
        "v_rel": conv.v_rel.weight.grad,
    }
    for parameter in ("weight", "bias"):
        chunks = torch.stack([getattr(module, parameter).grad for module in linear]).chunk(3, dim=1)
        gradient_by_name |= {f"{name} {parameter}": chunk for name, chunk in zip("kqv", chunks, strict=True)}
    return gradient_by_name


def assert_as_exact(
    actual: dict[str, Tensor], exact: dict[str, Tensor], peer: dict[str, Tensor], floor: float = 0.0
) -> None:
    """Assert that errors against float64 are at most 1e-5 of the largest value, or twice those of PyG.

    `peer` is PyG in float32. `floor`: a gradient smaller than this share of the largest one is judged as if
    it were that large, because its terms nearly cancel.
    """
    assert actual.keys() == exact.keys() == peer.keys()
    largest = max(tensors.abs().max().item() for name, tensors in exact.items() if name != "y")
    for name, truth in exact.items():
        scale = max(truth.abs().max().item(), 0.0 if name == "y" else floor * largest)
        error, usual = ((tensors[name] - truth).abs().max().item() for tensors in (actual, peer))
        assert error <= max(ERROR * scale, 2 * usual), f"{name}: {error} of {scale}, PyG's float32 {usual}"


@contextmanager
def marked_workspace() -> Iterator[list[int]]:
    """Make `workspace` use mapped memory for all sizes and fill it with NaN; yields the sizes it returned."""
    sizes, empty = [], workspace.empty

    def marked(*shape: int) -> Tensor:
        tensor = empty(*shape)
        sizes.append(tensor.numel())
        return tensor.fill_(torch.nan)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workspace, "HUGE", 64)
        patch.setattr(workspace, "empty", marked)
        yield sizes
        workspace.clear()
