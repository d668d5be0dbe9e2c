"""The user's tables as files: csv, tsv or parquet of any origin, with one sentence for every fault.

`require_kind` checks that a file is what its name says, `read` gives its cells as text, `first_fault` finds
the row at fault when the fast reader fails, and `require_whole` checks that no part of a file is missing.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from repurpose.core.errors import InputError, is_out_of_memory, shortened

# ---- the kind of a file ----

DELIMITERS = {".csv": ",", ".tsv": "\t"}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
KNOWN_SUFFIXES = ".csv, .tsv (also with .gz or .zst behind) and .parquet"
START_BYTES = 2048  # what is read of a file to tell its kind

# First bytes of files that are no tables: what each is, and what to do about it.
OTHERS = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive", "unpack it, or save the sheet as csv"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save the sheet as csv"),
    (b"%PDF", "a PDF document", "look for the table itself"),
    (b"BZh", "a bzip2 archive", "unpack it"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (
        b"version https://git-lfs",
        "a Git LFS pointer in place of the table",
        "get the table with git lfs pull, or from its host's own download address",
    ),
    (b"/annex/objects/", "a git-annex pointer in place of the table", "get the table with git annex get"),
)
PAGE = re.compile(rb"<(!doctype|html|head|body|title|meta|script|\?xml|!--|error|message)\b|<[!?]", re.I)
PAGE_REMEDY = "it may be a log-in page or an error message; download the table by hand"
JSON = re.compile(rb"[{\[]\s*([\"{\[}\]]|-?\d)")


class Kind(NamedTuple):
    """A table's delimiter, "" for parquet, and its compression."""

    delimiter: str
    compression: str | None

    @property
    def content(self) -> str:
        """What its file holds: text, gzip, zstd or parquet."""
        return self.compression or ("text" if self.delimiter else "parquet")


def require_kind(path: str | Path, name: str | None = None) -> Kind:
    """The kind of a file by its name (or by `name`), if its first bytes agree.

    Raises InputError that names the file where it is empty, or something else than its name says.
    """
    kind, start = _kind_of_name(name or Path(path).name, path), _start(path)
    found = _other(start) or (_content(start), "rename it to what it is, or copy it again")
    if found[0] != kind.content:
        raise InputError(f"{path} is named as {kind.content} but holds {found[0]}: {found[1]}")
    if kind.compression:
        inside = _inside(path, kind)
        # A file that unpacks to nothing is refused by its reader.
        found = _other(inside) if inside else None
        if found:
            raise InputError(f"{path} is compressed, but what it holds is {found[0]}: {found[1]}")
    return kind


def _kind_of_name(name: str, path: str | Path) -> Kind:
    """The kind that a file's name says; raises InputError that names `path` where it says none."""
    suffixes = Path(name.lower()).suffixes
    compression = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    kind = "".join(suffixes[-2:-1] if compression else suffixes[-1:])
    if kind == ".parquet" and compression:
        raise InputError(
            f"{path} is a compressed parquet file, which is not read: unpack it, parquet is compressed inside"
        )
    if kind != ".parquet" and kind not in DELIMITERS:
        raise InputError(f"{path} is of an unknown kind: give a table whose name ends in {KNOWN_SUFFIXES}")
    return Kind(DELIMITERS.get(kind, ""), compression)


def _start(path: str | Path) -> bytes:
    try:
        with Path(path).open("rb") as file:
            start = file.read(START_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}): check its permissions") from error
    if not start:
        raise InputError(f"{path} is empty: give a table with a header and rows")
    return start


def _content(start: bytes) -> str:
    """What a file with these first bytes holds: text, gzip, zstd or parquet."""
    if start[:2] == b"\x1f\x8b":
        return "gzip"
    # 0x184D2A5? opens a skippable frame, which pzstd writes in front.
    if start[:4] == b"\x28\xb5\x2f\xfd" or (start[1:4] == b"\x2a\x4d\x18" and start[0] >> 4 == 5):
        return "zstd"
    return "parquet" if start[:4] == b"PAR1" else "text"


