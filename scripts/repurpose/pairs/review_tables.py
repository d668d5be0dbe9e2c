"""Read a user's table of reviewed pairs into the form that `reviews.load` reads.

A module of its own, so that the ranking does not depend on the reader of tables.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.graph.names import shown
from repurpose.ingest import frames, identifiers, tables
from repurpose.ingest.identifiers import Identifiers
from repurpose.pairs.reviews import IDS, SCHEMA

VERDICT, NOTES = "verdict", ("why", "who", "when")
SHOWN = 5  # verdicts that a message lists


def read(
    path: str | Path,
    kg: Graph,
    types: tuple[str, str],
    exclude: Sequence[str],
    same: Identifiers = identifiers.NONE,
) -> pa.Table:
    """Read reviews (SCHEMA) from a table with the columns head_id, tail_id and verdict.

    The last row of a pair counts. Columns why, who and when are the note. types: those of heads and tails.
    exclude: verdicts that must occur. same: ids that are replaced by others. The log counts reviews of nodes
    that the graph lacks. Raises InputError if no review is left.
    """
    notes = [name for name in NOTES if name in tables.header(path)]
    frame = frames.read(path, [*IDS, VERDICT, *notes], "reviews")
    for name, node_type in zip(IDS, types, strict=True):
        frame[name] = same.replaced(node_type, frame[name])
    is_in_graph = np.logical_and(
        *(
            frame[name].isin(kg.node_ids[node_type].tolist())
            for name, node_type in zip(IDS, types, strict=True)
        )
    )
    is_judged = frame[VERDICT] != ""
    kept = frame[is_in_graph & is_judged].drop_duplicates(list(IDS), keep="last")
    if not len(kept):
        raise InputError(
            f"{path} (reviews.table) has no verdict on a pair of a {shown(types[0])} and a {shown(types[1])} "
            "of the graph: head_id and tail_id must be ids as in the graph, and verdict not empty"
        )
    verdicts = Counter(verdict.casefold() for verdict in kept[VERDICT])
    absent = [verdict for verdict in exclude if verdict.casefold() not in verdicts]
    if absent:
        found = ", ".join(f"{verdict} ({count})" for verdict, count in verdicts.most_common(SHOWN))
        raise InputError(f"no review says {absent[0]} (reviews.exclude); the verdicts of {path} are {found}")
    logging.info(
        "%s: %d rows; %d pairs reviewed; of nodes that the graph lacks: %d; without a verdict: %d",
        path,
        len(frame),
        len(kept),
        (~is_in_graph).sum(),
        (is_in_graph & ~is_judged).sum(),
    )
    said = [_note(row) for row in kept[notes].to_dict("records")]
    columns = [kept["head_id"], kept["tail_id"], kept[VERDICT], pd.Series(said, dtype=str)]
    return pa.table([pa.array(column.tolist(), pa.string()) for column in columns], schema=SCHEMA)


def _note(row: dict[str, str]) -> str:
    """The note of a review, as "no access to the brain (AB, 2026-11-30)"."""
    signed = ", ".join(filter(None, (row.get("who", ""), row.get("when", ""))))
    return " ".join(filter(None, (row.get("why", ""), f"({signed})" if signed else "")))
