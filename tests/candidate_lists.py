"""Candidates of a planted graph, ranked by scores that a test chooses."""

import numpy as np
import pyarrow as pa

from repurpose.candidates import candidates
from repurpose.pairs import pairs

CALIBRATION = {"margins": [0.0, 1.0], "log_odds": [-2.0, -1.5]}


def about(kg, cautions=None, demoted=None):
    """The data on drugs and diseases, besides scores, that a ranking of this graph needs."""
    none = [np.full(kg.count(node_type), "", object) for node_type in ("drug", "disease")]
    known = pairs.known(kg, "drug", "disease")
    return candidates.About(
        kg, "drug", "disease", known, CALIBRATION, cautions or tuple(none), demoted=demoted
    )


def ranked(kg, scores, cautions=None, demoted=None, **options):
    """Candidates ranked by scores, as one table.

    scores: (drugs, diseases); or (1 + members, drugs, diseases), the model's first; or a function of tails.
    """
    stacked_scores = None if callable(scores) else scores.reshape(-1, *scores.shape[-2:]).swapaxes(1, 2)
    score = scores if stacked_scores is None else lambda tails: stacked_scores[:, tails]
    return pa.concat_tables(candidates.rank(score, about(kg, cautions, demoted), **options))
