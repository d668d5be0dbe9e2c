"""Better settings of the trees, looked for on validation pairs for a limited time."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score

from repurpose.classifier import boosting, pair_model
from repurpose.classifier.classifier import Task
from repurpose.classifier.examples import Settings, split_examples
from repurpose.pairs.pairs import ALL_SCHEMES

log = logging.getLogger(__name__)

DEPTHS = (2, 9)  # from, to
RATES = (0.02, 0.4)  # of learning, drawn evenly on a logarithmic scale
NEGATIVES = (5, 80)  # per positive, alike


class Found(NamedTuple):
    """The best settings, and every trial: its settings and its AUPRC on the validation pairs."""

    settings: Settings
    trials: list[dict[str, Any]]


def search(task: Task, minutes: float, clock: Callable[[], float] = time.monotonic) -> Found:
    """Draw settings at random for `minutes`; the given ones are the first trial.

    Each is a single model on the training pairs of the first scheme, judged by the AUPRC of its validation
    pairs, the same for all. The test pairs are not looked at.
    """
    scheme = next(scheme for scheme in ALL_SCHEMES if scheme in task.pairs)
    rng = np.random.default_rng([task.seed, len(ALL_SCHEMES)])
    _, valid = split_examples(task.pairs, scheme, task.taken, *task.sizes, task.settings, task.seed)
    best, trials, end = task.settings, list[dict[str, Any]](), clock() + 60 * minutes
    tried = task.settings
    while True:
        train, _ = split_examples(task.pairs, scheme, task.taken, *task.sizes, tried, task.seed)
        booster = boosting.fit(task.vectors, train.of_draw(0), valid, tried, task.seed, task.threads)
        margins = pair_model.tree_scorer(booster, task.vectors, task.threads)(valid.heads, valid.tails)
        auprc = float(average_precision_score(valid.labels, margins, sample_weight=valid.weights))
        names = "depth", "learning_rate", "negatives_per_positive"
        if auprc > max((trial["valid_auprc"] for trial in trials), default=-1.0):
            best = tried
        trials.append({**{name: getattr(tried, name) for name in names}, "valid_auprc": auprc})
        if clock() >= end:
            break
        tried = replace(
            task.settings,
            depth=int(rng.integers(DEPTHS[0], DEPTHS[1] + 1)),
            learning_rate=float(np.exp(rng.uniform(*np.log(RATES)))),
            negatives_per_positive=round(float(np.exp(rng.uniform(*np.log(NEGATIVES))))),
        )
    log.info("%d settings tried, validation AUPRC %s", len(trials), [t["valid_auprc"] for t in trials])
    return Found(best, trials)
