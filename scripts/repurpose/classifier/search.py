"""Search for better settings of the trees on validation pairs, in a given number of trials."""

import logging
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score

from repurpose.classifier import boosting, pair_model
from repurpose.classifier.classifier import Task
from repurpose.classifier.examples import Examples, split_examples
from repurpose.config.sections import ClassifierSettings
from repurpose.core import streams
from repurpose.pairs.pairs import ALL_SCHEMES

log = logging.getLogger(__name__)

DEPTHS = (2, 9)  # least and greatest depth
RATES = (0.02, 0.4)  # least and greatest learning rate, drawn uniformly on a logarithmic scale
NEGATIVES = (5, 80)  # least and greatest number per positive, drawn on a logarithmic scale
SEARCHED = ("depth", "learning_rate", "negatives_per_positive")


class Found(NamedTuple):
    """The best settings, and the settings and validation AUPRC of every trial."""

    settings: ClassifierSettings
    trials: list[dict[str, Any]]


def search(task: Task) -> Found:
    """Compare `search_trials` settings: first the task's own, then settings drawn at random by its seed.

    Each trial trains a single model on the training pairs of the first scheme. The settings with the highest
    AUPRC on the same validation pairs are kept, the first of equals. The test pairs are not used. With 0
    trials, the task's own settings are returned.
    """
    count = task.settings.search_trials
    if not count:
        return Found(task.settings, [])
    scheme = next(scheme for scheme in ALL_SCHEMES if scheme in task.pairs)
    rng = streams.generator(task.seed, "settings of the search")
    _, valid = split_examples(task.pairs, scheme, task.known, *task.sizes, task.settings, task.seed)
    tried = [task.settings, *(_draw_settings(task.settings, rng) for _ in range(count - 1))]
    auprc = [_valid_auprc(replace(task, settings=settings), scheme, valid) for settings in tried]
    log.info("%d settings tried, validation AUPRC %s", count, auprc)
    trials = [
        {**{name: getattr(settings, name) for name in SEARCHED}, "valid_auprc": value}
        for settings, value in zip(tried, auprc, strict=True)
    ]
    return Found(tried[int(np.argmax(auprc))], trials)


def _draw_settings(settings: ClassifierSettings, rng: np.random.Generator) -> ClassifierSettings:
    return replace(
        settings,
        depth=int(rng.integers(DEPTHS[0], DEPTHS[1] + 1)),
        learning_rate=float(np.exp(rng.uniform(*np.log(RATES)))),
        negatives_per_positive=round(float(np.exp(rng.uniform(*np.log(NEGATIVES))))),
    )


def _valid_auprc(task: Task, scheme: str, valid: Examples) -> float:
    train, _ = split_examples(task.pairs, scheme, task.known, *task.sizes, task.settings, task.seed)
    booster = boosting.fit(task.vectors, train.of_draw(0), valid, task.settings, task.seed, task.threads)
    margins = pair_model.tree_scorer(booster, task.vectors, task.threads)(valid.heads, valid.tails)
    return float(average_precision_score(valid.labels, margins, sample_weight=valid.weights))
