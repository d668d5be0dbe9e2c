"""Export the embeddings of a finished run to the formats of other tools (docs/exports.md).

python scripts/export_embeddings.py results/ --as word2vec
python scripts/export_embeddings.py results/ --as npz projector --device cpu-seed2 --out shared
"""

import argparse
import sys
from pathlib import Path

from repurpose.core.errors import InputError
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.provenance import passed, records
from repurpose.vectors import embeddings, exports


def main(options: argparse.Namespace) -> str:
    """Write the files; returns their paths, one a line."""
    device = passed.device_of(options.results, options.device)
    if Path(device).name != device:
        raise InputError(
            f"{options.results}/summary.json names a device {device}, which is no name of a folder; run the "
            "workflow again"
        )
    records.require_whole(options.results, device)
    kg = graph.load(GraphFiles.in_folder(options.results / "graph"))
    path = options.results / "embeddings" / device / "embeddings.parquet"
    # The vectors of another tool may be of some node types only.
    export = exports.Export(kg, embeddings.aligned(embeddings.read(path), kg, path, required=()))
    folder = options.out / device
    written = [file for name in options.formats for file in exports.WRITERS[name](folder, export)]
    return "\n".join(map(str, written))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="folder of a finished run")
    parser.add_argument(
        "--as",
        dest="formats",
        nargs="+",
        required=True,
        choices=exports.WRITERS,
        metavar="FORMAT",
        help=f"one or more of {', '.join(exports.WRITERS)}",
    )
    parser.add_argument("--device", help="by default the first device that passed its gate")
    parser.add_argument(
        "--out", type=Path, default=Path("exports"), help="the files go to a folder in it (default exports)"
    )
    try:
        print(main(parser.parse_args()))
    except InputError as error:
        sys.exit(f"Error: {error}")
