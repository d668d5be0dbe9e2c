"""Large float32 tensors in memory that is allocated once and reused.

The first use of a memory page takes longer than a sum over it (about 1 GB/s), and both the allocator and
torch give large arrays back to the operating system as soon as they are free. The blocks of this module
stay with the process, in huge pages if the system has them, and the next tensor that fits takes them.
"""

import math
import mmap
import weakref

import numpy as np
import torch
from torch import Tensor

HUGE = 1 << 21  # bytes of a huge page on x86-64 and arm64
SLACK = 4  # a block serves a request that fills at least 1 / SLACK of it

_free: list[mmap.mmap] = []


def empty(*shape: int) -> Tensor:
    """An uninitialised float32 tensor; its memory returns here when the last tensor that uses it is gone."""
    count = math.prod(shape)
    if 4 * count < HUGE:
        return torch.empty(shape)
    block = _take(4 * count)
    array = np.frombuffer(block, np.float32, count)
    # torch keeps the array alive for as long as any tensor or view needs the storage.
    weakref.finalize(array, _free.append, block).atexit = False
    return torch.from_numpy(array.reshape(shape))


def clear() -> None:
    """Give all blocks that no tensor uses back to the operating system."""
    _free.clear()


def _take(size: int) -> mmap.mmap:
    fitting = [block for block in _free if size <= len(block) <= max(SLACK * size, size + HUGE)]
    if fitting:
        block = min(fitting, key=len)
        _free.remove(block)
        return block
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # only private memory can be in huge pages
    block = mmap.mmap(-1, -(-size // HUGE) * HUGE, flags=private)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        block.madvise(mmap.MADV_HUGEPAGE)
    return block
