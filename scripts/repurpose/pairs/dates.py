"""The date of each labelled pair, so that the treatments known last can be held out."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from repurpose.config.sections import Target
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.ingest import frames, identifiers
from repurpose.ingest.identifiers import Identifiers

KEY = "split.dates"
COLUMNS = ("head_id", "tail_id", "date")
# A year, with or without month and day; such texts are in the order of the dates.
DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")


def from_table(
    path: str | Path, kg: Graph, types: tuple[str, str], same: Identifiers = identifiers.NONE
) -> pd.DataFrame:
    """Dates of pairs from a table with COLUMNS: head_index, tail_index and date, for pairs of the graph.

    types: those of heads and tails. same: ids that are replaced by others. Raises InputError for a text that
    is no date.
    """
    frame = frames.read(path, COLUMNS, KEY)
    for side, node_type in zip(("head", "tail"), types, strict=True):
        frame[f"{side}_index"] = same.indices(kg, node_type, frame[f"{side}_id"])
    frame = frame[(frame["head_index"] >= 0) & (frame["tail_index"] >= 0)]
    return _checked(frame, f"{path} ({KEY})")


def from_edges(path: str | Path, kg: Graph, target: Target) -> pd.DataFrame:
    """The same from sources.parquet, for the edges of the target's relations (see `graph.columns.date`)."""
    table: pa.Table = files.read_table(path, ["relation_index", "head_index", "tail_index", "date"])
    names = (*target.positive, *target.negative)
    wanted = [
        index
        for index, kind in enumerate(kg.relations)
        if kind.relation in names and (kind.head_type, kind.tail_type) == target.types
    ]
    frame = table.to_pandas().astype({"date": str})
    return _checked(frame[frame["relation_index"].isin(wanted)], "the edges table (graph.columns.date)")


def of_pairs(labelled: pd.DataFrame, dates: pd.DataFrame) -> np.ndarray:
    """The first date of each labelled pair, object (n,), "" for a pair without one.

    dates: of `from_table` or `from_edges`. Raises InputError if no treatment has a date.
    """
    ends = ["head_index", "tail_index"]
    first = dates.groupby(ends)["date"].min()
    found = first.reindex(pd.MultiIndex.from_frame(labelled[ends])).fillna("").to_numpy(object)
    if not (found[labelled["label"] == 1] != "").any():
        raise InputError(
            "split.schemes has date, but no treatment has one: name a column of dates in graph.columns.date, "
            "or a table with head_id, tail_id and date in split.dates"
        )
    return found


def _checked(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """The rows with a date. Raises InputError for a text that is none."""
    frame = frame[frame["date"] != ""]
    wrong = frame["date"][~frame["date"].str.fullmatch(DATE.pattern)]
    if len(wrong):
        raise InputError(
            f"{what} has the date {wrong.iloc[0]!r}; write dates as 2019, 2019-04 or 2019-04-30, and leave "
            "the cell empty if there is none"
        )
    return frame[["head_index", "tail_index", "date"]]
