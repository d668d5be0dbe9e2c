"""A table whose columns the config names: PrimeKG's kg.csv, and anything that becomes like it by renaming."""

from dataclasses import replace

import pyarrow as pa

from repurpose.config.sections import EdgeColumns, GraphSettings, NodeColumns
from repurpose.core.errors import InputError
from repurpose.ingest import tables
from repurpose.ingest.formats.raw_tables import RawTables, Source
from repurpose.ingest.members import File

TABLES = (*tables.DELIMITERS, ".parquet")


def recognises(source: Source, settings: GraphSettings) -> bool:
    """True: what is in no other format is a table."""
    return True


def read(source: Source, settings: GraphSettings) -> RawTables:
    """The columns that the config names."""
    if not settings.columns.has_types and not source.nodes:
        raise InputError(
            "graph.columns.head_type is empty, so node types come from a nodes table: give its path in the "
            "key nodes"
        )
    edges, columns = read_columns(source.edges, settings.columns, "graph.columns")
    nodes, node_columns = None, settings.node_columns
    if source.nodes:
        nodes, node_columns = read_columns(source.nodes, settings.node_columns, "graph.node_columns")
    return RawTables(edges, nodes, columns, node_columns, {})


def read_columns(
    files: list[File], columns: EdgeColumns | NodeColumns, key: str
) -> tuple[pa.Table, EdgeColumns | NodeColumns]:
    """The rows of several files, and the names of their columns where the config has numbers."""
    keys = {column: name for name, column in vars(columns).items() if column != ""}
    table = pa.concat_tables([tables.read(file, list(keys), key, keys) for file in files])
    named = {
        name: column if column == "" else tables.column_name(column) for name, column in vars(columns).items()
    }
    return table, replace(columns, **named)


def is_table(file: File) -> bool:
    """Whether the name of a file is that of a table."""
    return tables.plain_name(file).endswith(TABLES)
