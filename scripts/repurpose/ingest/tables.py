"""Read the user's tables from csv, tsv or parquet files, with one clear error for every fault.

`require_format` checks that a file is what its name says, `read` returns its cells as text, `first_fault`
finds the faulty row if the fast reader fails, and `require_whole` checks that no part of a file is missing.
"""

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from repurpose.core.errors import InputError, is_out_of_memory, shortened
from repurpose.ingest import members
from repurpose.ingest.members import File, Member

# ---- the format of a file ----

DELIMITERS = {".csv": ",", ".tsv": "\t", ".sif": "\t", ".txt": "\t"}
EXCERPT = 300  # longest list of column names in an error
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
JSON_LINES = (".jsonl", ".ndjson", ".json")
KNOWN_SUFFIXES = ".csv, .tsv, .sif, .txt (also compressed: .gz, .zst) and .parquet"
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


def require_format(path: File, name: str | None = None) -> FileFormat:
    """The format of a file by its name (or by `name`), if its first bytes agree.

    Raises InputError that names the file if it is empty or is not what its name says.
    """
    file_format = _format_of_name(name or members.name_of(path), path)
    content, remedy = describe_content(path)
    if content != file_format.content:
        raise InputError(f"{path} is named as {file_format.content} but holds {content}: {remedy}")
    if file_format.compression:
        unpacked = _unpacked_start(path, file_format)
        # The reader refuses a file that unpacks to nothing.
        non_table = _non_table(unpacked) if unpacked else None
        if non_table:
            raise InputError(f"{path} is compressed, but what it holds is {non_table[0]}: {non_table[1]}")
    return file_format


def describe_content(path: File) -> tuple[str, str]:
    """What a file is by its first bytes, and what to do if that is not what its name says."""
    start = _start(path)
    return _non_table(start) or (_content(start), "rename it to what it is, or copy it again")


def _format_of_name(name: str, path: File) -> FileFormat:
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


def _start(path: File) -> bytes:
    with members.opened(path) as file:
        start = file.read(START_BYTES)
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
    if start[257:262] == b"ustar":
        return "a tar archive", "give it a name that ends in .tar or .tar.gz"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if PAGE.match(text):
        return "a web page (HTML or XML)", PAGE_REMEDY
    if JSON.match(text):
        return "JSON", PAGE_REMEDY
    return None


def _unpacked_start(path: File, file_format: FileFormat) -> bytes:
    """The first unpacked bytes of a compressed file."""
    with _open(path, file_format) as stream:
        return stream.read(START_BYTES)


# ---- reading a table ----

BLOCK_BYTES = 16 << 20  # one row must fit into a block
BATCH_ROWS = 1 << 20
TEXT = pa.dictionary(pa.int32(), pa.string())
Column = str | int  # by name, or by position (from 1) in a table without a header


class Layout(NamedTuple):
    """How the rows of a text table begin: lines to skip, and the names of its columns."""

    skipped: int  # comment lines in front
    names: list[str]
    has_header: bool


def read(
    path: File,
    columns: Sequence[Column],
    key: str = "graph.columns",
    keys: Mapping[Column, str] | None = None,
) -> pa.Table:
    """Read the given columns of a raw table, every cell as text.

    columns: names, or numbers (from 1) if the table has no header. Returns a table of dictionary-encoded
    strings, in the order of `columns` (a number has the name that `column_name` gives), with at least one row
    and no nulls. A missing value is the empty string, while "NA" and "null" are ordinary values. Numbers and
    dates of a parquet file become text. Lines in front that begin with # are comments. In a .tsv, quotation
    marks are ordinary characters unless they enclose a whole field. key: the
    section of the config that the error about a missing column names. keys: column -> its key there.

    Raises InputError for a file that is absent, empty, damaged, not UTF-8, of an unknown format or without
    one of the columns, and for a row with too few or too many fields.
    """
    wanted = list(dict.fromkeys(columns))
    require_file(path)
    file_format = require_format(path)
    if file_format.delimiter:
        table = _read_text(path, file_format, wanted, key, keys or {})
    else:
        table = _read_parquet(path, wanted, key, keys or {})
    if table.num_rows == 0:
        raise _without_rows(path)
    return table


