"""Compiled loops over ranges, on several threads at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from repurpose.core import threads

PIECES = 16  # at most; more than threads, so that one slow piece does not keep the others waiting
SMALL = 4096  # work below which a piece is not worth handing to a thread


def run(loop: Callable[..., Any], bounds: np.ndarray, *arguments: Any) -> None:
    """Call `loop(first, last, *arguments)` for each pair of neighbours in `bounds`.

    `loop` releases the GIL, and what it writes for an item does not depend on the range that the item
    is in, so the result does not depend on the number of threads.
    """
    pieces = zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    count = threads.current()
    if count == 1 or len(bounds) <= 2:
        for first, last in pieces:
            loop(first, last, *arguments)
        return
    for _ in _pool(count).map(lambda piece: loop(*piece, *arguments), pieces):
        pass


def even(items: int, work: int = 1) -> np.ndarray:
    """Bounds of ranges with equally many items, each of which is `work` units."""
    return np.linspace(0, items, _pieces(items * work) + 1).astype(np.int64)


def balanced(indptr: np.ndarray, work: int = 4) -> np.ndarray:
    """Bounds of ranges with about equally many entries of a CSR; a row itself counts as `work` entries."""
    total = indptr + work * np.arange(len(indptr), dtype=np.int64)
    steps = np.linspace(0, total[-1], _pieces(int(total[-1])) + 1)
    inner = np.searchsorted(total, steps[1:-1])
    return np.unique(np.concatenate([[0], inner, [len(indptr) - 1]]))


def _pieces(work: int) -> int:
    return int(np.clip(work // SMALL, 1, PIECES))


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "kernel")
