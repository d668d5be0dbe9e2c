"""The knowledge graph: typed nodes and relations as integer arrays, and its three files."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

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
    """One relation between a head type and a tail type; `edges` counts an undirected edge once.

    role: "message" (embeddings learn from these edges), "target" (the edges become labelled pairs) or
    "excluded" (only the ledger and the list of known pairs use the edges). turned: whether most rows of the
    table have the tail first. Edges without a direction are stored from the type whose name comes first; what
    people read has the order of their table.
    """

    head_type: str
    relation: str
    tail_type: str
    edges: int
    role: str
    directed: bool
    turned: bool = False

    @property
    def text(self) -> str:
        """The relation as its table has it: "drug -> binds -> gene", or "gene -- interacts -- gene"."""
        first, last = (self.head_type, self.tail_type)[:: -1 if self.turned else 1]
        arrow = "--" if self.is_symmetric else "->"
        return f"{first} {arrow} {self.relation} {arrow} {last}"

    @property
    def is_symmetric(self) -> bool:
        """Whether head and tail of an edge are interchangeable: same type, and edges are undirected."""
        return self.head_type == self.tail_type and not self.directed


@dataclass(frozen=True)
class Graph:
    """A heterogeneous graph; a node is identified by its type and its index within the type.

    node_types: sorted by name. node_ids, node_names: node type -> object array of str, (n,). relations: in
    the order of the relation index. heads, tails: per relation int32 (edges,), indices within the head type
    and the tail type, sorted by tail, then head. An undirected edge is stored once, without its reverse
    direction.

    The number of a node counts through all types, in their order.
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
        """Bounds of the node numbers: those of type i run from bounds[i] to bounds[i + 1] - 1."""
        return [0, *itertools.accumulate(self.count(t) for t in self.node_types)]

    @property
    def nodes(self) -> int:
        """Number of nodes of all types."""
        return self.bounds[-1]

    def span(self, node_type: str) -> slice:
        """The node numbers of a type, as a slice."""
        position = self.node_types.index(node_type)
        return slice(self.bounds[position], self.bounds[position + 1])

    def of_role(self, role: str) -> list[int]:
        """Indices of the relations that have the role."""
        return [index for index, relation in enumerate(self.relations) if relation.role == role]

    @cached_property
    def message_relations(self) -> list[Relation]:
        """The relations that embeddings learn from."""
        return [self.relations[index] for index in self.of_role("message")]

    def message_edges(self) -> list[np.ndarray]:
        """Edges of each message relation, int64 (2, E): head and tail indices within their types."""
        return [np.stack([self.heads[i], self.tails[i]]).astype(np.int64) for i in self.of_role("message")]

    def offsets(self) -> list[np.ndarray]:
        """Per message relation, (2, 1): added to head and tail indices, it gives node numbers."""
        ends = ((r.head_type, r.tail_type) for r in self.message_relations)
        return [np.array([[self.span(head).start], [self.span(tail).start]]) for head, tail in ends]

    def connected(self) -> dict[str, np.ndarray]:
        """Whether each node has a message edge: node type -> bool (nodes of the type,)."""
        result = {t: np.zeros(self.count(t), bool) for t in self.node_types}
        for i in self.of_role("message"):
            result[self.relations[i].head_type][self.heads[i]] = True
            result[self.relations[i].tail_type][self.tails[i]] = True
        return result


def with_node(kg: Graph, node_type: str, node_id: str, name: str, links: Mapping[int, np.ndarray]) -> Graph:
    """The graph with one more node, the last of its type.

    links: relation index -> indices of its neighbours within their type. In a directed relation within the
    type, the new node is the head.
    """
    new = kg.count(node_type)
    relations, heads, tails = list(kg.relations), list(kg.heads), list(kg.tails)
    for index, neighbours in links.items():
        relation, others = relations[index], np.unique(neighbours).astype(np.int32)
        is_head = relation.head_type == node_type and not relation.is_symmetric
        ends = [np.full(len(others), new, np.int32), others][:: 1 if is_head else -1]
        head, tail = (
            np.concatenate([old, more]) for old, more in zip((heads[index], tails[index]), ends, strict=True)
        )
        order = np.lexsort((head, tail))
        heads[index], tails[index] = head[order], tail[order]
        relations[index] = replace(relation, edges=len(order))
    return replace(
        kg,
        node_ids={**kg.node_ids, node_type: np.append(kg.node_ids[node_type], node_id)},
        node_names={**kg.node_names, node_type: np.append(kg.node_names[node_type], name)},
        relations=tuple(relations),
        heads=tuple(heads),
        tails=tuple(tails),
    )


class GraphFiles(NamedTuple):
    """The paths of a graph's three files: nodes and edges (parquet), relations (JSON)."""

    nodes: Path
    edges: Path
    relations: Path

    @classmethod
    def of(cls, files_of_job: Any) -> Self:
        """Those among the named inputs or outputs of a Snakemake job."""
        return cls(*(Path(getattr(files_of_job, name)) for name in cls._fields))

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Those in a folder such as results/graph."""
        return cls(folder / "nodes.parquet", folder / "edges.parquet", folder / "relations.json")

    def digests(self) -> dict[str, str]:
        """Digest of each file by name; relations.json counts too: the roles of relations are only there."""
        return {name: files.digest(path) for name, path in self._asdict().items()}


def save(kg: Graph, paths: GraphFiles) -> None:
    """Write the graph's three files."""
    counts = [kg.count(node_type) for node_type in kg.node_types]
    columns = [
        pa.array(np.repeat(np.array(kg.node_types, dtype=object), counts), pa.string()),
        pa.array(_concatenate([kg.node_ids[node_type] for node_type in kg.node_types], object), pa.string()),
        pa.array(_concatenate([np.arange(count) for count in counts], np.int32)),
        pa.array(
            _concatenate([kg.node_names[node_type] for node_type in kg.node_types], object), pa.string()
        ),
    ]
    files.write_table(paths.nodes, pa.table(columns, schema=NODE_SCHEMA))
    sizes = [len(heads) for heads in kg.heads]
    columns = [
        pa.array(np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)),
        pa.array(_concatenate(kg.heads, np.int32)),
        pa.array(_concatenate(kg.tails, np.int32)),
    ]
    files.write_table(paths.edges, pa.table(columns, schema=EDGE_SCHEMA))
    files.write_json(paths.relations, [asdict(relation) for relation in kg.relations])


