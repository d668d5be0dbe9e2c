"""Read the user's tables from csv, tsv or parquet files, with one clear error for every fault.

`require_format` checks that a file is what its name says, `read` returns its cells as text, `first_fault`
finds the faulty row if the fast reader fails, and `require_whole` checks that no part of a file is missing.
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

# ---- the format of a file ----

DELIMITERS = {".csv": ",", ".tsv": "\t"}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
KNOWN_SUFFIXES = ".csv, .tsv (also compressed: .gz, .zst) and .parquet"
START_BYTES = 2048  # read from a file to detect its format

# First bytes of files that are no tables: what each file is, and what to do.
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


class FileFormat(NamedTuple):
    """The delimiter of a table, "" for parquet, and its compression."""

    delimiter: str
    compression: str | None

    @property
    def content(self) -> str:
        """The content of the file: text, gzip, zstd or parquet."""
        return self.compression or ("text" if self.delimiter else "parquet")


def require_format(path: str | Path, name: str | None = None) -> FileFormat:
    """The format of a file by its name (or by `name`), if its first bytes agree.

    Raises InputError that names the file if it is empty or is not what its name says.
    """
    file_format, start = _format_of_name(name or Path(path).name, path), _start(path)
    content, remedy = _non_table(start) or (_content(start), "rename it to what it is, or copy it again")
    if content != file_format.content:
        raise InputError(f"{path} is named as {file_format.content} but holds {content}: {remedy}")
    if file_format.compression:
        unpacked = _unpacked_start(path, file_format)
        # The reader refuses a file that unpacks to nothing.
        non_table = _non_table(unpacked) if unpacked else None
        if non_table:
            raise InputError(f"{path} is compressed, but what it holds is {non_table[0]}: {non_table[1]}")
    return file_format


def _format_of_name(name: str, path: str | Path) -> FileFormat:
    """The format by the suffixes of a file name; raises InputError that names `path` if they are unknown."""
    suffixes = Path(name.lower()).suffixes
    compression = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    suffix = "".join(suffixes[-2:-1] if compression else suffixes[-1:])
    if suffix == ".parquet" and compression:
        raise InputError(
            f"{path} is a compressed parquet file, which is not read: unpack it, parquet is compressed inside"
        )
    if suffix != ".parquet" and suffix not in DELIMITERS:
        raise InputError(f"{path} is of an unknown kind: give a table whose name ends in {KNOWN_SUFFIXES}")
    return FileFormat(DELIMITERS.get(suffix, ""), compression)


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
    """The content of a file by its first bytes: text, gzip, zstd or parquet."""
    if start[:2] == b"\x1f\x8b":
        return "gzip"
    # 0x184D2A5? begins a skippable frame; pzstd writes one at the start of a file.
    if start[:4] == b"\x28\xb5\x2f\xfd" or (start[1:4] == b"\x2a\x4d\x18" and start[0] >> 4 == 5):
        return "zstd"
    return "parquet" if start[:4] == b"PAR1" else "text"


def _non_table(start: bytes) -> tuple[str, str] | None:
    """What a file is that is no table, by its first bytes, and what to do about it; None for a table."""
    for magic, description, remedy in OTHERS:
        if start.startswith(magic):
            return description, remedy
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if PAGE.match(text):
        return "a web page (HTML or XML)", PAGE_REMEDY
    if JSON.match(text):
        return "JSON", PAGE_REMEDY
    return None


def _unpacked_start(path: str | Path, file_format: FileFormat) -> bytes:
    """The first unpacked bytes of a compressed file."""
    with _open(path, file_format) as stream:
        return stream.read(START_BYTES)


# ---- reading a table ----

BLOCK_BYTES = 16 << 20  # one row must fit into a block
BATCH_ROWS = 1 << 20
TEXT = pa.dictionary(pa.int32(), pa.string())


def read(path: str | Path, columns: Sequence[str], key: str = "graph.columns") -> pa.Table:
    """Read the named columns of a raw table, every cell as text.

    Returns a table of dictionary-encoded strings, in the order of `columns`, with at least one row and no
    nulls. A missing value is the empty string, while "NA" and "null" are ordinary values. Numbers and dates
    of a parquet file become text. `key` is the config key that the error about a missing column names.

    Raises InputError for a file that is absent, empty, damaged, not UTF-8, of an unknown format or without
    one of the columns, and for a row with too few or too many fields.
    """
    path, wanted = Path(path), list(dict.fromkeys(columns))
    if not path.exists():
        raise InputError(f"{path} does not exist: correct the path in the config or put the table there")
    if not path.is_file():
        raise InputError(f"{path} is not a file: give the path of one table")
    file_format = require_format(path)
    if file_format.delimiter:
        table = _read_text(path, file_format, wanted, key)
    else:
        table = _read_parquet(path, wanted, key)
    if table.num_rows == 0:
        raise _without_rows(path)
    return table


def _check_columns(path: Path, names: Sequence[str], wanted: Sequence[str], key: str) -> None:
    for name in wanted:
        if name not in names:
            existing = ", ".join(names)
            raise InputError(f"{path} has no column {name}, it has {existing}: name its columns in {key}")
        if list(names).count(name) > 1:
            raise InputError(f"{path} has more than one column {name}: rename all but the one that is meant")


def _read_text(path: Path, file_format: FileFormat, wanted: Sequence[str], key: str) -> pa.Table:
    header = _header(path, file_format)
    _check_columns(path, header, wanted, key)
    # The last column is read too, as bytes, to find a quotation mark that is not closed (see below).
    types = {header[-1]: pa.dictionary(pa.int32(), pa.binary()), **dict.fromkeys(wanted, TEXT)}
    try:
        with _open(path, file_format) as stream:
            table = pyarrow.csv.read_csv(
                stream,
                pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES),
                pyarrow.csv.ParseOptions(delimiter=file_format.delimiter, newlines_in_values=True),
                pyarrow.csv.ConvertOptions(
                    include_columns=list(types),
                    column_types=types,
                    strings_can_be_null=False,
                ),
            )
    except pa.ArrowInvalid as error:
        detail = str(error).splitlines()[0]
        unknown_fault = InputError(f"{path} cannot be parsed ({detail}): correct the table")
        raise (_faulty_row(path, file_format, header, wanted) or unknown_fault) from error
    # If a quotation mark opens the last field of a row and is never closed, Arrow reads all later rows as
    # part of that field and reports no error. So search for such a field.
    if table.num_rows and b"\n" in table[header[-1]][-1].value.as_buffer().to_pybytes():
        fault = _faulty_row(path, file_format, header, wanted)
        if fault:
            raise fault
    return table.select(list(wanted))


def _header(path: Path, file_format: FileFormat) -> list[str]:
    with _open(path, file_format) as stream:
        lines = _lines_of(stream)
        try:
            header = next((row for row in csv.reader(lines, delimiter=file_format.delimiter) if row), None)
        except csv.Error as error:
            raise InputError(f"{path}: a quotation mark in its header is left open: close it") from error
        has_rows = any(line.strip("\r\n") for line in lines)
    if header is None:
        raise InputError(f"{path} is empty: give a table with a header and rows")
    if first_non_utf8_byte(header) is not None:
        raise InputError(f"{path} is not UTF-8 text (in its header): save the table as UTF-8")
    if not has_rows:
        raise _without_rows(path)
    return header


def _faulty_row(
    path: Path, file_format: FileFormat, header: Sequence[str], wanted: Sequence[str]
) -> InputError | None:
    with _open(path, file_format) as stream:
        fault = first_fault(_lines_of(stream), file_format.delimiter, header, wanted)
    return InputError(f"{path}, {fault}: correct the table") if fault else None


def _read_parquet(path: Path, wanted: Sequence[str], key: str) -> pa.Table:
    try:
        # An open file: from a path, pyarrow would also read columns from folder names such as device=cpu.
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
        # Imported here because it is slow and the Snakefile imports this module with `download`.
        import pyarrow.compute as pc

        values = pc.if_else(pc.is_nan(values), None, values)
        # pandas turns integers into floats if a value is missing, so 3091.0 means 3091.
        with suppress(pa.ArrowInvalid):  # a column with true fractions is not cast
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


# ---- the faulty row ----

LEFT_OPEN = "a quotation mark is left open"


def first_fault(
    lines: Iterable[str], delimiter: str, header: Sequence[str], wanted: Sequence[str]
) -> str | None:
    """Describe the first faulty row, with the number of the line where it starts; None if there is none.

    This is slow and exact, for tables that the fast reader refuses. lines: with their line ends, the header
    first; bytes that are not UTF-8 are lone surrogates (errors="surrogateescape"). wanted: the columns in
    which such bytes are a fault.
    """
    pending: list[str] = []
    rows = csv.reader(_record(lines, pending), delimiter=delimiter)
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
    except csv.Error:  # a field longer than the limit of 131,072 characters
        return f"line {start}: {LEFT_OPEN}"
    return f"line {last_start}: {LEFT_OPEN}" if _is_left_open(last_lines, delimiter) else None


def first_non_utf8_byte(texts: Sequence[str]) -> int | None:
    """The first byte of the texts that is not UTF-8 (a lone surrogate in them), or None."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        return ord(error.object[error.start]) - 0xDC00
    return None


