"""Other ids of nodes, from a table of the user's: the graph and all other tables then use one id per node."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.ingest import frames, tables

KEY = "graph.identifiers"
ID, SAME_AS, TYPE = "id", "same_as", "type"
ANY = ""  # stands for every node type
SHOWN = 3  # ids that a message lists


@dataclass(frozen=True)
class Identifiers:
    """Ids that are replaced: node type -> id -> the id that stands for it, or ANY alone.

    file: the name of the table, "" for none.
    """

    file: str = ""
    same_as: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def replaced(self, node_type: str, ids: Iterable[str]) -> np.ndarray:
        """The ids of nodes of a type, object (n,), each replaced if the table has it."""
        known = self.same_as.get(ANY) or self.same_as.get(node_type, {})
        return np.array([known.get(node_id, node_id) for node_id in ids], object)

    def indices(self, kg: Graph, node_type: str, ids: Iterable[str]) -> np.ndarray:
        """The index of each node of a type by its id, replaced if the table has it, (n,); -1 for none."""
        return pd.Index(kg.node_ids[node_type]).get_indexer(pd.Index(self.replaced(node_type, ids)))


NONE = Identifiers()


def read(path: str | Path | None) -> Identifiers:
    """Read a table with the columns id and same_as, and if it has one, type; NONE if there is no path.

    An id that is replaced by one that is replaced itself gets the last of them. Raises InputError if an id is
    to be replaced by two different ones, or by itself over others.
    """
    if not path:
        return NONE
    has_type = TYPE in tables.header(path)
    names = [ID, SAME_AS, *([TYPE] if has_type else [])]
    frame = frames.read(path, names, KEY)
    same_as: dict[str, dict[str, str]] = {}
    for row in frame.itertuples(index=False):
        if not row.id or not row.same_as or row.id == row.same_as:
            continue
        if has_type and not row.type:
            raise InputError(f"{path} ({KEY}) has no type for {row.id}; give each row one, or no column type")
        of_type = same_as.setdefault(row.type if has_type else ANY, {})
        if of_type.setdefault(row.id, row.same_as) != row.same_as:
            raise InputError(
                f"{path} ({KEY}) replaces {row.id} by {of_type[row.id]} and by {row.same_as}; leave one of "
                "them"
            )
    if not same_as:
        raise InputError(f"{path} ({KEY}) replaces no id: each row needs an id and another id in same_as")
    return Identifiers(
        str(path), {node_type: _followed(of_type, path) for node_type, of_type in same_as.items()}
    )


def _followed(same_as: Mapping[str, str], path: str | Path) -> dict[str, str]:
    """Each id with the last id of its chain of replacements."""
    result = {}
    for start in same_as:
        chain = [start]
        while chain[-1] in same_as:
            chain.append(same_as[chain[-1]])
            if chain[-1] in chain[:-1]:
                raise InputError(
                    f"{path} ({KEY}) replaces {chain[-1]} by itself, over "
                    f"{', '.join(chain[-2:0:-1][:SHOWN])}; leave one of these rows out"
                )
        result[start] = chain[-1]
    return result
