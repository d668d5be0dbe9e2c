"""Faults of a neighbour sampler, planted into the levels of its batches."""

import dataclasses

import numpy as np

from repurpose.hgt import messages, sampling


def plant(monkeypatch, change):
    """Patch the sampler so that every level it returns goes through `change` first."""
    batch, neighbourhood = sampling.Sampler.batch, sampling.Sampler.neighbourhood

    def changed(self, *arguments):
        sampled = batch(self, *arguments)
        return dataclasses.replace(sampled, levels=tuple(change(self, level) for level in sampled.levels))

    monkeypatch.setattr(sampling.Sampler, "batch", changed)
    monkeypatch.setattr(
        sampling.Sampler, "neighbourhood", lambda self, nodes: change(self, neighbourhood(self, nodes))
    )


def rewired(level, keep=None, flip=False):
    """The level with a part of its messages, or with source and target of its messages exchanged.

    keep: a predicate of the edge types of messages; flip: exchange source and target.
    """
    sent = level.messages
    source = sent.rows.node[sent.target_rows]
    target = np.repeat(np.arange(sent.nodes), np.diff(sent.target_ptr))
    relation = sent.rows.edge_type[sent.target_rows]
    source, target = (target, source) if flip else (source, target)
    messages_by_relation = [
        (source[chosen], target[chosen], np.zeros(chosen.sum(), int))
        for k in range(len(sent.rows.type_bounds) - 1)
        for chosen in [(relation == k) & (True if keep is None else keep(relation))]
    ]
    return dataclasses.replace(level, messages=messages.build(sent.nodes, messages_by_relation).whole)


def of_one_table(self, level):
    """The level with node numbers that count from 0 in each type, as if all types were the first."""
    starts = np.repeat(self.node_types[:-1], np.diff(level.bounds))
    return dataclasses.replace(level, nodes=(level.nodes - starts).astype(np.int32))


def off_by_one(self, level):
    return dataclasses.replace(level, nodes=np.minimum(level.nodes + 1, len(self.of_node) - 1))


def without_a_relation(self, level):
    return rewired(level, keep=lambda kind: kind != 2)


def reversed_edges(self, level):
    return rewired(level, flip=True)