def _other(start: bytes) -> tuple[str, str] | None:
    """What a file is that is no table by its first bytes, and what to do about it; None for a table."""
    for magic, what, remedy in OTHERS:
        if start.startswith(magic):
            return what, remedy
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if PAGE.match(text):
        return "a web page (HTML or XML)", PAGE_REMEDY
    if JSON.match(text):
        return "JSON", PAGE_REMEDY
    return None


def _inside(path: str | Path, kind: Kind) -> bytes:
    """The first bytes of a compressed file, unpacked."""
    with _opened(path, kind) as stream:
        return stream.read(START_BYTES)


# ---- reading a table ----

BLOCK_BYTES = 16 << 20  # a row must fit into one block
BATCH_ROWS = 1 << 20
TEXT = pa.dictionary(pa.int32(), pa.string())


def read(path: str | Path, columns: Sequence[str], key: str = "graph.columns") -> pa.Table:
    """Read the named columns of a raw table, every cell as text.

    Returns a table of dictionary-encoded strings, in the order of `columns`, at least one row, no nulls:
    a missing value is the empty string, while "NA" or "null" are values like any other. Numbers and
    dates of a parquet file become text. `key` is the config key that the sentence about a missing
    column points to. Raises InputError for a file that is absent, empty, damaged, not UTF-8, of an
    unknown kind or without one of the columns, and for a row with too few or too many fields.
    """
    path, wanted = Path(path), list(dict.fromkeys(columns))
    if not path.exists():
        raise InputError(f"{path} does not exist: correct the path in the config or put the table there")
    if not path.is_file():
        raise InputError(f"{path} is not a file: give the path of one table")
    kind = require_kind(path)
    table = _read_text(path, kind, wanted, key) if kind.delimiter else _read_parquet(path, wanted, key)
    if table.num_rows == 0:
        raise _without_rows(path)
    return table


def _check_columns(path: Path, names: Sequence[str], wanted: Sequence[str], key: str) -> None:
    for name in wanted:
        if name not in names:
            found = ", ".join(names)
            raise InputError(f"{path} has no column {name}, it has {found}: name its columns in {key}")
        if list(names).count(name) > 1:
            raise InputError(f"{path} has more than one column {name}: rename all but the one that is meant")


def _read_text(path: Path, kind: Kind, wanted: Sequence[str], key: str) -> pa.Table:
    header = _header(path, kind)
    _check_columns(path, header, wanted, key)
    # The last column is read too, as bytes, to find a quotation mark left open (see below).
    types = {header[-1]: pa.dictionary(pa.int32(), pa.binary()), **dict.fromkeys(wanted, TEXT)}
    try:
        with _opened(path, kind) as stream:
            table = pyarrow.csv.read_csv(
                stream,
                pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES),
                pyarrow.csv.ParseOptions(delimiter=kind.delimiter, newlines_in_values=True),
                pyarrow.csv.ConvertOptions(
                    include_columns=list(types),
                    column_types=types,
                    strings_can_be_null=False,
                ),
            )
    except pa.ArrowInvalid as error:
        detail = str(error).splitlines()[0]
        other = InputError(f"{path} cannot be parsed ({detail}): correct the table")
        raise (_faulty_row(path, kind, header, wanted) or other) from error
    # Arrow accepts a quotation mark that opens the last field of a row and is never closed, and takes all
    # later rows for part of that field: look for one.
    if table.num_rows and b"\n" in table[header[-1]][-1].value.as_buffer().to_pybytes():
        fault = _faulty_row(path, kind, header, wanted)
        if fault:
            raise fault
    return table.select(list(wanted))


def _header(path: Path, kind: Kind) -> list[str]:
    with _opened(path, kind) as stream:
        lines = _lines_of(stream)
        try:
            header = next((row for row in csv.reader(lines, delimiter=kind.delimiter) if row), None)
        except csv.Error as error:
            raise InputError(f"{path}: a quotation mark in its header is left open: close it") from error
        has_rows = any(line.strip("\r\n") for line in lines)
    if header is None:
        raise InputError(f"{path} is empty: give a table with a header and rows")
    if foreign_byte(header) is not None:
        raise InputError(f"{path} is not UTF-8 text (its header already): save the table as UTF-8")
    if not has_rows:
        raise _without_rows(path)
    return header


