"""The model of pairs over splits: fitted, evaluated, and fitted again to all pairs."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xgboost
from sklearn.metrics import average_precision_score

from repurpose.classifier import boosting, ensemble, kernel, pair_model
from repurpose.classifier.examples import Examples, asked_pools, make_examples, split_examples
from repurpose.classifier.pair_model import Model
from repurpose.config.sections import ClassifierSettings
from repurpose.evaluation import evaluation, popularity, ranks
from repurpose.pairs import external
from repurpose.pairs.pairs import ALL_SCHEMES, HELD_OUT, SCHEMES, Known
from repurpose.vectors.vectors import Vectors

log = logging.getLogger(__name__)

EXTERNAL = "external"  # the test that the pairs from elsewhere are


@dataclass(frozen=True)
class Task:
    """What a model of pairs is to learn, and what it is asked.

    The examples depend on all but the vectors: methods are compared on the same ones. pairs: labelled, a
    column per scheme. elsewhere: pairs that nothing learns from (see `external`).
    """

    vectors: Vectors
    pairs: pd.DataFrame
    known: Known
    settings: ClassifierSettings
    seed: int
    threads: int
    elsewhere: pd.DataFrame = field(default_factory=lambda: external.load(None))

    @property
    def sizes(self) -> tuple[int, int]:
        """Heads and tails."""
        return len(self.vectors.heads), len(self.vectors.tails)

    @cached_property
    def taken(self) -> Known:
        """The pairs that are no negatives: the known ones and those from elsewhere."""
        return external.add_to_known(self.known, self.elsewhere)


class Fit(NamedTuple):
    """A model that early stopping ended: rounds kept of each member, AUPRC on validation, test metrics.

    valid_auprc: of the kernel alone, and of each of its weights beside the trees, of which the best is
    kept. ranked: the pairs of the test and where they stand.
    """

    model: Model
    rounds: tuple[int, ...]
    valid: Examples
    valid_auprc: dict[str, float]
    ranked: ranks.Ranked
    metrics: dict[str, Any]


def evaluate_all(task: Task) -> dict[str, Fit]:
    """Scheme -> the model fitted to it and its metrics on the test pairs (see `evaluation.evaluate`).

    Where there are treatments from elsewhere, EXTERNAL is the final model's test.
    """
    fits = {scheme: _evaluate_scheme(task, scheme) for scheme in ALL_SCHEMES if scheme in task.pairs}
    if (task.elsewhere["label"] == 1).any():
        closest = _closest(fits)
        model = fit_final(task, closest.rounds, closest.model.weight)
        score = pair_model.scorer(model, task.vectors, task.threads)
        ranked = _ranked(task, score, task.elsewhere, _pools(task, EXTERNAL))
        metrics = evaluation.evaluate(ranked, None, task.seed)
        fits[EXTERNAL] = closest._replace(model=model, ranked=ranked, metrics=metrics)
    return fits


def fit_final(task: Task, rounds: Sequence[int], weight: float) -> Model:
    """Train on all pairs, none held out, for the `rounds` and with the `weight` that validation found.

    Each member has negatives of its own.
    """
    rng = np.random.default_rng([task.seed, len(SCHEMES)])
    pools = np.arange(task.sizes[0]), np.arange(task.sizes[1])
    examples = make_examples(task.pairs, task.taken, *pools, task.settings, rng)
    members = [
        boosting.boost(
            task.vectors, examples.of_draw(number), count, task.settings, task.seed + number, task.threads
        )
        for number, count in enumerate(rounds)
    ]
    return Model(ensemble.merged(members), boosting.fit_kernel(task.vectors, examples, task.seed), weight)


def refit(task: Task, fits: Mapping[str, Fit]) -> tuple[Model, tuple[int, ...]]:
    """The final model, with the rounds and the weight of the fit that is most like it.

    And how many trees each of its members has.
    """
    closest = _closest(fits)
    if EXTERNAL in fits:
        return fits[EXTERNAL].model, closest.rounds
    return fit_final(task, closest.rounds, closest.model.weight), closest.rounds


def effect_of_correction(task: Task, fits: Mapping[str, Fit]) -> dict[str, Any]:
    """Scheme -> what it does to the test's metrics to correct for heads that rank high everywhere."""
    found = {}
    for scheme, fit in fits.items():
        score = pair_model.scorer(fit.model, task.vectors, task.threads)
        # All trees as one member: only their sum is asked for.
        members = pair_model.members(fit.model, task.vectors, [sum(fit.rounds)])
        mean = popularity.means(lambda tails, of=members: of(tails)[0], task.sizes[1], task.seed)
        asked, pools = fit.ranked.frame[list(external.SCHEMA.names)], _pools(task, scheme)
        found[scheme] = popularity.effect(
            lambda each, asked=asked, pools=pools: _ranked(task, each, asked, pools),
            score,
            mean,
            fit.ranked,
            HELD_OUT.get(scheme),
            task.seed,
        )
    return found


