"""Which area each tail (disease) belongs to, so that whole areas can be held out."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from repurpose.core.errors import InputError
from repurpose.graph import matrices
from repurpose.graph.graph import Graph
from repurpose.ingest import tables

AREAS = 20  # of a hierarchy
COLUMNS = ("node_id", "area")


def of_hierarchy(kg: Graph, relation: str, tail_type: str) -> np.ndarray:
    """The area of each tail from a relation among tails, such as is-a: int32 (tails,).

    The AREAS tails with the most edges, the broad terms, each stand for an area, and every tail belongs to
    the one that the fewest edges lead to; of equally near ones to that with more edges. A tail that no
    edges lead to any of them is an area of its own. Raises InputError for a relation that the graph lacks.
    """
    require(kg, relation, tail_type)
    count = kg.count(tail_type)
    (index,) = (
        at
        for at, each in enumerate(kg.relations)
        if (each.head_type, each.relation, each.tail_type) == (tail_type, relation, tail_type)
    )
    forward = matrices.counts(kg.heads[index], kg.tails[index], (count, count), np.float64)
    both = sparse.csr_array(forward + forward.T)
    broad = np.argsort(-np.diff(both.indptr), kind="stable")[:AREAS]
    distance = dijkstra(both, directed=False, indices=broad, unweighted=True, limit=count)
    return np.where(
        np.isfinite(distance).any(axis=0), distance.argmin(axis=0), AREAS + np.arange(count)
    ).astype(np.int32)


def require(kg: Graph, relation: str, tail_type: str) -> None:
    """Raise InputError where target.hierarchy names what is no relation among tails."""
    names = [each.relation for each in kg.relations if each.head_type == each.tail_type == tail_type]
    if relation not in names:
        raise InputError(
            f"target.hierarchy names the relation {relation}, but the graph has none of that name among nodes"
            f" of type {tail_type}; it has: {', '.join(names) or 'none'}"
        )


def of_table(path: str | Path, kg: Graph, tail_type: str) -> np.ndarray:
    """The area of each tail from a table with the columns node_id and area: int32 (tails,).

    A tail that the table does not name is an area of its own. Raises InputError where it names none of the
    graph's tails, or one of them with two areas.
    """
    frame = tables.read(path, COLUMNS, "split.areas").to_pandas().astype(str).drop_duplicates()
    frame = frame[frame["node_id"].isin(kg.node_ids[tail_type])]
    if not len(frame):
        raise InputError(
            f"{path} (split.areas) names no node of type {tail_type}; its node_id are the graph's ids"
        )
    twice = frame["node_id"][frame["node_id"].duplicated()]
    if len(twice):
        raise InputError(f"{path} (split.areas) gives {twice.iloc[0]} two areas; leave one of them")
    names = sorted(frame["area"].unique())
    found = pd.Series(kg.node_ids[tail_type]).map(dict(zip(frame["node_id"], frame["area"], strict=True)))
    codes = pd.Categorical(found, categories=names).codes
    return np.where(codes >= 0, codes, len(names) + np.arange(len(codes))).astype(np.int32)
