"""Loops compiled by numba, once per environment and version of the code; later runs load the machine code."""

import sys
from functools import partial
from pathlib import Path

from numba import njit

from repurpose.core import source
from repurpose.kernels import numba_private

LIBRARY = __package__.partition(".")[0]
CACHE = Path(sys.prefix) / "var" / "kernels"


def _locate(module: str, file: str) -> numba_private.CacheLocation | None:
    """Where to cache the machine code of this library: in the environment, for all copies of the source.

    numba's own cache depends on the path and the text of one file: each copy of the source would compile
    again, and a change in a module that the loops import would be missed. Here the cache depends on the
    digest of the module and of all that it imports, in addition to the processor and numba's version.
    """
    if not module.startswith(LIBRARY + "."):
        return None
    scripts = Path(file).parents[module.count(".")]
    return numba_private.CacheLocation(CACHE, source.digest(scripts, str(Path(file).relative_to(scripts))))


numba_private.set_cache_location(_locate)

# nogil: `parallel` can run ranges on several threads. fastmath: sums in any order, but the same in each run.
loop = partial(njit, nogil=True, fastmath=True, cache=True, error_model="numpy", boundscheck=False)
# For functions that numba copies into the loops that call them: there a width is a constant, which vector
# code needs.
inlined = partial(njit, inline="always", fastmath=True)