def _faulty_row(path: Path, kind: Kind, header: Sequence[str], wanted: Sequence[str]) -> InputError | None:
    with _opened(path, kind) as stream:
        fault = first_fault(_lines_of(stream), kind.delimiter, header, wanted)
    return InputError(f"{path}, {fault}: correct the table") if fault else None


def _read_parquet(path: Path, wanted: Sequence[str], key: str) -> pa.Table:
    try:
        # A plain file handle: given a path, pyarrow reads hive keys from the names of folders.
        with path.open("rb") as file:
            schema = pq.ParquetFile(file).schema_arrow
            _check_columns(path, schema.names, wanted, key)
            texts = [name for name in wanted if schema.field(name).type in (pa.string(), pa.large_string())]
            parquet = pq.ParquetFile(file, read_dictionary=texts)
            batches = [
                pa.record_batch([_as_text(path, name, batch[name]) for name in wanted], names=list(wanted))
                for batch in parquet.iter_batches(BATCH_ROWS, columns=list(wanted))
            ]
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    return pa.Table.from_batches(batches, pa.schema([(name, TEXT) for name in wanted]))


def _as_text(path: Path, name: str, values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        # Not above: it is slow to import, and the Snakefile imports this module with `download`.
        import pyarrow.compute as pc

        values = pc.if_else(pc.is_nan(values), None, values)
        # pandas turns whole numbers into floats as soon as one is missing: 3091.0 means 3091.
        with suppress(pa.ArrowInvalid):  # true fractions stay as they are
            values = values.cast(pa.int64())
    try:
        text = values.cast(pa.string()).fill_null("").dictionary_encode()
        text.dictionary.validate(full=True)
    except pa.ArrowException as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"column {name} of {path} holds {values.type}, which cannot be read as text: store it as strings"
        ) from error
    return text


# ---- the row at fault ----

LEFT_OPEN = "a quotation mark is left open"


def first_fault(
    lines: Iterable[str], delimiter: str, header: Sequence[str], wanted: Sequence[str]
) -> str | None:
    """Describe the first faulty row, by the number of the line it starts on; None if there is none.

    Slow and exact: for tables that the fast reader refuses. lines: with their ends, the header's first;
    bytes that are not UTF-8 stand as lone surrogates (errors="surrogateescape"). wanted: the columns in
    which such bytes are a fault.
    """
    pending: list[str] = []
    rows = csv.reader(_recorded(lines, pending), delimiter=delimiter)
    start, last_start, last_lines = 1, 1, pending
    try:
        for row in rows:
            fault = _row_fault(row, header, wanted) if row else None
            if fault and len(row) != len(header) and len(pending) > 1:
                fault += f" (the row ends on line {rows.line_num}: is a quotation mark left open?)"
            if fault:
                return f"line {start}: {fault}"
            last_start, start = start, rows.line_num + 1
            last_lines, pending[:] = list(pending), []
    except csv.Error:  # a field beyond the limit of 131,072 characters
        return f"line {start}: {LEFT_OPEN}"
    return f"line {last_start}: {LEFT_OPEN}" if _is_left_open(last_lines, delimiter) else None


