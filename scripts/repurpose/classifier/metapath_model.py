"""Two models of pairs on metapaths and votes, which need no embeddings.

`metapaths`: boosted trees, one for lists of tails and one for lists of heads: how well the two fit, popular
nodes included. The first are fitted with negatives drawn uniformly among the heads of each known pair's tail,
the second with other tails of its head. `specificity`: a linear model,
fitted with negatives that are drawn in proportion to how many known pairs a head has, less the head's mean
score over tails: how much better a head fits this tail than other tails.

Both learn each known pair twice: with single pairs hidden, as for a new treatment of a tail with treatments,
and with all pairs of its tail hidden, as for a tail without any. So one model serves both kinds of tails.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import xgboost
from sklearn.linear_model import LogisticRegression

from repurpose.classifier import trees
from repurpose.metapaths import features
from repurpose.metapaths.features import PairFeatures, Pairs
from repurpose.metapaths.steps import Steps
from repurpose.pairs import unknown
from repurpose.pairs.pairs import Known

FOLDS = 4  # of known pairs, and of tails, that are hidden in turn
# Kinds of examples: known pairs, and negatives that keep the tail, that keep it and are as popular, and that
# keep the head.
KNOWN, OTHER_HEAD, MATCHED_HEAD, OTHER_TAIL = range(4)
NEGATIVES = {OTHER_HEAD: 20, MATCHED_HEAD: 10, OTHER_TAIL: 10}  # of each kind per known pair
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
    """Pairs to fit to: known pairs, and for each of them negatives with one of its ends.

    kind (n,): KNOWN and so on. source (n,): the number of the known pair that an example belongs to.
    """

    heads: np.ndarray
    tails: np.ndarray
    kind: np.ndarray
    source: np.ndarray

    def labelled(self, values: np.ndarray, negatives: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows (see `rows`) and labels of the known pairs and of one kind of negatives, in both views."""
        kind = np.tile(self.kind, 2)
        is_used = (kind == KNOWN) | (kind == negatives)
        return values[is_used], (kind[is_used] == KNOWN).astype(np.int8)


@dataclass(frozen=True)
class MetapathModel:
    """The two fitted models.

    booster: for lists of tails, None for a baseline that is only linear. head_booster: for lists of heads,
    None if they have the same as lists of tails. coefficients (features,), cuts (features,): of the
    linear model. head_means (heads,): mean score of each head by the linear model. All float32.
    """

    booster: xgboost.Booster | None
    head_booster: xgboost.Booster | None
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
        """Scores of features (f, m, heads) of some tails with all heads: (3, m, heads) float32.

        The first are the trees' margins for lists of tails, the second the specificity, the third the trees'
        margins for lists of heads.
        """
        specificity = self.linear(block) - self.head_means
        forest, head_forest = self.forests
        margins = trees.column_scores(forest, block) if forest else np.zeros_like(specificity)
        head_margins = trees.column_scores(head_forest, block) if head_forest else margins
        return np.stack([margins, specificity, head_margins])

    @cached_property
    def forests(self) -> tuple[trees.Forest | None, trees.Forest | None]:
        """The boosted trees for lists of tails and of heads, ready for `trees.column_scores`."""
        boosters = self.booster, self.head_booster
        return tuple(trees.read_columns(booster) if booster else None for booster in boosters)

    def contributions(self, rows: np.ndarray) -> np.ndarray:
        """How much each feature adds to scores for lists of tails: rows (n, f) -> float32 (2, n, f).

        Of the trees: Shapley values (Lundberg et al., "From local explanations to global understanding with
        explainable AI for trees", Nature Machine Intelligence 2020).
        """
        shapley = np.zeros_like(rows)
        if self.booster:
            shapley = self.booster.predict(xgboost.DMatrix(rows), pred_contribs=True)[:, :-1]
        return np.stack([shapley, np.clip(rows, -self.cuts, self.cuts) * self.coefficients])


