"""The number of threads that a rule may really use."""

import math
import os
import sys
from pathlib import Path

from threadpoolctl import threadpool_limits

CGROUPS = Path("/sys/fs/cgroup")

# Idle threads of OpenMP (PyTorch, XGBoost) and OpenBLAS (numpy, scipy) spin by default. Two processes on the
# same cores then take 20 to 200 times as long as one; alone, a process is as fast with these settings.
SLEEP = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_THREAD_TIMEOUT": "10"}

_limit = sys.maxsize  # the last argument of `limit`


def let_idle_threads_sleep() -> None:
    """Make idle threads sleep, in processes that this one starts and in libraries that it has yet to load.

    What the user has set stays.
    """
    for name, value in SLEEP.items():
        os.environ.setdefault(name, value)


def usable(requested: int) -> int:
    """The smallest of `requested`, the CPUs of this process and its container's quota, but at least 1."""
    return max(1, min(requested, _cpus(), cpu_quota(CGROUPS)))


def limit(requested: int) -> int:
    """Limit the libraries that are already loaded to `usable(requested)` threads, and return that number."""
    global _limit
    _limit = requested
    number = usable(requested)
    threadpool_limits(number)
    # PyTorch has its own setting. This package must not import PyTorch, but another module may have.
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(number)
    return number


def current() -> int:
    """Threads for our own compiled loops: as many as `limit` allowed, else as many as the process may use."""
    return usable(_limit)


def cpu_quota(cgroups: Path) -> int:
    """CPUs that a container's cgroup (version 2) allows, rounded up; `sys.maxsize` if there is no quota."""
    try:
        quota, period = (cgroups / "cpu.max").read_text().split()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return sys.maxsize
    return sys.maxsize if quota == "max" else math.ceil(int(quota) / int(period))


def _cpus() -> int:
    # macOS has no sched_getaffinity.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
