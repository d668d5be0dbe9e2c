"""The torch devices of this machine, and the peak memory of this process."""

import re
import resource
import sys
from pathlib import Path

import torch

from repurpose.core.errors import InputError


def available() -> list[str]:
    """Names of the torch devices of this machine."""
    names = ["cpu"]
    if torch.backends.mps.is_available():
        names.append("mps")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return names + (["cuda"] + [f"cuda:{i}" for i in range(count)] if count else [])


def require(name: str) -> None:
    """Raise InputError if this machine lacks the torch device `name`."""
    names = available()
    if name not in names:
        raise InputError(f"device {name} is not available on this machine; available: {', '.join(names)}")


def peak_rss_bytes() -> int:
    """The largest resident size of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, getrusage may return the peak of the process that started this one.
        match = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE)
        if match:
            return int(match[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
