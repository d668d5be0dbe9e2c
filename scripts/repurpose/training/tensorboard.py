"""The history of a training as an event file of TensorBoard."""

import math
from pathlib import Path

import pyarrow as pa

from repurpose.core.errors import InputError

ABSCISSA = "step"
# Kinds of curves, which TensorBoard shows in a group each; all other columns are losses.
GROUPS = {
    "valid_auroc": "validation",
    "gradient_norm": "training",
    "epoch": "training",
    "edges_seen": "training",
    "seconds": "training",
}


def write(folder: Path, history: pa.Table) -> int:
    """Write all values of a history.parquet that are numbers; returns how many.

    folder: of the event file, a run in TensorBoard. Raises InputError if TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError(
            "TensorBoard is not installed: pip install -c envs/requirements.txt -r envs/tensorboard.txt"
        ) from error
    count = 0
    with SummaryWriter(str(folder)) as writer:
        for row in history.to_pylist():
            for name, value in row.items():
                if name != ABSCISSA and value is not None and math.isfinite(value):
                    writer.add_scalar(f"{GROUPS.get(name, 'loss')}/{name}", value, row[ABSCISSA])
                    count += 1
    return count