def weighted(
    task: Task, booster: xgboost.Booster, ridge: kernel.Ridge, valid: Examples
) -> tuple[Model, dict[str, float]]:
    """Trees and kernel with the weight that has the best AUPRC on validation, and the AUPRC of each."""
    vectors, weights = task.vectors, task.settings.kernel_weights
    margins = pair_model.tree_scorer(booster, vectors, task.threads)(valid.heads, valid.tails)
    similar = kernel.scorer(ridge, vectors.heads, vectors.tails)(valid.heads, valid.tails)
    scores = {f"weight {weight:g}": pair_model.joined(margins, similar, weight) for weight in weights}
    auprc = {
        name: float(average_precision_score(valid.labels, found, sample_weight=valid.weights))
        for name, found in {**scores, "kernel": similar}.items()
    }
    best = max(weights, key=lambda weight: auprc[f"weight {weight:g}"])
    return Model(booster, ridge, float(best)), auprc


def _evaluate_scheme(task: Task, scheme: str) -> Fit:
    settings, vectors = task.settings, task.vectors
    train, valid = split_examples(task.pairs, scheme, task.taken, *task.sizes, settings, task.seed)
    members = [
        boosting.fit(vectors, train.of_draw(number), valid, settings, task.seed + number, task.threads)
        for number in range(settings.draws)
    ]
    ridge = boosting.fit_kernel(vectors, train, task.seed)
    model, auprc = weighted(task, ensemble.merged(members), ridge, valid)
    pools = _pools(task, scheme)
    asked = task.pairs[task.pairs[scheme] == "test"]
    # Non-treatments from elsewhere stand beside every test, where its heads and tails are asked for.
    beside = task.elsewhere[task.elsewhere["label"] == 0]
    inside = beside["head_index"].isin(pools[0]) & beside["tail_index"].isin(pools[1])
    score = pair_model.scorer(model, vectors, task.threads)
    ranked = _ranked(task, score, pd.concat([asked[beside.columns], beside[inside]]), pools)
    metrics = evaluation.evaluate(ranked, HELD_OUT.get(scheme), task.seed)
    rounds = tuple(member.num_boosted_rounds() for member in members)
    tested = (metrics["auprc"] or {}).get("value")
    log.info("%s: rounds %s, validation AUPRC %s, test AUPRC %s", scheme, rounds, auprc, tested)
    return Fit(model, rounds, valid, auprc, ranked, metrics)


def _ranked(
    task: Task, score: ranks.Scorer, asked: pd.DataFrame, pools: tuple[np.ndarray, np.ndarray]
) -> ranks.Ranked:
    limits = {"limit": task.settings.evaluation_pairs, "seed": task.seed}
    return ranks.rank(score, asked, task.taken, *pools, **limits)


def _pools(task: Task, scheme: str) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails that the test of a scheme is asked about."""
    if scheme == EXTERNAL:
        return np.arange(task.sizes[0]), np.arange(task.sizes[1])
    return asked_pools(task.pairs, scheme, "test", *task.sizes)


def _closest(fits: Mapping[str, Fit]) -> Fit:
    # The final model learns from pairs of all heads and tails, as the random scheme's does.
    return fits.get("random") or next(iter(fits.values()))
