"""Compare two finished runs: configs, metrics, and the lists of each disease.

python scripts/compare_runs.py results other/results
python scripts/compare_runs.py results results-seed --disease "Parkinson's disease" --json
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from repurpose.config import settings
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph.names import visible
from repurpose.provenance import passed, records
from repurpose.report import comparison


def main(options: argparse.Namespace) -> str:
    """The comparison, as text or as JSON."""
    configs, metrics, candidates, devices = [], [], [], []
    for results in (options.first, options.second):
        device = passed.device_of(results, options.device)
        records.require_whole(results, device)
        devices.append(device)
        configs.append(settings.read(results / "config.yaml"))
        metrics.append(files.read_json(results / "classifier" / device / "metrics.json"))
        candidates.append(results / "candidates" / device / "candidates.parquet")
    best = [comparison.read_best(path) for path in candidates]
    overlaps = comparison.list_overlaps(*best)
    differing = overlaps[overlaps["overlap"] < 1][: comparison.NAMED]
    content: dict[str, Any] = {
        "runs": [f"{options.first} ({devices[0]})", f"{options.second} ({devices[1]})"],
        "config": [list(row) for row in comparison.config_differences(*configs)],
        "metrics": comparison.metric_rows(*metrics),
        "lists": {
            "compared": len(overlaps),
            "mean_overlap": float(overlaps["overlap"].mean()) if len(overlaps) else None,
            "most_different": differing.reset_index(names="tail_id").to_dict("records"),
        },
    }
    if options.disease:
        tail = comparison.find_tail(best, options.disease)
        rows = comparison.side_by_side(*(comparison.read_list(path, tail) for path in candidates))
        content["disease"] = {"id": tail, "heads": json.loads(rows.to_json(orient="records"))}
    return json.dumps(content) if options.json else "\n".join(_lines(content))


def _lines(content: dict[str, Any]) -> list[str]:
    first, second = content["runs"]
    lines = [f"A: {first}", f"B: {second}", "", "Config:"]
    lines += [f"  {key}: {a} -> {b}" for key, a, b in content["config"]] or ["  no difference"]
    lines += ["", "Metrics (value, 95 % interval):"]
    for row in content["metrics"]:
        estimates = " | ".join(_estimate(row[side]) for side in ("first", "second"))
        lines.append(f"  {row['scheme']:9} {row['metric']:10} {estimates}")
    lists = content["lists"]
    lines += ["", f"Lists: {lists['compared']:,} diseases are in both runs."]
    if lists["compared"]:
        lines.append(
            f"The share of the ten best new drugs that both have is {lists['mean_overlap']:.0%} on average."
        )
        for row in lists["most_different"]:
            lines.append(f"  {row['overlap']:4.0%}  {visible(row['tail_name'])} ({row['tail_id']})")
    if "disease" in content:
        lines += ["", f"Best new drugs of {content['disease']['id']}: rank in A, rank in B"]
        for row in content["disease"]["heads"]:
            ranks = "  ".join(f"{'-' if row[side] is None else row[side]:>6}" for side in ("first", "second"))
            lines.append(f"  {ranks}  {visible(row['head_name'])} ({row['head_id']})")
    return lines


def _estimate(estimate: dict[str, float] | None) -> str:
    if not estimate:
        return f"{'-':>24}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})".rjust(24)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path, help="results folder of a finished run")
    parser.add_argument("second", type=Path, help="results folder of another one")
    parser.add_argument("--device", help="compare this device; by default the first that passed in each run")
    parser.add_argument("--disease", help="id or name: its lists side by side")
    parser.add_argument("--json", action="store_true", help="JSON in place of text")
    try:
        print(main(parser.parse_args()))
    except InputError as error:
        sys.exit(f"Error: {error}")
