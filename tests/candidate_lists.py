"""Candidates of a planted graph, ranked by scores that a test gives."""

import numpy as np
import pyarrow as pa

from repurpose.candidates import candidates
from repurpose.pairs import pairs

CALIBRATION = {"margins": [0.0, 1.0], "log_odds": [-2.0, -1.5]}


def about(kg, cautions=None, demoted=None):
    """What a ranking knows of the drugs and diseases of a graph besides their scores."""
    none = [np.full(kg.count(node_type), "", object) for node_type in ("drug", "disease")]
    known = pairs.known(kg, "drug", "disease")
    return candidates.About(
        kg, "drug", "disease", known, CALIBRATION, cautions or tuple(none), demoted=demoted
    )


def ranked(kg, scores, cautions=None, demoted=None, **options):
    """scores: (drugs, diseases), or a stack of the model's and its members', or a function of tails."""
    stack = None if callable(scores) else scores.reshape(-1, *scores.shape[-2:]).swapaxes(1, 2)
    score = scores if stack is None else lambda tails: stack[:, tails]
    return pa.concat_tables(candidates.rank(score, about(kg, cautions, demoted), **options))
