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
    return candidates.Annotator(kg, TARGET, known, CALIBRATION, cautions or tuple(none), penalties=penalties)


def ranked(kg, scores, cautions=None, penalties=None, **options):
    """Candidates ranked by scores, as one table.

    scores: (drugs, diseases); or (1 + members, drugs, diseases), the model's first; or a function of tails.
    """
    stacked_scores = None if callable(scores) else scores.reshape(-1, *scores.shape[-2:]).swapaxes(1, 2)
    score = scores if stacked_scores is None else lambda tails: stacked_scores[:, tails]
    return pa.concat_tables(candidates.rank(score, annotator(kg, cautions, penalties), **options))
