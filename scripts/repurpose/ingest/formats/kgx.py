"""KGX, the exchange format of Biolink graphs (Monarch, RTX-KG2, KG-Hub): tsv or JSON lines.

Edges have subject, predicate and object; nodes have id, category and name. A node may have several
categories (formats/node_types.py chooses one). An edge whose `negated` is true says the opposite of a fact,
so it is no edge. Knowledge source, publications and qualifiers are kept as provenance.
https://github.com/biolink/kgx/blob/master/specification/kgx-format.md
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from repurpose.config.sections import EdgeColumns, GraphSettings, NodeColumns
from repurpose.core.errors import InputError, is_out_of_memory, shortened
from repurpose.ingest import edge_sources, tables
from repurpose.ingest.formats import table
from repurpose.ingest.formats.raw_tables import RawTables, Source, text_column
from repurpose.ingest.members import File

EDGE_KEYS = ("subject", "predicate", "object")
TYPE_KEYS = ("subject_category", "object_category")
NODE_KEYS = ("id", "category")
# The first of these that a table has is the source of an edge.
SOURCES = ("primary_knowledge_source", "knowledge_source", "aggregator_knowledge_source", "provided_by")
QUALIFIERS = (
    "qualified_predicate",
    "subject_aspect_qualifier",
    "subject_direction_qualifier",
    "object_aspect_qualifier",
    "object_direction_qualifier",
    "species_context_qualifier",
    "disease_context_qualifier",
)
TRUE = ("true", "True", "TRUE", "1")
LISTS = ("category", "publications", *SOURCES)  # JSON lines may have lists here


def recognises(source: Source, settings: GraphSettings) -> bool:
    """Whether the first edges file has the columns of KGX, and the config names no others that it has."""
    if not source.edges:
        return False
    file = source.edges[0]
    if is_json_lines(file):
        return True
    if not table.is_table(file):
        return False
    names = tables.header(file)
    configured = {name for name in vars(settings.columns).values() if name != ""}
    return set(EDGE_KEYS) <= set(names) and not configured <= set(names)


def is_json_lines(file: File) -> bool:
    """Whether the name of a file is that of JSON lines."""
    return tables.plain_name(file).endswith(tables.JSON_LINES)


def read(source: Source, settings: GraphSettings) -> RawTables:
    """The columns of KGX; types come from the nodes or, without nodes, from categories of the edges."""
    if not source.edges:
        raise InputError(
            f"{source.name} has no file whose name holds edges: give the edges file in the key edges"
        )
    optional = ["negated", *SOURCES, "publications", *QUALIFIERS, *TYPE_KEYS]
    edges = tables.concatenated([read_file(file, EDGE_KEYS, optional) for file in source.edges])
    nodes, node_columns = None, settings.node_columns
    if source.nodes:
        nodes = tables.concatenated([read_file(file, NODE_KEYS, ["name"]) for file in source.nodes])
        node_columns = NodeColumns(
            type="category", id="id", name="name" if "name" in nodes.column_names else ""
        )
    has_types = set(TYPE_KEYS) <= set(edges.column_names)
    if nodes is None and not has_types:
        raise InputError(
            f"{source.name} has no categories of its nodes: give the nodes file of the graph too (the key "
            "nodes, or the second argument of scripts/inspect_edges.py)"
        )
    types = TYPE_KEYS if nodes is None else ("", "")
    columns = EdgeColumns(
        relation="predicate",
        head_id="subject",
        head_type=types[0],
        head_name="",
        tail_id="object",
        tail_type=types[1],
        tail_name="",
        source="source" if any(name in edges.column_names for name in SOURCES) else "",
        publications="publications" if "publications" in edges.column_names else "",
    )
    return RawTables(with_provenance(edges), nodes, columns, node_columns, {"negated": negated(edges)})


def negated(edges: pa.Table) -> np.ndarray:
    """Mask (rows,) of the edges that say the opposite of a fact."""
    if "negated" not in edges.column_names:
        return np.zeros(len(edges), dtype=bool)
    return np.asarray(pc.is_in(edges["negated"].cast(pa.string()), value_set=pa.array(TRUE)))


def with_provenance(edges: pa.Table) -> pa.Table:
    """The table with source, publications and qualifiers in place of the many columns of KGX."""
    names = edges.column_names
    kept = {name: edges[name] for name in (*EDGE_KEYS, *TYPE_KEYS) if name in names}
    source = next((name for name in SOURCES if name in names), None)
    if source:
        kept["source"] = edges[source]
    if "publications" in names:
        kept["publications"] = edges["publications"]
    qualifiers = [name for name in QUALIFIERS if name in names]
    if qualifiers:
        kept[edge_sources.QUALIFIERS] = _joined(edges, qualifiers)
    return pa.table(kept)


def _joined(edges: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    """One text for each row: the qualifiers that it has, as name=value; few combinations are distinct."""
    codes = np.zeros(len(edges), dtype=np.int64)
    for name in names:
        column = edges[name].unify_dictionaries()
        codes = codes * (1 + max(len(chunk.dictionary) for chunk in column.chunks))
        codes += np.concatenate([chunk.indices.to_numpy() for chunk in column.chunks])
        _, codes = np.unique(codes, return_inverse=True)
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rows = edges.select(list(names)).take(pa.array(first)).to_pylist()
    texts = ["; ".join(f"{name}={value}" for name, value in row.items() if value) for row in rows]
    return pa.chunked_array([text_column(texts, inverse.astype(np.int32))])


def read_file(file: File, required: Sequence[str], optional: Sequence[str]) -> pa.Table:
    """The required columns of a file and those of the optional ones that it has, as text."""
    if is_json_lines(file):
        return _read_json_lines(file, required, optional)
    present = tables.header(file)
    wanted = [*required, *(name for name in optional if name in present)]
    return tables.read(file, wanted, "graph.format: kgx")


def _read_json_lines(file: File, required: Sequence[str], optional: Sequence[str]) -> pa.Table:
    """The same from a file with one JSON object per line; a list becomes its items with | between them."""
    tables.require_file(file)
    first = _first_object(file)
    missing = [name for name in required if name not in first]
    if missing:
        raise InputError(
            f"{file}, line 1: the object has no {missing[0]}, so this is no KGX file: check the path"
        )
    with tables.unpacked(file) as stream:
        fields = {}
        for name in (*required, *optional):
            value = first.get(name)
            is_list = isinstance(value, list) or (value is None and name in LISTS)
            fields[name] = (
                pa.list_(pa.string()) if is_list else pa.bool_() if isinstance(value, bool) else pa.string()
            )
        fields["negated"] = pa.bool_()
        fields = {name: kind for name, kind in fields.items() if name in (*required, *optional)}
        options = pa.json.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="ignore")
        try:
            read = pa.json.read_json(stream, pa.json.ReadOptions(block_size=tables.BLOCK_BYTES), options)
        except pa.ArrowInvalid as error:
            if is_out_of_memory(error):
                raise
            raise InputError(
                f"{file} cannot be read as JSON lines ({shortened(error)}): correct the file"
            ) from error
    columns = {name: _texts(read[name]) for name in read.column_names}
    for name in required:
        columns.setdefault(name, text_column([""] * len(read)))
    return pa.table({name: column for name, column in columns.items() if name in (*required, *optional)})


def _first_object(file: File) -> Mapping[str, object]:
    with tables.unpacked(file) as stream:
        line = tables.lines_of(stream).readline()
    try:
        content = json.loads(line)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise InputError(f"{file}, line 1 is no JSON object: give JSON lines, one object per line")
    return content


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of texts, lists of texts or truth values as dictionary-encoded text."""
    chunks = []
    for chunk in column.chunks:
        if pa.types.is_list(chunk.type):
            chunk = pc.binary_join(chunk, "|")
        chunks.append(chunk.cast(pa.string()).fill_null("").dictionary_encode())
    return pa.chunked_array(chunks, tables.TEXT)