def require_file(path: File) -> None:
    """Raise InputError if a path is not that of a file."""
    if isinstance(path, Member):
        return
    if not Path(path).exists():
        raise InputError(f"{path} does not exist: correct the path in the config or put the table there")
    if not Path(path).is_file():
        raise InputError(f"{path} is not a file: give the path of one table")


def column_name(column: Column) -> str:
    """The name of a column: a position as text."""
    return f"column {column}" if isinstance(column, int) else column


def header(path: File) -> list[str]:
    """The first row of a table that is no comment, or the column names of a parquet file."""
    file_format = require_format(path)
    return _layout(path, file_format, True).names if file_format.delimiter else _schema(path).names


def first_rows(path: File) -> tuple[list[str], list[str]]:
    """The cells of the first two rows of a text table without its comments; [] for a row that it lacks."""
    file_format = require_format(path)
    with _open(path, file_format) as stream:
        texts = (line for line in lines_of(stream) if line.strip("\r\n") and not line.startswith("#"))
        first, second = (_fields(line, file_format) for line in (next(texts, ""), next(texts, "")))
    return first, second


def _check_columns(
    path: File, names: Sequence[str], wanted: Sequence[Column], key: str, keys: Mapping[Column, str]
) -> None:
    """Raise InputError if columns are missing, with all of them, or if a name occurs twice."""
    missing = [name for name in wanted if (name > len(names) if isinstance(name, int) else name not in names)]
    if missing and all(isinstance(name, int) for name in missing):
        raise InputError(
            f"{path} has {len(names)} columns, so it has no column {missing[0]}: correct the numbers in {key}"
        )
    if missing:
        columns = "column" if len(missing) == 1 else "columns"
        listing = ", ".join(f"{name} ({key}.{keys[name]})" if name in keys else f"{name}" for name in missing)
        optional = any(keys.get(name, "").endswith("name") for name in missing)
        advice = ', and write "" for a name that it does not have' if optional else ""
        raise InputError(
            f"{path} has no {columns} {listing}, it has {_excerpt(', '.join(names))}: "
            f"name its columns in {key}{advice}"
        )
    for name in wanted:
        if list(names).count(name) > 1:
            raise InputError(f"{path} has more than one column {name}: rename all but the one that is meant")


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else f"{text[: EXCERPT - 3]}..."


def _read_text(
    path: File,
    file_format: FileFormat,
    wanted: Sequence[Column],
    key: str,
    keys: Mapping[Column, str],
) -> pa.Table:
    layout = _layout(path, file_format, not any(isinstance(name, int) for name in wanted))
    if len(layout.names) == 1 and any(name not in layout.names for name in map(column_name, wanted)):
        raise InputError(f"{path} {_one_column(layout.names[0], file_format.delimiter)}")
    _check_columns(path, layout.names, wanted if layout.has_header else _positions(wanted), key, keys)
    names = list(map(column_name, wanted))
    if file_format.delimiter == "\t":
        # Most tab-separated tables (KGX, DRKG, Hetionet) do not quote. If some fields are quoted because they
        # hold a tab or a line end, the rows have other numbers of fields, and quotes are read as such.
        with suppress(pa.ArrowInvalid):
            table, _ = _parse(path, file_format, layout, names, is_quoted=False)
            return pa.table({name: map_values(table[name], _unquoted) for name in names})
    try:
        table, lines = _parse(path, file_format, layout, names, is_quoted=True)
    except pa.ArrowInvalid as error:
        detail = str(error).splitlines()[0]
        unknown_fault = InputError(f"{path} cannot be parsed ({detail}): correct the table")
        raise (_faulty_row(path, file_format, layout, names) or unknown_fault) from error
    # A quotation mark that is left open makes rows part of a field, up to the next mark or the end of the
    # file, and Arrow reports no error. Then the file has more lines than rows.
    if lines > layout.skipped + table.num_rows:
        fault = _faulty_row(path, file_format, layout, names)
        if fault:
            raise fault
    return table


def _positions(wanted: Sequence[Column]) -> list[int]:
    return [name for name in wanted if isinstance(name, int)]


