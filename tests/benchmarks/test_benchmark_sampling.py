"""The sampling benchmark: the sampler is much faster than numpy and takes a small share of a step."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timed


def test_quick_prints_the_ratio_and_the_share_of_a_step():
    command = [sys.executable, PROJECT / "benchmarks" / "sampling.py", "--json", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sampler, *rows_by_width = map(json.loads, done.stdout.splitlines())
    assert sampler["ratio"] > 3
    assert abs(sampler["numba_messages"] - sampler["numpy_messages"]) < 0.02 * sampler["numpy_messages"]
    assert [row["width"] for row in rows_by_width] == [64, 256]
    assert all(0 < row["sampling_share"] < 0.2 for row in rows_by_width)
