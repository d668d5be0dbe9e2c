"""The benchmarks of devices and of truncated SVDs run on a small planted graph and print their rows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def rows(name, *options):
    command = [sys.executable, BENCHMARKS / f"{name}.py", "--planted", "0.004", *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_device_has_a_row_and_equal_trainings_have_equal_neighbours():
    first, second = rows("devices", "--devices", "cpu", "cpu-full", "--epochs", 3, "--threads", 1)
    assert (first["device"], second["device"]) == ("cpu", "cpu-full")
    assert first["neighbour_overlap"] is None and second["neighbour_overlap"] == 1.0
    for row in (first, second):
        assert row["status"] == "completed" and row["steps"] == 3 and row["batching"] == "full"
        assert row["seconds"] > row["seconds_a_step"] > 0 and row["peak_gb"] > 0


def test_every_matrix_has_a_row_and_the_last_row_has_the_sums():
    *matrices, last = rows("lowrank", "--cores", 1)
    assert [row["matrix"] for row in matrices][:2] == ["graph", "profiles of anatomy"]
    assert all(0.97 < row["kept"] < 1.03 for row in matrices)
    assert last["seconds"] == pytest.approx(sum(row["seconds"] for row in matrices), abs=0.02)
    assert last["cores"] == 1 and last["ratio"] > 0
