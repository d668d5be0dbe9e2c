"""Neighbour votes: how many nodes that resemble the ends of a pair have a known pair with the other end.

Two heads resemble each other if a step leads both to the same nodes, such as two drugs that bind the same
genes. With S the weighted number of nodes that two heads (or two tails) share, and T the matrix of known
pairs, the votes are S T (similar drugs that treat the disease), T S (similar diseases that the drug treats),
and S T S (similar drugs treat similar diseases). No node resembles itself, so a pair has no vote of its own
label.

It can still be read from other votes: of two drugs alike, one that treats a disease lacks a vote that the
other has. So a model must be fitted to votes of known pairs without the pair and without others of its tail
(see `features`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from scipy import sparse

from repurpose.graph.names import shown
from repurpose.metapaths import steps as steps_module
from repurpose.metapaths.steps import Steps

SIMILARITIES_KEPT = 1000  # rows of one node's similarities, up to 70 MB at PrimeKG's size
LABELS = -1  # in place of a step: two heads resemble each other by the tails of their known pairs


class Vote(NamedTuple):
    """A kind of vote: the step by which heads resemble each other, and that of tails.

    A step's number, LABELS, or None: only the pair's own head (tail) votes.
    """

    heads: int | None
    tails: int | None


class Similarity(NamedTuple):
    """Similarities of the nodes of a type, (n, n), as `outward` @ `outward`.T - diag(`own`).

    inward: if it is not None, the similarity is `outward` itself, the matrix of a relation within the type,
    and inward is its transpose.
    """

    outward: sparse.csr_array
    own: np.ndarray | None
    inward: sparse.csr_array | None = None

    def of_nodes(self, nodes: np.ndarray) -> np.ndarray:
        """The similarities of all nodes with some (m,): float32 (n, m)."""
        if self.inward is not None:
            return self.inward[nodes].toarray().T
        result = self.outward @ self.outward[nodes].toarray().T
        result[nodes, np.arange(len(nodes))] -= self.own[nodes]
        return result

    def times(self, values: np.ndarray) -> np.ndarray:
        """The similarities times values (n, m)."""
        if self.inward is not None:
            return self.outward @ values
        return self.outward @ (self.outward.T @ values) - self.own[:, None] * values

    def transposed(self, values: np.ndarray) -> np.ndarray:
        """The transposed similarities times values (n, m)."""
        return self.times(values) if self.inward is None else self.inward @ values

    @property
    def cost(self) -> int:
        """Multiplications of `times` for one column."""
        return self.outward.nnz * (1 if self.own is None else 2)


@dataclass(frozen=True)
class Election:
    """The votes of one set of known pairs.

    known: heads and tails (P,) of the pairs that vote. sizes: number of heads and of tails.
    """

    steps: Steps
    kinds: tuple[Vote, ...]
    known: tuple[np.ndarray, np.ndarray]
    sizes: tuple[int, int]

    @cached_property
    def treatments(self) -> sparse.csr_array:
        """The known pairs as a matrix (heads, tails), weighted as the edges of a step are."""
        ones = np.ones(len(self.known[0]), np.float32)
        matrix = sparse.csr_array((ones, self.known), shape=self.sizes)
        matrix.sum_duplicates()
        matrix.data[:] = 1
        return steps_module.damped(matrix)

    @cached_property
    def similarities(self) -> tuple[dict[int, Similarity], dict[int, Similarity]]:
        """The similarities of heads and of tails, by the step that the kinds of votes name."""
        return tuple(
            {
                step: self._similarity(step, side)
                for step in sorted({kind[side] for kind in self.kinds} - {None})
            }
            for side in (0, 1)
        )

    def counts(self, tails: np.ndarray) -> np.ndarray:
        """The votes for some tails (m,) with all heads: float32 (kinds, m, heads)."""
        result = np.zeros((len(self.kinds), len(tails), self.sizes[0]), np.float32)
        if not len(self.known[0]):
            return result
        of_heads, of_tails = self.similarities
        for tail_step in sorted({kind.tails for kind in self.kinds}, key=str):
            # (heads, m): the votes of the head's own known pairs.
            if tail_step is None:
                votes = self.by_tail[tails].toarray().T
            else:
                votes = self.treatments @ of_tails[tail_step].of_nodes(tails)
            for number, kind in enumerate(self.kinds):
                if kind.tails == tail_step:
                    times = None if kind.heads is None else of_heads[kind.heads].times
                    result[number] = (votes if times is None else times(votes)).T
        return result

    @cached_property
    def by_tail(self) -> sparse.csr_array:
        """`treatments` with a row for each tail."""
        return sparse.csr_array(self.treatments.T)

    def means(self) -> np.ndarray:
        """The mean of `counts` over all heads and tails, float64 (kinds,)."""
        return self.means_by_tail().mean(axis=1)

    def means_by_tail(self) -> np.ndarray:
        """The mean of `counts` over all heads, float64 (kinds, tails)."""
        of_tails = self.similarities[1]
        result = np.empty((len(self.kinds), self.sizes[1]))
        for number, kind in enumerate(self.kinds):
            sums = self.treatments.T @ self._sums_of_heads(kind.heads)  # (tails, 1)
            result[number] = (sums if kind.tails is None else of_tails[kind.tails].transposed(sums))[:, 0]
        return result / self.sizes[0]

    def voters(
        self, kind: Vote, head: int, tail: int, count: int | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The known pairs that vote for a pair, heaviest first: their heads, tails and weights.

        count: only so many, None for all.
        """
        known = self._known_pairs
        votes = known.data.astype(np.float64)
        for node, ends, step, side in (
            (head, known.row, kind.heads, 0),
            (tail, known.col, kind.tails, 1),
        ):
            votes *= (ends == node) if step is None else self._similar_to(node, step, side)[ends]
        voting = np.flatnonzero(votes > 0)
        order = voting[np.argsort(-votes[voting], kind="stable")][:count]
        return known.row[order], known.col[order], votes[order]

    @cached_property
    def _known_pairs(self) -> sparse.coo_array:
        return self.treatments.tocoo()

    @cached_property
    def _similar_to(self) -> Callable[[int, int, int], np.ndarray]:
        """A function of node, step and side; who explains many pairs asks for the same nodes again."""
        return lru_cache(SIMILARITIES_KEPT)(self._similarities_with)

    def _similarities_with(self, node: int, step: int, side: int) -> np.ndarray:
        similarity = self.similarities[side][step]
        if similarity.inward is not None and side == 0:
            return similarity.outward[[node]].toarray()[0]
        return similarity.of_nodes(np.array([node]))[:, 0]

    def _sums_of_heads(self, step: int | None) -> np.ndarray:
        """For each head, the sum over all heads of their similarity to it, (heads, 1)."""
        ones = np.ones((self.sizes[0], 1))
        if step is None:
            return ones
        return self.similarities[0][step].transposed(ones)

    def _similarity(self, step: int, side: int) -> Similarity:
        if step == LABELS:
            outward = self.treatments if side == 0 else self.by_tail
        else:
            outward = self.steps.matrices[step]
            if self.steps.starts[step] == self.steps.ends[step]:
                return Similarity(outward, None, self.steps.matrices[self.steps.reverse[step]])
        own = np.asarray(outward.multiply(outward).sum(axis=1)).ravel().astype(np.float32)
        return Similarity(outward, own)


