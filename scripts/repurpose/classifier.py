"""XGBoost on pairs of node vectors: early stopping, metrics per scheme, the final fit, the model file."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xgboost

from repurpose import files
from repurpose.calibration import calibrate
from repurpose.errors import InputError
from repurpose.evaluation import Scorer, evaluate
from repurpose.examples import Examples, Settings, make_examples, split_examples
from repurpose.pairs import SCHEMES, Known

log = logging.getLogger(__name__)

# Values of a feature matrix built at once for scoring: 128 MB of float32.
BLOCK_VALUES = 1 << 25
BINS = 64  # of a feature's values


@dataclass(frozen=True)
class Vectors:
    """Vectors of the head type (heads, d) and of the tail type (tails, e), float32.

    `product` adds head x tail, element by element, to the features; then d = e. Raises InputError
    if d + e is 0, which only degree features can be.
    """

    heads: np.ndarray
    tails: np.ndarray
    product: bool

    def __post_init__(self) -> None:
        if not self.heads.shape[1] + self.tails.shape[1]:
            raise InputError(
                "the graph has no message relation at target.head_type or target.tail_type: nothing is known "
                "of these nodes to learn from; use a graph with more relations"
            )

    def features(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """Rows [head, tail, head x tail] of the pairs: float32 (pairs, d + e or 3 d)."""
        left, right = self.heads.shape[1], self.tails.shape[1]
        rows = np.empty((len(heads), left + right + (left if self.product else 0)), np.float32)
        rows[:, :left] = self.heads[heads]
        rows[:, left : left + right] = self.tails[tails]
        if self.product:
            np.multiply(rows[:, :left], rows[:, left : 2 * left], out=rows[:, 2 * left :])
        return rows


class Fit(NamedTuple):
    """A model that early stopping ended: rounds kept, AUPRC on the validation examples, test metrics."""

    booster: xgboost.Booster
    rounds: int
    valid: Examples
    valid_auprc: float
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
    rounds: int,
    settings: Settings,
    seed: int,
    threads: int,
) -> xgboost.Booster:
    """Train on all pairs, none held out, for the `rounds` that early stopping found."""
    rng = np.random.default_rng([seed, len(SCHEMES)])
    pools = np.arange(len(vectors.heads)), np.arange(len(vectors.tails))
    return boost(vectors, make_examples(pairs, known, *pools, settings, rng), rounds, settings, seed, threads)


def boost(
    vectors: Vectors, examples: Examples, rounds: int, settings: Settings, seed: int, threads: int
) -> xgboost.Booster:
    """Train for a fixed number of rounds."""
    return xgboost.train(_parameters(settings, seed, threads), _matrix(vectors, examples, threads), rounds)


def refit(
    fits: dict[str, Fit],
    vectors: Vectors,
    pairs: pd.DataFrame,
    known: Known,
    settings: Settings,
    seed: int,
    threads: int,
) -> tuple[xgboost.Booster, dict[str, float]]:
    """The final model, and the calibration of its margins to the share of positives in the whole matrix."""
    # The final model learns from pairs of all heads and tails, as the random scheme's does.
    closest = fits.get("random") or next(iter(fits.values()))
    counts = count_pairs(vectors, pairs, known)
    prevalence = counts["positives"] / (counts["positives"] + counts["unknown"])
    calibration = calibrate_fit(closest, vectors, prevalence, threads)
    return fit_final(vectors, pairs, known, closest.rounds, settings, seed, threads), calibration


def scorer(booster: xgboost.Booster, vectors: Vectors, threads: int) -> Scorer:
    """Margins (log-odds, float32) of pairs, from features built a bounded block at a time."""
    booster.set_param({"nthread": threads})
    step = max(1, BLOCK_VALUES // max(booster.num_features(), 1))

    def score(heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        margins = np.empty(len(heads), np.float32)
        for start in range(0, len(heads), step):
            part = slice(start, start + step)
            rows = vectors.features(heads[part], tails[part])
            margins[part] = booster.inplace_predict(rows, predict_type="margin")
        return margins

    return score


def calibrate_fit(fit: Fit, vectors: Vectors, prevalence: float, threads: int) -> dict[str, float]:
    """Calibration of a fit's margins: its validation positives against random unknown pairs.

    `prevalence` is the share of positives to expect among all pairs that are scored.
    """
    valid = fit.valid
    margins = scorer(fit.booster, vectors, threads)(valid.heads, valid.tails)
    # Known negatives are no sample of the unknown pairs; they stand in where none is left to draw.
    is_negative = valid.is_drawn if valid.is_drawn.any() else valid.labels == 0
    trained = float(np.average(valid.labels, weights=valid.weights))
    return calibrate(margins[valid.labels == 1], margins[is_negative], prevalence, trained)


def count_pairs(vectors: Vectors, pairs: pd.DataFrame, known: Known) -> dict[str, int]:
    """Counts of the pairs; those without embedding have a head or tail whose vector is zero throughout."""
    absent = ~vectors.heads.any(axis=1)[pairs["head_index"]] | ~vectors.tails.any(axis=1)[pairs["tail_index"]]
    return {
        "positives": int((pairs["label"] == 1).sum()),
        "negatives": int((pairs["label"] == 0).sum()),
        "known": len(known.heads),
        "unknown": len(vectors.heads) * len(vectors.tails) - len(known.heads),
        "pairs_without_embedding": int(absent.sum()),
    }


def save(booster: xgboost.Booster, path: str | Path) -> None:
    """Write the model as UBJSON."""
    with files.replacing(path) as temporary:
        temporary.write_bytes(booster.save_raw("ubj"))


def load(path: str | Path, digest: str) -> xgboost.Booster:
    """Read a model; raises InputError if the file is missing or its SHA-256 is not `digest`.

    XGBoost ends the whole process on some damaged files: it must not be asked to read one.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise _not_the_model(path, error.strerror or "unreadable") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise _not_the_model(path, "its digest is not the one in its metrics file")
    booster = xgboost.Booster()
    booster.load_model(bytearray(content))
    return booster


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
    booster = fit(vectors, train, valid, settings, seed, threads)
    test = pairs[(pairs[scheme] == "test") & (pairs["label"] == 1)]
    ends = (test[name].to_numpy() for name in ("head_index", "tail_index"))
    limits = {"limit": settings.evaluation_pairs, "seed": seed}
    metrics = evaluate(scorer(booster, vectors, threads), *ends, known, *sizes, **limits)
    rounds, auprc = booster.num_boosted_rounds(), float(booster.best_score)
    tested = (metrics["auprc"] or {}).get("value")
    log.info("%s: %d rounds, validation AUPRC %.4f, test AUPRC %s", scheme, rounds, auprc, tested)
    return Fit(booster, rounds, valid, auprc, metrics)


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


def _not_the_model(path: str | Path, reason: str) -> InputError:
    return InputError(
        f"{path} is not the model that was trained ({reason}); rebuild it with: "
        f"snakemake --cores 8 --forcerun {path}"
    )
