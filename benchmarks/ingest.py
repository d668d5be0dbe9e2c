"""Measure time and memory of reading an edges table into a graph, compared with plain pandas code.

    python benchmarks/ingest.py [--rows N] [--json]

The table is random and has the columns, the number of node types and the number of relations of PrimeKG. Each
measurement runs in a separate process, so that its peak memory is not that of another.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import build_graph
from repurpose.config.sections import GraphSettings, Target

FORMATS = ("csv", "csv.gz", "parquet")
TYPES = 10
RELATIONS = 30
NODES_PER_ROW = 1 / 60  # PrimeKG: 129,375 nodes in 8.1 million rows
COLUMNS = {
    "relation": "relation",
    "head_id": "x_id",
    "head_type": "x_type",
    "head_name": "x_name",
    "tail_id": "y_id",
    "tail_type": "y_type",
    "tail_name": "y_name",
}
TARGET = Target(head_type="type 0", tail_type="type 1", positive=["relation 0"], negative=[])


def make(folder: Path, rows: int) -> None:
    """Write a random table in every format; degrees are skewed, and a tenth of the rows are mirrored."""
    generator = np.random.default_rng(0)
    pairs = np.array([(0, 1)] + [tuple(generator.integers(0, TYPES, 2)) for _ in range(RELATIONS - 1)])
    relation = generator.integers(0, RELATIONS, rows)
    node_types = pairs[relation]
    per_type = max(2, int(rows * NODES_PER_ROW / TYPES))
    nodes = (per_type * generator.random((rows, 2)) ** 2).astype(np.int64)
    is_mirrored = generator.random(rows) < 0.1
    node_types[is_mirrored], nodes[is_mirrored] = (
        node_types[is_mirrored][:, ::-1],
        nodes[is_mirrored][:, ::-1],
    )
    numbers = pa.array([str(i) for i in range(per_type)])
    columns = {
        "relation": _texts(relation, "relation", RELATIONS),
        "display_relation": _texts(relation, "shown", RELATIONS),
    }
    for side, prefix in enumerate("xy"):
        node = nodes[:, side]
        columns |= {
            f"{prefix}_index": pa.array(node_types[:, side] * per_type + node),
            f"{prefix}_id": numbers.take(pa.array(node)),
            f"{prefix}_type": _texts(node_types[:, side], "type", TYPES),
            f"{prefix}_name": _texts(node, "a name, of some length,", per_type),
            f"{prefix}_source": _texts(node_types[:, side], "source", TYPES),
        }
    table = pa.table(columns)
    pq.write_table(table, folder / "edges.parquet")
    for name in ("edges.csv", "edges.csv.gz"):
        with pa.output_stream(str(folder / name)) as stream:
            pyarrow.csv.write_csv(table, stream)


def _texts(codes: np.ndarray, word: str, count: int) -> pa.Array:
    return pa.array([f"{word} {i}" for i in range(count)]).take(pa.array(codes))


def with_repurpose(path: Path) -> int:
    """Read the table as the rule build_graph does, without writing; returns the number of edges."""
    settings = GraphSettings(columns=COLUMNS, missing=[], max_dropped_share=1.0)
    return build_graph.read(str(path), "", settings, TARGET).ledger["kept"]


def with_pandas(path: Path) -> int:
    """Read the same edges with read_csv, factorize and drop_duplicates; returns the number of edges."""
    import pandas as pd

    wanted = list(COLUMNS.values())
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path, columns=wanted)
    else:
        frame = pd.read_csv(path, usecols=wanted, dtype=str, keep_default_na=False)
    keys = pd.concat([frame["x_type"] + "\t" + frame["x_id"], frame["y_type"] + "\t" + frame["y_id"]])
    codes, _ = pd.factorize(keys, sort=True)
    head, tail = np.split(codes, 2)
    names = pd.concat([frame["x_name"], frame["y_name"]])
    names.groupby(codes).min()
    edges = pd.DataFrame(
        {
            "relation": pd.factorize(frame["relation"], sort=True)[0],
            "tail": np.maximum(head, tail),
            "head": np.minimum(head, tail),
        }
    )
    return len(edges[head != tail].drop_duplicates().sort_values(["relation", "tail", "head"]))


def measure(read: Callable[[Path], int], path: Path) -> dict[str, Any]:
    """Call a reader; returns seconds, peak memory of this process and number of edges."""
    start = time.perf_counter()
    edges = read(path)
    return {"seconds": time.perf_counter() - start, "peak_rss_gb": peak_rss() / 1e9, "edges": edges}


def peak_rss() -> int:
    """Peak memory in bytes; VmHWM if the system has it, because ru_maxrss may be the parent's peak."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main(rows: int, as_json: bool) -> None:
    """Measure every format with both readers and print a line for each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_process(make, folder, rows)
        for suffix in FORMATS:
            for reader in (with_repurpose, with_pandas):
                result = in_process(measure, reader, folder / f"edges.{suffix}")
                line = {
                    "rows": rows,
                    "format": suffix,
                    "reader": reader.__name__.removeprefix("with_"),
                    "seconds": round(result["seconds"], 2),
                    "peak_rss_gb": round(result["peak_rss_gb"], 2),
                    "rows_per_second": round(rows / result["seconds"]),
                    "edges": result["edges"],
                }
                print(
                    json.dumps(line)
                    if as_json
                    else "  ".join(f"{key} {value}" for key, value in line.items()),
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", type=int, default=8_100_000, help="rows of the table (PrimeKG has 8.1 million)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    arguments = parser.parse_args()
    main(arguments.rows, arguments.json)
