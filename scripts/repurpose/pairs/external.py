"""External test pairs, for example approvals after the graph was built; never used for training."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.ingest import identifiers, tables
from repurpose.ingest.identifiers import Identifiers
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
    same: Identifiers = identifiers.NONE,
) -> pd.DataFrame:
    """Read external pairs from a table: distinct pairs that are unknown to the graph, columns of SCHEMA.

    columns: the table's names for `head` and `tail` (ids) and `label`. Pairs with a label of `positive` get
    label 1, those with a label of `negative` 0; others, and pairs with both, are left out. same: ids that are
    replaced by others. Sorted by tail and head. The log counts what is left out. Raises InputError if no pair
    is left.
    """
    column_names = [columns[key] for key in ("head", "tail", "label")]
    table = tables.read(path, column_names, "external.columns")
    head_ids, tail_ids, label_texts = (
        table[name].cast(pa.string()).to_numpy(zero_copy_only=False) for name in column_names
    )
    labels = np.select(
        [np.isin(label_texts, list(positive)), np.isin(label_texts, list(negative))], [1, 0], -1
    )
    indices = [
        same.indices(kg, node_type, ids) for node_type, ids in zip(types, (head_ids, tail_ids), strict=True)
    ]
    frame = pd.DataFrame({"head_index": indices[0], "tail_index": indices[1], "label": labels})
    counts = {"rows": len(frame), "with another label": int((labels < 0).sum())}
    frame = frame[frame["label"] >= 0]
    is_in_graph = (frame[["head_index", "tail_index"]] >= 0).all(axis=1)
    counts["of nodes that the graph lacks"] = int((~is_in_graph).sum())
    frame = frame[is_in_graph].drop_duplicates()
    is_conflict = frame.duplicated(["head_index", "tail_index"], keep=False)
    counts["with both labels"] = int(is_conflict.sum())
    frame = frame[~is_conflict]
    is_known = unknown.is_known(known, frame["head_index"].to_numpy(), frame["tail_index"].to_numpy())
    counts["known in the graph"] = int(is_known.sum())
    frame = frame[~is_known].sort_values(["tail_index", "head_index"]).reset_index(drop=True)
    summary = ", ".join(f"{count} {words}" for words, count in counts.items())
    if not len(frame):
        raise InputError(
            f"{path} (external.pairs) has no pair to evaluate: {summary}; check external.columns, "
            "external.positive and external.negative, and that its ids are those of the graph"
        )
    logging.info("%s: %s; %d pairs are left", path, summary, len(frame))
    return frame.astype({"head_index": np.int32, "tail_index": np.int32, "label": np.int8})


def save(frame: pd.DataFrame, path: str | Path) -> None:
    """Write the pairs to a parquet file."""
    files.write_table(path, pa.Table.from_pandas(frame, SCHEMA, preserve_index=False))


def load(path: str | Path | None) -> pd.DataFrame:
    """Read the pairs from a parquet file; an empty frame if there is no path."""
    return (files.read_table(path) if path else SCHEMA.empty_table()).to_pandas()


def add_to_known(known: Known, frame: pd.DataFrame) -> Known:
    """Add external pairs to the known pairs, so that ranks do not count them as unknown pairs."""
    heads, tails = (
        np.concatenate([known_indices, frame[column].to_numpy()])
        for known_indices, column in ((known.heads, "head_index"), (known.tails, "tail_index"))
    )
    names = np.concatenate([known.names, np.full(len(frame), "", object)])
    order = np.lexsort((heads, tails))
    return Known(heads[order], tails[order], names[order])
