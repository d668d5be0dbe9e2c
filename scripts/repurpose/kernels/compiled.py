"""Loops compiled by numba: once per environment and version of the code, then read from the environment."""

import sys
from functools import partial
from pathlib import Path

from numba import njit
from numba.core import caching

from repurpose.core import source

LIBRARY = __package__.partition(".")[0]
CACHE = Path(sys.prefix) / "var" / "kernels"


class _InEnvironment(caching.UserProvidedCacheLocator):
    """Keeps this package's machine code in the environment, whichever copy of the source asks for it.

    numba's own locators go by the path and the text of one file: every copy would compile anew, and a
    change in a module that the loops import would not be seen. Here the code is stored with the digest
    of its module and of all that this imports (beside the processor and numba's version).
    """

    def __init__(self, py_func, py_file):
        super().__init__(py_func, py_file)
        self._cache_path = str(CACHE)
        dots = py_func.__module__.count(".")
        scripts = Path(py_file).parents[dots]
        self._stamp = source.digest(scripts, str(Path(py_file).relative_to(scripts)))

    def get_source_stamp(self):
        return self._stamp

    @classmethod
    def from_function(cls, py_func, py_file):
        if not py_func.__module__.startswith(LIBRARY + "."):
            return None
        # Not the parent's, which wants NUMBA_CACHE_DIR to be set; None where CACHE cannot be written.
        return super(caching.UserProvidedCacheLocator, cls).from_function(py_func, py_file)


caching.CacheImpl._locator_classes.insert(0, _InEnvironment)

# Without the GIL, so that `parallel` can run ranges side by side; sums in any order, but always the same.
loop = partial(njit, nogil=True, fastmath=True, cache=True, error_model="numpy", boundscheck=False)
# Copied into the loops that call them, where widths are constants: that is what makes them vector code.
part = partial(njit, inline="always", fastmath=True)
