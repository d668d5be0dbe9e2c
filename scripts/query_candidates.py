"""Look up candidates in a finished run: drugs for a disease, diseases for a drug, or one pair.

python scripts/query_candidates.py --disease "type 2 diabetes" --top 20
python scripts/query_candidates.py --drug Metformin
python scripts/query_candidates.py --pair Metformin "type 2 diabetes" --json
python scripts/query_candidates.py --genes INS GCK HNF1A --symptoms Polyuria
"""

import argparse
import json
import sys
from pathlib import Path

from repurpose.candidates import described, questions
from repurpose.candidates.described import Description
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
    if options.disease and len(options.disease) > 1:
        return _together(run, options)
    new = _described(run, options)
    if new:
        run = run.with_tail(new)
    side, text = (0, options.drug) if options.drug else (1, new.name if new else options.disease[0])
    node_type = run.target.types[side]
    node = run.kg.count(node_type) - 1 if new else names.find(run.kg, node_type, text)
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
    said = f"{new.summary(run.kg)}.\n\n" if new else ""
    return f"{said}{listed}\n\n{questions.introduced(known, shown_type)}"


def _described(run: questions.Run, options: argparse.Namespace) -> Description | None:
    """The disease that the options describe, None if they name one that the graph has."""
    by_word = {
        word: vars(options)[word] for word in (*described.WORDS, described.SIMILAR) if vars(options)[word]
    }
    by_relation = {relation: texts for relation, *texts in options.linked or []}
    if not by_word and not by_relation:
        return None
    return described.describe(run.kg, run.target.tail_type, options.name, by_word, by_relation)


def _together(run: questions.Run, options: argparse.Namespace) -> str:
    """The best drugs of several diseases together, as text or as JSON."""
    head_type, tail_type = run.target.types
    tails = [names.find(run.kg, tail_type, text) for text in dict.fromkeys(options.disease)]
    rows = run.heads_of_all(tails, options.top, run.nodes_with(options.only, 0))
    if options.json:
        return json.dumps(rows)
    named = {run.kg.node_ids[tail_type][tail]: run.kg.node_names[tail_type][tail] for tail in tails}
    return questions.listed_together(rows, named, names.shown(head_type)) + (
        "\n\nThe lists are joined by reciprocal ranks; the columns have the rank in each. --disease with one "
        "name shows its whole list."
    )


def _checked(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options, which ask exactly one question."""
    options = parser.parse_args()
    is_described = any(vars(options)[name] for name in (*described.WORDS, described.SIMILAR, "linked"))
    if bool(options.disease or options.drug or options.pair) == is_described:
        parser.error(
            "ask one question: --disease, --drug, --pair, or a disease described by --genes and the like"
        )
    if any(len(entry) < 2 for entry in options.linked or []):
        parser.error("--linked needs a relation and at least one name")
    return options


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument(
        "--disease", nargs="+", help="id or name: its best drugs; of several, the best drugs of all together"
    )
    asked.add_argument("--drug", help="id or name: its best diseases")
    asked.add_argument(
        "--pair",
        nargs=2,
        metavar=("DRUG", "DISEASE"),
        help="ids or names: the whole explanation of this pair",
    )
    new = parser.add_argument_group("a disease that the graph lacks", "described by what it is linked to")
    new.add_argument("--genes", nargs="+", metavar="GENE", help="ids or names of its genes or proteins")
    new.add_argument("--symptoms", nargs="+", metavar="SYMPTOM", help="of its symptoms or phenotypes")
    new.add_argument(
        "--similar", nargs="+", metavar="DISEASE", help="of related diseases, if the graph relates diseases"
    )
    new.add_argument(
        "--linked",
        nargs="+",
        action="append",
        metavar=("RELATION", "NAME"),
        help="a relation of the graph and the nodes that it leads to; may be given several times",
    )
    new.add_argument("--name", default="the described disease", help="what to call it")
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
        print(main(_checked(parser)))
    except InputError as error:
        sys.exit(f"Error: {error}")
