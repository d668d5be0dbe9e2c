"""Say before a run what it will take on this machine: hours, memory and disk of each stage.

python scripts/plan_run.py --configfile my.yaml
"""

import argparse
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

import build_graph
from repurpose.config import settings
from repurpose.config.config import Config
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import demo, identifiers, inputs
from repurpose.results import costs
from repurpose.results.costs import Cost, Size

PROJECT = Path(__file__).resolve().parents[1]
CONFIG = PROJECT / "config" / "config.yaml"
BEYOND = 1.2  # times the largest graph that was measured: from here on, the plan says that it guesses
UNITS = ((3600, "h"), (60, "min"), (1, "s"))


def main(options: argparse.Namespace) -> str:
    """The plan, as text or as JSON."""
    config = settings.load([CONFIG, *options.configfile])
    size = size_of(config, options.results)
    coefficients = costs.load()
    speed = costs.speed() / coefficients["speed"]
    planned = costs.plan(size, config, coefficients, speed)
    if options.json:
        stages = {rule: {"jobs": jobs, **cost._asdict()} for rule, (jobs, cost) in planned.items()}
        return json.dumps({"size": asdict(size), "speed": speed, "stages": stages})
    return "\n".join(
        [*_introduction(size), "", *_table(planned), "", *_cautions(size, config, planned, coefficients)]
    )


def size_of(config: dict[str, Any], results: Path) -> Size:
    """The size of the graph: the demo's by its scale, that of finished results, or of the tables, read now.

    Raises InputError for a table that is not there yet.
    """
    if config["edges"] == "demo":
        return demo_size(config)
    built = results / "graph" / "nodes.parquet"
    known = results / "config.yaml"
    checked = Config(**config)
    if built.exists() and known.exists():
        of_results = settings.read(known)
        if all(of_results.get(key) == config[key] for key in ("edges", "nodes", "graph", "target")):
            rows = files.read_json(results / "graph" / "ledger.json")["rows"]
            return costs.size_of(graph.load(GraphFiles.in_folder(results / "graph")), checked.target, rows)
    paths = {key: inputs.local_paths(config, key) for key in ("edges", "nodes")}
    absent = [path for of_key in paths.values() for path in of_key if not Path(path).exists()]
    if absent:
        goal = "results/graph/nodes.parquet"
        raise InputError(
            f"{absent[0]} does not exist: put it there or, for a web address, run snakemake with the target "
            f"{goal} first"
        )
    same = identifiers.read(checked.graph.identifiers)
    kg, ledger, _ = build_graph.read(paths["edges"], paths["nodes"], checked.graph, checked.target, same)
    return costs.size_of(kg, checked.target, ledger["rows"])


def demo_size(config: dict[str, Any]) -> Size:
    """The size of the demo graph, which need not be drawn for it."""
    target, scale = config["target"], config["demo"]["scale"]
    nodes = demo.node_counts(scale)
    ends = {target["head_type"], target["tail_type"]}
    counts = {spec: demo.edge_count(spec, nodes, scale) for spec in demo.RELATIONS}
    messages = {spec: count for spec, count in counts.items() if {spec.head_type, spec.tail_type} != ends}
    labelled = {
        key: sum(count for spec, count in counts.items() if spec.relation in target[key])
        for key in ("positive", "negative")
    }
    return Size(
        2 * sum(counts.values()),
        sum(nodes.values()),
        sum(messages.values()),
        len(messages),
        nodes[target["head_type"]],
        nodes[target["tail_type"]],
        labelled["positive"],
        sum(labelled.values()),
    )


def _introduction(size: Size) -> list[str]:
    return [
        f"{size.rows:,} rows: {size.nodes:,} nodes, {size.edges:,} edges of {size.relations} relations; "
        f"{size.heads:,} heads, {size.tails:,} tails, {size.treatments:,} known treatments"
    ]


def _table(planned: dict[str, tuple[int, Cost]]) -> list[str]:
    total = _total(planned)
    rows = [
        ("rule", "jobs", "time of one", "memory", "disk"),
        *(
            (rule, str(jobs), _time(cost.seconds), _size(cost.memory), _size(jobs * cost.disk))
            for rule, (jobs, cost) in planned.items()
        ),
        ("all, one after the other", "", _time(total.seconds), _size(total.memory), _size(total.disk)),
    ]
    return [
        f"{name:26}{jobs:>5}{seconds:>14}{memory:>11}{disk:>11}" for name, jobs, seconds, memory, disk in rows
    ]


def _total(planned: dict[str, tuple[int, Cost]]) -> Cost:
    """The cost of all jobs, one after the other."""
    return Cost(
        sum(jobs * cost.seconds for jobs, cost in planned.values()),
        max(cost.memory for _, cost in planned.values()),
        sum(jobs * cost.disk for jobs, cost in planned.values()),
    )


def _cautions(
    size: Size, config: dict[str, Any], planned: dict[str, tuple[int, Cost]], coefficients: dict[str, Any]
) -> list[str]:
    """What the figures rest on, and what of it this machine lacks."""
    largest = max(run["edges"] for run in coefficients["runs"])
    lines = [
        f"Fitted to {len(coefficients['runs'])} runs of graphs of up to {largest:,} edges on "
        f"{coefficients['cores']} cores, and scaled by this machine's speed; expect a factor of two."
    ]
    if size.edges > BEYOND * largest:
        lines.append("This graph is larger than any of them, so the figures are guesses.")
    if any(not name.startswith("cpu") for name in config["devices"]) or config["hgt"]["attention"] != "fused":
        lines.append("Trainings are planned as if they ran on the CPU with hgt.attention: fused.")
    total = _total(planned)
    free = psutil.virtual_memory().available, shutil.disk_usage(Path.cwd()).free
    if total.memory > free[0]:
        lines.append(f"Memory: {_size(total.memory)} are needed, and {_size(free[0])} are free.")
    # results/previous holds as much again after a change.
    if 2 * total.disk > free[1]:
        lines.append(f"Disk: up to {_size(2 * total.disk)} are needed, and {_size(free[1])} are free.")
    return lines


def _time(seconds: float) -> str:
    unit, name = next((unit, name) for unit, name in UNITS if seconds >= unit or unit == 1)
    return f"{seconds / unit:.1f} {name}" if unit > 1 else f"{seconds:.0f} s"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], help="overlays of the run")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="whose graph is used if it fits"
    )
    parser.add_argument("--json", action="store_true", help="JSON in place of text")
    try:
        print(main(parser.parse_args()))
    except InputError as error:
        sys.exit(f"Error: {error}")
