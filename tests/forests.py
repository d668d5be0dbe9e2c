"""Trees fitted to drawn vectors, with XGBoost's own margins of all pairs."""

import numpy as np
import xgboost

from repurpose.classifier import trees
from repurpose.vectors.vectors import Vectors


def case(heads, tails, dim, seed, coarse=False, rounds=12, **options):
    """Vectors, trees that were fitted to some of their pairs, and XGBoost's margins of all."""
    rng = np.random.default_rng(seed)

    def draw(count):
        # Few distinct values: thresholds then lie on values, where < and <= differ.
        return (
            rng.integers(-3, 4, (count, dim)) * np.float32(0.1) if coarse else rng.normal(size=(count, dim))
        )

    vectors = Vectors(draw(heads).astype(np.float32), draw(tails).astype(np.float32), product=True)
    head, tail = rng.integers(0, heads, 3000), rng.integers(0, tails, 3000)
    rows = vectors.features(head, tail)
    labels = rows[:, 0] + rows[:, dim] + 2 * rows[:, 2 * dim :].sum(axis=1) + rng.normal(size=3000) > 0.5
    data = xgboost.QuantileDMatrix(rows, labels, max_bin=options.pop("max_bin", 256))
    parameters = {"objective": "binary:logistic", "max_depth": 6, "nthread": 1, **options}
    booster = xgboost.train(parameters, data, rounds)
    every = [each.ravel() for each in np.meshgrid(np.arange(heads), np.arange(tails))]
    margins = booster.inplace_predict(vectors.features(*every), predict_type="margin")
    return vectors, booster, margins.reshape(tails, heads)


def scored(vectors, forest):
    """The margins of all pairs by the compiled walk through the trees, (tails, heads)."""
    found = trees.scores(forest, trees.columns(vectors.heads), vectors.tails)
    return found[:, : len(vectors.heads)]
