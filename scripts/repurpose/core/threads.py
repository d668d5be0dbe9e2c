"""How many threads a rule may really use."""

import math
import os
import sys
from pathlib import Path

from threadpoolctl import threadpool_limits

CGROUPS = Path("/sys/fs/cgroup")

_limit = sys.maxsize  # what `limit` was last given


def usable(given: int) -> int:
    """The smaller of what the rule was given and the CPUs that this process may use, at least 1."""
    return max(1, min(given, _cpus(), cpu_quota(CGROUPS)))


def limit(given: int) -> int:
    """Hold the libraries that are loaded by now to `usable(given)` threads, and return that number."""
    global _limit
    _limit = given
    number = usable(given)
    threadpool_limits(number)
    # PyTorch keeps a number of its own; whether it is loaded is the business of the module that trains.
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(number)
    return number


def current() -> int:
    """Threads for loops of our own: as many as `limit` allowed, else as many as the process may use."""
    return usable(_limit)


def cpu_quota(cgroups: Path) -> int:
    """CPUs that a container's cgroup (version 2) allows, rounded up; `sys.maxsize` where it sets no quota."""
    try:
        quota, period = (cgroups / "cpu.max").read_text().split()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return sys.maxsize
    return sys.maxsize if quota == "max" else math.ceil(int(quota) / int(period))


def _cpus() -> int:
    # macOS has no affinity.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
