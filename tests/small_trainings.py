"""Trainings that take seconds, on the graph of planted communities: encoders, settings and a call."""

import copy
import dataclasses

import communities

from repurpose.config.sections import EncoderSettings, TrainingSettings
from repurpose.training import training

ENCODER = EncoderSettings(
    hidden_dim=16,
    embedding_dim=16,
    layers=2,
    heads=4,
    attention="fused",
    dropout=0.0,
    decoder="distmult",
    inputs="learned",
    svd_dim=0,
    profile_dim=0,
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
SETTINGS = TrainingSettings(
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


def job(
    seed=0,
    encoder=ENCODER,
    batching="full",
    kg=None,
    device="cpu",
    features=None,
    settings=SETTINGS,
    **changes,
):
    """A training of the planted graph on one device, with changes of `settings`."""
    changed = dataclasses.replace(settings, **changes) if changes else settings
    return training.Job(
        kg or communities.build(), encoder, changed, "disease", device, batching, seed, features or {}
    )


def out_of_bounds(settings, **values):
    """The settings with values that the config would refuse."""
    result = copy.copy(settings)
    for name, value in values.items():
        object.__setattr__(result, name, value)  # the constructor would check the bounds
    return result


def fit(seed=0, encoder=ENCODER, batching="full", **changes):
    """Train on the CPU with `SETTINGS` and `changes`; returns the result and the rows of its history."""
    rows = []
    result = training.fit(job(seed, encoder, batching, **changes), on_step=lambda row, _: rows.append(row))
    return result, rows
