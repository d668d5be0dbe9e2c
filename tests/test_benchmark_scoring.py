"""The scoring benchmark prints its figures: many times XGBoost's speed, the same numbers."""

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def test_quick_prints_both_sides_and_the_full_matrix():
    command = [sys.executable, PROJECT / "benchmarks" / "scoring.py", "--json", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs, ours, last = map(json.loads, done.stdout.splitlines())
    assert ours["ratio"] > 3 and theirs["seconds"] > 0
    assert ours["max_difference"] == 0.0
    assert (last["pairs"], last["rows"]) == (800_000, 100 * 800 + 50 * 1000)
    assert 0.1 < last["peak_rss_gb"] < 4
    assert {"seconds", "ratio", "max_difference"} < set(last)
