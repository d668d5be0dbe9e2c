"""Measure time and memory of a training epoch with the fused attention, compared with PyG's HGT layer.

    python benchmarks/attention.py --json [--edges N ...] [--nodes N] [--impl fused pyg pyg-repaired]
        [--epochs N] [--rounds N] [--primekg [SCALE]] [--line] [--quick]

An epoch is one full step of the training: draw, forward, backward, Adam. `pyg` is HGTConv without changes.
`pyg-repaired` is our layer over HGTConv: one concatenation instead of many slice writes, nothing computed
twice, and malloc does not return memory. It is the strongest peer we know. Each measurement is a separate
process, they run one at a time, and rounds alternate between the implementations.

The output is one JSON object per line. Per implementation and size: seconds of the warm epochs of all rounds
(median and minimum), the largest peak memory, the directed message edges of the graph (edges_actual), and how
many of them a step hides because it predicts them. Then the ratios to fused, and the roofline: the time for
the dense products and for reading rows per edge. Both are counted from shapes, at rates measured between the
implementations. Rows are read at random (`seconds`) or in the order of the graph's list of edges
(`seconds_strict`), and summed without writing them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IMPLS = ("fused", "pyg", "pyg-repaired")
LINE_EDGES = [850_000, 1_700_000, 3_400_000, 6_800_000]
NODES = 67_000
SEED = 0
# glibc keeps freed memory, in huge pages; without this, each new large tensor of torch causes page faults.
MALLOC = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(64 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One graph, with its files in `folder`, and the implementations that are measured on it."""

    name: str
    edges: int | None
    impls: Sequence[str]
    folder: Path


def compare(case: Case, chosen: argparse.Namespace) -> Iterator[Row]:
    """Measure all implementations on one graph, round by round; yields the rows, ratios and roofline."""
    runs: dict[str, list[Row]] = {impl: [] for impl in case.impls}
    failed: dict[str, int] = {}
    bounds = []
    for number in range(1, chosen.rounds + 1):
        for impl in case.impls:
            if impl in failed:
                continue
            try:
                runs[impl].append(_measured(impl, case, chosen.epochs, number))
            except subprocess.CalledProcessError as error:
                failed[impl] = error.returncode  # probably out of memory; the others can still be measured
                continue
            if not chosen.quick and len(bounds) < number:  # once per round, between two implementations
                bounds.append(_bound(case, runs[impl][-1]))
    rows = {
        impl: _row(case, impl, measured) for impl, measured in runs.items() if measured and impl not in failed
    }
    yield from rows.values()
    for impl, code in failed.items():
        yield {"graph": case.name, "edges": case.edges, "impl": impl, "failed": code}
    fused = rows.pop("fused", None)
    yield from (_ratio(impl, row, fused) for impl, row in rows.items() if fused)
    if bounds:
        yield _roofline(case, min(bounds, key=lambda bound: bound["seconds"]), fused)


def fit_line(rows: Sequence[Row]) -> Row:
    """Least-squares line of seconds per epoch against millions of message edges."""
    millions = [row["edges_actual"] / 1e6 for row in rows]
    seconds = [row["seconds_per_epoch"] for row in rows]
    slope, intercept = statistics.linear_regression(millions, seconds)
    return {
        "line": "fused",
        "slope_seconds_per_million_edges": round(slope, 4),
        "intercept_seconds": round(intercept, 3),
        "r2": round(statistics.correlation(millions, seconds) ** 2, 5),
    }