def _record(lines: Iterable[str], pending: list[str]) -> Iterator[str]:
    """Yield the lines and append each to `pending`."""
    for line in lines:
        pending.append(line)
        yield line


def _is_left_open(lines: Sequence[str], delimiter: str) -> bool:
    """Whether the last row of a table ends inside quotation marks; only the strict reader reports this."""
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
        byte = first_non_utf8_byte([row[header.index(name)]])
        if byte is not None:
            return f"column {name} has the byte 0x{byte:02x}, which is not UTF-8 text"
    return None


# ---- whether a file is complete ----

END_BYTES, CHUNK_BYTES = 1 << 16, 1 << 20


def require_whole(path: str | Path, name: str | None = None) -> None:
    """Raise InputError if a file is not a complete table of its format; the columns may have any names.

    A compressed file is unpacked to its end, and the footer of a parquet file is read. A text table must have
    a header of two fields or more, and its last row must not be cut off.
    """
    file_format = require_format(path, name)
    if not file_format.delimiter:
        _require_footer(path)
        return
    tail = _unpacked_tail(path, file_format)
    with _open_lines(path, file_format) as lines:
        rows = csv.reader(lines, delimiter=file_format.delimiter)
        try:
            header = next((row for row in rows if row), None)
            first = next((row for row in rows if row), None)
        except csv.Error as error:
            raise _damaged(path, error) from error
    if header is None:
        raise InputError(f"{path} is empty: give a table with a header and rows")
    if len(header) < 2:
        raise InputError(f"{path} {_one_column(header[0], file_format.delimiter)}")
    if first is None:
        raise _without_rows(path)
    if _may_be_cut_off(tail, file_format.delimiter, len(header)):
        with _open_lines(path, file_format) as lines:
            fault = first_fault(lines, file_format.delimiter, header, [])
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


