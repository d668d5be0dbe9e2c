"""Read a user's table of annotations into the form that `annotations.load` reads.

A module of its own, so that the ranking does not depend on the reader of tables.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from repurpose.config.sections import AnnotationSettings, Target
from repurpose.core.errors import InputError
from repurpose.graph.annotations import INDEX, SHOWN, SIDES, TAKEN
from repurpose.graph.graph import Graph
from repurpose.graph.names import shown
from repurpose.ingest import identifiers, tables
from repurpose.ingest.identifiers import Identifiers


def read(
    path: str | Path,
    kg: Graph,
    target: Target,
    settings: AnnotationSettings,
    same: Identifiers = identifiers.NONE,
) -> pa.Table:
    """Read annotations from a table: a row per annotated node (`INDEX`) and a text column per annotation.

    Different values of one node in several rows are joined by the separator. The log counts what belongs to
    no head and no tail. same: ids that are replaced by others. Raises InputError if nothing is left.
    """
    names = columns_of(path, settings)
    table = tables.read(path, [settings.id, *names], "annotations").to_pandas().astype(str)
    of_types = {
        side: node_type
        for side, node_type in zip(SIDES, target.types, strict=True)
        if settings.of in (side, "both")
    }
    written = table[settings.id].str.strip()
    ids_of = {node_type: pd.Index(same.replaced(node_type, written)) for node_type in kg.node_types}
    _require_one_side(path, ids_of, kg, target, settings)
    parts, annotated = [], {}
    for side, node_type in of_types.items():
        index = pd.Index(kg.node_ids[node_type]).get_indexer(ids_of[node_type])
        rows = table[names].assign(node_index=index)[index >= 0]
        merged = _merged(rows, names, settings.separator)
        parts.append(merged.assign(side=side))
        annotated[side] = len(merged)
    is_of = {node_type: ids.isin(kg.node_ids[node_type]) for node_type, ids in ids_of.items()}
    is_known, is_end = (
        np.any(list(is_of.values()), axis=0),
        np.any([is_of[t] for t in of_types.values()], axis=0),
    )
    unknown = written[~is_known].unique()
    others = written[is_known & ~is_end].nunique()
    if not sum(annotated.values()):
        examples = ", ".join(str(kg.node_ids[node_type][0]) for node_type in of_types.values())
        raise InputError(
            f"{path} (annotations.table) has no id of a {' or a '.join(map(shown, of_types.values()))}: its "
            f"column {settings.id} has {', '.join(written.unique()[:SHOWN])}, and ids of the graph look like "
            f"{examples}; check annotations.id and annotations.of"
        )
    logging.info(
        "%s: %d rows; annotated: %s; %d ids are of other node types, and the graph lacks %d%s",
        path,
        len(table),
        ", ".join(f"{count} of type {shown(of_types[side])}" for side, count in annotated.items()),
        others,
        len(unknown),
        f" ({', '.join(unknown[:SHOWN])}{', ...' if len(unknown) > SHOWN else ''})" if len(unknown) else "",
    )
    frame = pd.concat(parts)[["side", "node_index", *names]]
    schema = pa.schema([*INDEX, *((name, pa.string()) for name in names)])
    result = pa.Table.from_pandas(frame, schema, preserve_index=False)
    return result.replace_schema_metadata({"separator": settings.separator})


def _require_one_side(
    path: str | Path,
    ids_of: Mapping[str, pd.Index],
    kg: Graph,
    target: Target,
    settings: AnnotationSettings,
) -> None:
    """Raise InputError if a table about both sides has an id that a head and a tail have."""
    is_head, is_tail = (ids_of[node_type].isin(kg.node_ids[node_type]) for node_type in target.types)
    shared = ids_of[target.head_type][is_head & is_tail]
    if settings.of == "both" and len(shared):
        raise InputError(
            f"{path} (annotations.table) has the id {shared[0]}, which a {shown(target.head_type)} and "
            f"a {shown(target.tail_type)} have: say with annotations.of: head or tail whose ids these are"
        )


def columns_of(path: str | Path, settings: AnnotationSettings) -> list[str]:
    """The columns to read: those of the config, or all but the id.

    Raises InputError for one that candidates have already.
    """
    if settings.columns:
        names = list(settings.columns)
    else:
        names = [name for name in tables.header(path) if name not in (settings.id, *TAKEN)]
    taken = [name for name in names if name in TAKEN or name == settings.id]
    if taken:
        raise InputError(
            f"annotations.columns names {taken[0]}, which candidates have already; leave it out or give the "
            "column another name"
        )
    if not names:
        raise InputError(f"{path} (annotations.table) has no column but {settings.id}; add one to show")
    return names


def _merged(rows: pd.DataFrame, names: Sequence[str], separator: str) -> pd.DataFrame:
    """One row per node; different values of a column are joined in their order."""
    if rows["node_index"].is_unique:
        return rows
    joined = {}
    for name in names:
        values = rows[["node_index", name]].drop_duplicates()
        joined[name] = values[values[name] != ""].groupby("node_index")[name].agg((separator or " ").join)
    every = pd.Index(np.sort(rows["node_index"].unique()), name="node_index")
    return pd.DataFrame(joined).reindex(every).fillna("").reset_index()
