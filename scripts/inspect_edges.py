"""Say what an edges table holds, and write an overlay of the config that reads it.

    python scripts/inspect_edges.py EDGES [NODES] [--overlay my.yaml] [--configfile given.yaml]

EDGES and NODES are tables in any format that the workflow reads. The table is read whole. The screen has its
format, node types and relations with their counts, the rows that are no edges, and what to look at; the
overlay has the columns, the likely target, the relations that have a direction, and what else differs from
the default config. These are guesses by the names: read the overlay before you run it. What cannot be
guessed (target, graph.columns) is read from --configfile.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from repurpose.config import settings
from repurpose.core import files, logs
from repurpose.core.errors import InputError
from repurpose.ingest import inspection

PROJECT = Path(__file__).resolve().parents[1]
HEADER = """\
# What differs from the default config, guessed by scripts/inspect_edges.py from the names in the table.
# Check target (which relations are treatments) and directed_relations. Then run:
# snakemake --cores 8 --configfile {path}
"""


def main(*, edges: str, nodes: str, overlay: Path, is_replaced: bool, given: Path | None = None) -> None:
    """Print what the table holds and write the overlay, unless the file exists."""
    keys: dict[str, Any] = {}
    if given:
        keys = settings.read(given)
        settings.load([PROJECT / "config" / "config.yaml", given])  # says which key is wrong
    found = inspection.inspect([edges], [nodes] if nodes else [], keys)
    print("\n".join(inspection.lines(found)))
    if overlay.exists() and not is_replaced:
        print("", flush=True)
        raise InputError(
            f"not written, because {overlay} exists, perhaps for another graph: name another file with "
            "--overlay, or give --replace"
        )
    text = settings.as_text(found.overlay)
    files.write_text(overlay, HEADER.format(path=overlay) + text)
    print(f"\nWritten: {overlay}\n{text.rstrip()}")
    print(f"\nNext, after reading it: snakemake --cores {os.cpu_count()} --configfile {overlay}")
    print(f"What that will take:    python scripts/plan_run.py --configfile {overlay}")


if __name__ == "__main__":
    logs.configure()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("edges", help="path of the edges table, an archive or a folder")
    parser.add_argument("nodes", nargs="?", default="", help="path of the nodes table")
    parser.add_argument("--overlay", type=Path, default=Path("my.yaml"), help="the file to write")
    parser.add_argument("--replace", action="store_true", help="replace the file if it exists")
    parser.add_argument("--configfile", type=Path, help="keys that are taken as they are")
    options = parser.parse_args()
    sys.exit(
        main(
            edges=options.edges,
            nodes=options.nodes,
            overlay=options.overlay,
            is_replaced=options.replace,
            given=options.configfile,
        )
    )
