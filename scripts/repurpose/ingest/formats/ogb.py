"""The raw files of OGB's typed graphs (ogbl-biokg), without its pickled splits.

raw/relations/HEAD___RELATION___TAIL/edge.csv.gz has the numbers of heads and tails, and
mapping/TYPE_entidx2name.csv.gz the ids of a type's nodes by number. Without a mapping, the numbers are ids.
"""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv

from repurpose.config.sections import GraphSettings
from repurpose.core.errors import InputError, shortened
from repurpose.ingest import tables
from repurpose.ingest.formats.raw_tables import RawTables, Source, text_column
from repurpose.ingest.formats.triples import EDGES
from repurpose.ingest.members import File, Member

RELATION = re.compile(r"(?:^|/)relations/([^/]+?)___([^/]+?)___([^/]+?)/edge\.csv(\.gz)?$")
MAPPING = re.compile(r"(?:^|/)mapping/([^/]+)_entidx2name\.csv(\.gz)?$")


def recognises(source: Source, settings: GraphSettings) -> bool:
    """Whether there is a folder of edges for each relation."""
    return any(RELATION.search(_path(file)) for file in source.edges)


def read(source: Source, settings: GraphSettings) -> RawTables:
    """The edges of all relations."""
    found = [(match, file) for file in source.edges if (match := RELATION.search(_path(file)))]
    if not found:
        raise InputError(
            f"{source.name} has no raw/relations/HEAD___RELATION___TAIL/edge.csv.gz: check the folder"
        )
    mappings = {match[1]: file for file in source.edges if (match := MAPPING.search(_path(file)))}
    ids = {node_type: _ids(file) for node_type, file in mappings.items()}
    parts = []
    for match, file in found:
        head_type, relation, tail_type = match[1], match[2], match[3]
        rows = _numbers(file)
        columns = {"relation": text_column([relation], np.zeros(len(rows), np.int32))}
        for end, node_type, number in (("head", head_type, rows[:, 0]), ("tail", tail_type, rows[:, 1])):
            columns[end] = _named(file, ids.get(node_type), number)
            columns[f"type of {end}"] = text_column([node_type], np.zeros(len(rows), np.int32))
        parts.append(pa.table(columns))
    return RawTables(pa.concat_tables(parts), None, EDGES, settings.node_columns, {})


def _path(file: File) -> str:
    return file.name if isinstance(file, Member) else str(file).replace("\\", "/")


def _numbers(file: File) -> np.ndarray:
    """Two columns of numbers (rows, 2)."""
    return np.stack(
        [column.to_numpy() for column in _csv(file, ["head", "tail"], pa.int32(), 0).columns], axis=1
    )


def _ids(file: File) -> np.ndarray:
    """The ids of a type's nodes by number."""
    rows = _csv(file, ["number", "id"], pa.string(), 1)
    return np.asarray(rows["id"].to_pylist(), dtype=object)[
        np.argsort(rows["number"].cast(pa.int32()).to_numpy())
    ]


def _csv(file: File, columns: Sequence[str], kind: pa.DataType, header_lines: int) -> pa.Table:
    with tables.unpacked(file) as stream:
        try:
            return pyarrow.csv.read_csv(
                stream,
                pyarrow.csv.ReadOptions(column_names=list(columns), skip_rows=header_lines),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(columns, kind), strings_can_be_null=False
                ),
            )
        except pa.ArrowInvalid as error:
            raise InputError(f"{file} is no such file of OGB ({shortened(error)}): copy it again") from error


def _named(file: File, ids: np.ndarray | None, numbers: np.ndarray) -> pa.Array:
    if ids is None:
        return pa.array(numbers).cast(pa.string()).dictionary_encode()
    outside = np.flatnonzero((numbers < 0) | (numbers >= len(ids)))
    if len(outside):
        raise InputError(
            f"{file}, line {outside[0] + 1}: there is no node with the number {numbers[outside[0]]}: "
            "copy the folders raw and mapping again"
        )
    return text_column(pa.array(ids, pa.string()), numbers)


def is_part(name: str) -> bool:
    """Whether a file of a folder is one of OGB's that are read."""
    return bool(RELATION.search(name) or MAPPING.search(name))
