"""The knowledge graph: typed nodes and relations as integer arrays, and its three files."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.core import files
from repurpose.core.errors import InputError

ROLES = ("message", "target", "excluded")
NODE_SCHEMA = pa.schema(
    [
        ("node_type", pa.string()),
        ("node_id", pa.string()),
        ("node_index", pa.int32()),
        ("node_name", pa.string()),
    ]
)
EDGE_SCHEMA = pa.schema(
    [("relation_index", pa.int32()), ("head_index", pa.int32()), ("tail_index", pa.int32())]
)


@dataclass(frozen=True)
class Relation:
    """One relation between a head type and a tail type, an undirected edge counted once.

    `role` is "message" (the graph that embeddings learn from), "target" (becomes labelled pairs) or
    "excluded" (used by nobody but the ledger and the list of known pairs).
    """

    head_type: str
    relation: str
    tail_type: str
    edges: int
    role: str
    directed: bool

    @property
    def is_symmetric(self) -> bool:
        """Whether an edge is the same read from either end."""
        return self.head_type == self.tail_type and not self.directed


@dataclass(frozen=True)
class Graph:
    """A heterogeneous graph; a node is its type and its index within the type.

    node_types: sorted by name. node_ids, node_names: node type -> object array of str, (n,).
    relations: in the order of the relation index. heads, tails: per relation int32 (edges,), indices
    within the head type and the tail type, sorted by tail, then head. An undirected edge is stored
    once; whoever needs the reverse direction adds it.
    """

    node_types: tuple[str, ...]
    node_ids: dict[str, np.ndarray]
    node_names: dict[str, np.ndarray]
    relations: tuple[Relation, ...]
    heads: tuple[np.ndarray, ...]
    tails: tuple[np.ndarray, ...]

    def count(self, node_type: str) -> int:
        """Number of nodes of a type."""
        return len(self.node_ids[node_type])

    @cached_property
    def bounds(self) -> list[int]:
        """Node numbers, all types in their order: those of type i run from bounds[i] to bounds[i + 1]."""
        return [0, *itertools.accumulate(self.count(t) for t in self.node_types)]

    @property
    def nodes(self) -> int:
        """Number of nodes of all types."""
        return self.bounds[-1]

    def span(self, node_type: str) -> slice:
        """The node numbers of a type."""
        at = self.node_types.index(node_type)
        return slice(self.bounds[at], self.bounds[at + 1])

    def of_role(self, role: str) -> list[int]:
        """Indices of the relations that have the role."""
        return [index for index, relation in enumerate(self.relations) if relation.role == role]

    @cached_property
    def message_relations(self) -> list[Relation]:
        """The relations that embeddings learn from."""
        return [self.relations[index] for index in self.of_role("message")]

    def message_edges(self) -> list[np.ndarray]:
        """Per message relation, int64 (2, E): head and tail indices within their types."""
        return [np.stack([self.heads[i], self.tails[i]]).astype(np.int64) for i in self.of_role("message")]

    def offsets(self) -> list[np.ndarray]:
        """Per message relation, (2, 1): what turns head and tail indices into node numbers."""
        ends = ((r.head_type, r.tail_type) for r in self.message_relations)
        return [np.array([[self.span(head).start], [self.span(tail).start]]) for head, tail in ends]

    def connected(self) -> dict[str, np.ndarray]:
        """Which nodes have a message edge, type -> bool (nodes of the type,)."""
        result = {t: np.zeros(self.count(t), bool) for t in self.node_types}
        for i in self.of_role("message"):
            result[self.relations[i].head_type][self.heads[i]] = True
            result[self.relations[i].tail_type][self.tails[i]] = True
        return result


def save(kg: Graph, nodes: str | Path, edges: str | Path, relations: str | Path) -> None:
    """Write the graph's three files: nodes and edges as parquet, relations as JSON."""
    counts = [kg.count(node_type) for node_type in kg.node_types]
    columns = [
        pa.array(np.repeat(np.array(kg.node_types, dtype=object), counts), pa.string()),
        pa.array(_joined([kg.node_ids[node_type] for node_type in kg.node_types], object), pa.string()),
        pa.array(_joined([np.arange(count) for count in counts], np.int32)),
        pa.array(_joined([kg.node_names[node_type] for node_type in kg.node_types], object), pa.string()),
    ]
    files.write_table(nodes, pa.table(columns, schema=NODE_SCHEMA))
    sizes = [len(heads) for heads in kg.heads]
    columns = [
        pa.array(np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)),
        pa.array(_joined(kg.heads, np.int32)),
        pa.array(_joined(kg.tails, np.int32)),
    ]
    files.write_table(edges, pa.table(columns, schema=EDGE_SCHEMA))
    files.write_json(relations, [asdict(relation) for relation in kg.relations])


