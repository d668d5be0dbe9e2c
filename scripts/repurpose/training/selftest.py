"""Self-test of a sampler before the first step: are its batches true, complete, and equal to the whole graph?

A training on batches with mixed-up nodes or relations runs on without an error. These checks compare the
batches with the graph's own lists of edges.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from repurpose.core import streams
from repurpose.graph import holdout, subgraph
from repurpose.graph.graph import Graph
from repurpose.hgt import hgt, message_edges
from repurpose.hgt.backends import FusedBackend
from repurpose.hgt.hgt import HGT
from repurpose.hgt.sampling import ALL, Batch, Level, Sampler

PART_EDGES = 50_000  # at most, in the part of the graph on which a batch is compared with the whole part
FEW_PAIRS = 16  # edges whose ends are compared on the whole graph; their neighbours may be all of it
PART_PAIRS = 64  # edges whose ends are compared on the part
ERROR = 1e-5  # relative to the largest value; rounding in float32 adds up to less


@dataclass(frozen=True)
class Failure:
    """The name of a check that failed, and what was seen."""

    check: str
    seen: str


@dataclass(frozen=True)
class Keys:
    """All directed messages of a graph, each as one number made of edge type, source and target.

    values: the numbers, sorted. edges: number of the edge behind each. counts: messages per edge type. nodes:
    number of nodes.
    """

    values: np.ndarray
    edges: np.ndarray
    counts: np.ndarray
    nodes: int

    def of(self, edge_type: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The numbers of these messages."""
        return (edge_type.astype(np.int64) * self.nodes + source) * self.nodes + target


def run(
    kg: Graph, model: HGT, sampler: Sampler, edges: Sequence[np.ndarray], pairs: int, seed: int
) -> Failure | None:
    """The first check that fails; None if all pass.

    edges: the (2, E) training edges per message relation that `sampler` draws from, as indices within
    their types. pairs: number of edges that a step predicts.
    """
    generator = streams.generator(seed, "edges of the self-test")
    keys = build_keys(model, edges)
    heads, tails = _ends(model, edges)
    chosen = _some_of_each(edges, pairs, generator)
    seeds = np.concatenate([heads[chosen], tails[chosen]])
    batch = sampler.batch(seeds, chosen, 0)
    return (
        check_pairs(batch, seeds)
        or check_edges(batch, keys, chosen)
        or check_relations(sampler, keys)
        or check_against_whole(kg, model, edges, generator)
    )


def check_pairs(batch: Batch, seeds: np.ndarray) -> Failure | None:
    """Check that a step reads the embeddings of its pairs at the rows of their nodes."""
    wrong = batch.nodes[np.minimum(batch.positions(seeds), len(batch.nodes) - 1)] != seeds
    return (
        Failure("pairs", f"{wrong.sum()} of {len(seeds)} ends of edges are other nodes")
        if wrong.any()
        else None
    )


def check_edges(batch: Batch, keys: Keys, hidden: np.ndarray) -> Failure | None:
    """Check that every message is an edge of its relation and direction, and that none is hidden."""
    is_hidden = np.zeros(len(keys.edges) + 1, bool)
    is_hidden[hidden] = True
    visible = keys.values[~is_hidden[keys.edges]]
    for level in batch.levels:
        drawn = keys.of(*list_messages(level))
        untrue = ~holdout.contains(keys.values, drawn)
        if untrue.any():
            return Failure("edges", f"{untrue.sum()} of {len(drawn)} messages are no edges of the graph")
        predicted = ~holdout.contains(visible, drawn)
        if predicted.any():
            return Failure("edges", f"{predicted.sum()} messages are edges that the step predicts")
    return None


