"""Print the tables of docs/case-studies.md from a finished run.

    python benchmarks/case_studies.py --results results --diseases "Parkinson's disease" gout

For each disease: its best drugs that no relation connects to it. `models` is the best and the worst rank by
a single ensemble member. `reason` is the metapath or the vote that adds most to the score, with the
treatments that vote. `path` is the path whose removal changes the embeddings' part of the score most, and
`change` is that change of the log-odds. Node types are left out of the names of relations on paths.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from repurpose.candidates import questions
from repurpose.core import threads
from repurpose.graph import names, paths
from repurpose.provenance import passed

COLUMNS = ("rank", "models", "drug", "probability", "reason", "path", "change")
PATHS, SIMILAR, VOTERS = 3, 0, 2


def main() -> None:
    """Print a table for each disease."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--device", help="by default the first that passed its gate")
    parser.add_argument("--diseases", nargs="+", required=True, help="ids or names")
    parser.add_argument("--top", type=int, default=20, help="drugs for each disease")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    threads.limit(options.threads)
    run = questions.Run.as_ranked(options.results, passed.device_of(options.results, options.device))
    for text in options.diseases:
        tail = names.find(run.kg, run.target.tail_type, text)
        print(f"## {run.kg.node_names[run.target.tail_type][tail]}\n")
        rows = run.explained(run.heads_of(tail, options.top, False), PATHS, SIMILAR)
        print("\n".join(table(rows, (run.target.head_type, run.target.tail_type))), end="\n\n")


def table(rows: Sequence[Mapping[str, Any]], types: Sequence[str]) -> Iterator[str]:
    """The lines of a Markdown table of candidates with their explanations; types: head and tail type."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|" + "---|" * len(COLUMNS)
    for row in rows:
        leading = paths.leading(row["paths"])
        caution = f" ({row['caution']})" if row["caution"] else ""
        cells = (
            row["rank_of_drug_for_disease"],
            f"{row['rank_low']}-{row['rank_high']}",
            row["head_name"] + caution,
            f"{row['probability']:.2g}",
            reason(row["reasons"][0]) if row["reasons"] else "",
            shortened(leading["text"], types) if leading else "",
            f"{leading['change']:+.2f}" if leading and leading["change"] is not None else "",
        )
        yield "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |"


def reason(found: Mapping[str, Any]) -> str:
    """A reason in words, with the first treatments that vote."""
    voters = ", ".join(found["voters"][:VOTERS])
    return found["text"] + (f": {voters}" if voters else "")


def shortened(text: str, types: Sequence[str]) -> str:
    """A text without the node types in the names of relations: binds for compound_binds_gene."""
    for node_type in (*types, "gene"):
        text = text.replace(f"{node_type}_", "").replace(f"_{node_type}", "")
    return text


if __name__ == "__main__":
    main()
