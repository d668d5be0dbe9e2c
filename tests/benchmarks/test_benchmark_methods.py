"""The method of the quality benchmark that leaves out the encoder output has only SVD and profile columns."""

from pathlib import Path

import communities
import numpy as np
import pytest
import quality_methods

from repurpose.config import settings
from repurpose.vectors import profiles

ROOT = Path(__file__).resolve().parents[2]
KG = communities.build()
EDGES = [np.stack([KG.heads[i], KG.tails[i]]) for i in KG.of_role("message")]


@pytest.fixture(name="job")
def small_job():
    config = settings.load([ROOT / "config" / "config.yaml"])
    config["target"] |= {"head_type": "drug", "tail_type": "disease"}
    config["hgt"] |= {"hidden_dim": 16, "embedding_dim": 24, "svd_dim": 8, "profile_dim": 8}
    return quality_methods.Job(KG, config, 0, 1.0)


def test_without_the_encoder_output_the_vectors_are_profile_and_svd_columns(job):
    (variant,) = quality_methods.no_layers(job)
    axes = profiles.rows(KG, EDGES, "drug", 8, 0).rows
    assert variant.heads.shape == (KG.count("drug"), 16)
    assert np.array_equal(variant.heads[:, :8], axes)
    ends = [columns.stop for columns in profiles.columns(KG, "drug", 8).values()]
    assert ends[-1] == 8 and variant.blocks[0] == [*ends, 16] and variant.blocks[1][-1] == 16
    job.config["hgt"] |= {"svd_dim": 0, "profile_dim": 0}
    with pytest.raises(ValueError, match="vectors are the encoder output alone"):
        next(quality_methods.no_layers(job))