def check_relations(sampler: Sampler, keys: Keys) -> Failure | None:
    """Check that all nodes together receive every edge of every relation, in both directions."""
    nodes = np.arange(keys.nodes, dtype=np.int32)
    counts = np.zeros(len(keys.counts), np.int64)
    for block in np.array_split(nodes, max(1, len(keys.values) // PART_EDGES)):
        if len(block):
            counts += np.bincount(list_messages(sampler.neighbourhood(block))[0], minlength=len(counts))
    wrong = np.flatnonzero(counts != keys.counts)
    if not len(wrong):
        return None
    first = wrong[0]
    return Failure(
        "relations", f"edge type {first} has {keys.counts[first]} messages, the sampler {counts[first]}"
    )


def check_against_whole(
    kg: Graph, model: HGT, edges: Sequence[np.ndarray], generator: np.random.Generator
) -> Failure | None:
    """Check on a part of the graph that a batch with all neighbours gives what the whole part gives."""
    part, kept = subgraph.sample(kg, edges, PART_EDGES, generator)
    small = hgt.build(part, model.settings, seed=0).eval()
    sorted_edges = message_edges.sort(kept, small.edge_types, small.bounds)
    sampler = Sampler(sorted_edges.numbered, small.bounds, [ALL] * len(small.layers), 0)
    chosen = _some_of_each(kept, PART_PAIRS, generator)
    cuts = np.searchsorted(chosen, [*sorted_edges.starts, len(_ends(small, kept)[0])])
    hidden = [
        chosen[first:last] - start
        for first, last, start in zip(cuts[:-1], cuts[1:], sorted_edges.starts, strict=True)
    ]
    seeds = np.unique(np.concatenate([ends[chosen] for ends in _ends(small, kept)]))
    with torch.no_grad():
        whole = small(small.prepare(kept).without(hidden))[torch.from_numpy(seeds)]
        batch = sampler.batch(seeds, chosen, 0)
        x = small.inputs[torch.from_numpy(batch.inputs)]
        z = small.encode(x, small.blocks(batch.levels), batch.bounds)
    error = float((z - whole).abs().max() / whole.abs().max())
    return (
        None if error <= ERROR else Failure("whole graph", f"embeddings from a batch are off by {error:.1e}")
    )


@torch.no_grad()
def mismatch(model: HGT, sampler: Sampler, edges: Sequence[np.ndarray], z: Tensor, seed: int) -> float:
    """The largest error of embeddings from samples, relative to the largest value of the whole graph's.

    Two kinds of embeddings of a running training are compared: z (nodes, d), which it computes for all nodes,
    and those that a batch with all neighbours gives for the ends of some edges. The reference is the whole
    graph in the CPU's layers, which use no samples.
    """
    reference = copy.deepcopy(model).cpu().eval()
    reference.backend = FusedBackend()
    whole = reference(reference.prepare(edges).whole)
    generator = streams.generator(seed, "edges of the mismatch")
    chosen = _some_of_each(edges, FEW_PAIRS, generator)
    seeds = np.concatenate([ends[chosen] for ends in _ends(model, edges)])
    batch = Sampler(sampler.numbered, model.bounds, [ALL] * len(model.layers), 0).batch(seeds, chosen[:0], 0)
    rows = torch.from_numpy(batch.inputs).to(z.device)
    of_batch = model.encode(model.inputs.index_select(0, rows), model.blocks(batch.levels), batch.bounds)
    read = of_batch[torch.from_numpy(batch.positions(seeds)).to(z.device)].cpu()
    errors = (read - whole[torch.from_numpy(seeds)]).abs().max(), (z.cpu() - whole).abs().max()
    return float(max(errors) / whole.abs().max())


def list_messages(level: Level) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edge type, source and target of each message of a level, by node numbers of the whole graph."""
    m = level.messages
    target = np.repeat(np.arange(m.nodes), np.diff(m.target_ptr))
    return m.rows.edge_type[m.target_rows], level.nodes[m.rows.node[m.target_rows]], level.nodes[target]


def build_keys(model: HGT, edges: Sequence[np.ndarray]) -> Keys:
    """The messages of all edges in both directions, made from the lists of edges."""
    nodes, start, first = model.bounds[-1], 0, 0
    type_lists, sources, targets, numbers = [], [], [], []
    for edge_types, edge in zip(model.edge_types, edges, strict=True):
        head, tail = (
            each + model.bounds[t] for each, t in zip(edge, message_edges.ends(edge_types[0]), strict=True)
        )
        for direction, (source, target) in enumerate(((head, tail), (tail, head))):
            type_lists.append(np.full(len(head), first + direction % len(edge_types)))
            sources.append(source)
            targets.append(target)
            numbers.append(np.arange(len(head)) + start)
        start += len(head)
        first += len(edge_types)
    edge_type = np.concatenate(type_lists)
    empty = Keys(edge_type[:0], edge_type[:0], np.bincount(edge_type, minlength=first), nodes)
    values = empty.of(edge_type, np.concatenate(sources), np.concatenate(targets))
    order = np.argsort(values, kind="stable")
    return replace(empty, values=values[order], edges=np.concatenate(numbers)[order])


def _ends(model: HGT, edges: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Head and tail of all edges, relation after relation, by node numbers."""
    ends = []
    for edge_types, edge in zip(model.edge_types, edges, strict=True):
        first, second = message_edges.ends(edge_types[0])
        ends.append(np.stack([edge[0] + model.bounds[first], edge[1] + model.bounds[second]]))
    return tuple(np.concatenate(ends, axis=1))


def _some_of_each(edges: Sequence[np.ndarray], size: int, generator: np.random.Generator) -> np.ndarray:
    """Numbers of about `size` edges, ascending, at least one of each relation that has any."""
    total, start, chosen = sum(each.shape[1] for each in edges), 0, [np.zeros(0, np.int64)]
    for of_relation in edges:
        count = of_relation.shape[1]
        share = min(count, max(1, size * count // max(1, total)))
        chosen.append(np.sort(generator.choice(count, share, replace=False)) + start if count else chosen[0])
        start += count
    return np.concatenate(chosen)
