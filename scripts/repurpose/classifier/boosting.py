"""Fit the two parts of the pair model to examples: boosted trees and kernel ridge regression."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xgboost

from repurpose.classifier import ensemble, kernel
from repurpose.classifier.examples import Examples
from repurpose.config.sections import ClassifierSettings
from repurpose.core import streams
from repurpose.vectors.vectors import Vectors

# Coarse bins and a fifth of the columns per tree: 2.7 times as fast on Hetionet's pairs, no worse.
BINS = 64  # bins of a feature's values
COLUMNS = 0.2  # share of all columns that a tree may split on


def fit(
    vectors: Vectors,
    train: Examples,
    valid: Examples,
    settings: ClassifierSettings,
    seed: int,
    threads: int,
    member: int = 0,
) -> xgboost.Booster:
    """Train until the validation AUPRC has not risen for `patience` rounds; keep the best rounds.

    member: number of the ensemble member; each has its own columns (see `member_columns`).
    """
    columns = member_columns(vectors, settings.draws, seed, member)
    train_matrix = _matrix(vectors, train, columns, threads)
    booster = xgboost.train(
        _parameters(settings, seed, member, threads),
        train_matrix,
        settings.trees,
        evals=[(_matrix(vectors, valid, columns, threads, ref=train_matrix), "valid")],
        callbacks=[xgboost.callback.EarlyStopping(rounds=settings.patience, save_best=True, maximize=True)],
        verbose_eval=False,
    )
    return ensemble.on_columns(booster, columns, vectors.width)


def boost(
    vectors: Vectors,
    examples: Examples,
    rounds: int,
    settings: ClassifierSettings,
    seed: int,
    threads: int,
    member: int = 0,
) -> xgboost.Booster:
    """Train for a fixed number of rounds; `member` as in `fit`."""
    columns = member_columns(vectors, settings.draws, seed, member)
    parameters = _parameters(settings, seed, member, threads)
    booster = xgboost.train(parameters, _matrix(vectors, examples, columns, threads), rounds)
    return ensemble.on_columns(booster, columns, vectors.width)


def of_members(
    fit_member: Callable[[int, int], xgboost.Booster], draws: int, threads: int
) -> list[xgboost.Booster]:
    """The results of a function of (member, threads) for all members, several of which are fitted at a time.

    XGBoost gains little from a second thread on pairs like these, but members need not wait for one another.
    With two threads, three members at a time keep both busy.
    """
    at_a_time = 1 if threads == 1 else min(draws, threads + 1)
    with ThreadPoolExecutor(at_a_time) as pool:
        each = max(1, threads // at_a_time)
        return list(pool.map(lambda number: fit_member(number, each), range(draws)))


def member_columns(vectors: Vectors, draws: int, seed: int, member: int) -> np.ndarray:
    """The columns of the pair features that a member of `draws` reads, ascending; each has one member.

    XGBoost counts all columns of a matrix in each round, also those that a tree may not split on. So a round
    on a third of the 2,304 columns of Hetionet's pairs takes about half the time.
    """
    order = streams.generator(seed, "columns of the members").permutation(vectors.width)
    # With more members than columns, members share columns.
    return np.sort(order[member % min(draws, vectors.width) :: draws])


def fit_kernel(vectors: Vectors, examples: Examples, seed: int) -> kernel.Ridge:
    """Fit kernel ridge regression to the positive examples."""
    is_positive = examples.labels == 1
    positives = examples.heads[is_positive], examples.tails[is_positive]
    rng = streams.generator(seed, "nodes of the kernel")
    return kernel.fit(vectors.heads, vectors.tails, positives, rng, vectors.blocks)


def _matrix(
    vectors: Vectors, examples: Examples, columns: np.ndarray, threads: int, **options: Any
) -> xgboost.QuantileDMatrix:
    features = vectors.features(examples.heads, examples.tails, columns)
    options |= {"weight": examples.weights, "max_bin": BINS, "nthread": threads}
    return xgboost.QuantileDMatrix(features, examples.labels, **options)


def _parameters(settings: ClassifierSettings, seed: int, member: int, threads: int) -> dict[str, Any]:
    return {
        "objective": "binary:logistic",
        "eval_metric": "aucpr",
        "tree_method": "hist",
        "max_bin": BINS,
        "colsample_bytree": min(1.0, COLUMNS * settings.draws),
        "max_depth": settings.depth,
        "learning_rate": settings.learning_rate,
        "seed": streams.seed_of(seed, "columns of the trees", member),
        "nthread": threads,
    }