def _parse(
    path: File, file_format: FileFormat, layout: Layout, names: Sequence[str], *, is_quoted: bool
) -> tuple[pa.Table, int]:
    """The wanted columns, and the number of lines of the file."""
    with _open(path, file_format) as stream:
        counter = _LineCounter(stream)
        table = pyarrow.csv.read_csv(
            pa.PythonFile(counter, mode="r"),
            pyarrow.csv.ReadOptions(
                block_size=BLOCK_BYTES, column_names=layout.names, skip_rows=layout.skipped
            ),
            pyarrow.csv.ParseOptions(
                delimiter=file_format.delimiter,
                quote_char='"' if is_quoted else False,
                newlines_in_values=is_quoted,
            ),
            pyarrow.csv.ConvertOptions(
                include_columns=list(names),
                column_types=dict.fromkeys(names, TEXT),
                strings_can_be_null=False,
            ),
        )
    return table, counter.lines


class _LineCounter:
    """A stream of bytes that counts the lines that were read from it."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream, self._ends, self._is_open = stream, 0, False
        self.closed = False

    @property
    def lines(self) -> int:
        """The number of lines, with a last one that has no line end."""
        return self._ends + self._is_open

    def read(self, size: int | None = None) -> bytes:
        """The next bytes."""
        data = self._stream.read(size)
        if data:
            # Some files end their lines with CR alone.
            self._ends += data.count(b"\n") or data.count(b"\r")
            self._is_open = data[-1:] not in b"\r\n"
        return data

    def close(self) -> None:
        """Nothing but a mark: the stream belongs to the caller."""
        self.closed = True


def _layout(path: File, file_format: FileFormat, has_header: bool) -> Layout:
    """How a text table begins; raises InputError if it has no header or no rows."""
    with _open(path, file_format) as stream:
        lines = lines_of(stream)
        comment, comment_number, number, first = "", 0, 0, None
        for line in lines:
            number += 1
            if line.startswith("#"):
                comment, comment_number = line[1:], number
            elif line.strip("\r\n"):
                first = line
                break
        try:
            if first is None:
                if comment and has_header:
                    raise _without_rows(path)
                raise InputError(f"{path} is empty: give a table with a header and rows")
            fields = _fields(first, file_format)
            commented = [name.strip() for name in _fields(comment, file_format)]
            if not has_header:
                names, skipped, has_rows = list(map(column_name, range(1, len(fields) + 1))), number - 1, True
            elif len(commented) == len(fields) > 1:  # "#id, name" is the header of the row below it
                names, skipped, has_rows = commented, comment_number, True
            else:
                rows = csv.reader(itertools.chain([first], lines), delimiter=file_format.delimiter)
                names = next(rows)
                skipped = number - 1 + rows.line_num
                has_rows = any(line.strip("\r\n") for line in lines)
        except csv.Error as error:
            raise InputError(f"{path}: a quotation mark in its header is left open: close it") from error
    if first_non_utf8_byte(names) is not None:
        raise InputError(f"{path} is not UTF-8 text (in its header): save the table as UTF-8")
    if not has_rows:
        raise _without_rows(path)
    return Layout(skipped, names, has_header)


def _fields(line: str, file_format: FileFormat) -> list[str]:
    """The fields of one line."""
    return next(csv.reader([line], delimiter=file_format.delimiter), [])


def _faulty_row(
    path: File, file_format: FileFormat, layout: Layout, wanted: Sequence[str]
) -> InputError | None:
    with _open(path, file_format) as stream:
        lines = itertools.islice(lines_of(stream), layout.skipped, None)
        fault = first_fault(lines, file_format.delimiter, layout.names, wanted, layout.skipped)
    return InputError(f"{path}, {fault}: correct the table") if fault else None


def plain_name(path: File) -> str:
    """The name of a file in lower case, without the suffix of its compression."""
    name = members.name_of(path).lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix(compression)
    return name


def concatenated(parts: Sequence[pa.Table]) -> pa.Table:
    """The rows of all tables as dictionary-encoded text; a column that one of them lacks is empty there."""
    joined = pa.concat_tables(parts, promote_options="default")
    return pa.table({name: filled(joined[name]) for name in joined.column_names})


def filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of texts in dictionary encoding, with "" in place of null."""
    if column.null_count or column.type != TEXT:
        return column.cast(pa.string()).fill_null("").dictionary_encode().cast(TEXT)
    return column


