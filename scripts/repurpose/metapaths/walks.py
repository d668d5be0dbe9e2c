"""Degree-weighted counts of the walks along metapaths, for some tails with all heads.

The products run from the tails to the heads, so that metapaths with the same last steps share them, and the
memory is that of a block of tails, however large the matrix of heads x tails is.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from repurpose.metapaths.steps import Metapath, Steps


def counts(steps: Steps, metapaths: Sequence[Metapath], tails: np.ndarray, heads: int) -> np.ndarray:
    """Weighted numbers of walks, float32 (metapaths, m, heads), from each head to each of the tails (m,).

    The weight of a walk is the product of the weights of its edges (see `Steps`).
    """
    result = np.zeros((len(metapaths), len(tails), heads), np.float32)
    for step, numbers in _by_step(metapaths, range(len(metapaths)), 1).items():
        rows = steps.matrices[steps.reverse[step]][tails].toarray().T
        _extend(steps, metapaths, numbers, 1, np.ascontiguousarray(rows), result)
    return result


def means(steps: Steps, metapaths: Sequence[Metapath]) -> np.ndarray:
    """The mean of `counts` over all heads and tails, float64 (metapaths,)."""
    result = np.zeros(len(metapaths))
    for place, metapath in enumerate(metapaths):
        vector = np.ones(steps.matrices[metapath[-1]].shape[1])
        tails = len(vector)
        for step in reversed(metapath):
            vector = steps.matrices[step] @ vector
        result[place] = vector.sum() / (len(vector) * tails)
    return result


def cost(steps: Steps, metapaths: Sequence[Metapath]) -> int:
    """Multiplications that `counts` needs for each tail; last steps that metapaths share count once."""
    return sum(steps.cost(suffix[0]) for suffix in set().union(*map(_products, metapaths)))


def affordable(steps: Steps, metapaths: Sequence[Metapath], limit: int) -> tuple[Metapath, ...]:
    """The metapaths in their order, without those that would raise the cost of all above the limit."""
    result, products, total = [], set(), 0
    for metapath in metapaths:
        new = _products(metapath) - products
        more = sum(steps.cost(suffix[0]) for suffix in new)
        if total + more <= limit:
            result.append(metapath)
            products |= new
            total += more
    return tuple(result)


def _products(metapath: Metapath) -> set[Metapath]:
    """The parts of a metapath, up to its end, that need a product of matrices."""
    return {metapath[start:] for start in range(len(metapath) - 1)}


def _extend(
    steps: Steps,
    metapaths: Sequence[Metapath],
    numbers: Sequence[int],
    length: int,
    reached: np.ndarray,
    result: np.ndarray,
) -> None:
    """Write the counts of the metapaths `numbers`, which share their last `length` steps.

    reached: (nodes at the start of the shared steps, m).
    """
    for number in numbers:
        if len(metapaths[number]) == length:
            result[number] = reached.T
    longer = [number for number in numbers if len(metapaths[number]) > length]
    for step, group in _by_step(metapaths, longer, length + 1).items():
        _extend(steps, metapaths, group, length + 1, steps.matrices[step] @ reached, result)


def _by_step(metapaths: Sequence[Metapath], numbers: Iterable[int], place: int) -> dict[int, list[int]]:
    """The numbers of metapaths, grouped by their step at a place that is counted from the end."""
    groups: dict[int, list[int]] = {}
    for number in numbers:
        groups.setdefault(metapaths[number][-place], []).append(number)
    return groups
