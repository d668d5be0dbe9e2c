"""Files of measured rows: JSON lines while a program measures, and a parquet file for each published table.

    python benchmarks/row_files.py results/quality/rows.jsonl benchmarks/rows/NAME.parquet

A program that measures appends each row as soon as it is complete, so that a rerun continues where the last
run stopped. The command above copies the rows of all files but the last into the last one; the sources may be
.jsonl or .parquet. Each row has its origin: `command`, `commit` (with -dirty if tracked files had changed),
`date` and `cpu`. Rows that are older than these columns have the command of the document, the first commit
that contained the row, the date of that commit, and no CPU.
"""

import argparse
import functools
import json
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import pyarrow as pa
import pyarrow.parquet as pq

from repurpose.core import files, threads

PROJECT = Path(__file__).resolve().parents[1]
ORIGIN = ("command", "commit", "date", "cpu")
Row = dict[str, Any]


def main() -> None:
    """Copy rows into a parquet file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", type=Path, help=".jsonl or .parquet")
    parser.add_argument("target", type=Path, help=".parquet")
    options = parser.parse_args()
    for path in options.sources:
        if not path.exists():
            parser.error(f"{path} does not exist")
    if options.target.suffix != ".parquet":
        parser.error(f"{options.target} is to be written as parquet: give it a name that ends with .parquet")
    rows = read(*options.sources)
    keep(rows, options.target)
    print(f"{options.target}: {len(rows)} rows, {options.target.stat().st_size / 1000:.0f} kB")


def read(*paths: Path) -> list[Row]:
    """The rows of all files in their order; a .jsonl file that does not exist yet has no rows."""
    return [
        row
        for path in paths
        for row in (_parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path))
    ]


def new_rows_file(paths: Sequence[Path]) -> Path:
    """The last of the paths, to which new rows are added; exits with a message if it is parquet."""
    if paths[-1].suffix == ".parquet":
        sys.exit(f"no rows can be added to {paths[-1]}: name a .jsonl file behind it in --rows")
    return paths[-1]


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row and its origin to a .jsonl file, as one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**row, **origin()}, separators=(",", ":")) + "\n")


def keep(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows as parquet (zstd), with a column per key; values that contain dicts become JSON text.

    When the rows are read again, keys with the value None are missing, except within JSON text.
    """
    names = dict.fromkeys([*(name for row in rows for name in row), *ORIGIN])
    table = pa.table({name: _column(name, rows) for name in names})
    with files.replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", compression_level=19, use_dictionary=False)


@functools.cache
def origin() -> dict[str, str]:
    """The origin of the rows of this process, by ORIGIN; absolute paths are shortened to file names."""
    words = [re.sub(r"^(--[\w-]+=)?/.*/", r"\1", word) for word in sys.argv]
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    commit = subprocess.run(describe, cwd=PROJECT, capture_output=True, text=True, check=False).stdout.strip()
    information = Path("/proc/cpuinfo")  # only on Linux
    model = re.search(r"^model name\s*: (.+)$", information.read_text() if information.exists() else "", re.M)
    cpu = f"{threads.current()} x {model[1] if model else platform.processor() or platform.machine()}"
    values = (shlex.join(["python", *words]), commit, datetime.now(UTC).date().isoformat(), cpu)
    return dict(zip(ORIGIN, values, strict=True))


def _json_rows(path: Path) -> list[Row]:
    if not path.exists():
        return []
    complete, _, broken = path.read_text(encoding="utf-8").rpartition("\n")
    if broken:  # a run was stopped while it wrote this row; the next run makes it again
        path.write_text(f"{complete}\n" if complete else "", encoding="utf-8")
    return [json.loads(line) for line in complete.splitlines()]


def _parquet_rows(path: Path) -> list[Row]:
    # A file handle and not a path, because pyarrow may take folder names in a path for hive keys.
    with path.open("rb") as file:
        table = pq.read_table(file)
    texts = {field.name for field in table.schema if field.type == pa.json_()}
    return [
        {name: json.loads(cell) if name in texts else cell for name, cell in row.items() if cell is not None}
        for row in table.to_pylist()
    ]


def _column(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Array:
    cells = [row.get(name) for row in rows]
    if any(isinstance(part, dict) for cell in cells for part in (cell if isinstance(cell, list) else [cell])):
        return pa.array([json.dumps(row[name]) if name in row else None for row in rows], pa.json_())
    return pa.array(cells, pa.string() if name in ORIGIN else None)


if __name__ == "__main__":
    main()
