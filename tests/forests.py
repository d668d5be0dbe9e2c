"""Trees fitted to random vectors, with the margins of all pairs that XGBoost itself computes."""

import numpy as np
import xgboost

from repurpose.classifier import trees
from repurpose.vectors.vectors import Vectors


def case(heads, tails, dim, seed, coarse=False, rounds=12, **options):
    """Random vectors, trees fitted to 3,000 of their pairs, and XGBoost's margins (tails, heads)."""
    generator = np.random.default_rng(seed)

    def draw(count):
        # With few distinct values, thresholds are equal to values, and < and <= differ.
        return (
            generator.integers(-3, 4, (count, dim)) * np.float32(0.1)
            if coarse
            else generator.normal(size=(count, dim))
        )

    vectors = Vectors(draw(heads).astype(np.float32), draw(tails).astype(np.float32), product=True)
    head, tail = generator.integers(0, heads, 3000), generator.integers(0, tails, 3000)
    rows = vectors.features(head, tail)
    labels = (
        rows[:, 0] + rows[:, dim] + 2 * rows[:, 2 * dim :].sum(axis=1) + generator.normal(size=3000) > 0.5
    )
    data = xgboost.QuantileDMatrix(rows, labels, max_bin=options.pop("max_bin", 256))
    parameters = {"objective": "binary:logistic", "max_depth": 6, "nthread": 1, **options}
    booster = xgboost.train(parameters, data, rounds)
    all_pairs = [grid.ravel() for grid in np.meshgrid(np.arange(heads), np.arange(tails))]
    margins = booster.inplace_predict(vectors.features(*all_pairs), predict_type="margin")
    return vectors, booster, margins.reshape(tails, heads)


def scored(vectors, forest):
    """The margins (tails, heads) of all pairs, computed by the compiled kernel `trees.scores`."""
    margins = trees.scores(forest, trees.columns(vectors.heads), vectors.tails)
    return margins[:, : len(vectors.heads)]
