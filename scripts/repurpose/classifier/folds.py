"""Folds of whole tails, or heads, that calibration holds out: the same for all models of a run."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from repurpose.core import streams

FOLDS = 4
SIDES = ("head_index", "tail_index")


class Folds(NamedTuple):
    """The fold of each node of the side that is held out: "head_index" or "tail_index".

    of_node (nodes,). count: number of folds.
    """

    column: str
    of_node: np.ndarray
    count: int

    def is_held_out(self, pairs: pd.DataFrame, fold: int) -> np.ndarray:
        """Which rows of a table of pairs belong to nodes of a fold."""
        return self.of_node[pairs[self.column].to_numpy()] == fold


def make(pairs: pd.DataFrame, sizes: tuple[int, int], seed: int) -> Folds:
    """Folds of tails, or of heads if fewer than FOLDS tails have a known treatment.

    pairs: labelled pairs. sizes: number of heads and of tails.
    """
    rng = streams.generator(seed, "folds of the calibration")
    treated = pairs[pairs["label"] == 1]
    column = "tail_index" if treated["tail_index"].nunique() >= FOLDS else "head_index"
    size = sizes[SIDES.index(column)]
    count = np.bincount(treated[column], minlength=size)
    folds = min(FOLDS, int((count > 0).sum()))
    of_node = np.empty(size, np.int64)
    # Nodes are assigned in the order of their number of treatments, so that all folds have about as many.
    of_node[np.argsort(-(count + rng.random(size)), kind="stable")] = np.arange(size) % folds
    return Folds(column, of_node, folds)
