"""The history of a training: one row a step, readable while it runs."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from repurpose import files

SCHEMA = pa.schema(
    [
        ("step", pa.int64()),
        ("epoch", pa.int64()),
        ("edges_seen", pa.int64()),
        ("link", pa.float64()),
        ("contrastive", pa.float64()),
        ("total", pa.float64()),
        ("valid_auroc", pa.float64()),
        ("seconds", pa.float64()),
    ]
)
REWRITE_SECONDS = 5.0


class Writer:
    """Appends rows to a JSON-lines file at once and rewrites the parquet file every few seconds."""

    def __init__(self, path: str | Path, lines: str | Path) -> None:
        self.path, self.lines = Path(path), Path(lines)
        self.rows: list[dict[str, Any]] = []
        self.lines.parent.mkdir(parents=True, exist_ok=True)
        self.lines.write_text("")
        self.written = time.monotonic()

    def start(self, rows: list[dict[str, Any]]) -> None:
        """Begin with the rows of an earlier run."""
        self.rows = list(rows)
        self.lines.write_text("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))

    def add(self, row: dict[str, Any]) -> None:
        """Add one row with the columns of `SCHEMA`; None where a figure was not taken."""
        self.rows.append(row)
        with self.lines.open("a") as file:
            file.write(json.dumps(row, allow_nan=False) + "\n")
        if time.monotonic() - self.written > REWRITE_SECONDS:
            self.close()

    def close(self) -> None:
        """Write all rows to the parquet file."""
        files.write_table(self.path, pa.Table.from_pylist(self.rows, schema=SCHEMA))
        self.written = time.monotonic()


def progress(label: str) -> Callable[[dict[str, Any], int], None]:
    """A function of a row and the number of steps that logs a bar and the losses, about twenty times in all.

    Whole lines, not a bar that is drawn over: several trainings may share a terminal, and a log
    file keeps them.
    """
    started = time.perf_counter()

    def log(row: dict[str, Any], steps: int) -> None:
        if row["step"] % max(1, steps // 20) and row["step"] != steps:
            return
        shown = ("link", "contrastive", "total", "valid_auroc")
        values = " ".join(f"{name} {row[name]:.4f}" for name in shown if row[name] is not None)
        elapsed = time.perf_counter() - started
        bar = tqdm.format_meter(row["step"], steps, elapsed, prefix=label, unit="step", ncols=79)
        logging.info("%s %s", bar, values)

    return log
