"""XGBoost and kernel ridge regression on pairs of node vectors: early stopping, metrics, the final fit."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xgboost
from sklearn.metrics import average_precision_score

from repurpose import calibration, ensemble, evaluation, kernel, pair_model, ranks, unknown
from repurpose.examples import Examples, Settings, asked_pools, make_examples, split_examples
from repurpose.pair_model import Model
from repurpose.pairs import GROUPED_BY, SCHEMES, Known
from repurpose.vectors import Vectors, count_pairs

log = logging.getLogger(__name__)

BINS = 64  # of a feature's values


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


def evaluate_all(
    vectors: Vectors, pairs: pd.DataFrame, known: Known, settings: Settings, seed: int, threads: int
) -> dict[str, Fit]:
    """Scheme -> the model fitted to it and its metrics on the test pairs (see `evaluation.evaluate`).

    The examples depend on the pairs, the settings and the seed, not on the vectors: methods are
    compared on the same ones.
    """
    return {
        scheme: _evaluate_scheme(vectors, pairs, scheme, known, settings, seed, threads)
        for scheme in SCHEMES
        if scheme in pairs
    }


def fit_final(
    vectors: Vectors,
    pairs: pd.DataFrame,
    known: Known,
    rounds: Sequence[int],
    weight: float,
    settings: Settings,
    seed: int,
    threads: int,
) -> Model:
    """Train on all pairs, none held out, for the `rounds` and with the `weight` that validation found.

    Each member has negatives of its own.
    """
    rng = np.random.default_rng([seed, len(SCHEMES)])
    pools = np.arange(len(vectors.heads)), np.arange(len(vectors.tails))
    examples = make_examples(pairs, known, *pools, settings, rng)
    members = [
        boost(vectors, examples.of_draw(number), count, settings, seed + number, threads)
        for number, count in enumerate(rounds)
    ]
    return Model(ensemble.merged(members), fit_kernel(vectors, examples, seed), weight)


def boost(
    vectors: Vectors, examples: Examples, rounds: int, settings: Settings, seed: int, threads: int
) -> xgboost.Booster:
    """Train for a fixed number of rounds."""
    return xgboost.train(_parameters(settings, seed, threads), _matrix(vectors, examples, threads), rounds)


def fit_kernel(vectors: Vectors, examples: Examples, seed: int) -> kernel.Ridge:
    """Kernel ridge regression on the positives among the examples."""
    is_positive = examples.labels == 1
    positives = examples.heads[is_positive], examples.tails[is_positive]
    rng = np.random.default_rng([seed, len(SCHEMES) + 1])
    return kernel.fit(vectors.heads, vectors.tails, positives, rng)


def refit(
    fits: dict[str, Fit],
    vectors: Vectors,
    pairs: pd.DataFrame,
    known: Known,
    settings: Settings,
    seed: int,
    threads: int,
) -> tuple[Model, tuple[int, ...]]:
    """The final model: on all pairs, with the rounds and the weight of the fit that is most like it.

    And how many trees each of its members has.
    """
    # The final model learns from pairs of all heads and tails, as the random scheme's does.
    closest = fits.get("random") or next(iter(fits.values()))
    found = closest.rounds, closest.model.weight
    return fit_final(vectors, pairs, known, *found, settings, seed, threads), closest.rounds


def calibrated(
    fits: dict[str, Fit],
    vectors: Vectors,
    pairs: pd.DataFrame,
    known: Known,
    settings: Settings,
    seed: int,
    threads: int,
) -> dict[str, Any]:
    """How margins become probabilities, from tails that no model has seen where there are such.

    Fitted to validation pairs of the disease scheme, or of the first there is, with the share of positives
    of the whole matrix. `reliability`: how far it can be believed, on the scheme's test pairs and
    random unknown pairs of its tails, with their own share of positives.
    """
    scheme = "disease" if "disease" in fits else next(iter(fits))
    fit, counts = fits[scheme], count_pairs(vectors, pairs, known)
    score = pair_model.scorer(fit.model, vectors, threads)
    prevalence = counts["positives"] / (counts["positives"] + counts["unknown"])
    valid = fit.valid
    # Known negatives are no sample of the unknown pairs; they stand in where none is left to draw.
    kept = (valid.labels == 1) | (valid.is_drawn if valid.is_drawn.any() else valid.labels == 0)
    margins, labels, tails = (
        each[kept] for each in (score(valid.heads, valid.tails), valid.labels, valid.tails)
    )
    trained = float(np.average(valid.labels, weights=valid.weights))
    found = calibration.calibrate(margins, labels, tails, prevalence, trained, seed)
    pools = asked_pools(pairs, scheme, "test", len(vectors.heads), len(vectors.tails))
    rng = np.random.default_rng([seed, len(SCHEMES) + 2])
    drawn = unknown.draw(known, *pools, settings.evaluation_pairs // 4, rng)
    asked = fit.ranked.frame["score"][fit.ranked.frame["label"] == 1].to_numpy()
    if not len(asked) or not len(drawn[0]):
        return {**found, "scheme": scheme, "reliability": None}
    weight = unknown.count(known, *pools) / len(drawn[0])
    return {
        **found,
        "scheme": scheme,
        "reliability": calibration.reliability(
            np.concatenate([asked, score(*drawn)]),
            np.repeat([1, 0], [len(asked), len(drawn[0])]),
            np.repeat([1.0, weight], [len(asked), len(drawn[0])]),
            found,
        ),
    }


def _evaluate_scheme(
    vectors: Vectors,
    pairs: pd.DataFrame,
    scheme: str,
    known: Known,
    settings: Settings,
    seed: int,
    threads: int,
) -> Fit:
    sizes = len(vectors.heads), len(vectors.tails)
    train, valid = split_examples(pairs, scheme, known, *sizes, settings, seed)
    members = [
        fit(vectors, train.of_draw(number), valid, settings, seed + number, threads)
        for number in range(settings.draws)
    ]
    booster = ensemble.merged(members)
    model, auprc = weighted(booster, fit_kernel(vectors, train, seed), vectors, valid, settings, threads)
    test, pools = pairs[pairs[scheme] == "test"], asked_pools(pairs, scheme, "test", *sizes)
    limits = {"limit": settings.evaluation_pairs, "seed": seed}
    ranked = ranks.rank(pair_model.scorer(model, vectors, threads), test, known, *pools, **limits)
    metrics = evaluation.evaluate(ranked, GROUPED_BY.get(scheme), seed)
    rounds = tuple(member.num_boosted_rounds() for member in members)
    tested = (metrics["auprc"] or {}).get("value")
    log.info("%s: rounds %s, validation AUPRC %s, test AUPRC %s", scheme, rounds, auprc, tested)
    return Fit(model, rounds, valid, auprc, ranked, metrics)


def weighted(
    booster: xgboost.Booster,
    ridge: kernel.Ridge,
    vectors: Vectors,
    valid: Examples,
    settings: Settings,
    threads: int,
) -> tuple[Model, dict[str, float]]:
    """Trees and kernel with the weight that has the best AUPRC on validation, and the AUPRC of each."""
    margins = pair_model.tree_scorer(booster, vectors, threads)(valid.heads, valid.tails)
    similar = kernel.scorer(ridge, vectors.heads, vectors.tails)(valid.heads, valid.tails)
    scores = {f"weight {w:g}": pair_model.joined(margins, similar, w) for w in settings.kernel_weights}
    auprc = {
        name: float(average_precision_score(valid.labels, found, sample_weight=valid.weights))
        for name, found in {**scores, "kernel": similar}.items()
    }
    best = max(settings.kernel_weights, key=lambda weight: auprc[f"weight {weight:g}"])
    return Model(booster, ridge, float(best)), auprc


def fit(
    vectors: Vectors, train: Examples, valid: Examples, settings: Settings, seed: int, threads: int
) -> xgboost.Booster:
    """Train until the validation AUPRC has not risen for `patience` rounds; the best rounds are kept."""
    data = _matrix(vectors, train, threads)
    return xgboost.train(
        _parameters(settings, seed, threads),
        data,
        settings.trees,
        evals=[(_matrix(vectors, valid, threads, ref=data), "valid")],
        callbacks=[xgboost.callback.EarlyStopping(rounds=settings.patience, save_best=True, maximize=True)],
        verbose_eval=False,
    )


def _matrix(vectors: Vectors, examples: Examples, threads: int, **options: Any) -> xgboost.QuantileDMatrix:
    rows = vectors.features(examples.heads, examples.tails)
    options |= {"weight": examples.weights, "max_bin": BINS, "nthread": threads}
    return xgboost.QuantileDMatrix(rows, examples.labels, **options)


def _parameters(settings: Settings, seed: int, threads: int) -> dict[str, Any]:
    return {
        "objective": "binary:logistic",
        "eval_metric": "aucpr",
        "tree_method": "hist",
        # Coarser bins and fewer columns to a tree: 2.7 times as fast on Hetionet's pairs, no worse.
        "max_bin": BINS,
        "colsample_bytree": 0.2,
        "max_depth": settings.depth,
        "learning_rate": settings.learning_rate,
        "seed": seed,
        "nthread": threads,
    }
