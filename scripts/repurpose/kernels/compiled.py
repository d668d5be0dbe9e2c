"""Loops compiled by numba: once per environment and version of the code, then read from the environment."""

import sys
from functools import partial
from pathlib import Path

from numba import njit

from repurpose.core import source
from repurpose.kernels import numba_private

LIBRARY = __package__.partition(".")[0]
CACHE = Path(sys.prefix) / "var" / "kernels"


def _kept(module: str, file: str) -> numba_private.Kept | None:
    """Keep this package's machine code in the environment, whichever copy of the source asks for it.

    numba itself goes by the path and the text of one file: every copy would compile anew, and a change in a
    module that the loops import would not be seen. Here the code is stored with the digest of its module and
    of all that this imports (beside the processor and numba's version).
    """
    if not module.startswith(LIBRARY + "."):
        return None
    scripts = Path(file).parents[module.count(".")]
    return numba_private.Kept(CACHE, source.digest(scripts, str(Path(file).relative_to(scripts))))


numba_private.keep_machine_code(_kept)

# Without the GIL, so that `parallel` can run ranges side by side; sums in any order, but always the same.
loop = partial(njit, nogil=True, fastmath=True, cache=True, error_model="numpy", boundscheck=False)
# Copied into the loops that call them, where widths are constants: that is what makes them vector code.
part = partial(njit, inline="always", fastmath=True)
