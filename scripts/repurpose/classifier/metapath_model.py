"""Two models of pairs on metapaths and votes, which need no embeddings.

`metapaths`: boosted trees, fitted with negatives drawn uniformly among the heads of each known pair's tail:
how well the two fit, popular heads included. `specificity`: a linear model,
fitted with negatives that are drawn in proportion to how many known pairs a head has, less the head's mean
score over tails: how much better a head fits this tail than other tails.

Both learn each known pair twice: with single pairs hidden, as for a new treatment of a tail with treatments,
and with all pairs of its tail hidden, as for a tail without any. So one model serves both kinds of tails.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import xgboost
from sklearn.linear_model import LogisticRegression

from repurpose.classifier import trees
from repurpose.metapaths import features
from repurpose.metapaths.features import PairFeatures, Pairs
from repurpose.pairs import unknown
from repurpose.pairs.pairs import Known

FOLDS = 4  # of known pairs, and of tails, that are hidden in turn
UNIFORM, MATCHED = 20, 10  # negatives of each kind per known pair
MOST_TAILS = 1500  # tails whose known pairs are learned from, at most: features cost by the tail
MOST_ROWS = 400_000  # pairs to fit to, at most: fewer negatives per known pair if there are many known pairs
ROUNDS, DEPTH, RATE, SUBSAMPLE, COLUMNS = 150, 4, 0.06, 0.7, 0.5
PARAMETERS = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": DEPTH,
    "learning_rate": RATE,
    "subsample": SUBSAMPLE,
    "colsample_bynode": COLUMNS,
    "max_bin": 64,
}
PENALTY = 0.1  # C of the logistic regression: the inverse of its penalty
CUT = 4.0  # standard deviations at which the linear model's features are cut: one rare walk must not decide
SAMPLED_TAILS = 500  # tails of which a head's mean score is taken


class Examples(NamedTuple):
    """Pairs to fit to: known pairs, and for each of them negatives with its tail.

    labels (n,): 1 for known pairs. is_matched (n,): negatives that are drawn by popularity. source (n,): the
    number of the known pair that an example belongs to.
    """

    heads: np.ndarray
    tails: np.ndarray
    labels: np.ndarray
    is_matched: np.ndarray
    source: np.ndarray


@dataclass(frozen=True)
class MetapathModel:
    """The two fitted models.

    booster: None for a baseline that is only linear. coefficients (features,), cuts (features,): of the
    linear model. head_means (heads,): mean score of each head by the linear model. All float32.
    """

    booster: xgboost.Booster | None
    coefficients: np.ndarray
    cuts: np.ndarray
    head_means: np.ndarray

    def linear(self, block: np.ndarray) -> np.ndarray:
        """The linear model's scores of features (f, ...), not less the heads' means: float32 (...)."""
        # Feature by feature, so that the sum of a pair does not depend on the other pairs.
        result = np.zeros(block.shape[1:], np.float32)
        for values, cut, coefficient in zip(block, self.cuts, self.coefficients, strict=True):
            result += coefficient * np.clip(values, -cut, cut)
        return result

    def scores(self, block: np.ndarray) -> np.ndarray:
        """Scores of features (f, m, heads) of some tails with all heads: (2, m, heads) float32.

        The first are the trees' margins, the second the specificity.
        """
        specificity = self.linear(block) - self.head_means
        margins = trees.column_scores(self.forest, block) if self.booster else np.zeros_like(specificity)
        return np.stack([margins, specificity])

    @cached_property
    def forest(self) -> trees.Forest | None:
        """The boosted trees, ready for `trees.column_scores`."""
        return trees.read_columns(self.booster) if self.booster else None

    def contributions(self, rows: np.ndarray) -> np.ndarray:
        """How much each feature adds to the two scores of pairs: rows (n, f) -> float32 (2, n, f).

        Of the trees: Shapley values (Lundberg et al., "From local explanations to global understanding with
        explainable AI for trees", Nature Machine Intelligence 2020).
        """
        shapley = self.booster.predict(xgboost.DMatrix(rows), pred_contribs=True)[:, :-1]
        return np.stack([shapley, np.clip(rows, -self.cuts, self.cuts) * self.coefficients])


def draw(known: Pairs, taken: Known, heads: int, rng: np.random.Generator, most: int = MOST_ROWS) -> Examples:
    """Known pairs and their negatives, unknown pairs (not in `taken`).

    known: (P,); those of at most MOST_TAILS tails become examples. heads: number of heads. most: about as
    many examples are drawn at most, with at least one negative of each kind per known pair.

    Uniform negatives are other heads of the known pair's tail. Negatives with other tails of its head would
    make the lists of heads better and those of tails worse. Matched negatives are other heads of the tail,
    drawn by how many known pairs they have.
    """
    treated = np.unique(known[1])
    if len(treated) > MOST_TAILS:
        treated = np.sort(rng.permutation(treated)[:MOST_TAILS])
    learned = np.flatnonzero(np.isin(known[1], treated))
    fewer = min(1.0, most / (len(learned) * (1 + UNIFORM + MATCHED)))
    counts = [max(1, round(fewer * count)) for count in (UNIFORM, MATCHED)]
    source = [learned, *(np.repeat(learned, count) for count in counts)]
    uniform = rng.integers(0, heads, len(source[1]))
    matched = known[0][rng.integers(0, len(known[0]), len(source[2]))]
    head = np.concatenate([known[0][learned], uniform, matched]).astype(np.int32)
    group = np.concatenate(source)
    tail = known[1][group].astype(np.int32)
    is_negative = np.arange(len(head)) >= len(learned)
    kept = ~is_negative | ~unknown.is_known(taken, head, tail)
    is_matched = np.repeat([False, False, True], [len(part) for part in source])
    return Examples(
        head[kept], tail[kept], (~is_negative[kept]).astype(np.int8), is_matched[kept], group[kept]
    )


def rows(pair_features: PairFeatures, examples: Examples, rng: np.random.Generator) -> np.ndarray:
    """The features of examples in both views, one view after the other: float32 (2 n, features).

    In the first view a known pair and its negatives are seen without a fold of single known pairs, in the
    second without the known pairs of a fold of tails.
    """
    known, tails = pair_features.known, pair_features.sizes[1]
    fold_of_pair = features.folds_of_pairs(known, FOLDS, rng)
    fold_of_tail = features.folds_of_nodes(known[1], tails, FOLDS, rng)
    hidden = [fold_of_pair == fold for fold in range(FOLDS)]
    hidden += [fold_of_tail[known[1]] == fold for fold in range(FOLDS)]
    fold = np.concatenate([fold_of_pair[examples.source], FOLDS + fold_of_tail[examples.tails]])
    pairs = np.tile(examples.heads, 2), np.tile(examples.tails, 2)
    return features.of_pairs(pair_features, pairs, hidden, fold)


def fit(pair_features: PairFeatures, taken: Known, rng: np.random.Generator, threads: int) -> MetapathModel:
    """Fit both models to the known pairs of `pair_features`; taken: pairs that may not be negatives."""
    examples = draw(pair_features.known, taken, pair_features.sizes[0], rng)
    values = rows(pair_features, examples, rng)
    labels, is_matched = np.tile(examples.labels, 2), np.tile(examples.is_matched, 2)
    booster = boost(values[~is_matched], labels[~is_matched], rng, threads)
    coefficients, cuts = fit_linear(values, labels, is_matched)
    model = MetapathModel(booster, coefficients, cuts, np.zeros(pair_features.sizes[0], np.float32))
    sample = np.sort(rng.permutation(pair_features.sizes[1])[:SAMPLED_TAILS])
    sums = pair_features.over_blocks(
        lambda block: model.linear(pair_features.block(block)).sum(axis=0, dtype=np.float64), sample
    )
    return replace(model, head_means=(sum(sums) / len(sample)).astype(np.float32))


def boost(values: np.ndarray, labels: np.ndarray, rng: np.random.Generator, threads: int) -> xgboost.Booster:
    """Boosted trees on features (n, f) with labels (n,)."""
    data = xgboost.QuantileDMatrix(values, labels, max_bin=PARAMETERS["max_bin"], nthread=threads)
    return xgboost.train({**PARAMETERS, "seed": int(rng.integers(1 << 31)), "nthread": threads}, data, ROUNDS)


def fit_linear(
    values: np.ndarray, labels: np.ndarray, is_negative: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and cuts (f,) of a logistic regression of known pairs against the negatives of a mask."""
    is_used = is_negative | (labels == 1)
    deviation = np.maximum(values[is_used].std(axis=0), 1e-6)
    standardised = np.clip(values[is_used] / deviation, -CUT, CUT)
    model = LogisticRegression(C=PENALTY, max_iter=1000).fit(standardised, labels[is_used])
    return (model.coef_[0] / deviation).astype(np.float32), (CUT * deviation).astype(np.float32)


@dataclass(frozen=True)
class FittedMetapaths:
    """A fitted model with the features that it reads; `features.known` are the pairs that it knows."""

    features: PairFeatures
    model: MetapathModel

    def scores(self, tails: np.ndarray) -> np.ndarray:
        """Scores of some tails (m,) with all heads: (2, m, heads) float32 (see `MetapathModel.scores`)."""
        _ = self.model.forest
        blocks = self.features.over_blocks(
            lambda block: self.model.scores(self.features.block(block)), np.asarray(tails)
        )
        return np.concatenate([np.zeros((2, 0, self.features.sizes[0]), np.float32), *blocks], axis=1)

    def of_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """Scores of single pairs (n,): (2, n) float32; those of `scores`."""
        _ = self.model.forest
        return self.features.at_pairs(
            lambda block: self.model.scores(self.features.block(block)), heads, tails, 2
        )
