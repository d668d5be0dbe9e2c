"""Annotations of heads and tails, from a table of the user's: approved or withdrawn, route, price, anything.

They become columns of the candidates and of the page, and can restrict the ranking. They are never features
of a model and never labels.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.graph.names import shown

SIDES = ("head", "tail")
# With the side in front, these are columns of the candidates already.
TAKEN = ("id", "name")
SHOWN = 5  # ids and values that a message lists
INDEX = [("side", pa.string()), ("node_index", pa.int32())]


@dataclass(frozen=True)
class Annotations:
    """Texts of nodes by side: column of the table -> text of each node (n,), "" for none.

    A side has only columns with a text. ids: of the nodes, by side. separator: between the values of a text.
    """

    texts: Mapping[str, Mapping[str, np.ndarray]]
    ids: Mapping[str, np.ndarray]
    separator: str

    @cached_property
    def columns(self) -> list[str]:
        """The columns that candidates have: the side and the column of the table, as in head_status."""
        return [f"{side}_{name}" for side in SIDES for name in self.texts[side]]

    @property
    def fields(self) -> list[pa.Field]:
        """The same as fields of a schema."""
        return [pa.field(name, pa.string()) for name in self.columns]

    def add(self, pairs: pa.Table) -> pa.Table:
        """Pairs (head_id, tail_id) with the columns of their ends behind the others."""
        for side in SIDES:
            if not self.texts[side]:
                continue
            nodes = pc.index_in(pairs[f"{side}_id"], value_set=pa.array(self.ids[side], pa.string()))
            for name, texts in self.texts[side].items():
                column = pa.array(texts, pa.string()).take(nodes.combine_chunks())
                pairs = pairs.append_column(pa.field(f"{side}_{name}", pa.string()), column)
        return pairs

    def chosen(self, only: Sequence[str], types: tuple[str, str]) -> dict[str, np.ndarray]:
        """The nodes for which all conditions hold: side -> ascending indices (n,).

        only: conditions such as head_status=approved (annotations.only in config.yaml). types: those of heads
        and tails. A side without a condition is left out. Raises InputError for a column or a value that does
        not occur, and if no node is left.
        """
        wanted: dict[tuple[str, str], list[str]] = {}
        for condition in only:
            column, _, value = condition.partition("=")
            side, _, name = column.strip().partition("_")
            wanted.setdefault((side, name), []).append(value.strip())
        kept: dict[str, np.ndarray] = {}
        asked: dict[str, list[str]] = {}
        for (side, name), values in wanted.items():
            has_value = self._has_value(side, name, values, types)
            kept[side] = kept.get(side, np.ones(len(has_value), bool)) & has_value
            asked.setdefault(side, []).append(f"{side}_{name} {' or '.join(values)}")
        for side, is_kept in kept.items():
            node_type, conditions = _type(side, types), " and ".join(asked[side])
            if not is_kept.any():
                raise InputError(
                    f"annotations.only leaves no {node_type}: none of {len(is_kept):,} has {conditions}; "
                    "leave out a condition"
                )
            logging.info(
                "%d of %d nodes of type %s have %s", is_kept.sum(), len(is_kept), node_type, conditions
            )
        return {side: np.flatnonzero(is_kept) for side, is_kept in kept.items()}

    def values(self, text: str) -> list[str]:
        """The values in a text, in lower case."""
        parts = text.split(self.separator) if self.separator else [text]
        return [part.strip().casefold() for part in parts if part.strip()]

    def _has_value(self, side: str, name: str, wanted: Sequence[str], types: tuple[str, str]) -> np.ndarray:
        """Whether each node has one of the wanted values in a column."""
        if name not in self.texts.get(side, {}):
            columns = ", ".join(self.columns)
            raise InputError(f"annotations.only names {side}_{name}, but the columns are {columns}")
        of_nodes = [set(self.values(text)) for text in self.texts[side][name]]
        counts = Counter(value for values in of_nodes for value in values)
        folded = {value.casefold() for value in wanted}
        absent = [value for value in wanted if value.casefold() not in counts]
        if absent:
            raise InputError(
                f"no {_type(side, types)} has {absent[0]} as {side}_{name} (annotations.only); the values "
                f"are {_listing(counts)}"
            )
        return np.array([bool(values & folded) for values in of_nodes])


def of_side(columns: Sequence[str], side: str) -> dict[str, str]:
    """Those of the columns (`Annotations.columns`) that are of a side: name in the table -> column."""
    return {name.removeprefix(f"{side}_"): name for name in columns if name.startswith(f"{side}_")}


def load(path: str | Path, node_ids: Mapping[str, np.ndarray], types: tuple[str, str]) -> Annotations:
    """The annotations that `ingest.annotations.read` wrote.

    node_ids: node type -> ids. types: those of heads and of tails.
    """
    table = files.read_table(path)
    ids = {side: node_ids[node_type] for side, node_type in zip(SIDES, types, strict=True)}
    texts: dict[str, dict[str, np.ndarray]] = {side: {} for side in SIDES}
    for side in SIDES:
        rows = table.filter(pc.equal(table["side"], side))
        nodes = rows["node_index"].to_numpy()
        for name in table.column_names[len(INDEX) :]:
            of_nodes = np.full(len(ids[side]), "", object)
            of_nodes[nodes] = rows[name].to_numpy(zero_copy_only=False)
            if (of_nodes != "").any():
                texts[side][name] = of_nodes
    return Annotations(texts, ids, (table.schema.metadata or {}).get(b"separator", b"").decode())


def _type(side: str, types: tuple[str, str]) -> str:
    return shown(types[SIDES.index(side)])


def _listing(counts: Mapping[str, int]) -> str:
    """The most frequent values with their numbers of nodes."""
    most = Counter(counts).most_common(SHOWN)
    more = ", ..." if len(counts) > len(most) else ""
    return ", ".join(f"{value} ({count:,})" for value, count in most) + more
