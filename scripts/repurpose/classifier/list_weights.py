"""Weights of a model's parts in the score, one set for each kind of list.

Which heads suit a tail with known pairs is another question than which suit a tail without any: popularity
and similar treatments tell more about the first, metapaths more about the second. So each kind of list has
weights of its own, chosen where the question is asked: on validation pairs, within each list.

In the list of a tail without known pairs, the parts that read embeddings count less a share of their head's
mean over all tails: heads with many known pairs score high by these parts for nearly every such tail, and
would fill its list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

PARTS = ("trees", "kernel", "metapaths", "specificity")
EMBEDDED = ("trees", "kernel")  # the parts that read embeddings
KINDS = ("untreated_tail", "treated_tail", "untreated_head", "treated_head")
# The weights from which a choice starts. Validation pairs are few, so a choice stays near them. They are good
# for all four kinds of lists of Hetionet's validation pairs; within a factor of two, none is much better.
PRIOR = {"trees": 0.25, "kernel": 1.6, "metapaths": 0.5, "specificity": 0.4}
# Without metapaths the kernel takes the larger part too (on Hetionet, lists are best from 1:4 up).
EMBEDDED_PRIOR = {"trees": 0.25, "kernel": 1.0}
SHARE = 0.5  # of a head's mean by the embedded parts, which the lists of untreated tails are without
PENALTY = 20.0  # validation pairs that the prior counts as, about
RANGE = 0.0, 4.0  # of a weight, relative to its prior


@dataclass(frozen=True)
class ListWeights:
    """The weight of each part for each kind of list.

    parts: names from PARTS. by_kind: kind -> float32 (parts,). treated: of each head (heads,) and of each
    tail (tails,), whether the model knows a pair of it. offsets: float32 (heads,), subtracted from the scores
    of a head in the lists of untreated tails (see `less_means`); None for no offset.
    """

    parts: tuple[str, ...]
    by_kind: Mapping[str, np.ndarray]
    treated: tuple[np.ndarray, np.ndarray]
    offsets: np.ndarray | None = None

    @classmethod
    def of_lists(
        cls, parts: Sequence[str], tails: np.ndarray, heads: np.ndarray, sizes: tuple[int, int]
    ) -> "ListWeights":
        """The same weights for all lists of tails, and the same for all lists of heads."""
        by_kind = dict(zip(KINDS, (tails, tails, heads, heads), strict=True))
        return cls(tuple(parts), by_kind, tuple(np.ones(size, bool) for size in sizes))

    def combined(self, parts: np.ndarray, heads: np.ndarray | None, tails: np.ndarray) -> np.ndarray:
        """Two scores: for the list of the pair's tail, and for the list of its head.

        parts: (parts, n) of pairs with heads (n,) and tails (n,), returns (2, n); or (parts, m, heads) of
        tails (m,) with all heads (None), returns (2, m, heads); either with the last row of
        `in_lists_of_heads`. Each part is added to the sum in turn, in float32, so that a pair has the same
        score in either shape.
        """
        is_matrix = heads is None
        tail_rows = self._of_nodes("tail", 1, tails)
        head_rows = self._of_nodes("head", 0, slice(None) if is_matrix else heads)
        result = np.zeros((2, *parts.shape[1:]), np.float32)
        for number, head_values in enumerate(in_lists_of_heads(parts, self.parts)):
            of_tails, of_heads = tail_rows[number], head_rows[number]
            result[0] += parts[number] * (of_tails[:, None] if is_matrix else of_tails)
            result[1] += head_values * of_heads
        if self.offsets is not None:
            is_untreated = ~self.treated[1][tails]
            of_heads = self.offsets if is_matrix else self.offsets[heads]
            result[0] -= of_heads * (is_untreated[:, None] if is_matrix else is_untreated)
        return result

    def less_means(self, means: np.ndarray) -> "ListWeights":
        """The same weights with the offsets of a model.

        means: mean score of each head over tails by each part, float32 (parts, heads), 0 for the parts that
        do not read embeddings (see `pair_model.embedded_means`).
        """
        return replace(self, offsets=(SHARE * self.by_kind["untreated_tail"] @ means).astype(np.float32))

    def of_tails(self, part: str, tails: np.ndarray) -> np.ndarray:
        """The weight of a part in the lists of tails (m,): float32 (m,); 0 for a part that is not there."""
        if part not in self.parts:
            return np.zeros(len(tails), np.float32)
        return self._of_nodes("tail", 1, tails)[self.parts.index(part)]

    def described(self) -> dict[str, Any]:
        """The weights, ready for JSON: kind -> part -> weight."""
        return {
            kind: {part: float(weight) for part, weight in zip(self.parts, weights, strict=True)}
            for kind, weights in self.by_kind.items()
        }

    @classmethod
    def read(
        cls,
        content: Mapping[str, Any],
        treated: tuple[np.ndarray, np.ndarray],
        offsets: np.ndarray | None = None,
    ) -> "ListWeights":
        """The weights of a metrics.json; treated, offsets: see the class."""
        parts = tuple(content[KINDS[0]])
        by_kind = {kind: np.array([content[kind][part] for part in parts], np.float32) for kind in KINDS}
        return cls(parts, by_kind, treated, offsets)

    def _of_nodes(self, end: str, side: int, nodes: np.ndarray | slice) -> np.ndarray:
        is_treated = self.treated[side][nodes]
        untreated, treated = (self.by_kind[f"{name}_{end}"][:, None] for name in ("untreated", "treated"))
        return np.where(is_treated, treated, untreated)


def in_lists_of_heads(scores: np.ndarray, parts: Sequence[str]) -> list[np.ndarray]:
    """The scores by each part for lists of heads.

    scores: by each part for lists of tails, first axis (parts,). If there is one row more, it is the part
    metapaths for lists of heads.
    """
    result = list(scores[: len(parts)])
    if len(scores) > len(parts):
        result[parts.index("metapaths")] = scores[-1]
    return result


def prior(parts: Sequence[str]) -> np.ndarray:
    """The weights of parts before any choice, float32; a single part has weight 1."""
    if len(parts) == 1:
        return np.ones(1, np.float32)
    weights = PRIOR if set(parts) - set(EMBEDDED) else EMBEDDED_PRIOR
    return np.array([weights[part] for part in parts], np.float32)


def choose(lists: Sequence[tuple[np.ndarray, np.ndarray]], parts: Sequence[str]) -> np.ndarray:
    """The weights that rank the known pairs of lists highest, held near the prior: float32 (parts,).

    lists: for each list, the part scores of its known pairs (parts, p) and of unknown pairs (parts, n). The
    objective is the conditional logit (McFadden, "Conditional logit analysis of qualitative choice behavior",
    1974): each known pair against the list's unknown pairs.
    """
    start = prior(parts).astype(np.float64)
    if len(parts) == 1 or not lists:
        return start.astype(np.float32)
    positives = [part.astype(np.float64) for part, _ in lists]
    negatives = [part.astype(np.float64) for _, part in lists]

    def loss(factors: np.ndarray) -> tuple[float, np.ndarray]:
        weights = factors * start
        value = PENALTY / 2 * float(((factors - 1) ** 2).sum())
        gradient = PENALTY * (factors - 1)
        for known, unknown in zip(positives, negatives, strict=True):
            scores, rivals = weights @ known, weights @ unknown
            total = np.logaddexp(scores, logsumexp(rivals))
            value += float((total - scores).sum())
            of_known = np.exp(scores - total)
            of_rivals = np.exp(rivals[None] - total[:, None]).sum(axis=0)
            gradient = gradient + start * (known @ (of_known - 1) + unknown @ of_rivals)
        return value, gradient

    bounds = [RANGE] * len(start)
    optimum = minimize(loss, np.ones(len(start)), jac=True, method="L-BFGS-B", bounds=bounds)
    return (optimum.x * start).astype(np.float32)
