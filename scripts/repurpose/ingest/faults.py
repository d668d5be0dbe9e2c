"""Where a text table is at fault: the slow, exact scan that is made once the fast reader has failed."""

import csv
from collections.abc import Iterable, Iterator, Sequence

LEFT_OPEN = "a quotation mark is left open"


def first(lines: Iterable[str], delimiter: str, header: Sequence[str], wanted: Sequence[str]) -> str | None:
    """Describe the first faulty row, by the number of the line it starts on; None if there is none.

    lines: with their ends, the header's first; bytes that are not UTF-8 stand as lone surrogates
    (errors="surrogateescape"). wanted: the columns in which such bytes are a fault.
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
    for line in lines:
        pending.append(line)
        yield line


def _is_left_open(lines: Sequence[str], delimiter: str) -> bool:
    """Whether the last row of a table ends inside quotation marks, which only the strict reader minds."""
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
