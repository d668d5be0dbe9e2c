"""Pairs of a matrix that no relation joins: drawn at random, or all of them a block at a time."""

from collections.abc import Iterator

import numpy as np

from repurpose.pairs.pairs import Known


def count(known: Known, heads: np.ndarray, tails: np.ndarray) -> int:
    """How many unknown pairs sorted and distinct heads and tails have."""
    return len(heads) * len(tails) - len(_inside(known, heads, tails)[0])


def draw(
    known: Known, heads: np.ndarray, tails: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `size` distinct unknown pairs of heads x tails uniformly, or all where there are fewer.

    `heads` and `tails` are sorted and distinct. Takes memory in proportion to `size` and the number
    of known pairs, never to heads x tails.
    """
    at_head, at_tail = _inside(known, heads, tails)
    taken = np.unique(at_tail * len(heads) + at_head)
    ranks = _draw_distinct(len(heads) * len(tails) - len(taken), size, rng)
    # taken[i] - i unknown pairs lie before the i-th known one: this turns a rank into a position.
    places = ranks + np.searchsorted(taken - np.arange(len(taken)), ranks, side="right")
    tail, head = np.divmod(places, max(len(heads), 1))
    return heads[head].astype(np.int32), tails[tail].astype(np.int32)


def blocks(
    known: Known, heads: np.ndarray, tails: np.ndarray, chunk: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All unknown pairs of sorted heads and tails, some `chunk` (at least one tail's) at a time."""
    step = max(1, chunk // max(len(heads), 1))
    at_head, at_tail = _inside(known, heads, tails)
    for start in range(0, len(tails), step):
        part = tails[start : start + step]
        free = np.ones((len(part), len(heads)), bool)
        here = (at_tail >= start) & (at_tail < start + step)
        free[at_tail[here] - start, at_head[here]] = False
        row, head = np.nonzero(free)
        yield heads[head].astype(np.int32), part[row].astype(np.int32)


def is_known(known: Known, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """Which pairs, one per head and tail given, a relation joins."""
    width = np.int64(max(heads.max(initial=0), known.heads.max(initial=0)) + 1)
    return np.isin(tails * width + heads, known.tails * width + known.heads)


def _inside(known: Known, heads: np.ndarray, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in sorted heads and tails of the known pairs that have both ends there."""
    at_head, at_tail = _positions(heads, known.heads), _positions(tails, known.tails)
    inside = (at_head >= 0) & (at_tail >= 0)
    return at_head[inside], at_tail[inside]


def _draw_distinct(population: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` distinct integers below `population`, or all of them where there are fewer."""
    if population <= max(4 * size, 10_000):
        return rng.permutation(population)[:size]
    # Twice as many draws as needed hold `size` distinct ones: at most one in four repeats another.
    distinct = np.unique(rng.integers(population, size=2 * size))
    return rng.permutation(distinct)[:size]


def _positions(pool: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Position of each value in the sorted `pool`, -1 where it is not in it."""
    if not len(pool):
        return np.full(len(values), -1)
    place = np.minimum(np.searchsorted(pool, values), len(pool) - 1)
    return np.where(pool[place] == values, place, -1)
