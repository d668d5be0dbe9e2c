"""Better settings of the trees, looked for on validation pairs in a given number of trials."""

import logging
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score

from repurpose.classifier import boosting, pair_model
from repurpose.classifier.classifier import Task
from repurpose.classifier.examples import Examples, split_examples
from repurpose.config.sections import ClassifierSettings
from repurpose.pairs.pairs import ALL_SCHEMES

log = logging.getLogger(__name__)

DEPTHS = (2, 9)  # from, to
RATES = (0.02, 0.4)  # of learning, drawn evenly on a logarithmic scale
NEGATIVES = (5, 80)  # per positive, alike
SEARCHED = ("depth", "learning_rate", "negatives_per_positive")


class Found(NamedTuple):
    """The best settings, and every trial: its settings and its AUPRC on the validation pairs."""

    settings: ClassifierSettings
    trials: list[dict[str, Any]]


def search(task: Task) -> Found:
    """Compare `search_trials` settings: the task's own first, the others drawn at random by its seed.

    Each trial is a single model on the training pairs of the first scheme, judged by the AUPRC of its
    validation pairs, the same for all; of equals the first is kept. The test pairs are not looked at. Without
    trials the task's own settings are the best.
    """
    count = task.settings.search_trials
    if not count:
        return Found(task.settings, [])
    scheme = next(scheme for scheme in ALL_SCHEMES if scheme in task.pairs)
    rng = np.random.default_rng([task.seed, len(ALL_SCHEMES)])
    _, valid = split_examples(task.pairs, scheme, task.taken, *task.sizes, task.settings, task.seed)
    tried = [task.settings, *(_drawn(task.settings, rng) for _ in range(count - 1))]
    auprc = [_valid_auprc(replace(task, settings=settings), scheme, valid) for settings in tried]
    log.info("%d settings tried, validation AUPRC %s", count, auprc)
    trials = [
        {**{name: getattr(settings, name) for name in SEARCHED}, "valid_auprc": value}
        for settings, value in zip(tried, auprc, strict=True)
    ]
    return Found(tried[int(np.argmax(auprc))], trials)


def _drawn(settings: ClassifierSettings, rng: np.random.Generator) -> ClassifierSettings:
    return replace(
        settings,
        depth=int(rng.integers(DEPTHS[0], DEPTHS[1] + 1)),
        learning_rate=float(np.exp(rng.uniform(*np.log(RATES)))),
        negatives_per_positive=round(float(np.exp(rng.uniform(*np.log(NEGATIVES))))),
    )


def _valid_auprc(task: Task, scheme: str, valid: Examples) -> float:
    train, _ = split_examples(task.pairs, scheme, task.taken, *task.sizes, task.settings, task.seed)
    booster = boosting.fit(task.vectors, train.of_draw(0), valid, task.settings, task.seed, task.threads)
    margins = pair_model.tree_scorer(booster, task.vectors, task.threads)(valid.heads, valid.tails)
    return float(average_precision_score(valid.labels, margins, sample_weight=valid.weights))
