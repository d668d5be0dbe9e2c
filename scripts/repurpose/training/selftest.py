"""What a sampled training proves before its first step: its batches are true, complete, and compute the same.

A batch whose nodes or relations are mixed up trains all the same: its loss falls or it does not, and
nothing says why. The checks look at batches from outside, with the graph's own lists of edges.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from repurpose.graph import holdout, subgraph
from repurpose.graph.graph import Graph
from repurpose.hgt import hgt, message_edges
from repurpose.hgt.backends import FusedBackend
from repurpose.hgt.hgt import HGT
from repurpose.hgt.sampling import ALL, Batch, Level, Sampler

PART_EDGES = 50_000  # at most, of the part of the graph on which a batch and the whole are compared
FEW_PAIRS = 16  # edges whose ends are compared on the whole graph, which all their neighbours may be
PART_PAIRS = 64  # edges whose ends are compared
ERROR = 1e-5  # relative to the largest value; rounding in float32 adds up to less


@dataclass(frozen=True)
class Failure:
    """A check that was not passed, and what was seen."""

    check: str
    seen: str


@dataclass(frozen=True)
class Keys:
    """All directed messages as sorted numbers: edge type, source, target; `counts` per edge type."""

    values: np.ndarray
    edges: np.ndarray
    counts: np.ndarray
    nodes: int

    def of(self, kind: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The numbers of messages."""
        return (kind.astype(np.int64) * self.nodes + source) * self.nodes + target


def run(
    kg: Graph, model: HGT, sampler: Sampler, edges: Sequence[np.ndarray], pairs: int, seed: int
) -> Failure | None:
    """The first check that fails; None if all are passed.

    edges: the (2, E) training edges per message relation that `sampler` draws from, as indices within
    their types. pairs: edges that a step predicts.
    """
    generator = np.random.default_rng([seed, 4])
    keys = all_keys(model, edges)
    heads, tails = _ends(model, edges)
    chosen = _some_of_each(edges, pairs, generator)
    seeds = np.concatenate([heads[chosen], tails[chosen]])
    batch = sampler.batch(seeds, chosen, 0)
    return (
        pairs_found(batch, seeds)
        or edges_true(batch, keys, chosen)
        or relations_complete(sampler, keys)
        or same_as_whole(kg, model, edges, generator)
    )


def pairs_found(batch: Batch, seeds: np.ndarray) -> Failure | None:
    """Whether the rows at which a step reads its pairs are those of the pairs' nodes."""
    wrong = batch.nodes[np.minimum(batch.positions(seeds), len(batch.nodes) - 1)] != seeds
    return (
        Failure("pairs", f"{wrong.sum()} of {len(seeds)} ends of edges are other nodes")
        if wrong.any()
        else None
    )


def edges_true(batch: Batch, keys: Keys, hidden: np.ndarray) -> Failure | None:
    """Whether every message is an edge of the graph, of its relation and direction, and none is hidden."""
    is_hidden = np.zeros(len(keys.edges) + 1, bool)
    is_hidden[hidden] = True
    visible = keys.values[~is_hidden[keys.edges]]
    for level in batch.levels:
        found = keys.of(*crossed(level))
        untrue = ~holdout.contains(keys.values, found)
        if untrue.any():
            return Failure("edges", f"{untrue.sum()} of {len(found)} messages are no edges of the graph")
        predicted = ~holdout.contains(visible, found)
        if predicted.any():
            return Failure("edges", f"{predicted.sum()} messages are edges that the step predicts")
    return None


