"""Triples of head, relation and tail with the types in front of the ids: DRKG, Hetionet's sif.

    Compound::DB00635   Hetionet::CtD::Compound:Disease   Disease::DOID:9352

The table may have a header (source, metaedge, target) or none. The nodes table, if there is one, has ids of
the same form. Ids without a type get theirs from the nodes table.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from repurpose.config.sections import EdgeColumns, GraphSettings, NodeColumns
from repurpose.core.errors import InputError
from repurpose.ingest import tables
from repurpose.ingest.formats import node_types, table
from repurpose.ingest.formats.raw_tables import RawTables, Source
from repurpose.ingest.members import File

HEADERS = ({"source", "metaedge", "target"}, {"head", "relation", "tail"}, {"subject", "predicate", "object"})
HEADERS += ({"h", "r", "t"}, {"head", "rel", "tail"}, {"node1", "relation", "node2"})
EDGES = EdgeColumns(
    relation="relation",
    head_id="head",
    head_type="type of head",
    head_name="",
    tail_id="tail",
    tail_type="type of tail",
    tail_name="",
)
UNTYPED_EDGES = replace(EDGES, head_type="", tail_type="")
NODES = NodeColumns(type="type", id="id", name="name")


def recognises(source: Source, settings: GraphSettings) -> bool:
    """Whether the first row (or the second) has types in front of the ids of head and tail."""
    file = source.edges[0] if source.edges else None
    if file is None or not table.is_table(file) or not tables.require_format(file).delimiter:
        return False
    names, row = tables.first_rows(file)
    return len(names) >= 3 and any(
        len(cells) >= 3 and node_types.has_prefix(cells[0]) and node_types.has_prefix(cells[2])
        for cells in (names, row)
    )


def read(source: Source, settings: GraphSettings) -> RawTables:
    """The first three columns; types from the ids or, if they have none, from the nodes table."""
    edges = pa.concat_tables([_triples(file) for file in source.edges])
    nodes = None
    if source.nodes:
        nodes = read_nodes(source.nodes, _node_columns(source.nodes[0], settings))
    return typed(edges, nodes, source.name)


def typed(edges: pa.Table, nodes: pa.Table | None, name: str) -> RawTables:
    """Tables with the columns relation, head, tail, and type, id, name, whose ids may have types in front."""
    ends = {end: node_types.split_prefix(edges[end]) for end in ("head", "tail")}
    if not any(_has_text(types) for types, _ in ends.values()):
        if nodes is None:
            raise InputError(
                f"{name} has no node types: its ids do not begin with a type and {node_types.SEPARATOR}; "
                "give a nodes table with ids and types (key nodes)"
            )
        return RawTables(edges, nodes, UNTYPED_EDGES, _present(nodes), {})
    columns = {"relation": edges["relation"]}
    for end, (types, ids) in ends.items():
        columns |= {end: ids, f"type of {end}": types}
    if nodes is not None:
        types, ids = node_types.split_prefix(nodes["id"])
        if _has_text(types):
            nodes = pa.table({**{n: nodes[n] for n in nodes.column_names}, "type": types, "id": ids})
    node_columns = NODES if nodes is None else _present(nodes)
    return RawTables(pa.table(columns), nodes, EDGES, node_columns, {})


def _triples(file: File) -> pa.Table:
    """The first three columns of a table, with or without a header."""
    names, _ = tables.first_rows(file)
    has_header = {name.lower() for name in names[:3]} in HEADERS
    wanted: Sequence[tables.Column] = names[:3] if has_header else (1, 2, 3)
    return tables.read(file, wanted, "graph.format: triples").rename_columns(["head", "relation", "tail"])


def _node_columns(file: File, settings: GraphSettings) -> NodeColumns:
    """The columns of the nodes table: the config's if it has them, else Hetionet's (id, name, kind)."""
    names, _ = tables.first_rows(file)
    if not {column for column in vars(settings.node_columns).values() if column != ""} <= set(names):
        for type_name in ("kind", "type", "label", "category"):
            if {"id", type_name} <= set(names):
                return NodeColumns(type=type_name, id="id", name="name" if "name" in names else "")
    return settings.node_columns


def read_nodes(files: list[File], columns: NodeColumns) -> pa.Table:
    """The nodes tables with the columns type, id and name, whatever their own names are."""
    nodes, found = table.read_columns(files, columns, "graph.node_columns")
    names = {column: key for key, column in vars(found).items()}
    return nodes.rename_columns([names[name] for name in nodes.column_names])


def _present(nodes: pa.Table) -> NodeColumns:
    return NodeColumns(type="type", id="id", name="name" if "name" in nodes.column_names else "")


def _has_text(column: pa.ChunkedArray) -> bool:
    """Whether any row has a text other than ""."""
    return any(
        np.any(
            np.asarray(chunk.dictionary.to_pylist(), dtype=object)[np.unique(chunk.indices.to_numpy())] != ""
        )
        for chunk in column.chunks
    )
