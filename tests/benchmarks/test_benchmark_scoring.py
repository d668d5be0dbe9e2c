"""The benchmarks of scoring and of dossiers print their rows, and scores equal XGBoost's to the last bit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timed


def test_quick_prints_rows_of_xgboost_trees_and_the_full_matrix():
    command = [sys.executable, PROJECT / "benchmarks" / "scoring.py", "--json", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    xgboost, trees, full_matrix = map(json.loads, done.stdout.splitlines())
    assert trees["ratio"] > 3 and xgboost["seconds"] > 0
    assert trees["max_difference"] == 0.0
    assert (full_matrix["pairs"], full_matrix["rows"]) == (800_000, 100 * 800 + 50 * 1000)
    assert 0.1 < full_matrix["peak_rss_gb"] < 4
    assert {"seconds", "ratio", "max_difference"} < set(full_matrix)


def test_dossiers_are_timed_for_two_diseases():
    command = [sys.executable, PROJECT / "benchmarks" / "dossiers.py", "--planted", "0.01", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    median, highest, last = map(json.loads, done.stdout.splitlines())
    assert 0 < median["degree"] < highest["degree"]
    for row in (median, highest):
        assert row["paths"] > row["candidates"] > 50
        # Both come from one run, so the part is never more than the whole.
        assert row["seconds"] >= row["seconds_of_changes"] > 0
    assert last["nodes"] > 1000 and last["edges"] > 10_000 and last["read"] > 0