def _unpacked_tail(path: str | Path, file_format: FileFormat) -> bytes:
    """The last bytes of a text table; unpacking a compressed one to its end shows whether it is cut off."""
    if not file_format.compression:
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - END_BYTES))
            return file.read()
    tail = b""
    with _open(path, file_format) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            tail = (tail + chunk)[-END_BYTES:]
    return tail


def _open_lines(path: str | Path, file_format: FileFormat) -> io.TextIOWrapper:
    return _lines_of(pa.input_stream(str(path), compression=file_format.compression))


def _one_column(header: str, delimiter: str) -> str:
    """The end of the error about a header with a single field."""
    names = {",": "commas", "\t": "tabs"}
    for suffix, alternative in DELIMITERS.items():
        if alternative != delimiter and alternative in header:
            return f"has {names[alternative]} and no {names[delimiter]} in its first line: name it {suffix}"
    excerpt = " ".join(header.split())[:60]
    return (
        f"is no table, its first line is '{excerpt}', without {names[delimiter]}: give a table with a header "
        "and rows"
    )


def _may_be_cut_off(tail: bytes, delimiter: str, fields: int) -> bool:
    """Whether a table that ends in `tail` may be cut off: its last line has no line end and lacks fields."""
    if tail.endswith((b"\n", b"\r")):
        return False
    last = re.split(rb"[\r\n]", tail)[-1].decode(errors="replace")
    return last.count('"') % 2 == 1 or len(next(csv.reader([last], delimiter=delimiter), [])) != fields


# ---- shared by all sections ----


@contextmanager
def _open(path: str | Path, file_format: FileFormat) -> Iterator[pa.NativeFile]:
    """Yield the unpacked bytes of a file; an error while reading them becomes the error of `_damaged`."""
    try:
        with pa.input_stream(str(path), compression=file_format.compression) as stream:
            yield stream
    except OSError as error:
        raise _damaged(path, error) from error


def _lines_of(stream: pa.NativeFile) -> io.TextIOWrapper:
    """The lines of a stream with their line ends; bytes that are not UTF-8 become lone surrogates."""
    buffered = io.BufferedReader(stream)
    return io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _damaged(path: str | Path, error: Exception) -> InputError:
    """The error for a file that cannot be read to its end; raises `error` itself if memory ran out."""
    if is_out_of_memory(error):
        raise error
    return InputError(f"{path} is cut short or damaged ({shortened(error)}): copy or download it again")


def _without_rows(path: str | Path) -> InputError:
    return InputError(f"{path} has a header but no rows: give a table with at least one row")
