"""Unknown pairs of a matrix of heads and tails: draw some at random, or list all, block by block."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from repurpose.pairs.pairs import Known


def without(known: Known, hidden: pd.DataFrame) -> Known:
    """The known pairs that are not in `hidden` (columns head_index and tail_index).

    Training may draw hidden pairs as negatives, as it would if nobody knew them. If it never drew a held-out
    treatment, it would tell the model which pairs are treatments.
    """
    heads, tails = (hidden[column].to_numpy() for column in ("head_index", "tail_index"))
    is_kept = ~is_known(Known(heads, tails, np.empty(0, object)), known.heads, known.tails)
    return Known(known.heads[is_kept], known.tails[is_kept], known.names[is_kept])


def count(known: Known, heads: np.ndarray, tails: np.ndarray) -> int:
    """The number of unknown pairs in heads x tails, which are sorted and distinct."""
    return len(heads) * len(tails) - len(_inside(known, heads, tails)[0])


def draw(
    known: Known, heads: np.ndarray, tails: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `size` distinct unknown pairs of heads x tails uniformly, or all if there are fewer.

    `heads` and `tails` are sorted and distinct. Memory grows with `size` and the number of known pairs, not
    with heads x tails.
    """
    head_positions, tail_positions = _inside(known, heads, tails)
    known_places = np.unique(tail_positions * len(heads) + head_positions)
    ranks = _draw_distinct(len(heads) * len(tails) - len(known_places), size, rng)
    # known_places[i] - i unknown pairs lie before the i-th known pair: this turns a rank into a place.
    places = ranks + np.searchsorted(known_places - np.arange(len(known_places)), ranks, side="right")
    tail, head = np.divmod(places, max(len(heads), 1))
    return heads[head].astype(np.int32), tails[tail].astype(np.int32)


def blocks(
    known: Known, heads: np.ndarray, tails: np.ndarray, chunk: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All unknown pairs of sorted heads x tails in blocks of about `chunk` pairs, at least one tail each."""
    step = max(1, chunk // max(len(heads), 1))
    head_positions, tail_positions = _inside(known, heads, tails)
    for start in range(0, len(tails), step):
        block_tails = tails[start : start + step]
        is_unknown = np.ones((len(block_tails), len(heads)), bool)
        is_in_block = (tail_positions >= start) & (tail_positions < start + step)
        is_unknown[tail_positions[is_in_block] - start, head_positions[is_in_block]] = False
        row, head = np.nonzero(is_unknown)
        yield heads[head].astype(np.int32), block_tails[row].astype(np.int32)


def is_known(known: Known, heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """Whether each pair (heads[i], tails[i]) is known."""
    width = np.int64(max(heads.max(initial=0), known.heads.max(initial=0)) + 1)
    return np.isin(tails * width + heads, known.tails * width + known.heads)


def marked(heads: np.ndarray, tails: np.ndarray, rows: np.ndarray, n_heads: int) -> np.ndarray:
    """Which pairs of ascending tails `rows` (m,) with all heads are among pairs (n,): bool (m, n_heads)."""
    mask, is_in_rows = np.zeros((len(rows), n_heads), bool), np.isin(tails, rows)
    mask[np.searchsorted(rows, tails[is_in_rows]), heads[is_in_rows]] = True
    return mask


def _inside(known: Known, heads: np.ndarray, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions, in sorted heads and tails, of the known pairs whose head and tail are both in them."""
    head_positions, tail_positions = _positions(heads, known.heads), _positions(tails, known.tails)
    inside = (head_positions >= 0) & (tail_positions >= 0)
    return head_positions[inside], tail_positions[inside]


def _draw_distinct(population: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `size` distinct integers below `population`, or all if there are fewer."""
    if population <= max(4 * size, 10_000):
        return rng.permutation(population)[:size]
    # Twice as many draws as needed contain `size` distinct ones: at most one draw in four repeats another.
    distinct = np.unique(rng.integers(population, size=2 * size))
    return rng.permutation(distinct)[:size]


def _positions(pool: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The position of each value in the sorted `pool`, -1 if it is not in the pool."""
    if not len(pool):
        return np.full(len(values), -1)
    position = np.minimum(np.searchsorted(pool, values), len(pool) - 1)
    return np.where(pool[position] == values, position, -1)
