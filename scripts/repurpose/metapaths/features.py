"""Features of pairs from walks and votes, and how known pairs are hidden while a model is fitted to them.

A feature is arcsinh(count / mean count over all pairs), less its mean over the heads of the pair's tail. So a
feature compares the heads of one tail, and tells nothing about how much is known of the tail.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from repurpose.kernels import parallel
from repurpose.metapaths import walks
from repurpose.metapaths.steps import Metapath, Steps
from repurpose.metapaths.votes import Election, Vote

# Feature values of a block of tails: 16 MB of float32 for each thread. A feature of a block then fits a
# core's cache.
BLOCK_VALUES = 1 << 22
SUPPORT_FLOOR = 0.05  # votes, relative to the mean tail, below which tails hardly differ in support

Result = TypeVar("Result")
Pairs = tuple[np.ndarray, np.ndarray]  # heads and tails (n,)


@dataclass(frozen=True)
class PairFeatures:
    """The features of the pairs of a graph, computed for some tails at a time.

    metapaths, kinds: whose counts are the features, in this order. known: the pairs that vote. sizes: number
    of heads and tails. given_scales: `scales` of other known pairs, None to compute them.
    """

    steps: Steps
    metapaths: tuple[Metapath, ...]
    kinds: tuple[Vote, ...]
    known: Pairs
    sizes: tuple[int, int]
    given_scales: np.ndarray | None = None

    @property
    def count(self) -> int:
        """Number of features."""
        return len(self.metapaths) + len(self.kinds)

    @cached_property
    def election(self) -> Election:
        """The votes of the known pairs."""
        return Election(self.steps, self.kinds, self.known, self.sizes)

    @cached_property
    def scales(self) -> np.ndarray:
        """The mean count of each feature, float32 (features,); 1 if it is 0."""
        if self.given_scales is not None:
            return self.given_scales
        means = np.concatenate([walks.means(self.steps, self.metapaths), self.election.means()])
        return np.where(means > 0, means, 1).astype(np.float32)

    def support(self) -> np.ndarray:
        """How much known pairs say about each tail: float32 (tails,); 0 without votes.

        It is log(SUPPORT_FLOOR + votes): the mean votes over heads, relative to those of all tails, of the
        kind of vote that gives the tail most.
        """
        if not self.kinds:
            return np.zeros(self.sizes[1], np.float32)
        relative = self.election.means_by_tail() / self.scales[len(self.metapaths) :, None]
        return np.log(SUPPORT_FLOOR + relative.max(axis=0)).astype(np.float32)

    def block(self, tails: np.ndarray) -> np.ndarray:
        """The features of some tails (m,) with all heads: float32 (features, m, heads)."""
        parts = [self.of_walks(tails), self.of_votes(tails)]
        return np.concatenate(parts)

    def of_walks(self, tails: np.ndarray) -> np.ndarray:
        """The features of walks alone: float32 (metapaths, m, heads)."""
        counts = walks.counts(self.steps, self.metapaths, tails, self.sizes[0])
        return centred(counts, self.scales[: len(self.metapaths)])

    def of_votes(self, tails: np.ndarray) -> np.ndarray:
        """The features of votes alone: float32 (kinds, m, heads)."""
        return centred(self.election.counts(tails), self.scales[len(self.metapaths) :])

    def over_blocks(self, function: Callable[[np.ndarray], Result], tails: np.ndarray) -> list[Result]:
        """The results of a function for blocks of tails that fit into memory, computed on several threads."""
        step = max(1, BLOCK_VALUES // max(1, self.count * self.sizes[0]))
        # Computed here, because threads would compute them at the same time.
        _ = self.scales, self.election.similarities, self.election.by_tail
        return parallel.over_blocks(function, [tails[n : n + step] for n in range(0, len(tails), step)])

    def at_pairs(
        self, values: Callable[[np.ndarray], np.ndarray], heads: np.ndarray, tails: np.ndarray, rows: int
    ) -> np.ndarray:
        """Values of pairs (n,), float32 (rows, n), from a function of tails (m,) -> (rows, m, heads)."""
        result = np.empty((rows, len(heads)), np.float32)
        order = np.argsort(tails, kind="stable")

        def fill(block: np.ndarray) -> None:
            first, last = np.searchsorted(tails[order], [block[0], block[-1] + 1])
            pairs = order[first:last]
            result[:, pairs] = values(block)[:, np.searchsorted(block, tails[pairs]), heads[pairs]]

        self.over_blocks(fill, np.unique(tails))
        return result

    def voted_by(self, known: Pairs) -> "PairFeatures":
        """The same features with the votes of other known pairs, at the same scale."""
        # A scale of its own would tell how many pairs are hidden.
        return replace(self, known=known, given_scales=self.scales)

    def on_graph(self, steps: Steps, tails: int) -> "PairFeatures":
        """The same features of a graph with the same relations and more tails, at the same scale.

        steps: of that graph. tails: how many it has. Raises ValueError if the steps are others.
        """
        ours, others = ((each.names, each.starts, each.ends) for each in (self.steps, steps))
        if ours != others:
            raise ValueError("the graph has other relations, so its steps have other numbers")
        return replace(self, steps=steps, sizes=(self.sizes[0], tails), given_scales=self.scales)


def centred(counts: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """arcsinh(counts / scales), less the mean over the last axis; computed in place, counts (f, m, n)."""
    for values, scale in zip(counts, scales, strict=True):
        values *= np.float32(1) / scale
        # log(x + sqrt(x^2 + 1)), several times as fast as numpy's arcsinh.
        root = np.sqrt(values * values + np.float32(1))
        root += values
        np.log(root, out=values)
        values -= values.mean(axis=1, keepdims=True)
    return counts


def of_pairs(
    features: PairFeatures, pairs: Pairs, hidden: Sequence[np.ndarray], fold: np.ndarray
) -> np.ndarray:
    """The features of pairs (n,), each without the votes that its fold hides: float32 (n, features).

    hidden: for each fold, a mask over the known pairs. fold (n,): of each pair.
    """
    heads, tails = pairs
    result = np.empty((len(heads), features.count), np.float32)
    known_heads, known_tails = features.known
    of_folds = [features.voted_by((known_heads[~mask], known_tails[~mask])) for mask in hidden]
    width = len(features.metapaths)
    order = np.argsort(tails, kind="stable")

    def fill(block: np.ndarray) -> None:
        first, last = np.searchsorted(tails[order], [block[0], block[-1] + 1])
        rows = order[first:last]
        place = np.searchsorted(block, tails[rows])
        if width:
            result[rows, :width] = features.of_walks(block)[:, place, heads[rows]].T
        for number in np.unique(fold[rows]):
            of_fold = fold[rows] == number
            needed, place_needed = np.unique(place[of_fold], return_inverse=True)
            voted = of_folds[number].of_votes(block[needed])
            result[rows[of_fold], width:] = voted[:, place_needed, heads[rows[of_fold]]].T

    for of_fold in of_folds:
        _ = of_fold.election.similarities, of_fold.election.by_tail
    features.over_blocks(fill, np.unique(tails))
    return result


def folds_of_pairs(known: Pairs, count: int, rng: np.random.Generator) -> np.ndarray:
    """A fold (P,) for each known pair, so that the pairs of a tail are spread evenly over the folds."""
    order = np.lexsort((rng.random(len(known[0])), known[1]))
    folds = np.empty(len(order), np.int64)
    # Tails continue where the last one ended, so that all folds have about as many pairs.
    folds[order] = np.arange(len(order)) % count
    return folds


def folds_of_nodes(ends: np.ndarray, nodes: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """A fold for each node (nodes,), so that all folds have about as many known pairs; ends: of the pairs."""
    pairs = np.bincount(ends, minlength=nodes)
    folds = np.empty(nodes, np.int64)
    # In the order of their number of pairs.
    folds[np.argsort(-(pairs + rng.random(nodes)), kind="stable")] = np.arange(nodes) % count
    return folds
