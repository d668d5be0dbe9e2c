"""Run compiled loops over ranges on several threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import numpy as np

from repurpose.core import threads

Result = TypeVar("Result")

PIECES = 16  # at most; more than threads, so that no thread waits long for the slowest piece
SMALL = 4096  # units of work; a smaller piece is not worth a thread


def run(loop: Callable[..., Any], bounds: np.ndarray, *arguments: Any) -> None:
    """Call `loop(first, last, *arguments)` for each pair of consecutive `bounds`.

    `loop` must release the GIL. What it writes for an item must not depend on the range of the item; then the
    result does not depend on the number of threads.
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
    """Bounds of ranges with equally many items; an item is `work` units of work."""
    return np.linspace(0, items, _pieces(items * work) + 1).astype(np.int64)


def balanced(indptr: np.ndarray, work: int = 4) -> np.ndarray:
    """Bounds of ranges of CSR rows with about equally many entries; a row counts as `work` more entries."""
    total = indptr + work * np.arange(len(indptr), dtype=np.int64)
    steps = np.linspace(0, total[-1], _pieces(int(total[-1])) + 1)
    inner = np.searchsorted(total, steps[1:-1])
    return np.unique(np.concatenate([[0], inner, [len(indptr) - 1]]))


def _pieces(work: int) -> int:
    return int(np.clip(work // SMALL, 1, PIECES))


def over_blocks(function: Callable[[Any], Result], blocks: Sequence[Any]) -> list[Result]:
    """The results of `function` for each block, in their order, computed on several threads.

    The function may itself call `run`. It gains if most of its time is in numpy or scipy, which release the
    GIL.
    """
    count = threads.current()
    if count == 1 or len(blocks) < 2:
        return [function(block) for block in blocks]
    return list(_block_pool(count).map(function, blocks))


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "kernel")


# Not the pool of `run`: if all threads of one pool waited for loops in the same pool, none would run.
@cache
def _block_pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "block")