def map_values(column: pa.ChunkedArray, change: Callable[[pa.Array], pa.Array]) -> pa.ChunkedArray:
    """A dictionary-encoded column with its distinct values changed."""
    chunks = []
    for chunk in column.chunks:
        changed = change(chunk.dictionary)
        if changed.equals(chunk.dictionary):
            chunks.append(chunk)
        else:
            # Two values may have become equal.
            encoded = changed.dictionary_encode()
            chunks.append(
                pa.DictionaryArray.from_arrays(encoded.indices.take(chunk.indices), encoded.dictionary)
            )
    return pa.chunked_array(chunks, column.type)


def _unquoted(values: pa.Array) -> pa.Array:
    """Texts without the quotation marks that enclose them."""
    # Imported here because it is slow and the Snakefile imports this module with `download`.
    import pyarrow.compute as pc

    is_enclosed = pc.match_substring_regex(values, '^".*"$')
    if not pc.any(is_enclosed).as_py():
        return values
    inner = pc.replace_substring(pc.utf8_slice_codeunits(values, 1, -1), '""', '"')
    return pc.if_else(is_enclosed, inner, values)


def _schema(path: File) -> pa.Schema:
    """The schema of a parquet file."""
    try:
        with members.opened(path) as file:
            return pq.ParquetFile(_seekable(path, file)).schema_arrow
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def _seekable(path: File, file: BinaryIO) -> BinaryIO:
    """A file that parquet's reader can jump in; one in an archive is read into memory."""
    return io.BytesIO(file.read()) if isinstance(path, Member) else file


def _read_parquet(path: File, wanted: Sequence[Column], key: str, keys: Mapping[Column, str]) -> pa.Table:
    names = list(map(column_name, wanted))
    try:
        # An open file: from a path, pyarrow would also read columns from folder names such as device=cpu.
        with members.opened(path) as opened:
            file = _seekable(path, opened)
            schema = pq.ParquetFile(file).schema_arrow
            _check_columns(path, schema.names, names, key, keys)
            texts = [name for name in names if schema.field(name).type in (pa.string(), pa.large_string())]
            parquet = pq.ParquetFile(file, read_dictionary=texts)
            batches = [
                pa.record_batch([_as_text(path, name, batch[name]) for name in names], names=names)
                for batch in parquet.iter_batches(BATCH_ROWS, columns=names)
            ]
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    return pa.Table.from_batches(batches, pa.schema([(name, TEXT) for name in names]))


