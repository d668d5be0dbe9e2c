"""What the machine has, and the peak of this very process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from repurpose import devices
from repurpose.errors import InputError

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


def test_the_cpu_is_always_there():
    assert devices.available()[0] == "cpu"
    devices.require("cpu")


def test_a_device_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InputError, match=r"^device cuda:77 is not available on this machine; available: cpu"):
        devices.require("cuda:77")


def test_the_peak_is_this_process_own_and_not_that_of_the_one_that_started_it():
    ballast = np.ones(100_000_000)
    here = devices.peak_rss_bytes()
    assert here > ballast.nbytes
    code = "from repurpose import devices; print(devices.peak_rss_bytes())"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < ballast.nbytes
