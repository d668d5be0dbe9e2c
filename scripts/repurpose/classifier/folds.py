"""Folds of whole tails, or heads, that calibration holds out: the same for all models of a run."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from repurpose.core import streams
from repurpose.metapaths import features

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
    folds = min(FOLDS, treated[column].nunique())
    return Folds(column, features.folds_of_nodes(treated[column].to_numpy(), size, folds, rng), folds)
