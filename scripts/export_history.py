"""Export the training histories of a run to TensorBoard (docs/training.md).

python scripts/export_history.py results --out runs
tensorboard --logdir runs
"""

import argparse
import sys
from pathlib import Path

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.training import tensorboard


def main(options: argparse.Namespace) -> str:
    """Write an event file for each device; returns their folders, one a line."""
    found = sorted((options.results / "embeddings").glob("*/history.parquet"))
    if not found:
        raise InputError(f"{options.results} has no history of a training: run the workflow first")
    lines = []
    for path in found:
        folder = options.out / path.parent.name
        if folder.exists():
            # TensorBoard would draw both trainings as one curve.
            raise InputError(f"{folder} is there already: remove it, or give another --out")
        values = tensorboard.write(folder, files.read_table(path))
        lines.append(f"{folder}: {values} values")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="folder of a run")
    parser.add_argument(
        "--out", type=Path, default=Path("runs"), help="folder of the event files (default runs)"
    )
    try:
        print(main(parser.parse_args()))
    except InputError as error:
        sys.exit(f"Error: {error}")