def _measured(impl: str, case: Case, warm: int, number: int) -> Row:
    """The result of a process with one implementation; `pyg`, minutes per epoch, runs half the epochs."""
    warm = max(1, warm // 2) if impl == "pyg" else warm
    extra = MALLOC if impl == "pyg-repaired" else {}
    return _child(f"round {number}: {impl}", impl, case, ["--epochs", warm], extra)


def _bound(case: Case, run: Row) -> Row:
    # The layers do not get the hidden edges of a step, so the bound does not count them.
    seen = run["edges_actual"] - run["edges_hidden"]
    return _child("roofline", "roofline", case, ["--edges", seen])


def _child(title: str, task: str, case: Case, options: Sequence[Any], extra: Row | None = None) -> Row:
    """Run one task in a separate process and read the JSON that it prints."""
    size = "" if case.edges is None else f" of {case.edges:,} edges"
    load = f"load {os.getloadavg()[0]:.1f}"
    print(f"{case.name} graph{size}, {title} ({load})", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--one", task, "--graph", str(case.folder), *map(str, options)]
    environment = {name: value for name, value in os.environ.items() if name not in MALLOC}
    done = subprocess.run(command, stdout=subprocess.PIPE, env={**environment, **(extra or {})}, check=True)
    return json.loads(done.stdout)


def _row(case: Case, impl: str, runs: Sequence[Row]) -> Row:
    all_seconds = [epoch_seconds for run in runs for epoch_seconds in run["seconds"]]
    common = {name: runs[0][name] for name in ("edges_actual", "edges_hidden", "nodes", "threads")}
    return {
        "graph": case.name,
        "edges": runs[0]["edges_actual"] if case.edges is None else case.edges,
        **common,
        "impl": impl,
        "seconds_per_epoch": round(statistics.median(all_seconds), 4),
        "seconds_min": round(min(all_seconds), 4),
        "peak_rss_gb": round(max(run["peak_rss_bytes"] for run in runs) / 1e9, 3),
        "epochs": len(all_seconds),
        "rounds": len(runs),
        "first_loss": runs[0]["first_loss"],
    }


def _ratio(impl: str, row: Row, fused: Row) -> Row:
    return {
        "ratio": f"{impl}/fused",
        "graph": row["graph"],
        "edges": row["edges"],
        "seconds": round(row["seconds_per_epoch"] / fused["seconds_per_epoch"], 2),
        "rss": round(row["peak_rss_gb"] / fused["peak_rss_gb"], 2),
    }


def _roofline(case: Case, bound: Row, fused: Row | None) -> Row:
    rounded = {name: round(value, 3) for name, value in bound.items()}
    row = {"roofline": case.name, "edges": fused["edges"] if fused else case.edges, **rounded}
    if fused:
        epoch = fused["seconds_per_epoch"]
        row["fused_over_roofline"] = round(epoch / bound["seconds"], 3)
        row["fused_over_strict"] = round(epoch / bound["seconds_strict"], 3)
    return row


def _cases(chosen: argparse.Namespace, folder: Path) -> Iterator[Case]:
    """The graphs; a separate process writes each one just before it is measured."""
    wanted = [("synthetic", edges, chosen.impl) for edges in chosen.edges]
    if chosen.primekg is not None:
        wanted.append(("primekg", None, ["fused"]))
    for name, edges, impls in wanted:
        case = Case(name, edges, impls, folder / f"{name}-{edges}")
        case.folder.mkdir(exist_ok=True)
        size = ["--primekg", chosen.primekg] if edges is None else ["--edges", edges, "--nodes", chosen.nodes]
        _child("build", name, case, size)
        yield case


def _one(chosen: argparse.Namespace) -> Any:
    """Run the task of a child process: build a graph, or measure an implementation or the roofline."""
    # Imported here, because the parent process only waits and must hold no memory and no threads.
    import attention_graph

    if chosen.one == "primekg":
        return attention_graph.primekg(chosen.graph, chosen.primekg)
    if chosen.one == "synthetic":
        kg = attention_graph.synthetic(chosen.nodes, chosen.edges[0], SEED)
        return attention_graph.save(kg, chosen.graph)
    import attention_measure

    kg = attention_graph.load(chosen.graph)
    if chosen.one == "roofline":
        return attention_measure.roofline(kg, chosen.edges[0])
    return attention_measure.epochs(chosen.one, kg, chosen.epochs)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--json", action="store_true", help="one JSON object per line (the only format)")
    add("--edges", type=int, nargs="*", default=[850_000], help="directed message edges, per size")
    add("--nodes", type=int, default=NODES, help="nodes of the synthetic graph")
    add("--impl", nargs="+", choices=IMPLS, default=list(IMPLS))
    add("--epochs", type=int, default=4, help="warm epochs per process; half as many for pyg")
    add("--rounds", type=int, default=2, help="processes per implementation and size")
    add("--primekg", type=float, nargs="?", const=1.0, help="the demo graph too, at this scale (fused only)")
    add("--line", action="store_true", help="fused at four sizes, and the line through them")
    add("--quick", action="store_true", help="one small size, fused and pyg, under a minute")
    for hidden, argument_type in (("--one", str), ("--graph", Path)):
        add(hidden, type=argument_type, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.edges, chosen.nodes, chosen.impl = [100_000], 8_000, ["fused", "pyg"]
        chosen.rounds, chosen.epochs, chosen.line, chosen.primekg = 1, 4, False, None
    if chosen.line:
        chosen.edges, chosen.nodes, chosen.impl = LINE_EDGES, NODES, ["fused"]
    return chosen


def main() -> None:
    """Measure the chosen cases and print a line for each; exits with 1 if an implementation failed."""
    chosen = _parse()
    if chosen.one:
        print(json.dumps(_one(chosen)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in _cases(chosen, Path(folder)):
            for row in compare(case, chosen):
                print(json.dumps(row), flush=True)
                rows.append(row)
    if chosen.line:
        print(json.dumps(fit_line([r for r in rows if r.get("graph") == "synthetic" and "epochs" in r])))
    sys.exit(any("failed" in row for row in rows))


if __name__ == "__main__":
    main()