def load(nodes: str | Path, edges: str | Path, relations: str | Path) -> Graph:
    """Read a graph from its three files.

    Raises InputError that names the file if one is missing, damaged or does not fit the others.
    """
    node_ids, node_names = _load_nodes(nodes)
    kinds = _load_relations(relations, node_ids)
    heads, tails = _load_edges(edges, kinds, node_ids)
    return Graph(tuple(node_ids), node_ids, node_names, kinds, heads, tails)


def _load_nodes(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    table = _checked(path, NODE_SCHEMA)
    encoded = pc.dictionary_encode(table["node_type"].combine_chunks())
    node_types, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
    if node_types != sorted(node_types) or (np.diff(codes) < 0).any():
        raise _unfit(path, "its nodes are not sorted by type")
    bounds = np.searchsorted(codes, np.arange(len(node_types) + 1))
    index = table["node_index"].to_numpy()
    ids, names = {}, {}
    for node_type, start, stop in zip(node_types, bounds[:-1], bounds[1:], strict=True):
        part = table.slice(start, stop - start)
        if not np.array_equal(index[start:stop], np.arange(stop - start)):
            raise _unfit(path, f"the indices of {node_type} do not run from 0 to {stop - start - 1}")
        if pc.count_distinct(part["node_id"]).as_py() != stop - start:
            raise _unfit(path, f"an id of {node_type} stands twice")
        ids[node_type] = part["node_id"].to_numpy()
        names[node_type] = part["node_name"].to_numpy()
    return ids, names


def load_relations(path: str | Path) -> tuple[Relation, ...]:
    """Read the relations alone; raises InputError if the file is missing or damaged."""
    content = files.read_json(path)
    try:
        return tuple(Relation(**entry) for entry in content)
    except TypeError as error:
        raise _unfit(path, f"it is not a list of relations ({error})") from error


def _load_relations(path: str | Path, node_ids: dict[str, np.ndarray]) -> tuple[Relation, ...]:
    kinds = load_relations(path)
    for kind in kinds:
        absent = {kind.head_type, kind.tail_type} - set(node_ids)
        if absent:
            raise _unfit(path, f"{kind.relation} joins {min(absent)}, of which there are no nodes")
        if kind.role not in ROLES:
            raise _unfit(path, f"{kind.relation} has the unknown role {kind.role}")
    return kinds


def _load_edges(
    path: str | Path, kinds: Sequence[Relation], node_ids: dict[str, np.ndarray]
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    table = _checked(path, EDGE_SCHEMA)
    index, head, tail = (table[name].to_numpy() for name in EDGE_SCHEMA.names)
    if len(index) and (index.min() < 0 or index.max() >= len(kinds) or (np.diff(index) < 0).any()):
        raise _unfit(path, f"relation_index is not sorted or not between 0 and {len(kinds) - 1}")
    bounds = np.searchsorted(index, np.arange(len(kinds) + 1))
    heads, tails = [], []
    for kind, start, stop in zip(kinds, bounds[:-1], bounds[1:], strict=True):
        part = head[start:stop], tail[start:stop]
        if stop - start != kind.edges:
            raise _unfit(
                path, f"it has {stop - start} edges of {kind.relation}, the relations say {kind.edges}"
            )
        for indices, node_type in zip(part, (kind.head_type, kind.tail_type), strict=True):
            if len(indices) and (indices.min() < 0 or indices.max() >= len(node_ids[node_type])):
                raise _unfit(path, f"an edge of {kind.relation} points outside the nodes of {node_type}")
        order = part[1].astype(np.int64) * len(node_ids[kind.head_type]) + part[0]
        if (np.diff(order) < 0).any():
            raise _unfit(path, f"the edges of {kind.relation} are not sorted by tail, then head")
        # Copies: Arrow's arrays are read-only, which torch warns about.
        heads.append(part[0].copy())
        tails.append(part[1].copy())
    return tuple(heads), tuple(tails)


def _checked(path: str | Path, schema: pa.Schema) -> pa.Table:
    table = files.read_table(path)
    if not set(schema.names) <= set(table.column_names):
        raise _unfit(
            path, f"it has the columns {', '.join(table.column_names)}, not {', '.join(schema.names)}"
        )
    table = table.select(schema.names)
    for field in schema:
        if table.schema.field(field.name).type != field.type or table[field.name].null_count:
            raise _unfit(path, f"column {field.name} is not {field.type} in every row")
    return table


def _joined(arrays: Sequence[np.ndarray], dtype: Any) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype, copy=False)


def _unfit(path: str | Path, reason: str) -> InputError:
    return InputError(f"{path} does not fit its graph ({reason}); {files.rebuild_hint(path)}")
