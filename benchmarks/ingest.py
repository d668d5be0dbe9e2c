"""Measure time and memory of reading an edges table into a graph, compared with plain pandas code.

    python benchmarks/ingest.py [--rows N] [--json] [--formats csv kgx triples ...]

The table is random and has the columns, the number of node types and the number of relations of PrimeKG. Each
measurement runs in a separate process, so that its peak memory is not that of another. pandas reads csv,
csv.gz and parquet only. kgx, kgx.tar.gz and kgx.jsonl are tables of nodes and edges; triples have the types
in front of the ids, as in DRKG; numbered is a table without a header; openke are its id files. With
`inspect`, the csv is read by scripts/inspect_edges.py.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import build_graph
from repurpose.config.sections import EdgeColumns, GraphSettings, Target
from repurpose.ingest import inspection

PLAIN = ("csv", "csv.gz", "parquet")  # what pandas reads, too
FORMATS = (*PLAIN, "kgx", "kgx.tar.gz", "kgx.jsonl", "triples", "numbered", "openke", "inspect")
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
UNDERSCORED = Target(head_type="type_0", tail_type="type_1", positive=["relation_0"], negative=[])
NUMBERED = EdgeColumns(relation=3, head_id=2, head_type=1, head_name="", tail_id=5, tail_type=4, tail_name="")


def make(folder: Path, rows: int, formats: Sequence[str]) -> None:
    """Write a random table in these formats; degrees are skewed, and a tenth of the rows are mirrored."""
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
    if set(formats) - {*PLAIN, "inspect"}:
        make_others(folder, table)


def make_others(folder: Path, table: pa.Table) -> None:
    """Write the same edges in the formats that have the types in the ids or in a table of nodes."""
    relations, heads, tails = (
        pc.replace_substring(table[name].combine_chunks(), " ", "_")
        for name in ("relation", "x_type", "y_type")
    )
    ids = [
        pc.binary_join_element_wise(kind, table[name].combine_chunks(), "::")
        for kind, name in ((heads, "x_id"), (tails, "y_id"))
    ]
    triples = pa.table({"head": ids[0], "relation": relations, "tail": ids[1]})
    _write_tsv(triples, folder / "triples.tsv", header=False)
    numbered = pa.table([heads, table["x_id"], relations, tails, table["y_id"]], names=list("abcde"))
    _write_tsv(numbered, folder / "numbered.tsv", header=False)
    kgx = triples.rename_columns(["subject", "predicate", "object"])
    kgx = kgx.append_column("primary_knowledge_source", pa.array(["infores:x"] * len(kgx)))
    ends = pa.table(
        {
            "id": pa.concat_arrays(ids),
            "category": pa.concat_arrays([heads, tails]),
            "name": pa.concat_arrays([table[name].combine_chunks() for name in ("x_name", "y_name")]),
        }
    )
    nodes = ends.group_by(["id", "category", "name"]).aggregate([])
    (folder / "kgx").mkdir()
    for name, content in (("nodes", nodes), ("edges", kgx)):
        _write_tsv(content, folder / "kgx" / f"{name}.tsv", header=True)
        with (folder / f"kgx_{name}.jsonl").open("w", encoding="utf-8") as stream:
            for batch in content.to_batches(max_chunksize=100_000):
                stream.writelines(json.dumps(row) + "\n" for row in batch.to_pylist())
    with tarfile.open(folder / "kgx.tar.gz", "w:gz") as archive:
        archive.add(folder / "kgx", "kgx")
    (folder / "openke").mkdir()
    entities = pc.unique(ends["id"])
    names = pc.unique(relations)
    for name, values in (("entity2id", entities), ("relation2id", names)):
        lines = [f"{value}\t{number}" for number, value in enumerate(values.to_pylist())]
        (folder / "openke" / f"{name}.txt").write_text("\n".join([str(len(lines)), *lines]) + "\n")
    numbers = [pc.index_in(ids[0], entities), pc.index_in(ids[1], entities), pc.index_in(relations, names)]
    with (folder / "openke" / "train2id.txt").open("wb") as stream:
        stream.write(f"{len(table)}\n".encode())
        _write_tsv(pa.table(numbers, names=list("htr")), stream, header=False)


def _write_tsv(table: pa.Table, path: Any, *, header: bool) -> None:
    options = pyarrow.csv.WriteOptions(include_header=header, delimiter="\t", quoting_style="none")
    pyarrow.csv.write_csv(table, path, options)


def _texts(codes: np.ndarray, word: str, count: int) -> pa.Array:
    return pa.array([f"{word} {i}" for i in range(count)]).take(pa.array(codes))


def with_repurpose(folder: Path, written_as: str) -> int:
    """Read the table as the rule build_graph does, without writing; returns the number of edges."""
    if written_as == "inspect":
        return inspection.inspect([str(folder / "edges.csv")], [], {"target": vars(TARGET)}).built.ledger[
            "kept"
        ]
    settings = GraphSettings(missing=[], max_dropped_share=1.0)
    edges, nodes, target = str(folder / f"edges.{written_as}"), "", UNDERSCORED
    if written_as in PLAIN:
        settings, target = replace(settings, columns=EdgeColumns(**COLUMNS)), TARGET
    elif written_as == "numbered":
        settings, edges = replace(settings, columns=NUMBERED), str(folder / "numbered.tsv")
    elif written_as == "kgx.jsonl":
        edges, nodes = (str(folder / f"kgx_{name}.jsonl") for name in ("edges", "nodes"))
    else:
        edges = str(folder / {"triples": "triples.tsv"}.get(written_as, written_as))
    return build_graph.read(edges, nodes, settings, target).ledger["kept"]


def with_pandas(folder: Path, written_as: str) -> int:
    """Read the same edges with read_csv, factorize and drop_duplicates; returns the number of edges."""
    import pandas as pd

    path, wanted = folder / f"edges.{written_as}", list(COLUMNS.values())
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


def measure(read: Callable[[Path, str], int], folder: Path, written_as: str) -> dict[str, Any]:
    """Call a reader; returns seconds, peak memory of this process and number of edges."""
    start = time.perf_counter()
    edges = read(folder, written_as)
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


def main(rows: int, formats: Sequence[str], as_json: bool) -> None:
    """Measure every format with the readers that know it and print a line for each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_process(make, folder, rows, formats)
        for written_as in formats:
            for reader in (with_repurpose, with_pandas) if written_as in PLAIN else (with_repurpose,):
                result = in_process(measure, reader, folder, written_as)
                line = {
                    "rows": rows,
                    "format": written_as,
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
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(PLAIN))
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")
    arguments = parser.parse_args()
    main(arguments.rows, arguments.formats, arguments.json)
