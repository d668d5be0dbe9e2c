"""The undocumented parts of numba that this library uses; no other module uses any.

tests/kernels/test_numba_private.py says what each of them must do, and what to do if numba removes it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from numba.core import caching


class CacheLocation(NamedTuple):
    """Where the machine code of a function is cached, and a stamp that identifies its version."""

    folder: Path
    stamp: str


def set_cache_location(locate: Callable[[str, str], CacheLocation | None]) -> None:
    """Let `locate` decide where `njit(cache=True)` stores machine code; it gets a function's module and file.

    If it returns None, or a folder that cannot be written, numba uses its default location.
    """

    class Locator(caching._CacheLocator):
        def __init__(self, py_func: Any, location: CacheLocation) -> None:
            self.location, self.line = location, py_func.__code__.co_firstlineno

        def get_cache_path(self) -> str:
            return str(self.location.folder)

        def get_source_stamp(self) -> str:
            return self.location.stamp

        def get_disambiguator(self) -> str:
            return str(self.line)

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            location = locate(py_func.__module__, py_file)
            if location is None:
                return None
            locator = cls(py_func, location)
            try:
                locator.ensure_cache_path()
            except OSError:
                return None
            return locator

    caching.CacheImpl._locator_classes.insert(0, Locator)


def element_pointer(context: Any, builder: Any, array_type: Any, array: Any, row: Any, column: Any) -> Any:
    """In an intrinsic: the pointer to array[row, column], C-contiguous; a flat array counts as one row.

    array_type: numba's type of the array; row, column: 64-bit integers.
    """
    struct = context.make_array(array_type)(context, builder, array)
    start = builder.mul(row, builder.extract_value(struct.shape, 1)) if array_type.ndim == 2 else row
    return builder.gep(struct.data, [builder.add(start, column)])
