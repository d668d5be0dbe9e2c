"""OpenKE's id files: entity2id.txt, relation2id.txt and train2id.txt (also valid2id.txt, test2id.txt).

Each begins with a line that has the number of its rows. A row of the first two is a name and its number; a
row of the others is head, tail, relation. Node types stand in front of the names (Gene::9021) or in a nodes
table.
"""

from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.csv

from repurpose.config.sections import GraphSettings
from repurpose.core.errors import InputError, shortened
from repurpose.ingest import members, tables
from repurpose.ingest.formats import triples
from repurpose.ingest.formats.raw_tables import RawTables, Source, text_column
from repurpose.ingest.members import File

ENTITIES, RELATIONS, TRIPLES = (
    "entity2id.txt",
    "relation2id.txt",
    ("train2id.txt", "valid2id.txt", "test2id.txt"),
)


def recognises(source: Source, settings: GraphSettings) -> bool:
    """Whether the files that every such graph has are there."""
    names = {members.name_of(file) for file in source.edges}
    return {ENTITIES, RELATIONS, TRIPLES[0]} <= names


def read(source: Source, settings: GraphSettings) -> RawTables:
    """The triples of all three parts: which of them are held out is decided by the workflow."""
    files = {members.name_of(file): file for file in source.edges}
    missing = [name for name in (ENTITIES, RELATIONS, TRIPLES[0]) if name not in files]
    if missing:
        raise InputError(f"{source.name} has no {missing[0]}: give the folder that holds OpenKE's id files")
    entities, relations = (_names(files[name]) for name in (ENTITIES, RELATIONS))
    columns: dict[str, list[pa.Array]] = {"head": [], "tail": [], "relation": []}
    for name in TRIPLES:
        if name in files:
            rows = _rows(files[name], list(columns))
            for column, values in columns.items():
                numbers = rows[column].combine_chunks().to_numpy()
                named = relations if column == "relation" else entities
                _require_known(files[name], column, numbers, len(named))
                values.append(text_column(named, numbers))
    edges = pa.table({name: pa.chunked_array(chunks) for name, chunks in columns.items()})
    nodes = triples.read_nodes(source.nodes, settings.node_columns) if source.nodes else None
    return triples.typed(edges.select(["head", "relation", "tail"]), nodes, source.name)


def _names(file: File) -> list[str]:
    """The names in the order of their numbers."""
    rows = _rows(file, ["name", "number"])
    numbers = rows["number"].to_numpy()
    if not np.array_equal(np.sort(numbers), np.arange(len(numbers))):
        raise InputError(f"{file}: its numbers are not 0 to {len(numbers) - 1}, each once: copy it again")
    names = np.empty(len(numbers), dtype=object)
    names[numbers] = rows["name"].to_pylist()
    return names.tolist()


def _rows(file: File, columns: list[str]) -> pa.Table:
    """The rows of a file whose first line has their number; checked, because a cut file has too few."""
    kinds = {name: pa.string() if name == "name" else pa.int32() for name in columns}
    with tables.unpacked(file) as stream:
        first = tables.lines_of(stream).readline()
    with tables.unpacked(file) as stream:
        lines = tables.lines_of(stream)
        lines.readline()
        delimiter = "\t" if "\t" in lines.readline() else " "
    with tables.unpacked(file) as stream:
        try:
            rows = pyarrow.csv.read_csv(
                stream,
                pyarrow.csv.ReadOptions(column_names=columns, skip_rows=1),
                pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=False),
                pyarrow.csv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
            )
            announced = int(first)
        except (pa.ArrowInvalid, ValueError) as error:
            raise InputError(
                f"{file} is no id file of OpenKE ({shortened(error)}): check the folder"
            ) from error
    if len(rows) != announced:
        raise InputError(f"{file} has {len(rows)} rows where its first line says {announced}: copy it again")
    return rows


def _require_known(file: File, column: str, numbers: np.ndarray, count: int) -> None:
    unknown = np.flatnonzero((numbers < 0) | (numbers >= count))
    if len(unknown):
        row = int(unknown[0])
        raise InputError(
            f"{file}, line {row + 2}: there is no {column} with number {numbers[row]}: copy the files again"
        )


def is_part(name: str) -> bool:
    """Whether a file of a folder is one of OpenKE's."""
    return PurePosixPath(name).name in (ENTITIES, RELATIONS, *TRIPLES)
