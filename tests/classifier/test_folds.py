"""Folds of whole tails, or heads."""

import numpy as np
import pandas as pd

from repurpose.classifier import folds


def pairs(tails):
    return pd.DataFrame({"head_index": np.arange(len(tails)), "tail_index": tails, "label": 1})


def test_folds_of_tails_have_about_as_many_treatments():
    labelled = pairs(np.repeat(np.arange(10), np.arange(1, 11)))
    made = folds.make(labelled, (60, 12), 0)
    assert (made.column, made.count, len(made.of_node)) == ("tail_index", folds.FOLDS, 12)
    counts = [int(made.is_held_out(labelled, fold).sum()) for fold in range(folds.FOLDS)]
    assert sum(counts) == len(labelled) and max(counts) - min(counts) <= 9
    assert not np.array_equal(folds.make(labelled, (60, 12), 1).of_node, made.of_node)


def test_with_few_treated_tails_the_heads_are_held_out():
    labelled = pairs(np.repeat([0, 1, 2], 5))
    made = folds.make(labelled, (15, 12), 0)
    assert (made.column, made.count, len(made.of_node)) == ("head_index", folds.FOLDS, 15)
