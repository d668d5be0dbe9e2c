"""Pairs from elsewhere (known later, or to another source): matched with the graph, never learned from."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.ingest import tables
from repurpose.pairs import unknown
from repurpose.pairs.pairs import Known

SCHEMA = pa.schema([("head_index", pa.int32()), ("tail_index", pa.int32()), ("label", pa.int8())])


def read(
    path: str | Path,
    kg: Graph,
    types: tuple[str, str],
    known: Known,
    columns: Mapping[str, str],
    positive: Sequence[str],
    negative: Sequence[str],
) -> pd.DataFrame:
    """The distinct pairs of a table whose label is wanted and that the graph does not know: SCHEMA's columns.

    columns: names of the columns `head` and `tail` (ids) and `label`. Label 1 are the pairs whose label is
    among `positive`, 0 those among `negative`; a pair with both is left out. Sorted by tail and head. What
    is left out is counted in the log. Raises InputError where no pair is left.
    """
    wanted = [columns[key] for key in ("head", "tail", "label")]
    found = tables.read(path, wanted, "external.columns")
    head, tail, label = (found[name].cast(pa.string()).to_numpy(zero_copy_only=False) for name in wanted)
    value = np.select([np.isin(label, list(positive)), np.isin(label, list(negative))], [1, 0], -1)
    numbers = [
        pd.Index(kg.node_ids[node_type]).get_indexer(pd.Index(ids))
        for node_type, ids in zip(types, (head, tail), strict=True)
    ]
    frame = pd.DataFrame({"head_index": numbers[0], "tail_index": numbers[1], "label": value})
    counts = {"rows": len(frame), "with another label": int((value < 0).sum())}
    frame = frame[frame["label"] >= 0]
    is_there = (frame[["head_index", "tail_index"]] >= 0).all(axis=1)
    counts["of nodes that the graph lacks"] = int((~is_there).sum())
    frame = frame[is_there].drop_duplicates()
    both = frame.duplicated(["head_index", "tail_index"], keep=False)
    counts["with both labels"] = int(both.sum())
    frame = frame[~both]
    is_known = unknown.is_known(known, frame["head_index"].to_numpy(), frame["tail_index"].to_numpy())
    counts["known in the graph"] = int(is_known.sum())
    frame = frame[~is_known].sort_values(["tail_index", "head_index"]).reset_index(drop=True)
    said = ", ".join(f"{count} {words}" for words, count in counts.items())
    if not len(frame):
        raise InputError(
            f"{path} (external.pairs) has no pair to evaluate: {said}; check external.columns, "
            "external.positive and external.negative, and that its ids are those of the graph"
        )
    logging.info("%s: %s; %d pairs are left", path, said, len(frame))
    return frame.astype({"head_index": np.int32, "tail_index": np.int32, "label": np.int8})


def save(frame: pd.DataFrame, path: str | Path) -> None:
    """Write the pairs."""
    files.write_table(path, pa.Table.from_pandas(frame, SCHEMA, preserve_index=False))


def load(path: str | Path | None) -> pd.DataFrame:
    """Read the pairs; none where there is no path."""
    return (files.read_table(path) if path else SCHEMA.empty_table()).to_pandas()


def beside(known: Known, frame: pd.DataFrame) -> Known:
    """The known pairs and these, which are therefore no negatives to learn from and no rivals in a rank."""
    heads, tails = (
        np.concatenate([own, frame[column].to_numpy()])
        for own, column in ((known.heads, "head_index"), (known.tails, "tail_index"))
    )
    names = np.concatenate([known.names, np.full(len(frame), "", object)])
    order = np.lexsort((heads, tails))
    return Known(heads[order], tails[order], names[order])
