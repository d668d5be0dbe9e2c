"""How much the members of a model agree on the best pairs of the whole matrix."""

from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import spearmanr

DEPTHS = (100, 1000, 10_000)  # pairs of a list that are compared


class Stability:
    """A listener that keeps the best pairs of the model and of each of its members."""

    def __init__(self, heads: int, depth: int = DEPTHS[-1]) -> None:
        self.heads, self.depth = heads, depth
        # Of each list: codes of pairs, (n,), and the scores of all lists there, (lists, n).
        self.lists: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, tails: np.ndarray, stack: np.ndarray, heads: np.ndarray | None) -> None:
        """Take in the scores of some tails."""
        columns = np.arange(self.heads) if heads is None else heads
        codes = (tails[:, None] * np.int64(self.heads) + columns).ravel()
        flat = stack.reshape(len(stack), -1)
        if not self.lists:
            self.lists = [(codes[:0], flat[:, :0]) for _ in stack]
        for at, (kept, scores) in enumerate(self.lists):
            limit = scores[at].min() if len(kept) == self.depth else -np.inf
            new = np.flatnonzero(flat[at] > limit)
            both, values = np.append(kept, codes[new]), np.concatenate([scores, flat[:, new]], axis=1)
            best = np.argsort(-values[at], kind="stable")[: self.depth]
            self.lists[at] = both[best], values[:, best]

    def hear(self, heads: np.ndarray) -> None:
        """What is listed is of no matter here."""

    def summary(self) -> list[dict[str, Any]]:
        """For each of DEPTHS that there are pairs for: two measures, means over pairs of members.

        `commonality`: share of the best n pairs that two members have in common; `spearman`: correlation of
        their ranks of the model's own best n pairs. Empty where the model has one member.
        """
        found: list[dict[str, Any]] = []
        if len(self.lists) < 3:
            return found
        own = self.lists[0][1]
        for depth in (each for each in DEPTHS if each <= own.shape[1]):
            sets = [set(codes[:depth].tolist()) for codes, _ in self.lists[1:]]
            shared = [len(a & b) / depth for a, b in combinations(sets, 2)]
            related = [spearmanr(a, b).statistic for a, b in combinations(own[1:, :depth], 2)]
            found.append(
                {"n": depth, "commonality": float(np.mean(shared)), "spearman": float(np.mean(related))}
            )
        return found
