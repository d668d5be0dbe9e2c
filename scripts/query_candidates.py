"""Look up candidates in a finished run: drugs for a disease, diseases for a drug, or one pair.

python scripts/query_candidates.py --disease "type 2 diabetes" --top 20
python scripts/query_candidates.py --drug Metformin
python scripts/query_candidates.py --pair Metformin "type 2 diabetes" --json
"""

import argparse
import json
import sys
from pathlib import Path

from repurpose.candidates import questions
from repurpose.core import threads
from repurpose.core.errors import InputError
from repurpose.graph import names
from repurpose.provenance import passed, records

PATHS, SIMILAR = 3, 3  # shown for each candidate of a list


def main(options: argparse.Namespace) -> str:
    """The answer, as text or as JSON."""
    device = passed.device_of(options.results, options.device)
    records.require_whole(options.results, device)
    run = questions.Run.as_ranked(options.results, device)
    if options.pair:
        head, tail = (
            names.find(run.kg, node_type, text)
            for node_type, text in zip(run.target.types, options.pair, strict=True)
        )
        others = (
            [] if options.device else [name for name in passed.passed_in(options.results) if name != device]
        )
        rows = {device: run.pair(head, tail)}
        rows |= {name: questions.Run.as_ranked(options.results, name).pair(head, tail) for name in others}
        return json.dumps(rows) if options.json else questions.dossier(rows, run.annotated_columns)
    side, text = (1, options.disease) if options.disease else (0, options.drug)
    node_type = run.target.types[side]
    node = names.find(run.kg, node_type, text)
    look_up = run.heads_of if side else run.tails_of
    among = run.nodes_with(options.only, 1 - side)
    rows = run.explained(look_up(node, options.top, options.known, among), PATHS, SIMILAR)
    if options.json:
        return json.dumps(rows)
    if not rows:
        return f"{run.kg.node_names[node_type][node]}: no new candidate; --known also shows the known pairs"
    shown_type = names.shown(run.target.types[1 - side])
    listed = questions.listed(rows, "head" if side else "tail", shown_type, run.annotated_columns)
    known = 0 if options.known else run.known_of(node, side)
    return f"{listed}\n\n{questions.introduced(known, shown_type)}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--disease", help="id or name: its best drugs")
    asked.add_argument("--drug", help="id or name: its best diseases")
    asked.add_argument(
        "--pair",
        nargs=2,
        metavar=("DRUG", "DISEASE"),
        help="ids or names: the whole explanation of this pair",
    )
    parser.add_argument("--top", type=int, default=20, help="how many (default 20)")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="COLUMN=VALUE",
        help="list only nodes with these annotations, such as head_status=approved (see annotations.only)",
    )
    parser.add_argument("--known", action="store_true", help="also show known pairs")
    parser.add_argument(
        "--device", help="device whose candidates are shown; by default the first that passed its gate"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of a finished run")
    parser.add_argument("--json", action="store_true", help="JSON in place of text")
    threads.limit(8)
    try:
        print(main(parser.parse_args()))
    except InputError as error:
        sys.exit(f"Error: {error}")
