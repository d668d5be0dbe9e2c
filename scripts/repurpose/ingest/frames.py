"""Small tables of the user's as frames.

A module of its own: a dry run loads `tables`, and need not load pandas.
"""

from collections.abc import Sequence

import pandas as pd

from repurpose.ingest import tables
from repurpose.ingest.members import File


def read(path: File, columns: Sequence[str], key: str) -> pd.DataFrame:
    """The given columns as texts without blanks at their ends; errors: see `tables.read`."""
    frame = tables.read(path, columns, key).to_pandas().astype(str)
    return frame.apply(lambda column: column.str.strip())