def _as_text(path: File, name: str, values: pa.Array) -> pa.Array:
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
    lines: Iterable[str], delimiter: str, header: Sequence[str], wanted: Sequence[str], skipped: int = 0
) -> str | None:
    """Describe the first faulty row, with the number of the line where it starts; None if there is none.

    This is slow and exact, for tables that the fast reader refuses. lines: the rows with their line ends,
    without the header; bytes that are not UTF-8 are lone surrogates (errors="surrogateescape"). wanted: the
    columns in which such bytes are a fault. skipped: the number of lines before the first.
    """
    pending: list[str] = []
    rows = csv.reader(_record(lines, pending), delimiter=delimiter)
    start = last_start = skipped + 1
    last_lines = pending
    with _long_fields():
        try:
            for row in rows:
                fault = _row_fault(row, header, wanted) if row else None
                if fault and len(row) != len(header) and len(pending) > 1:
                    fault += (
                        f" (the row ends on line {skipped + rows.line_num}: is a quotation mark left open?)"
                    )
                elif not fault and _has_swallowed(pending, delimiter, len(header)):
                    fault = (
                        f"a field runs over {len(pending)} lines that look like rows: "
                        "is a quotation mark left open?"
                    )
                if fault:
                    return f"line {start}: {fault}"
                last_start, start = start, skipped + rows.line_num + 1
                last_lines, pending[:] = list(pending), []
        except csv.Error:  # a field longer than the limit
            return f"line {start}: {LEFT_OPEN}"
        return f"line {last_start}: {LEFT_OPEN}" if _is_left_open(last_lines, delimiter) else None


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let the csv module read fields as long as those that the fast reader reads."""
    limit = csv.field_size_limit(BLOCK_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _has_swallowed(lines: Sequence[str], delimiter: str, fields: int) -> bool:
    """Whether a row of several lines is several rows of a field whose quotation mark is left open."""
    return len(lines) > 1 and fields > 2 and all(line.count(delimiter) >= fields - 1 for line in lines)


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


def require_whole(path: File, name: str | None = None) -> None:
    """Raise InputError if a file is not a complete table of its format; the columns may have any names.

    A compressed file is unpacked to its end, and the footer of a parquet file is read. A text table must have
    a header of two fields or more, and its last row must not be cut off. JSON lines must begin and end with
    an object.
    """
    if plain_name(name or path).endswith(JSON_LINES):
        _require_whole_objects(path, COMPRESSIONS.get(Path(name or members.name_of(path)).suffix.lower()))
        return
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


def _require_whole_objects(path: File, compression: str | None) -> None:
    """Raise InputError if a file is not JSON lines, or if its last object is cut off."""
    file_format = FileFormat("", compression)
    content, remedy = describe_content(path)
    if compression and content != compression:
        raise InputError(f"{path} is named as {compression} but holds {content}: {remedy}")
    with _open(path, file_format) as stream:
        start = stream.read(CHUNK_BYTES)
    if not start.lstrip().startswith(b"{"):
        held, remedy = _non_table(start) or ("text", "give JSON lines, one object per line")
        raise InputError(f"{path} is named as JSON lines but holds {held}: {remedy}")
    last = _unpacked_tail(path, file_format).rstrip().rpartition(b"\n")[2]
    if not last.endswith(b"}"):
        raise _damaged(path, ValueError("its last object has no end"))


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
    return lines_of(pa.input_stream(str(path), compression=file_format.compression))


def _one_column(header: str, delimiter: str) -> str:
    """The end of the error about a header with a single field."""
    plurals = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
    count, other = max((header.count(mark), mark) for mark in plurals if mark != delimiter)
    if count:
        suffix = {",": ".csv", "\t": ".tsv"}.get(other)
        remedy = f"name it {suffix}" if suffix else "save it with commas (.csv) or tabs (.tsv)"
        return f"has {count} {plurals[other]} and no {plurals[delimiter]} in its first line: {remedy}"
    excerpt = " ".join(header.split())[:60]
    return (
        f"is no table, its first line is '{excerpt}', without {plurals[delimiter]}: give a table with a "
        "header and rows"
    )


def _may_be_cut_off(tail: bytes, delimiter: str, fields: int) -> bool:
    """Whether a table that ends in `tail` may be cut off: its last line has no line end and lacks fields."""
    if tail.endswith((b"\n", b"\r")):
        return False
    last = re.split(rb"[\r\n]", tail)[-1].decode(errors="replace")
    return last.count('"') % 2 == 1 or len(next(csv.reader([last], delimiter=delimiter), [])) != fields


# ---- shared by all sections ----


@contextmanager
def _open(path: File, file_format: FileFormat) -> Iterator[pa.NativeFile]:
    """Yield the unpacked bytes of a file; an error while reading them becomes the error of `_damaged`."""
    try:
        if isinstance(path, Member):
            with (
                members.opened(path) as file,
                pa.input_stream(file, compression=file_format.compression) as stream,
            ):
                yield stream
        else:
            with pa.input_stream(str(path), compression=file_format.compression) as stream:
                yield stream
    except OSError as error:
        raise _damaged(path, error) from error


@contextmanager
def unpacked(path: File) -> Iterator[pa.NativeFile]:
    """The bytes of a file, unpacked if the end of its name says that it is compressed."""
    require_file(path)
    suffix = Path(members.name_of(path).lower()).suffix
    with _open(path, FileFormat("", COMPRESSIONS.get(suffix))) as stream:
        yield stream


def lines_of(stream: pa.NativeFile) -> io.TextIOWrapper:
    """The lines of a stream with their line ends; bytes that are not UTF-8 become lone surrogates."""
    buffered = io.BufferedReader(stream)
    return io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _damaged(path: File, error: Exception) -> InputError:
    """The error for a file that cannot be read to its end; raises `error` itself if memory ran out."""
    if is_out_of_memory(error):
        raise error
    return InputError(f"{path} is cut short or damaged ({shortened(error)}): copy or download it again")


def _without_rows(path: File) -> InputError:
    return InputError(f"{path} has a header but no rows: give a table with at least one row")
