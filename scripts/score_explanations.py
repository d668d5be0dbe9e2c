"""Score the paths of a finished run against a file of known mechanisms (in DrugMechDB's form).

python scripts/score_explanations.py indication_paths.yaml --identifiers same.csv
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from repurpose.candidates import mechanisms, questions
from repurpose.candidates.mechanisms import Matched
from repurpose.core import threads
from repurpose.core.errors import InputError
from repurpose.ingest import identifiers
from repurpose.provenance import passed, records

MOST_PATHS = 10
# The paths of dossiers stand in the order of their weights; the page leads with the largest change.
ORDERS = {"weight": "by weight", "change": "by score change"}
COUNTED = {"whole": "all inner nodes", "part": "one inner node"}


def main(options: argparse.Namespace) -> str:
    """The scores, as text or as JSON."""
    device = passed.device_of(options.results, options.device)
    records.require_whole(options.results, device)
    run = questions.Run.as_ranked(options.results, device)
    same = identifiers.read(options.identifiers)
    matched = mechanisms.match(mechanisms.read(options.mechanisms), run.kg, run.target.types, same)
    scores = score(run, matched, options.paths)
    if options.json:
        return json.dumps({"device": device, **counts(matched), "orders": scores})
    return "\n".join([*_introduction(matched, device), "", *table(scores)])


def counts(matched: Matched) -> dict[str, int]:
    """How many entries of the file could be used."""
    return {
        "entries": matched.entries,
        "unknown_pairs": matched.unknown_pairs,
        "without_nodes": matched.without_nodes,
        "pairs": len(matched.heads),
    }


def score(run: questions.Run, matched: Matched, most: int) -> dict[str, dict[str, dict[str, Any]]]:
    """The order of the paths -> what counts as a hit -> its scores (see `mechanisms.summary`)."""
    ways = run.device.explainer.ways(matched.heads, matched.tails, most)
    by_order = {"weight": ways}
    if run.device.counterfactuals:
        changes = iter(run.device.counterfactuals.changes([way for paths in ways for way in paths]))
        with_changes = [[(next(changes), place, way) for place, way in enumerate(paths)] for paths in ways]
        by_order["change"] = [[way for _, _, way in sorted(paths)] for paths in with_changes]
    return {
        order: {
            counted: mechanisms.summary(ordered, matched.nodes, whole=counted == "whole")
            for counted in COUNTED
        }
        for order, ordered in by_order.items()
    }


def _introduction(matched: Matched, device: str) -> list[str]:
    return [
        f"{matched.entries:,} mechanisms; of pairs that the graph lacks: {matched.unknown_pairs:,}; without "
        f"a node of the graph: {matched.without_nodes:,}; {len(matched.heads):,} pairs are scored, by "
        f"{device}."
    ]


def table(scores: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """The scores as lines of text."""
    columns = [*(f"hits@{cut}" for cut in mechanisms.CUTS), "mrr", "by_chance"]
    lines = [
        f"{'paths in order':17}{'a hit has':17}{'pairs':>7}  " + "".join(f"{name:>11}" for name in columns)
    ]
    for order, of_order in scores.items():
        for counted, row in of_order.items():
            cells = "".join(f"{row[name]:11.3f}" for name in columns)
            lines.append(f"{ORDERS[order]:17}{COUNTED[counted]:17}{row['pairs']:7,}  {cells}")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mechanisms", help="YAML or JSON file of mechanisms, in DrugMechDB's form")
    parser.add_argument(
        "--identifiers",
        help="table of ids (columns id, same_as; type) that connects the file's ids to the graph's",
    )
    parser.add_argument(
        "--paths", type=int, default=MOST_PATHS, help=f"paths of a pair (default {MOST_PATHS})"
    )
    parser.add_argument(
        "--device", help="device whose run is scored; by default the first that passed its gate"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")
    threads.limit(8)
    try:
        print(main(parser.parse_args()))
    except InputError as error:
        sys.exit(f"Error: {error}")
