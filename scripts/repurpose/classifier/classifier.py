"""Fit the pair model to the split of each scheme, evaluate it, and refit it to all pairs."""

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

EXTERNAL = "external"  # name of the test on the external pairs, next to the schemes


@dataclass(frozen=True)
class Task:
    """The input of a pair model: vectors, labelled pairs and settings.

    The examples do not depend on the vectors, so that methods are compared on the same examples. pairs:
    labelled pairs with one column per scheme. external_pairs: test pairs that are never used for training
    (see `external`). seed: of the negatives and the fits. evaluation_seed: of the test, None for `seed`. It
    draws the unknown pairs that the test pairs are ranked among, and the bootstrap; only methods with the
    same one can be compared pair by pair.
    """

    vectors: Vectors
    pairs: pd.DataFrame
    known: Known
    settings: ClassifierSettings
    seed: int
    threads: int
    external_pairs: pd.DataFrame = field(default_factory=lambda: external.load(None))
    evaluation_seed: int | None = None

    @property
    def test_seed(self) -> int:
        """The seed of the test: `evaluation_seed`, or else `seed`."""
        return self.seed if self.evaluation_seed is None else self.evaluation_seed

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of heads and of tails."""
        return len(self.vectors.heads), len(self.vectors.tails)

    @cached_property
    def taken(self) -> Known:
        """Pairs that may not be drawn as negatives: the known pairs and the external pairs."""
        return external.add_to_known(self.known, self.external_pairs)


class Fit(NamedTuple):
    """A model fitted to the training pairs of one scheme, with its metrics.

    rounds: number of trees of each member after early stopping. valid: validation examples. valid_auprc:
    validation AUPRC of the kernel alone, and of trees and kernel together for each kernel weight; `model`
    has the best weight. ranked: the test pairs with their ranks. metrics: on the test pairs.
    """

    model: Model
    rounds: tuple[int, ...]
    valid: Examples
    valid_auprc: dict[str, float]
    ranked: ranks.Ranked
    metrics: dict[str, Any]


def evaluate_all(task: Task) -> dict[str, Fit]:
    """Fit and test a model for each scheme; returns scheme -> fit (metrics: see `evaluation.evaluate`).

    If there are external treatments, the key EXTERNAL holds the final model, tested on the external pairs.
    """
    fits = {scheme: _evaluate_scheme(task, scheme) for scheme in ALL_SCHEMES if scheme in task.pairs}
    if (task.external_pairs["label"] == 1).any():
        reference = _reference_fit(fits)
        model = fit_final(task, reference.rounds, reference.model.weight)
        score = pair_model.scorer(model, task.vectors, task.threads)
        ranked = _ranked(task, score, task.external_pairs, _pools(task, EXTERNAL))
        metrics = evaluation.evaluate(ranked, None, task.test_seed)
        fits[EXTERNAL] = reference._replace(model=model, ranked=ranked, metrics=metrics)
    return fits


def fit_final(task: Task, rounds: Sequence[int], weight: float) -> Model:
    """Train on all labelled pairs, with the `rounds` and the kernel `weight` chosen on validation pairs.

    Each ensemble member has its own draw of random negatives.
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
    """The final model and the number of trees of each of its members.

    Rounds and kernel weight are those of the fit whose training pairs are most like all pairs.
    """
    reference = _reference_fit(fits)
    if EXTERNAL in fits:
        return fits[EXTERNAL].model, reference.rounds
    return fit_final(task, reference.rounds, reference.model.weight), reference.rounds


def effect_of_correction(task: Task, fits: Mapping[str, Fit]) -> dict[str, Any]:
    """Scheme -> the effect of the popularity correction on the test metrics (see `popularity.effect`)."""
    effects = {}
    for scheme, fit in fits.items():
        score = pair_model.scorer(fit.model, task.vectors, task.threads)
        # All trees count as one member, because only their sum is needed.
        members = pair_model.members(fit.model, task.vectors, [sum(fit.rounds)])
        mean = popularity.means(lambda tails, of=members: of(tails)[0], task.sizes[1], task.seed)
        test_pairs, pools = fit.ranked.frame[list(external.SCHEMA.names)], _pools(task, scheme)
        effects[scheme] = popularity.effect(
            lambda adjusted, pairs=test_pairs, pools=pools: _ranked(task, adjusted, pairs, pools),
            score,
            mean,
            fit.ranked,
            HELD_OUT.get(scheme),
            task.test_seed,
        )
    return effects


def choose_kernel_weight(
    task: Task, booster: xgboost.Booster, ridge: kernel.Ridge, valid: Examples
) -> tuple[Model, dict[str, float]]:
    """The model with the kernel weight of the best validation AUPRC, and the AUPRC of each weight."""
    vectors, weights = task.vectors, task.settings.kernel_weights
    margins = pair_model.tree_scorer(booster, vectors, task.threads)(valid.heads, valid.tails)
    kernel_scores = kernel.scorer(ridge, vectors.heads, vectors.tails)(valid.heads, valid.tails)
    scores = {f"weight {weight:g}": pair_model.joined(margins, kernel_scores, weight) for weight in weights}
    auprc = {
        name: float(average_precision_score(valid.labels, pair_scores, sample_weight=valid.weights))
        for name, pair_scores in {**scores, "kernel": kernel_scores}.items()
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
    model, auprc = choose_kernel_weight(task, ensemble.merged(members), ridge, valid)
    pools = _pools(task, scheme)
    test_pairs = task.pairs[task.pairs[scheme] == "test"]
    # External non-treatments join the test of every scheme if their head and tail are in its pools.
    non_treatments = task.external_pairs[task.external_pairs["label"] == 0]
    is_in_pools = non_treatments["head_index"].isin(pools[0]) & non_treatments["tail_index"].isin(pools[1])
    score = pair_model.scorer(model, vectors, task.threads)
    ranked = _ranked(
        task, score, pd.concat([test_pairs[non_treatments.columns], non_treatments[is_in_pools]]), pools
    )
    metrics = evaluation.evaluate(ranked, HELD_OUT.get(scheme), task.test_seed)
    rounds = tuple(member.num_boosted_rounds() for member in members)
    tested = (metrics["auprc"] or {}).get("value")
    log.info("%s: rounds %s, validation AUPRC %s, test AUPRC %s", scheme, rounds, auprc, tested)
    return Fit(model, rounds, valid, auprc, ranked, metrics)


def _ranked(
    task: Task, score: ranks.Scorer, test_pairs: pd.DataFrame, pools: tuple[np.ndarray, np.ndarray]
) -> ranks.Ranked:
    limits = {"limit": task.settings.evaluation_pairs, "seed": task.test_seed}
    return ranks.rank(score, test_pairs, task.taken, *pools, **limits)


def _pools(task: Task, scheme: str) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails whose pairs the test of a scheme ranks."""
    if scheme == EXTERNAL:
        return np.arange(task.sizes[0]), np.arange(task.sizes[1])
    return asked_pools(task.pairs, scheme, "test", *task.sizes)


def _reference_fit(fits: Mapping[str, Fit]) -> Fit:
    # The final model learns from pairs of all heads and tails; so does only the model of the random scheme.
    return fits.get("random") or next(iter(fits.values()))
