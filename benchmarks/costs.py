"""Fit what each rule costs (seconds, memory, disk) to finished runs, and check the fit on runs left out.

    python benchmarks/costs.py --json --results FOLDER [FOLDER ...] [--write]

--results: results folders of finished runs on this machine, of graphs of different sizes. For each folder the
costs of its rules are predicted from all others, and compared with what was measured (Snakemake's benchmark
files, and the sizes of the results). --write: fit all runs together and write
scripts/repurpose/results/costs.json, which scripts/plan_run.py reads. Run it on an idle machine: its speed
is measured too.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import pandas as pd
import row_files

from repurpose.config import settings
from repurpose.config.sections import Target
from repurpose.core import files, threads
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.results import costs
from repurpose.results.costs import Size

CONFIG = Path(__file__).resolve().parents[1] / "config" / "config.yaml"
MEGABYTE = 2**20
SMALLEST = {
    "seconds": 1.0,
    "memory": 100.0 * MEGABYTE,
    "disk": float(MEGABYTE),
}  # below, a ratio says nothing


class Measured(NamedTuple):
    """A finished run: its folder, size and config, and of each rule the costs of one job by measure."""

    folder: Path
    size: Size
    config: Mapping[str, Any]
    costs: Mapping[str, Mapping[str, float]]


def main() -> None:
    """Check the fit on each run, and write the fit of all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="of finished runs")
    parser.add_argument("--write", action="store_true", help="write costs.json")
    parser.add_argument("--json", action="store_true", help="JSON in place of text")
    options = parser.parse_args()
    threads.limit(threads.current())
    runs = [read(folder) for folder in options.results]
    rows = [row for number in range(len(runs)) if len(runs) > 1 for row in left_out(runs, number)]
    for row in rows:
        print(json.dumps(row | row_files.origin()) if options.json else line(row), flush=True)
    if options.write:
        content = fitted(runs) | {"speed": costs.speed(), "cores": threads.current(), **row_files.origin()}
        content["runs"] = [asdict(run.size) for run in runs]
        files.write_json(costs.COEFFICIENTS, content)


def read(folder: Path) -> Measured:
    """A finished run; of several jobs of a rule, the mean."""
    # A run of an earlier version lacks the newest keys.
    config = settings.merged(settings.read(CONFIG), settings.read(folder / "config.yaml"))
    target = Target(**config["target"])
    ledger = files.read_json(folder / "graph" / "ledger.json")
    size = costs.size_of(graph.load(GraphFiles.in_folder(folder / "graph")), target, ledger["rows"])
    disk = _disk(folder)
    of_rules = {}
    for rule in costs.TERMS:
        tables = [
            pd.read_csv(path, sep="\t") for path in sorted((folder / "benchmarks" / rule).glob("*.tsv"))
        ]
        if tables:
            table = pd.concat(tables)
            of_rules[rule] = {
                "seconds": float(table["s"].mean()),
                "memory": float(table["max_rss"].mean() * MEGABYTE),
                "disk": disk.get(rule, 0.0) / len(tables),
            }
    return Measured(folder, size, config, of_rules)


def _disk(folder: Path) -> dict[str, float]:
    """The bytes of the files of each rule, by the records of its jobs."""
    result: dict[str, float] = {}
    for path in (folder / "records").rglob("*.json"):
        record = files.read_json(path)
        for output in record.get("outputs", []):
            file = folder.parent / output
            if file.exists():
                result[record["rule"]] = result.get(record["rule"], 0.0) + file.stat().st_size
    return result


def fitted(runs: Sequence[Measured]) -> dict[str, Any]:
    """The coefficients of all rules and measures."""
    rules: dict[str, dict[str, list[float]]] = {}
    for rule in costs.TERMS:
        with_rule = [run for run in runs if rule in run.costs]
        if with_rule:
            sizes, configs = ([getattr(run, name) for run in with_rule] for name in ("size", "config"))
            rules[rule] = {
                measure: costs.fit(rule, sizes, configs, [run.costs[rule][measure] for run in with_rule])
                for measure in costs.MEASURES
            }
    return {"rules": rules}


def left_out(runs: Sequence[Measured], number: int) -> list[dict[str, Any]]:
    """Rows of one run: each rule's costs as the other runs predict them, and as they were measured."""
    run = runs[number]
    found = fitted([other for place, other in enumerate(runs) if place != number])
    rows = []
    total = {kind: dict.fromkeys(costs.MEASURES, 0.0) for kind in ("predicted", "measured")}
    for rule, measured in run.costs.items():
        if rule not in found["rules"]:
            continue
        predicted = costs.predict(rule, run.size, run.config, found, 1.0)._asdict()
        for measure in costs.MEASURES:
            for kind, value in (("predicted", predicted[measure]), ("measured", measured[measure])):
                join = max if measure == "memory" else sum
                total[kind][measure] = join([total[kind][measure], value])
        rows.append(_row(run, rule, predicted, measured))
    return [*rows, _row(run, "all", total["predicted"], total["measured"])]


def _row(
    run: Measured, rule: str, predicted: Mapping[str, float], measured: Mapping[str, float]
) -> dict[str, Any]:
    row: dict[str, Any] = {"run": run.folder.parent.name, "edges": run.size.edges, "rule": rule}
    for measure in costs.MEASURES:
        values = [max(each[measure], SMALLEST[measure]) for each in (predicted, measured)]
        row |= {measure: measured[measure], f"{measure}_ratio": values[0] / values[1]}
    return row


def line(row: Mapping[str, Any]) -> str:
    """A row as text: what was measured, and predicted over measured."""
    return (
        f"{row['run']:12}{row['edges']:>10,}  {row['rule']:24}{row['seconds']:8.1f} s "
        f"{row['seconds_ratio']:5.2f}  "
        f"{row['memory'] / MEGABYTE:8.0f} MB {row['memory_ratio']:5.2f}  {row['disk'] / MEGABYTE:8.1f} MB "
        f"{row['disk_ratio']:5.2f}"
    )


if __name__ == "__main__":
    main()
