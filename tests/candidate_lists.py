"""Candidates of a planted graph, ranked by scores that a test gives."""

import numpy as np
import pyarrow as pa
from planted import TARGET

from repurpose.candidates import candidates
from repurpose.pairs import pairs

CALIBRATION = {"margins": [0.0, 1.0], "log_odds": [-2.0, -1.5]}


def annotator(kg, cautions=None, penalties=None):
    """An annotator of the drugs and diseases of a graph."""
    none = [np.full(kg.count(node_type), "", object) for node_type in TARGET.types]
    known = pairs.known(kg, *TARGET.types)
    return candidates.Annotator(kg, TARGET, known, CALIBRATION, cautions or tuple(none), penalties=penalties)


def ranked(kg, scores, cautions=None, penalties=None, **options):
    """scores: (drugs, diseases), or a stack of the model's and its members', or a function of tails."""
    stack = None if callable(scores) else scores.reshape(-1, *scores.shape[-2:]).swapaxes(1, 2)
    score = scores if stack is None else lambda tails: stack[:, tails]
    return pa.concat_tables(candidates.rank(score, annotator(kg, cautions, penalties), **options))
