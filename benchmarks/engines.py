"""Which engine reads an edges table: Arrow (the workflow's), Polars or DuckDB.

    pip install -c envs/requirements.txt -r envs/benchmarks.txt
    python benchmarks/engines.py [--rows N] [--repeats 3] [--json]

The table is that of benchmarks/ingest.py. Each engine reads the seven columns that the workflow needs as
text, and the result is an Arrow table of dictionary-encoded columns, because the next step works on codes.
`polars-text` leaves out the encoding. Each measurement is a process of its own; engines take turns, and the
median of the repeats is printed. An engine that is not installed is left out, and the last line says so.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import ingest as ingest_benchmark

from repurpose.ingest import tables

COLUMNS = list(ingest_benchmark.COLUMNS.values())
THREADS = 2


def with_arrow(path: Path) -> int:
    """The workflow's reader."""
    pa.set_cpu_count(THREADS)
    return tables.read(path, COLUMNS).num_rows


def with_polars(path: Path) -> int:
    """Polars, with categorical columns."""
    return _polars(path, is_encoded=True)


def with_polars_text(path: Path) -> int:
    """Polars, with columns of plain text."""
    return _polars(path, is_encoded=False)


def _polars(path: Path, *, is_encoded: bool) -> int:
    import polars

    kind = polars.Categorical if is_encoded else polars.String
    if path.suffix == ".parquet":
        frame = polars.read_parquet(path, columns=COLUMNS).with_columns(polars.all().cast(kind))
    else:
        kinds = dict.fromkeys(COLUMNS, kind)
        frame = polars.read_csv(path, columns=COLUMNS, schema_overrides=kinds, infer_schema=False)
    return frame.to_arrow().num_rows


def with_duckdb(path: Path) -> int:
    """DuckDB; Arrow encodes its text, batch by batch."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"set threads = {THREADS}")
    reader = (
        "read_parquet(?)" if path.suffix == ".parquet" else "read_csv(?, all_varchar = true, header = true)"
    )
    result = connection.sql(f"select {', '.join(COLUMNS)} from {reader}", params=[str(path)])
    batches = list(result.to_arrow_reader(1 << 20))
    encoded = [
        pa.record_batch([column.dictionary_encode() for column in batch.columns], names=COLUMNS)
        for batch in batches
    ]
    return pa.Table.from_batches(encoded).unify_dictionaries().num_rows


ENGINES: dict[str, tuple[str, Callable[[Path], int]]] = {
    "arrow": ("pyarrow", with_arrow),
    "polars": ("polars", with_polars),
    "polars-text": ("polars", with_polars_text),
    "duckdb": ("duckdb", with_duckdb),
}


def measure(engine: str, path: Path) -> dict[str, Any]:
    """Read a table; seconds, peak memory of this process and rows."""
    begin = time.perf_counter()
    rows = ENGINES[engine][1](path)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "peak_rss_gb": ingest_benchmark.peak_rss() / 1e9, "rows": rows}


def main(rows: int, repeats: int, as_json: bool) -> None:
    """Measure all engines on all formats, in turns."""
    there = [name for name, (module, _) in ENGINES.items() if importlib.util.find_spec(module)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ingest_benchmark.in_process(ingest_benchmark.make, folder, rows, ())
        for suffix in ingest_benchmark.PLAIN:
            found: dict[str, list[dict[str, Any]]] = {engine: [] for engine in there}
            for _ in range(repeats):
                for engine in there:
                    path = folder / f"edges.{suffix}"
                    found[engine].append(ingest_benchmark.in_process(measure, engine, path))
            for engine, results in found.items():
                assert {result["rows"] for result in results} == {rows}, f"{engine} lost rows"
                line = {"rows": rows, "format": suffix, "engine": engine}
                for key in ("seconds", "peak_rss_gb"):
                    line[key] = round(statistics.median(result[key] for result in results), 4)
                print(
                    json.dumps(line) if as_json else "  ".join(f"{k} {v}" for k, v in line.items()),
                    flush=True,
                )
    missing = [name for name in ENGINES if name not in there]
    if missing:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=8_100_000, help="rows of the table")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    arguments = parser.parse_args()
    main(arguments.rows, arguments.repeats, arguments.json)
