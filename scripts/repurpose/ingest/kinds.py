"""What kind of file a table is: by its name, and by what its bytes say."""

import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from repurpose.core.errors import InputError, is_exhausted, shortened
from repurpose.ingest import faults

DELIMITERS = {".csv": ",", ".tsv": "\t"}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
KNOWN_SUFFIXES = ".csv, .tsv (also with .gz or .zst behind) and .parquet"
START, END, CHUNK = 2048, 1 << 16, 1 << 20  # bytes

# First bytes of files that are no tables, and what to do about them.
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


def of_name(name: str, path: str | Path) -> Kind:
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


def require(path: str | Path, name: str | None = None) -> Kind:
    """The kind of a file by its name (or by `name`), if its first bytes agree.

    Raises InputError that names the file where it is empty, or something else than its name says.
    """
    kind, start = of_name(name or Path(path).name, path), _start(path)
    found = _other(start) or (_content(start), "rename it to what it is, or copy it again")
    if found[0] != kind.content:
        raise InputError(f"{path} is named as {kind.content} but holds {found[0]}: {found[1]}")
    if kind.compression:
        inside = _inside(path, kind)
        # Of nothing the reader has a sentence.
        found = _other(inside) if inside else None
        if found:
            raise InputError(f"{path} is compressed, but what it holds is {found[0]}: {found[1]}")
    return kind


def require_whole(path: str | Path, name: str | None = None) -> None:
    """Raise InputError where a file is no whole table of its kind, whatever its columns are called.

    A compressed file is unpacked to its end, of a parquet file the footer is read. A text table must have
    a header of two fields or more, and a last row that is not cut off.
    """
    kind = require(path, name)
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
            raise damaged(path, error) from error
    if header is None:
        raise InputError(f"{path} is empty: give a table with a header and rows")
    if len(header) < 2:
        raise InputError(f"{path} {_one_column(header[0], kind.delimiter)}")
    if first is None:
        raise without_rows(path)
    if _is_suspicious(tail, kind.delimiter, len(header)):
        with _lines(path, kind) as lines:
            fault = faults.first(lines, kind.delimiter, header, [])
        if fault:
            raise damaged(path, ValueError(fault))


def damaged(path: str | Path, error: Exception) -> InputError:
    """The sentence on a file that cannot be read to its end; want of memory is raised as it is."""
    if is_exhausted(error):
        raise error
    return InputError(f"{path} is cut short or damaged ({shortened(error)}): copy or download it again")


def without_rows(path: str | Path) -> InputError:
    """The sentence on a table that has a header alone."""
    return InputError(f"{path} has a header but no rows: give a table with at least one row")


def _start(path: str | Path) -> bytes:
    try:
        with Path(path).open("rb") as file:
            start = file.read(START)
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
    """What is no table at all by its first bytes, and what to do about it."""
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
    try:
        with pa.input_stream(str(path), compression=kind.compression) as stream:
            return stream.read(START)
    except OSError as error:
        raise damaged(path, error) from error


def _unpacked_tail(path: str | Path, kind: Kind) -> bytes:
    """The last bytes of a text table, read to its end, which finds a compressed file that is cut off."""
    if not kind.compression:
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - END))
            return file.read()
    tail = b""
    try:
        with pa.input_stream(str(path), compression=kind.compression) as stream:
            while chunk := stream.read(CHUNK):
                tail = (tail + chunk)[-END:]
    except OSError as error:
        raise damaged(path, error) from error
    return tail


def _lines(path: str | Path, kind: Kind) -> io.TextIOWrapper:
    stream = pa.input_stream(str(path), compression=kind.compression)
    return text_of(stream)


def text_of(stream: pa.NativeFile) -> io.TextIOWrapper:
    """A stream's lines with their ends; bytes that are not UTF-8 become lone surrogates, to be named."""
    buffered = io.BufferedReader(stream)
    return io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _require_footer(path: str | Path) -> None:
    try:
        with Path(path).open("rb") as file:
            rows = pq.ParquetFile(file).metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error
    if not rows:
        raise without_rows(path)


def _one_column(header: str, delimiter: str) -> str:
    """What is said of a header with one field alone."""
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
