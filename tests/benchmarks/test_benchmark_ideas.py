"""Every idea of the recipe trains, and is another training than the reference."""

import dataclasses
from pathlib import Path

import communities
import numpy as np
import pytest
import quality_ideas
from quality_ideas import IDEAS, STEPS
from quality_methods import Job

from repurpose.config import settings
from repurpose.hgt import hgt
from repurpose.training import preparation
from repurpose.training.objective import Settings

ROOT = Path(__file__).resolve().parents[2]
KG = communities.build()


@pytest.fixture(name="job")
def small_job(monkeypatch):
    small = {"hidden_dim": 16, "embedding_dim": 16, "heads": 2}
    monkeypatch.setattr(quality_ideas, "ENCODER", quality_ideas.ENCODER | small)
    monkeypatch.setattr(quality_ideas, "TRAINING", quality_ideas.TRAINING | {"epochs": 3})
    monkeypatch.setattr(quality_ideas, "SAMPLED_SECONDS", 0.3)
    config = settings.load([ROOT / "config" / "config.yaml"])
    relation = KG.relations[KG.of_role("message")[0]]
    config["training"]["contrastive"] |= {"relations": [], "batch_size": 8}
    config["training"] |= {"batch_size": 64}
    config["target"]["tail_type"] = relation.tail_type
    return Job(KG, config, 0, 1.0)


def last(idea, job):
    return list(quality_ideas.train(idea, job))[-1][1]


@pytest.mark.parametrize("name", [name for name in IDEAS if name not in ("none", "narrow", "wide")])
def test_an_idea_changes_what_is_learned(name, job):
    own = IDEAS[name]
    rows = last(own, job)
    assert np.isfinite(rows).all() and len(rows) == len(last(IDEAS["none"], job))
    plain = last(IDEAS["none"], job)
    # The small graph has no contrastive term.
    if name not in ("no-contrast", "contrast", "warm"):
        assert rows.shape != plain.shape or not np.allclose(rows, plain, atol=1e-3)


def test_the_reference_is_what_the_library_trains(job):
    """The ideas' own steps, with nothing changed, are the library's."""
    section = settings.learned(job.config["training"])
    steps = preparation.prepare(
        KG,
        hgt.Settings(**(job.config["hgt"] | quality_ideas.ENCODER)),
        Settings(**(section | quality_ideas.TRAINING)),
        tail_type=job.config["target"]["tail_type"],
        device="cpu",
        batching="full",
        seed=0,
    )
    for step in (1, 2, 3):
        steps.take(step)
    assert np.array_equal(last(IDEAS["none"], job), steps.embed().numpy())


def test_marks_are_variants(job):
    marked = dataclasses.replace(STEPS, marks=(1, 2), training={})
    names = [name for name, _ in quality_ideas.train(marked, job)]
    assert [name.split()[0] for name in names] == ["1", "2", "3"]
