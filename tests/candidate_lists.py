"""Candidates of a planted graph, ranked by scores that a test chooses."""

import numpy as np
import pyarrow as pa
from planted import TARGET

from repurpose.candidates import candidates
from repurpose.pairs import pairs

CALIBRATION = {"margins": [0.0, 1.0], "log_odds": [-2.0, -1.5]}


def annotator(kg, cautions=None, penalties=None):
    """An annotator of the candidates of a graph, with `CALIBRATION`."""
    none = [np.full(kg.count(node_type), "", object) for node_type in TARGET.types]
    known = pairs.known(kg, *TARGET.types)
    treated, support = np.zeros(kg.count("disease"), bool), np.zeros(kg.count("disease"), np.float32)
    cautions = cautions or tuple(none)
    return candidates.Annotator(
        kg, TARGET, known, CALIBRATION, treated, support, cautions, penalties=penalties
    )


def scorer(scores):
    """A function of tails; scores: (drugs, diseases), or (1 + members, drugs, diseases)."""
    stacked = scores.reshape(-1, *scores.shape[-2:]).swapaxes(1, 2)
    return lambda tails: stacked[[0, *range(len(stacked))]][:, tails]


def ranked(kg, scores, cautions=None, penalties=None, **options):
    """Candidates ranked by scores, as one table.

    scores: (drugs, diseases), for lists of diseases and of drugs; or (1 + members, drugs, diseases), the
    model's first; or a function of tails that returns (2 + members, tails, drugs).
    """
    score = scores if callable(scores) else scorer(scores)
    return pa.concat_tables(candidates.rank(score, annotator(kg, cautions, penalties), **options))
