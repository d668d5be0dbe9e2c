"""Faults of a sampler, planted into the levels of its batches."""

import dataclasses

import numpy as np

from repurpose.hgt import messages, sampling


def plant(monkeypatch, change):
    """Let every level that leaves the sampler go through `change`."""
    batch, neighbourhood = sampling.Sampler.batch, sampling.Sampler.neighbourhood

    def changed(self, *given):
        found = batch(self, *given)
        return dataclasses.replace(found, levels=tuple(change(self, level) for level in found.levels))

    monkeypatch.setattr(sampling.Sampler, "batch", changed)
    monkeypatch.setattr(
        sampling.Sampler, "neighbourhood", lambda self, nodes: change(self, neighbourhood(self, nodes))
    )


def rewired(level, keep=None, flip=False):
    """The level with some of its messages, or with source and target exchanged where both may be either."""
    m = level.messages
    source, target = m.rows.node[m.target_rows], np.repeat(np.arange(m.nodes), np.diff(m.target_ptr))
    kind = m.rows.kind[m.target_rows]
    source, target = (target, source) if flip else (source, target)
    parts = [
        (source[chosen], target[chosen], np.zeros(chosen.sum(), int))
        for k in range(len(m.rows.type_bounds) - 1)
        for chosen in [(kind == k) & (True if keep is None else keep(kind))]
    ]
    return dataclasses.replace(level, messages=messages.build(m.nodes, parts).whole)


def of_one_table(self, level):
    """Positions of all types looked up in the table of the first."""
    starts = np.repeat(self.node_types[:-1], np.diff(level.bounds))
    return dataclasses.replace(level, nodes=(level.nodes - starts).astype(np.int32))


def off_by_one(self, level):
    return dataclasses.replace(level, nodes=np.minimum(level.nodes + 1, len(self.of_node) - 1))


def without_a_relation(self, level):
    return rewired(level, keep=lambda kind: kind != 2)


def reversed_edges(self, level):
    return rewired(level, flip=True)