def relations_complete(sampler: Sampler, keys: Keys) -> Failure | None:
    """Whether all nodes together receive every edge of every relation, in both directions."""
    nodes = np.arange(keys.nodes, dtype=np.int32)
    found = np.zeros(len(keys.counts), np.int64)
    for part in np.array_split(nodes, max(1, len(keys.values) // PART_EDGES)):
        if len(part):
            found += np.bincount(crossed(sampler.neighbourhood(part))[0], minlength=len(found))
    wrong = np.flatnonzero(found != keys.counts)
    if not len(wrong):
        return None
    first = wrong[0]
    return Failure(
        "relations", f"edge type {first} has {keys.counts[first]} messages, the sampler {found[first]}"
    )


def same_as_whole(
    kg: Graph, model: HGT, edges: Sequence[np.ndarray], generator: np.random.Generator
) -> Failure | None:
    """Whether a batch with all neighbours gives what the whole graph gives, on a part of the graph."""
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
    """How far embeddings by way of samples are from the whole graph's, relative to the largest value.

    Of a training under way: z (nodes, d), which it computes for all nodes, and those that a batch with all
    neighbours gives for the ends of some edges. The whole graph goes through the CPU's layers, which know
    nothing of samples.
    """
    reference = copy.deepcopy(model).cpu().eval()
    reference.backend = FusedBackend()
    whole = reference(reference.prepare(edges).whole)
    generator = np.random.default_rng([seed, 9])
    chosen = _some_of_each(edges, FEW_PAIRS, generator)
    seeds = np.concatenate([ends[chosen] for ends in _ends(model, edges)])
    batch = Sampler(sampler.numbered, model.bounds, [ALL] * len(model.layers), 0).batch(seeds, chosen[:0], 0)
    rows = torch.from_numpy(batch.inputs).to(z.device)
    of_batch = model.encode(model.inputs.index_select(0, rows), model.blocks(batch.levels), batch.bounds)
    read = of_batch[torch.from_numpy(batch.positions(seeds)).to(z.device)].cpu()
    errors = (read - whole[torch.from_numpy(seeds)]).abs().max(), (z.cpu() - whole).abs().max()
    return float(max(errors) / whole.abs().max())


def crossed(level: Level) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edge type, source and target of each message of a level, by node numbers of the whole graph."""
    m = level.messages
    target = np.repeat(np.arange(m.nodes), np.diff(m.target_ptr))
    return m.rows.edge_type[m.target_rows], level.nodes[m.rows.node[m.target_rows]], level.nodes[target]


def all_keys(model: HGT, edges: Sequence[np.ndarray]) -> Keys:
    """The messages of all edges, both ways, from the lists of edges themselves."""
    nodes, start, first = model.bounds[-1], 0, 0
    kinds, sources, targets, numbers = [], [], [], []
    for edge_types, edge in zip(model.edge_types, edges, strict=True):
        head, tail = (
            each + model.bounds[t] for each, t in zip(edge, message_edges.ends(edge_types[0]), strict=True)
        )
        for at, (source, target) in enumerate(((head, tail), (tail, head))):
            kinds.append(np.full(len(head), first + at % len(edge_types)))
            sources.append(source)
            targets.append(target)
            numbers.append(np.arange(len(head)) + start)
        start += len(head)
        first += len(edge_types)
    kind = np.concatenate(kinds)
    empty = Keys(kind[:0], kind[:0], np.bincount(kind, minlength=first), nodes)
    values = empty.of(kind, np.concatenate(sources), np.concatenate(targets))
    order = np.argsort(values, kind="stable")
    return replace(empty, values=values[order], edges=np.concatenate(numbers)[order])


def _ends(model: HGT, edges: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Head and tail of all edges, relation after relation, by node numbers."""
    parts = []
    for edge_types, edge in zip(model.edge_types, edges, strict=True):
        first, second = message_edges.ends(edge_types[0])
        parts.append(np.stack([edge[0] + model.bounds[first], edge[1] + model.bounds[second]]))
    return tuple(np.concatenate(parts, axis=1))


def _some_of_each(edges: Sequence[np.ndarray], size: int, generator: np.random.Generator) -> np.ndarray:
    """Numbers of about `size` edges, ascending, at least one of each relation that has any."""
    total, start, chosen = sum(each.shape[1] for each in edges), 0, [np.zeros(0, np.int64)]
    for each in edges:
        count = each.shape[1]
        share = min(count, max(1, size * count // max(1, total)))
        chosen.append(np.sort(generator.choice(count, share, replace=False)) + start if count else chosen[0])
        start += count
    return np.concatenate(chosen)
