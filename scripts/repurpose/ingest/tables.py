"""Raw tables as text: csv, tsv and parquet of any origin, with a person's sentence for every fault."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from repurpose.core.errors import InputError, is_exhausted
from repurpose.ingest import faults, kinds

BLOCK_BYTES = 16 << 20  # a row must fit into one block
BATCH_ROWS = 1 << 20
TEXT = pa.dictionary(pa.int32(), pa.string())


class _Source(NamedTuple):
    path: Path
    delimiter: str  # "" for parquet
    compression: str | None


def read(path: str | Path, columns: Sequence[str], key: str = "graph.columns") -> pa.Table:
    """Read the named columns of a raw table, every cell as text.

    Returns a table of dictionary-encoded strings, in the order of `columns`, at least one row, no nulls:
    a missing value is the empty string, while "NA" or "null" are values like any other. Numbers and
    dates of a parquet file become text. `key` is the config key that the sentence about a missing
    column points to. Raises InputError for a file that is absent, empty, damaged, not UTF-8, of an
    unknown kind or without one of the columns, and for a row with too few or too many fields.
    """
    source = _source(Path(path))
    wanted = list(dict.fromkeys(columns))
    reader = _read_text if source.delimiter else _read_parquet
    table = reader(source, wanted, key)
    if table.num_rows == 0:
        raise kinds.without_rows(source.path)
    return table


def _source(path: Path) -> _Source:
    """Tell the kind of a file by its name, and check that its first bytes agree."""
    if not path.exists():
        raise InputError(f"{path} does not exist: correct the path in the config or put the table there")
    if not path.is_file():
        raise InputError(f"{path} is not a file: give the path of one table")
    return _Source(path, *kinds.require(path))


@contextmanager
def _opened(source: _Source) -> Iterator[pa.NativeFile]:
    try:
        with pa.input_stream(str(source.path), compression=source.compression) as stream:
            yield stream
    except OSError as error:
        raise kinds.damaged(source.path, error) from error


def _check_columns(path: Path, names: Sequence[str], wanted: Sequence[str], key: str) -> None:
    for name in wanted:
        if name not in names:
            found = ", ".join(names)
            raise InputError(f"{path} has no column {name}, it has {found}: name its columns in {key}")
        if list(names).count(name) > 1:
            raise InputError(f"{path} has more than one column {name}: rename all but the one that is meant")


# ---- csv and tsv ----


def _read_text(source: _Source, wanted: Sequence[str], key: str) -> pa.Table:
    header = _header(source)
    _check_columns(source.path, header, wanted, key)
    # The last column is read too, as bytes, to find a quotation mark left open (see below).
    types = {header[-1]: pa.dictionary(pa.int32(), pa.binary()), **dict.fromkeys(wanted, TEXT)}
    try:
        with _opened(source) as stream:
            table = pyarrow.csv.read_csv(
                stream,
                pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES),
                pyarrow.csv.ParseOptions(delimiter=source.delimiter, newlines_in_values=True),
                pyarrow.csv.ConvertOptions(
                    include_columns=list(types),
                    column_types=types,
                    strings_can_be_null=False,
                ),
            )
    except pa.ArrowInvalid as error:
        detail = str(error).splitlines()[0]
        other = InputError(f"{source.path} cannot be parsed ({detail}): correct the table")
        raise (_fault(source, header, wanted) or other) from error
    # A quotation mark that opens the last field of a row and is never closed swallows all rows behind
    # it, and Arrow does not mind; a quotation mark left open must therefore be looked for.
    if table.num_rows and b"\n" in table[header[-1]][-1].value.as_buffer().to_pybytes():
        fault = _fault(source, header, wanted)
        if fault:
            raise fault
    return table.select(list(wanted))


def _header(source: _Source) -> list[str]:
    with _opened(source) as stream:
        lines = kinds.text_of(stream)
        try:
            header = next((row for row in csv.reader(lines, delimiter=source.delimiter) if row), None)
        except csv.Error as error:
            raise InputError(
                f"{source.path}: a quotation mark in its header is left open: close it"
            ) from error
        has_rows = any(line.strip("\r\n") for line in lines)
    if header is None:
        raise InputError(f"{source.path} is empty: give a table with a header and rows")
    if faults.foreign_byte(header) is not None:
        raise InputError(f"{source.path} is not UTF-8 text (its header already): save the table as UTF-8")
    if not has_rows:
        raise kinds.without_rows(source.path)
    return header


def _fault(source: _Source, header: Sequence[str], wanted: Sequence[str]) -> InputError | None:
    with _opened(source) as stream:
        fault = faults.first(kinds.text_of(stream), source.delimiter, header, wanted)
    return InputError(f"{source.path}, {fault}: correct the table") if fault else None


# ---- parquet ----


def _read_parquet(source: _Source, wanted: Sequence[str], key: str) -> pa.Table:
    try:
        # A plain file handle: a path would let pyarrow read hive keys out of folder names.
        with source.path.open("rb") as file:
            schema = pq.ParquetFile(file).schema_arrow
            _check_columns(source.path, schema.names, wanted, key)
            texts = [name for name in wanted if schema.field(name).type in (pa.string(), pa.large_string())]
            parquet = pq.ParquetFile(file, read_dictionary=texts)
            batches = [
                pa.record_batch(
                    [_as_text(source.path, name, batch[name]) for name in wanted], names=list(wanted)
                )
                for batch in parquet.iter_batches(BATCH_ROWS, columns=list(wanted))
            ]
    except (OSError, pa.ArrowException) as error:
        raise kinds.damaged(source.path, error) from error
    return pa.Table.from_batches(batches, pa.schema([(name, TEXT) for name in wanted]))


def _as_text(path: Path, name: str, values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
        # pandas turns whole numbers into floats as soon as one is missing: 3091.0 means 3091.
        with suppress(pa.ArrowInvalid):  # true fractions stay as they are
            values = values.cast(pa.int64())
    try:
        text = values.cast(pa.string()).fill_null("").dictionary_encode()
        text.dictionary.validate(full=True)
    except pa.ArrowException as error:
        if is_exhausted(error):
            raise
        raise InputError(
            f"column {name} of {path} holds {values.type}, which cannot be read as text: store it as strings"
        ) from error
    return text