def load(paths: GraphFiles) -> Graph:
    """Read a graph from its three files.

    Raises InputError that names the file if a file is missing or damaged, or does not match the others.
    """
    node_ids, node_names = load_nodes(paths.nodes)
    loaded = _load_relations(paths.relations, node_ids)
    heads, tails = _load_edges(paths.edges, loaded, node_ids)
    return Graph(tuple(node_ids), node_ids, node_names, loaded, heads, tails)


def load_nodes(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Read only the nodes: ids and names by node type, in the order of the graph's node numbers.

    Raises InputError if the file is missing or damaged.
    """
    table = _load_table(path, NODE_SCHEMA)
    encoded = pc.dictionary_encode(table["node_type"].combine_chunks())
    node_types, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
    if node_types != sorted(node_types) or (np.diff(codes) < 0).any():
        raise _mismatch(path, "its nodes are not sorted by type")
    bounds = np.searchsorted(codes, np.arange(len(node_types) + 1))
    index = table["node_index"].to_numpy()
    ids, names = {}, {}
    for node_type, start, stop in zip(node_types, bounds[:-1], bounds[1:], strict=True):
        of_type = table.slice(start, stop - start)
        if not np.array_equal(index[start:stop], np.arange(stop - start)):
            raise _mismatch(path, f"the indices of {node_type} do not run from 0 to {stop - start - 1}")
        if pc.count_distinct(of_type["node_id"]).as_py() != stop - start:
            raise _mismatch(path, f"an id of {node_type} occurs twice")
        ids[node_type] = of_type["node_id"].to_numpy()
        names[node_type] = of_type["node_name"].to_numpy()
    return ids, names


def load_relations(path: str | Path) -> tuple[Relation, ...]:
    """Read only the relations; raises InputError if the file is missing or damaged."""
    content = files.read_json(path)
    try:
        return tuple(Relation(**entry) for entry in content)
    except TypeError as error:
        raise _mismatch(path, f"it is not a list of relations ({error})") from error


def _load_relations(path: str | Path, node_ids: dict[str, np.ndarray]) -> tuple[Relation, ...]:
    relations = load_relations(path)
    for relation in relations:
        absent = {relation.head_type, relation.tail_type} - set(node_ids)
        if absent:
            raise _mismatch(
                path, f"{relation.relation} connects {min(absent)} nodes, of which there are none"
            )
        if relation.role not in ROLES:
            raise _mismatch(path, f"{relation.relation} has the unknown role {relation.role}")
    return relations


def _load_edges(
    path: str | Path, relations: Sequence[Relation], node_ids: dict[str, np.ndarray]
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    table = _load_table(path, EDGE_SCHEMA)
    index, head, tail = (table[name].to_numpy() for name in EDGE_SCHEMA.names)
    if len(index) and (index.min() < 0 or index.max() >= len(relations) or (np.diff(index) < 0).any()):
        raise _mismatch(path, f"relation_index is not sorted or not between 0 and {len(relations) - 1}")
    bounds = np.searchsorted(index, np.arange(len(relations) + 1))
    heads, tails = [], []
    for relation, start, stop in zip(relations, bounds[:-1], bounds[1:], strict=True):
        ends = head[start:stop], tail[start:stop]
        if stop - start != relation.edges:
            raise _mismatch(
                path,
                f"it has {stop - start} edges of {relation.relation}, the relations say {relation.edges}",
            )
        for indices, node_type in zip(ends, (relation.head_type, relation.tail_type), strict=True):
            if len(indices) and (indices.min() < 0 or indices.max() >= len(node_ids[node_type])):
                raise _mismatch(
                    path, f"an edge of {relation.relation} points outside the nodes of {node_type}"
                )
        order = ends[1].astype(np.int64) * len(node_ids[relation.head_type]) + ends[0]
        if (np.diff(order) < 0).any():
            raise _mismatch(path, f"the edges of {relation.relation} are not sorted by tail, then head")
        # Copies: Arrow's arrays are read-only, and torch warns about that.
        heads.append(ends[0].copy())
        tails.append(ends[1].copy())
    return tuple(heads), tuple(tails)


def _load_table(path: str | Path, schema: pa.Schema) -> pa.Table:
    table = files.read_table(path)
    if not set(schema.names) <= set(table.column_names):
        raise _mismatch(
            path, f"it has the columns {', '.join(table.column_names)}, not {', '.join(schema.names)}"
        )
    table = table.select(schema.names)
    for field in schema:
        if table.schema.field(field.name).type != field.type or table[field.name].null_count:
            raise _mismatch(path, f"column {field.name} is not {field.type} in every row")
    return table


def _concatenate(arrays: Sequence[np.ndarray], dtype: Any) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype, copy=False)


def _mismatch(path: str | Path, reason: str) -> InputError:
    return InputError(f"{path} does not fit its graph ({reason}); {files.rebuild_hint(path)}")
