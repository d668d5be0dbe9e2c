"""How much the members of an ensemble agree on the best pairs of the whole score matrix."""

from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import spearmanr

DEPTHS = (100, 1000, 10_000)  # lengths at which the lists of best pairs are compared


class StabilityCollector:
    """A collector of the best pairs by the model and by each of its members."""

    def __init__(self, heads: int, depth: int = DEPTHS[-1]) -> None:
        self.heads, self.depth = heads, depth
        # Per list: codes of its pairs (n,), and the scores that all lists give them, (lists, n).
        self.lists: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, tails: np.ndarray, stack: np.ndarray, heads: np.ndarray | None) -> None:
        """Take in the scores of a block of tails."""
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
        """Not used: stability counts all pairs, whether or not they are listed."""

    def summary(self) -> list[dict[str, Any]]:
        """Two measures, means over pairs of members, at each of DEPTHS that there are enough pairs for.

        `commonality`: share of the best n pairs that two members have in common; `spearman`: correlation of
        their scores of the model's best n pairs. Empty for a model of one member.
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
