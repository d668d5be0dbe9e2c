"""Compile the loops (of attention: for the common head widths), so that no rule waits for it ("make env")."""

import time

from repurpose.kernels import compiled
from repurpose.training import precompile

if __name__ == "__main__":
    print("Compiling kernels, about a minute at most.", flush=True)
    started = time.perf_counter()
    for width in precompile.WIDTHS:
        precompile.step(width)
    precompile.linear_algebra()
    precompile.scoring()
    print(f"Compiled in {time.perf_counter() - started:.0f} s; the code lies in {compiled.CACHE}.")
