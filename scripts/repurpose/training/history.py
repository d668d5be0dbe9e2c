"""The history of a training: one row per step, readable while it runs."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from repurpose.core import files

SCHEMA = pa.schema(
    [
        ("step", pa.int64()),
        ("epoch", pa.int64()),
        ("edges_seen", pa.int64()),
        ("link", pa.float64()),
        ("ranking", pa.float64()),
        ("contrastive", pa.float64()),
        ("total", pa.float64()),
        ("gradient_norm", pa.float64()),
        ("valid_auroc", pa.float64()),
        ("seconds", pa.float64()),
    ]
)
REWRITE_SECONDS = 5.0
INTERVAL_SECONDS = 30.0


class Writer:
    """Appends rows to a JSON-lines file at once and rewrites the parquet file every few seconds."""

    def __init__(self, path: str | Path, lines: str | Path) -> None:
        self.path, self.lines = Path(path), Path(lines)
        self.rows: list[dict[str, Any]] = []
        with files.writing(self.lines):
            self.lines.parent.mkdir(parents=True, exist_ok=True)
            self.lines.write_text("")
        self.written = time.monotonic()

    def start(self, rows: list[dict[str, Any]]) -> None:
        """Begin with the rows of an earlier run."""
        self.rows = [_columns(row) for row in rows]
        with files.writing(self.lines):
            self.lines.write_text("".join(json.dumps(row, allow_nan=False) + "\n" for row in self.rows))

    def add(self, row: dict[str, Any]) -> None:
        """Add the columns of `SCHEMA` of one row; numbers that were not measured are None."""
        self.rows.append(_columns(row))
        with files.writing(self.lines), self.lines.open("a") as file:
            file.write(json.dumps(self.rows[-1], allow_nan=False) + "\n")
        if time.monotonic() - self.written > REWRITE_SECONDS:
            self.close()

    def close(self) -> None:
        """Write all rows to the parquet file."""
        files.write_table(self.path, pa.Table.from_pylist(self.rows, schema=SCHEMA))
        self.written = time.monotonic()


def _columns(row: dict[str, Any]) -> dict[str, Any]:
    # Rows of a checkpoint of an earlier version have no gradient norm.
    return {name: row.get(name) if name == "gradient_norm" else row[name] for name in SCHEMA.names}


def progress(label: str) -> Callable[[dict[str, Any], int], None]:
    """A function that logs the state of a training from time to time; takes a row and the number of steps.

    It logs twenty times in all, and every `INTERVAL_SECONDS` if that is more often. The time that is left is
    not known at the first step: what is prepared before it takes longer. The terminal shows whole lines,
    because several trainings may share it; a progress bar is in the log file only.
    """
    started = shown = time.perf_counter()
    first: int | None = None

    def log(row: dict[str, Any], steps: int) -> None:
        nonlocal started, shown, first
        now, step = time.perf_counter(), row["step"]
        if first is None:
            started, first = now, step
        if step % max(1, steps // 20) and step != steps and now - shown < INTERVAL_SECONDS:
            return
        shown, elapsed = now, now - started
        seconds_left = elapsed / (step - first) * (steps - step) if step > first else None
        bar = tqdm.format_meter(step - first, steps - first, elapsed, unit="step", ncols=60)
        logging.info("%s: %s", label, line(row, steps, seconds_left), extra={"detail": bar})

    return log


def line(row: dict[str, Any], steps: int, seconds_left: float | None) -> str:
    """The state of a training: its losses with those of guesses, and the time to its end, if it is known."""
    parts = [f"step {row['step']} of {steps}, epoch {row['epoch']}"]
    for name in ("link", "ranking", "contrastive", "total"):
        if row[name] is not None:
            parts.append(f"{name} {row[name]:.3f} (guessing {row[f'{name}_floor']:.3f})")
    if row["valid_auroc"] is not None:
        parts.append(f"validation AUROC {row['valid_auroc']:.3f}")
    return ", ".join([*parts, *([] if seconds_left is None else [f"{duration(seconds_left)} left"])])


def duration(seconds: float) -> str:
    """A time as people say it, for example 10 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