def kinds(steps: Steps, head_type: str, tail_type: str) -> tuple[Vote, ...]:
    """All kinds of votes of a graph: by each step of heads, of tails, and by both."""
    of_heads = [LABELS, *steps.starting_at(head_type)]
    of_tails = [LABELS, *steps.starting_at(tail_type)]
    one_side = [Vote(step, None) for step in of_heads] + [Vote(None, step) for step in of_tails]
    return (*one_side, *(Vote(first, second) for first in of_heads for second in of_tails))


def cost(election: Election, kinds_counted: Sequence[Vote]) -> int:
    """Multiplications that the votes of these kinds need for each tail."""
    of_heads, of_tails = election.similarities
    of_tail_steps = {kind.tails for kind in kinds_counted}
    pairs = election.treatments.nnz * len(of_tail_steps)
    return (
        pairs
        + sum(of_tails[step].cost for step in of_tail_steps - {None})
        + sum(of_heads[kind.heads].cost for kind in kinds_counted if kind.heads is not None)
    )


def text(kind: Vote, steps: Steps, head_type: str, tail_type: str) -> str:
    """A kind of vote in words, such as "drugs with the same gene (binds) are known for this disease"."""
    heads, tails = (
        _group(step, steps, _words(node_type), _words(other_type))
        for step, node_type, other_type in (
            (kind.heads, head_type, tail_type),
            (kind.tails, tail_type, head_type),
        )
    )
    return f"{heads} {'is' if kind.heads is None else 'are'} known for {tails}"


def _group(step: int | None, steps: Steps, node_type: str, other_type: str) -> str:
    """The nodes of one side whose known pairs vote, in words."""
    if step is None:
        return f"this {node_type}"
    if step == LABELS:
        return f"{node_type}s with the same known {other_type}"
    end, relation = steps.ends[step], steps_module.relation_in_words(steps, step)
    if steps.starts[step] == end:
        direction = "in reverse" if steps.names[step].startswith("<") else ""
        said = ", ".join(filter(None, (relation, direction)))
        return f"{node_type}s linked to this one{f' ({said})' if said else ''}"
    return f"{node_type}s with the same {_words(end)}{f' ({relation})' if relation else ''}"


def _words(node_type: str) -> str:
    return shown(node_type).replace("_", " ")
