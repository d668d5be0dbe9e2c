"""The comparison of engines reads the same table with each engine that is installed."""

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def test_the_workflows_reader_reads_every_format_and_missing_engines_are_named():
    command = [
        sys.executable,
        PROJECT / "benchmarks" / "engines.py",
        "--rows",
        "3000",
        "--repeats",
        "1",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    of_arrow = [row for row in rows if row["engine"] == "arrow"]
    assert [row["format"] for row in of_arrow] == ["csv", "csv.gz", "parquet"]
    assert all(row["seconds"] > 0 and row["peak_rss_gb"] > 0 and row["rows"] == 3000 for row in of_arrow)
    measured = {row["engine"] for row in rows}
    assert measured | {name for name in ("polars", "polars-text", "duckdb") if name in done.stderr} == {
        "arrow",
        "polars",
        "polars-text",
        "duckdb",
    }
