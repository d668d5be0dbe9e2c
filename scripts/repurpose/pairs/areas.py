"""The area of each tail (disease), so that whole areas can be held out."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from repurpose.core.errors import InputError
from repurpose.graph import matrices
from repurpose.graph.graph import Graph
from repurpose.ingest import identifiers, tables
from repurpose.ingest.identifiers import Identifiers

AREAS = 20  # number of broad terms of a hierarchy that each define an area
COLUMNS = ("node_id", "area")


def from_hierarchy(kg: Graph, relation: str, tail_type: str) -> np.ndarray:
    """The area of each tail from a hierarchy, a relation among tails such as is-a: int32 (tails,).

    The AREAS tails with the most edges are the broad terms. Each defines an area, and every tail belongs to
    the broad term with the shortest path to it; on a tie, to the one with more edges. A tail that is
    connected to none of them is its own area. Raises InputError if the graph lacks the relation.
    """
    count = kg.count(tail_type)
    forward = matrices.counts(*hierarchy_edges(kg, relation, tail_type), (count, count), np.float64)
    symmetric = sparse.csr_array(forward + forward.T)
    broad_terms = np.argsort(-np.diff(symmetric.indptr), kind="stable")[:AREAS]
    distance = dijkstra(symmetric, directed=False, indices=broad_terms, unweighted=True, limit=count)
    return np.where(
        np.isfinite(distance).any(axis=0), distance.argmin(axis=0), AREAS + np.arange(count)
    ).astype(np.int32)


def hierarchy_edges(kg: Graph, relation: str, tail_type: str) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails of the hierarchy's edges; raises InputError if the graph lacks the relation."""
    require_hierarchy(kg, relation, tail_type)
    (index,) = (
        number
        for number, each in enumerate(kg.relations)
        if (each.head_type, each.relation, each.tail_type) == (tail_type, relation, tail_type)
    )
    return kg.heads[index], kg.tails[index]


def require_hierarchy(kg: Graph, relation: str, tail_type: str) -> None:
    """Raise InputError if target.hierarchy names no relation among tails of the graph."""
    names = [each.relation for each in kg.relations if each.head_type == each.tail_type == tail_type]
    if relation not in names:
        raise InputError(
            f"target.hierarchy names the relation {relation}, but the graph has none of that name among nodes"
            f" of type {tail_type}; it has: {', '.join(names) or 'none'}"
        )


def from_table(
    path: str | Path, kg: Graph, tail_type: str, same: Identifiers = identifiers.NONE
) -> np.ndarray:
    """The area of each tail from a table with the columns node_id and area: int32 (tails,).

    A tail that is not in the table is its own area. same: ids that are replaced by others. Raises InputError
    if the table names none of the graph's
    tails, or gives a tail two areas.
    """
    frame = tables.read(path, COLUMNS, "split.areas").to_pandas().astype(str)
    frame = frame.assign(node_id=same.replaced(tail_type, frame["node_id"])).drop_duplicates()
    frame = frame[frame["node_id"].isin(kg.node_ids[tail_type])]
    if not len(frame):
        raise InputError(
            f"{path} (split.areas) names no node of type {tail_type}; its node_id are the graph's ids"
        )
    duplicates = frame["node_id"][frame["node_id"].duplicated()]
    if len(duplicates):
        raise InputError(f"{path} (split.areas) gives {duplicates.iloc[0]} two areas; leave one of them")
    names = sorted(frame["area"].unique())
    area_names = pd.Series(kg.node_ids[tail_type]).map(
        dict(zip(frame["node_id"], frame["area"], strict=True))
    )
    codes = pd.Categorical(area_names, categories=names).codes
    return np.where(codes >= 0, codes, len(names) + np.arange(len(codes))).astype(np.int32)