def foreign_byte(texts: Sequence[str]) -> int | None:
    """The first byte of the texts that is not UTF-8, which stands in them as a lone surrogate."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        return ord(error.object[error.start]) - 0xDC00
    return None


def _recorded(lines: Iterable[str], pending: list[str]) -> Iterator[str]:
    """The lines, each of which is also put into `pending`."""
    for line in lines:
        pending.append(line)
        yield line


def _is_left_open(lines: Sequence[str], delimiter: str) -> bool:
    """Whether the last row of a table ends inside quotation marks, an error to the strict reader only."""
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


def _row_fault(row: Sequence[str], header: Sequence[str], wanted: Sequence[str]) -> str | None:
    if len(row) != len(header):
        fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
        return f"the row has {fields} where the header has {len(header)}"
    for name in wanted:
        byte = foreign_byte([row[header.index(name)]])
        if byte is not None:
            return f"column {name} has the byte 0x{byte:02x}, which is not UTF-8 text"
    return None


# ---- whether a file is whole ----

END_BYTES, CHUNK_BYTES = 1 << 16, 1 << 20


def require_whole(path: str | Path, name: str | None = None) -> None:
    """Raise InputError where a file is no whole table of its kind, whatever its columns are called.

    A compressed file is unpacked to its end, of a parquet file the footer is read. A text table must have
    a header of two fields or more, and a last row that is not cut off.
    """
    kind = require_kind(path, name)
    if not kind.delimiter:
        _require_footer(path)
        return
    tail = _unpacked_tail(path, kind)
    with _lines(path, kind) as lines:
        rows = csv.reader(lines, delimiter=kind.delimiter)
        try:
            header = next((row for row in rows if row), None)
            first = next((row for row in rows if row), None)
        except csv.Error as error:
            raise _damaged(path, error) from error
    if header is None:
        raise InputError(f"{path} is empty: give a table with a header and rows")
    if len(header) < 2:
        raise InputError(f"{path} {_one_column(header[0], kind.delimiter)}")
    if first is None:
        raise _without_rows(path)
    if _is_suspicious(tail, kind.delimiter, len(header)):
        with _lines(path, kind) as lines:
            fault = first_fault(lines, kind.delimiter, header, [])
        if fault:
            raise _damaged(path, ValueError(fault))


def _require_footer(path: str | Path) -> None:
    try:
        with Path(path).open("rb") as file:
            rows = pq.ParquetFile(file).metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    if not rows:
        raise _without_rows(path)


def _unpacked_tail(path: str | Path, kind: Kind) -> bytes:
    """The last bytes of a text table; a compressed one is unpacked to its end, where a cut shows."""
    if not kind.compression:
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - END_BYTES))
            return file.read()
    tail = b""
    with _opened(path, kind) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            tail = (tail + chunk)[-END_BYTES:]
    return tail


def _lines(path: str | Path, kind: Kind) -> io.TextIOWrapper:
    return _lines_of(pa.input_stream(str(path), compression=kind.compression))


def _one_column(header: str, delimiter: str) -> str:
    """The end of the sentence on a header with a single field."""
    names = {",": "commas", "\t": "tabs"}
    for suffix, other in DELIMITERS.items():
        if other != delimiter and other in header:
            return f"has {names[other]} and no {names[delimiter]} in its first line: name it {suffix}"
    quoted = " ".join(header.split())[:60]
    return (
        f"is no table, its first line is '{quoted}', without {names[delimiter]}: give a table with a header "
        "and rows"
    )


def _is_suspicious(tail: bytes, delimiter: str, fields: int) -> bool:
    """Whether a table that ends in `tail` may be cut off: its last line has no end and not all fields."""
    if tail.endswith((b"\n", b"\r")):
        return False
    last = re.split(rb"[\r\n]", tail)[-1].decode(errors="replace")
    return last.count('"') % 2 == 1 or len(next(csv.reader([last], delimiter=delimiter), [])) != fields


# ---- what all sections share ----


@contextmanager
def _opened(path: str | Path, kind: Kind) -> Iterator[pa.NativeFile]:
    """The unpacked bytes of a file; an error in reading them is the sentence of `_damaged`."""
    try:
        with pa.input_stream(str(path), compression=kind.compression) as stream:
            yield stream
    except OSError as error:
        raise _damaged(path, error) from error


def _lines_of(stream: pa.NativeFile) -> io.TextIOWrapper:
    """The lines of a stream with their ends; bytes that are not UTF-8 become lone surrogates."""
    buffered = io.BufferedReader(stream)
    return io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _damaged(path: str | Path, error: Exception) -> InputError:
    """The sentence on a file that cannot be read to its end; raises `error` itself if memory ran out."""
    if is_out_of_memory(error):
        raise error
    return InputError(f"{path} is cut short or damaged ({shortened(error)}): copy or download it again")


def _without_rows(path: str | Path) -> InputError:
    return InputError(f"{path} has a header but no rows: give a table with at least one row")
