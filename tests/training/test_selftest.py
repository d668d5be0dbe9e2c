"""The sampler's self-test: correct batches pass, and each planted fault fails the check for it."""

import dataclasses

import communities
import pytest
import small_trainings
from sampler_faults import of_one_table, off_by_one, plant, reversed_edges, rewired, without_a_relation

from repurpose.graph import holdout
from repurpose.hgt import hgt, message_edges, sampling
from repurpose.training import selftest

ENCODER = dataclasses.replace(small_trainings.ENCODER, embedding_dim=8, heads=2)


def run_selftest(attention="fused", make=sampling.Sampler):
    kg = communities.build()
    model = hgt.build(kg, dataclasses.replace(ENCODER, attention=attention), seed=0)
    edges = list(holdout.split(kg, 0.1, 0).train)
    numbered = message_edges.sort(edges, model.edge_types, model.bounds).numbered
    return selftest.run(kg, model, make(numbered, model.bounds, (6, 4), 0), edges, 64, 0)


@pytest.mark.parametrize("attention", ["fused", "pyg"])
def test_a_sound_sampler_passes(attention):
    assert run_selftest(attention) is None


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (of_one_table, "edges"),
        (off_by_one, "edges"),
        (reversed_edges, "edges"),
        (without_a_relation, "relations"),
    ],
)
def test_a_planted_fault_is_named(monkeypatch, change, check):
    plant(monkeypatch, change)
    assert run_selftest().check == check


def test_rewiring_that_changes_nothing_passes(monkeypatch):
    plant(monkeypatch, lambda self, level: rewired(level))
    assert run_selftest() is None


def test_predicted_edges_among_the_messages_are_named(monkeypatch):
    batch = sampling.Sampler.batch
    monkeypatch.setattr(
        sampling.Sampler, "batch", lambda self, seeds, hidden, number: batch(self, seeds, hidden[:0], number)
    )
    failure = run_selftest()
    assert failure.check == "edges"
    assert "edges that the step predicts" in failure.seen


def test_pairs_read_at_the_rows_of_other_nodes_are_named(monkeypatch):
    positions = sampling.Batch.positions
    monkeypatch.setattr(sampling.Batch, "positions", lambda self, nodes: positions(self, nodes)[::-1])
    assert run_selftest().check == "pairs"


def test_a_layer_that_computes_something_else_is_named(monkeypatch):
    blocks = hgt.HGT.blocks

    def shifted(self, levels):
        return [dataclasses.replace(b, kept=b.kept.roll(1)) for b in blocks(self, levels)]

    monkeypatch.setattr(hgt.HGT, "blocks", shifted)
    assert run_selftest().check == "whole graph"
