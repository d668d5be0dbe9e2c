"""Trainings that take seconds, on the graph of planted communities: encoders, settings and a call."""

import dataclasses

import communities

from repurpose.hgt import hgt
from repurpose.training import training

ENCODER = hgt.Settings(
    hidden_dim=16, embedding_dim=16, layers=2, heads=4, attention="fused", dropout=0.0, decoder="distmult"
)
PYG = dataclasses.replace(ENCODER, attention="pyg")
DROPOUT = dataclasses.replace(ENCODER, dropout=0.2)
CONTRASTIVE = {
    "weight": 0.5,
    "similarity_threshold": 0.1,
    "relations": ["disease_gene"],
    "temperature": 0.2,
    "batch_size": 64,
}
SETTINGS = training.Settings(
    epochs=40,
    sampled_epochs=2,
    learning_rate=0.02,
    edge_sample_size=500,
    supervision_share=0.3,
    batch_size=64,
    fanout=(8, 4),
    valid_share=0.1,
    valid_every=5,
    degree_matched_share=0.5,
    ranking={"weight": 0.5, "edges": 64},
    contrastive=CONTRASTIVE,
)


def fit(seed=0, encoder=ENCODER, batching="full", **changes):
    """Train on the CPU with `SETTINGS` and `changes`; returns the result and the rows of its history."""
    rows = []
    options = training.Settings(**{**vars(SETTINGS), **changes})
    result = training.fit(
        communities.build(),
        encoder,
        options,
        tail_type="disease",
        device="cpu",
        batching=batching,
        seed=seed,
        on_step=lambda row, _: rows.append(row),
    )
    return result, rows
