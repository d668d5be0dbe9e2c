"""A planted set of labelled pairs and quick settings, for the tests of the models that score pairs."""

import numpy as np
import planted

from repurpose.classifier.list_weights import EMBEDDED, ListWeights
from repurpose.config.sections import ClassifierSettings
from repurpose.pairs import pairs
from repurpose.vectors.vectors import Vectors

SETTINGS = ClassifierSettings(
    draws=2,
    negatives_per_positive=6,
    trees=40,
    depth=4,
    learning_rate=0.2,
    patience=10,
    svd_dim=16,
    parts=["trees", "kernel", "metapaths", "specificity"],
    question="each",
    metapath_steps=4,
    metapaths_kept=24,
    evaluation_pairs=10**6,
)
SPLIT = {"schemes": ["random", "disease", "drug"], "valid_share": 0.1, "test_share": 0.2}


def weights(trees=1.0, kernel=0.0, sizes=(90, 70)):
    """The same weights of trees and kernel for all lists."""
    values = np.array([trees, kernel], np.float32)
    return ListWeights.of_lists(EMBEDDED, values, values, sizes)


def make(*, shuffled, seed=0):
    """Vectors, labelled pairs with a split per scheme, and known pairs, of 90 drugs and 70 diseases."""
    kg, rows = planted.repurposing(90, 70, shuffled=shuffled, seed=seed)
    labelled = pairs.split(pairs.label(kg, planted.TARGET), **SPLIT, seed=0)
    vectors = Vectors(rows["drug"], rows["disease"], product=True)
    return vectors, labelled, pairs.known(kg, "drug", "disease")