def draw(
    known: Pairs,
    taken: Known,
    heads: int,
    rng: np.random.Generator,
    most: int = MOST_ROWS,
    negatives: Mapping[int, int] = NEGATIVES,
) -> Examples:
    """Known pairs and their negatives, unknown pairs (not in `taken`).

    known: (P,); those of at most MOST_TAILS tails become examples. heads: number of heads. most: about as
    many examples are drawn at most, with at least one negative of each kind per known pair. negatives: how
    many of each kind are drawn per known pair.

    OTHER_HEAD: any other heads of the known pair's tail. MATCHED_HEAD: other heads of the tail, drawn by how
    many known pairs they have. OTHER_TAIL: other tails of its head, among those that are learned from.
    """
    treated = np.unique(known[1])
    if len(treated) > MOST_TAILS:
        treated = np.sort(rng.permutation(treated)[:MOST_TAILS])
    learned = np.flatnonzero(np.isin(known[1], treated))
    fewer = min(1.0, most / (len(learned) * (1 + sum(negatives.values()))))
    sources, kinds = [learned], [np.full(len(learned), KNOWN)]
    for kind, count in negatives.items():
        sources.append(np.repeat(learned, max(1, round(fewer * count))))
        kinds.append(np.full(len(sources[-1]), kind))
    source, kind = np.concatenate(sources), np.concatenate(kinds).astype(np.int8)
    head, tail = (ends[source].astype(np.int32) for ends in known)
    drawn = {name: np.flatnonzero(kind == name) for name in NEGATIVES}
    head[drawn[OTHER_HEAD]] = rng.integers(0, heads, len(drawn[OTHER_HEAD]))
    head[drawn[MATCHED_HEAD]] = known[0][rng.integers(0, len(known[0]), len(drawn[MATCHED_HEAD]))]
    tail[drawn[OTHER_TAIL]] = treated[rng.integers(0, len(treated), len(drawn[OTHER_TAIL]))]
    kept = (kind == KNOWN) | ~unknown.is_known(taken, head, tail)
    return Examples(head[kept], tail[kept], kind[kept], source[kept])


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
    boosters = fit_boosters(examples, values, rng, threads)
    # If all heads with known pairs are known for their tails, other negatives have to do.
    kinds = [kind for kind in (MATCHED_HEAD, OTHER_HEAD, OTHER_TAIL) if (examples.kind == kind).any()]
    linear = fit_linear(*examples.labelled(values, next(iter(kinds), MATCHED_HEAD)))
    model = MetapathModel(*boosters, *linear, np.zeros(pair_features.sizes[0], np.float32))
    sample = np.sort(rng.permutation(pair_features.sizes[1])[:SAMPLED_TAILS])
    sums = pair_features.over_blocks(
        lambda block: model.linear(pair_features.block(block)).sum(axis=0, dtype=np.float64), sample
    )
    return replace(model, head_means=(sum(sums) / len(sample)).astype(np.float32))


def fit_boosters(
    examples: Examples, values: np.ndarray, rng: np.random.Generator, threads: int
) -> list[xgboost.Booster | None]:
    """Boosted trees for lists of tails and for lists of heads; None where there is no negative.

    values: the features of the examples (see `rows`).
    """
    return [
        boost(*examples.labelled(values, kind), rng, threads) if (examples.kind == kind).any() else None
        for kind in (OTHER_HEAD, OTHER_TAIL)
    ]


def boost(values: np.ndarray, labels: np.ndarray, rng: np.random.Generator, threads: int) -> xgboost.Booster:
    """Boosted trees on features (n, f) with labels (n,)."""
    data = xgboost.QuantileDMatrix(values, labels, max_bin=PARAMETERS["max_bin"], nthread=threads)
    return xgboost.train({**PARAMETERS, "seed": int(rng.integers(1 << 31)), "nthread": threads}, data, ROUNDS)


def fit_linear(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and cuts (f,) of a logistic regression on features (n, f) with labels (n,).

    Labels that are all the same say nothing: the coefficients are 0.
    """
    deviation = np.maximum(values.std(axis=0), 1e-6)
    if labels.all() or not labels.any():
        return np.zeros(values.shape[1], np.float32), (CUT * deviation).astype(np.float32)
    standardised = np.clip(values / deviation, -CUT, CUT)
    model = LogisticRegression(C=PENALTY, max_iter=1000).fit(standardised, labels)
    return (model.coef_[0] / deviation).astype(np.float32), (CUT * deviation).astype(np.float32)


@dataclass(frozen=True)
class FittedMetapaths:
    """A fitted model with the features that it reads; `features.known` are the pairs that it knows."""

    features: PairFeatures
    model: MetapathModel

    def on_graph(self, steps: Steps, tails: int) -> "FittedMetapaths":
        """The same model on a graph that has more tails (see `PairFeatures.on_graph`)."""
        return replace(self, features=self.features.on_graph(steps, tails))

    def scores(self, tails: np.ndarray) -> np.ndarray:
        """Scores of some tails (m,) with all heads: (3, m, heads) float32 (see `MetapathModel.scores`)."""
        _ = self.model.forests
        blocks = self.features.over_blocks(
            lambda block: self.model.scores(self.features.block(block)), np.asarray(tails)
        )
        return np.concatenate([np.zeros((3, 0, self.features.sizes[0]), np.float32), *blocks], axis=1)

    def of_pairs(self, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        """Scores of single pairs (n,): (3, n) float32; those of `scores`."""
        _ = self.model.forests
        return self.features.at_pairs(
            lambda block: self.model.scores(self.features.block(block)), heads, tails, 3
        )
