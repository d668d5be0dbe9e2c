"""Stability: how much the ensemble members agree on the best pairs of the whole score matrix."""

from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import spearmanr

DEPTHS = (100, 1000, 10_000)  # lengths at which the lists of best pairs are compared


class StabilityCollector:
    """Collects the best pairs by the model and by each ensemble member."""

    def __init__(self, heads: int, depth: int = DEPTHS[-1]) -> None:
        self.heads, self.depth = heads, depth
        # For the model and for each member: codes of its best pairs (n,), and their scores by the model and
        # by all members (1 + members, n).
        self.lists: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, tails: np.ndarray, stack: np.ndarray, heads: np.ndarray | None) -> None:
        """Add the scores of a block of tails, without those for the lists of heads."""
        stack = np.delete(stack, 1, axis=0)
        columns = np.arange(self.heads) if heads is None else heads
        codes = (tails[:, None] * np.int64(self.heads) + columns).ravel()
        flat = stack.reshape(len(stack), -1)
        if not self.lists:
            self.lists = [(codes[:0], flat[:, :0]) for _ in stack]
        for number, (kept, scores) in enumerate(self.lists):
            limit = scores[number].min() if len(kept) == self.depth else -np.inf
            new = np.flatnonzero(flat[number] > limit)
            all_codes, values = np.append(kept, codes[new]), np.concatenate([scores, flat[:, new]], axis=1)
            best = np.argsort(-values[number], kind="stable")[: self.depth]
            self.lists[number] = all_codes[best], values[:, best]

    def add_listed(self, heads: np.ndarray) -> None:
        """Do nothing: stability is measured on all pairs, listed or not."""

    def summary(self) -> list[dict[str, Any]]:
        """Two measures, means over pairs of members, for each n in DEPTHS up to the number of pairs.

        commonality: share of the best n pairs that two members have in common. spearman: rank correlation of
        two members' scores of the model's best n pairs. Empty for a model of one member.
        """
        rows: list[dict[str, Any]] = []
        if len(self.lists) < 3:
            return rows
        model_scores = self.lists[0][1]
        for depth in (depth for depth in DEPTHS if depth <= model_scores.shape[1]):
            sets = [set(codes[:depth].tolist()) for codes, _ in self.lists[1:]]
            shared = [len(a & b) / depth for a, b in combinations(sets, 2)]
            related = [spearmanr(a, b).statistic for a, b in combinations(model_scores[1:, :depth], 2)]
            rows.append(
                {"n": depth, "commonality": float(np.mean(shared)), "spearman": float(np.mean(related))}
            )
        return rows
