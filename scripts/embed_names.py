"""Write vectors of the nodes' names, for graph.features: docs/features.md explains them.

    python scripts/embed_names.py results names.parquet --types drug disease

RESULTS is the folder of a run whose graph is built. The file has the columns node_type, node_id and vector.
Nodes whose name is their id get no vector.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from repurpose.core import files, logs
from repurpose.core.errors import InputError
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.vectors import names


def main(*, results: Path, out: Path, types: Sequence[str], width: int, seed: int) -> None:
    """Write the vectors of the named node types, or of all."""
    kg = graph.load(GraphFiles.in_folder(results / "graph"))
    for node_type in types:
        if node_type not in kg.node_types:
            raise InputError(
                f"the graph has no node type {node_type!r}: choose from {', '.join(kg.node_types)}"
            )
    wanted = types or kg.node_types
    for node_type in wanted:
        is_named = kg.node_ids[node_type] != kg.node_names[node_type]
        print(f"{node_type}: {is_named.sum():,} of {len(is_named):,} nodes have a name")
    table = names.table(kg, wanted, width, seed)
    if not table.num_rows:
        raise InputError("no node has a name other than its id: give a nodes table with names (key nodes)")
    files.write_table(out, table)
    print(f"Written: {out}")


if __name__ == "__main__":
    logs.configure()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="folder of a run whose graph is built")
    parser.add_argument("out", type=Path, help="the parquet file to write")
    parser.add_argument("--types", nargs="*", default=[], help="node types; all by default")
    parser.add_argument("--width", type=int, default=64, help="numbers of a vector")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    sys.exit(main(**vars(options)))
