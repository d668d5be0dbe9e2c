"""Find the format of the user's tables, read them, and clean their cells: the same for all formats."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.config.sections import GraphSettings
from repurpose.core.errors import InputError
from repurpose.ingest import edge_sources, members, tables
from repurpose.ingest.formats import kgx, node_types, ogb, openke, table, triples
from repurpose.ingest.formats.raw_tables import Format, RawTables, Source
from repurpose.ingest.members import File, Member

# The order in which formats are asked; every source is a table.
FORMATS = (
    Format("openke", openke.recognises, openke.read),
    Format("ogb", ogb.recognises, ogb.read),
    Format("kgx", kgx.recognises, kgx.read),
    Format("triples", triples.recognises, triples.read),
    Format("table", table.recognises, table.read),
)
# Blanks at the ends of a cell are no content, and neither are characters that cannot be seen.
BLANKS = " \t\r\n\v\f\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
BLANKS += "\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"


class Read(NamedTuple):
    """The tables of all sources as one: rows of the first source first.

    settings: with the names of the tables' columns. files: name and number of rows of each edges table.
    faults: reason -> bool (rows,). stripped: one entry for each column with blanks around its cells.
    """

    edges: pa.Table
    nodes: pa.Table | None
    settings: GraphSettings
    files: list[tuple[str, int]]
    faults: dict[str, np.ndarray]
    stripped: list[dict[str, Any]]
    format: str


def read(edges: Sequence[str], nodes: Sequence[str], settings: GraphSettings) -> Read:
    """Read the tables that the config names, in the format that it names or that they are seen to be in.

    Raises InputError for a file that is absent, empty, damaged or not in this format.
    """
    sources = [source_of(path, nodes) for path in edges]
    chosen = {format_of(source, settings).name for source in sources}
    if len(chosen) > 1:
        raise InputError(
            f"the tables of the key edges are in several formats ({', '.join(sorted(chosen))}): give one, or "
            "say in graph.format which one it is"
        )
    name = chosen.pop()
    reader = next(each for each in FORMATS if each.name == name)
    raw = [_with_one_type(_without_headers(reader.read(source, settings)), settings) for source in sources]
    joined, stripped = _stripped(_joined(raw, sources))
    files = [(source.name, len(part.edges)) for source, part in zip(sources, raw, strict=True)]
    logging.info("format: %s", name)
    found = replace(settings, columns=joined.columns, node_columns=joined.node_columns)
    return Read(joined.edges, joined.nodes, found, files, joined.faults, stripped, name)


def source_of(path: str, nodes: Sequence[str]) -> Source:
    """The files of an entry of the key edges; nodes: the entries of the key nodes.

    A folder or an archive is searched for tables. Those of its files whose names have "node" in them are
    nodes tables; if the key nodes has others, these count.
    """
    files = list(_files(path))
    own_nodes = [] if files == [path] else [file for file in files if _is_of(file, "node")]
    given = [file for entry in nodes for file in _files(entry)]
    return Source([file for file in files if file not in own_nodes], given or own_nodes, path)


def format_of(source: Source, settings: GraphSettings) -> Format:
    """The format that the config names, or the first that recognises the source."""
    by_name = {each.name: each for each in FORMATS}
    if settings.format != "auto":
        return by_name[settings.format]
    return next(each for each in FORMATS if each.recognises(source, settings))


def _files(path: str) -> Iterator[File]:
    """A file, or the tables in a folder or an archive; raises InputError if there are none."""
    found: list[File]
    if members.is_archive(path) and Path(path).is_file():
        found = [Member(path, name) for name in members.names(path) if _is_readable(name)]
    elif Path(path).is_dir():
        names = sorted(str(file.relative_to(path)) for file in Path(path).rglob("*") if file.is_file())
        found = [f"{path}/{name}" for name in names if _is_readable(name) and not members.is_hidden(name)]
    else:
        tables.require_file(path)
        yield path
        return
    if not found:
        raise InputError(
            f"{path} holds no table that is read ({tables.KNOWN_SUFFIXES}, .jsonl): give the tables"
        )
    parts = [file for file in found if openke.is_part(_name(file)) or ogb.is_part(_name(file))]
    edges = [file for file in found if _is_of(file, "edge") or _is_of(file, "node")]
    named_alike = [file for file in found if _stem(members.name_of(file)) == _stem(Path(path).name)]
    yield from parts or (edges if any(_is_of(file, "edge") for file in edges) else named_alike or found)


def _stem(name: str) -> str:
    """A name up to its first point: drkg.tsv is the table of drkg.tar.gz."""
    return name.partition(".")[0].lower()


def _is_readable(name: str) -> bool:
    return table.is_table(name) or kgx.is_json_lines(name)


def _name(file: File) -> str:
    return file.name if isinstance(file, Member) else str(file)


def _is_of(file: File, word: str) -> bool:
    """Whether the name of a file says that it has edges, or nodes."""
    return word in members.name_of(file).lower()


def _joined(raw: Sequence[RawTables], sources: Sequence[Source]) -> RawTables:
    """The tables of all sources as one; the nodes of the key nodes are read once."""
    first = raw[0]
    for part, source in zip(raw, sources, strict=True):
        if part.columns != first.columns:
            raise InputError(
                f"{source.name} and {sources[0].name} do not have the same columns: give tables of one layout"
            )
    same_nodes = all(source.nodes == sources[0].nodes for source in sources)
    nodes = [part.nodes for part in (raw[:1] if same_nodes else raw) if part.nodes is not None]
    reasons = {reason: True for part in raw for reason in part.faults}
    return RawTables(
        tables.concatenated([part.edges for part in raw]),
        tables.concatenated(nodes) if nodes else None,
        first.columns,
        next((part.node_columns for part in raw if part.nodes is not None), first.node_columns),
        {
            reason: np.concatenate(
                [part.faults.get(reason, np.zeros(len(part.edges), dtype=bool)) for part in raw]
            )
            for reason in reasons
        },
    )


def _with_one_type(raw: RawTables, settings: GraphSettings) -> RawTables:
    """The tables with one node type in each cell, where cells have several."""
    edges, nodes = raw.edges, raw.nodes
    of_edges = [raw.columns.head_type, raw.columns.tail_type] if raw.columns.has_types else []
    of_nodes = [raw.node_columns.type] if nodes is not None else []
    columns = [edges[name] for name in of_edges] + [nodes[name] for name in of_nodes if nodes is not None]
    if not columns:
        return raw
    chosen = node_types.choose_one(columns, settings.categories)
    for name, column in zip(of_edges, chosen, strict=False):
        edges = edges.set_column(edges.column_names.index(name), str(name), column)
    for name, column in zip(of_nodes, chosen[len(of_edges) :], strict=True):
        nodes = nodes.set_column(nodes.column_names.index(name), str(name), column)
    return raw._replace(edges=edges, nodes=nodes)


def _without_headers(raw: RawTables) -> RawTables:
    """The tables with the rows marked that repeat the header, as in a file made of two."""
    names = [name for name in vars(raw.columns).values() if name != ""]
    masks = [_rows_with(raw.edges[name], str(name)) for name in names]
    if any(mask is None for mask in masks):
        return raw
    is_header = np.logical_and.reduce(masks)
    return raw._replace(faults={**raw.faults, "repeated_header": is_header}) if is_header.any() else raw


def _rows_with(column: pa.ChunkedArray, text: str) -> np.ndarray | None:
    """Mask (rows,) of the cells with this text; None if there is none, which the distinct values tell."""
    codes = [pc.index(chunk.dictionary, text).as_py() for chunk in column.chunks]
    if max(codes, default=-1) < 0:
        return None
    return np.concatenate(
        [chunk.indices.to_numpy() == code for chunk, code in zip(column.chunks, codes, strict=True)]
    )


def _stripped(raw: RawTables) -> tuple[RawTables, list[dict[str, Any]]]:
    """The tables without blanks around cells, and how many cells of each column had some."""
    entries: list[dict[str, Any]] = []
    origins = edge_sources.named(raw.columns, raw.edges.column_names).values()
    edges = _strip(
        raw.edges,
        [name for name in raw.edges.column_names if name not in origins],
        "edges",
        entries,
    )
    nodes = raw.nodes and _strip(raw.nodes, raw.nodes.column_names, "nodes", entries)
    return raw._replace(edges=edges, nodes=nodes), entries


def _strip(cells: pa.Table, names: Sequence[str], which: str, entries: list[dict[str, Any]]) -> pa.Table:
    columns = {name: cells[name] for name in cells.column_names}
    for name in names:
        rows = 0
        for chunk in columns[name].chunks:
            has_blanks = np.asarray(pc.not_equal(pc.utf8_trim(chunk.dictionary, BLANKS), chunk.dictionary))
            if has_blanks.any():
                rows += int(has_blanks[chunk.indices.to_numpy()].sum())
        if rows:
            columns[name] = tables.map_values(columns[name], lambda values: pc.utf8_trim(values, BLANKS))
            entries.append({"table": which, "column": name, "rows": rows})
    return pa.table(columns)
