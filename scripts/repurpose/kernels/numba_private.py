"""What the loops use of numba that its documentation does not promise, and nothing else does.

tests/kernels/test_numba_private.py states what each of these has to do, and what to do where a newer numba
has it no more.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from numba.core import caching


class Kept(NamedTuple):
    """Where the machine code of a function is kept, and what tells it from that of another version."""

    folder: Path
    stamp: str


def keep_machine_code(of: Callable[[str, str], Kept | None]) -> None:
    """Let `of` decide where `njit(cache=True)` keeps machine code: it gets a function's module and file.

    Where it returns None, or a folder that cannot be written, numba decides as it does without this.
    """

    class Locator(caching._CacheLocator):
        def __init__(self, py_func: Any, kept: Kept) -> None:
            self.kept, self.line = kept, py_func.__code__.co_firstlineno

        def get_cache_path(self) -> str:
            return str(self.kept.folder)

        def get_source_stamp(self) -> str:
            return self.kept.stamp

        def get_disambiguator(self) -> str:
            return str(self.line)

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            kept = of(py_func.__module__, py_file)
            if kept is None:
                return None
            locator = cls(py_func, kept)
            try:
                locator.ensure_cache_path()
            except OSError:
                return None
            return locator

    caching.CacheImpl._locator_classes.insert(0, Locator)


def element(context: Any, builder: Any, kind: Any, array: Any, row: Any, column: Any) -> Any:
    """In an intrinsic: the pointer to array[row, column], C-contiguous; a flat array counts as one row.

    kind: numba's type of the array; row, column: 64-bit integers.
    """
    opened = context.make_array(kind)(context, builder, array)
    start = builder.mul(row, builder.extract_value(opened.shape, 1)) if kind.ndim == 2 else row
    return builder.gep(opened.data, [builder.add(start, column)])
