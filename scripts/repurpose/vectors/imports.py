"""Vectors in files of other tools: csv with JSON lists, npz, word2vec's text format, TensorBoard's projector.

A file that cannot be read ends in one InputError that names the file, the row or the array, and what to do.
Nothing is unpickled.
"""

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from repurpose.core import cells
from repurpose.core.errors import InputError, is_out_of_memory, shortened
from repurpose.ingest import inputs, tables
from repurpose.vectors import tokens

COLUMNS = ("node_type", "node_id", "embedding")
WORD = "write a node as type:id, such as drug:DB00945, with %20 in place of a space"
ARRAYS = "an npz file has two arrays for each node type, TYPE/ids (text) and TYPE/vectors (numbers)"
ONE_LENGTH = "give all nodes vectors of one length"


class Named(NamedTuple):
    """Vectors and the nodes that they belong to. types, ids: object (n,); vectors: float32 (n, d)."""

    types: np.ndarray
    ids: np.ndarray
    vectors: np.ndarray


def read_csv(path: str | Path) -> Named:
    """Read the columns node_type, node_id and embedding (a JSON list) of a csv file."""
    table = tables.read(path, COLUMNS, "the embedding file")
    rows = _Rows(path, "row {} of the column embedding", "write a vector as [0.5, -1.2]")
    for number, text in enumerate(table["embedding"].to_pylist(), start=1):
        try:
            numbers = json.loads(text)
        except ValueError:
            numbers = None
        rows.add(number, numbers)
    texts = [cells.with_formulas(table[name].cast(pa.string())).to_pylist() for name in COLUMNS[:2]]
    return Named(*(np.array(column, object) for column in texts), rows.matrix())


def read_npz(path: str | Path) -> Named:
    """Read the arrays TYPE/ids and TYPE/vectors of an npz file."""
    arrays_by_type: dict[str, dict[str, np.ndarray]] = {}
    for name, array in _arrays(path).items():
        node_type, _, end = name.rpartition("/")
        if not node_type or end not in ("ids", "vectors"):
            raise InputError(f"{path} has an array {name}: {ARRAYS}")
        arrays_by_type.setdefault(tokens.unescape(node_type), {})[end] = array
    if not arrays_by_type:
        raise InputError(f"{path} has no array: {ARRAYS}")
    parts = [_of_type(path, node_type, arrays) for node_type, arrays in arrays_by_type.items()]
    lengths = sorted({part.vectors.shape[1] for part in parts})
    if len(lengths) > 1:
        raise InputError(f"{path}: its vectors have {lengths[0]} to {lengths[-1]} numbers: {ONE_LENGTH}")
    return Named(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def read_word2vec(path: str | Path) -> Named:
    """Read word2vec's text format: a line "count length", then lines of a word, type:id, and its numbers."""
    lines = _lines(path)
    _, first = next(lines, (1, ""))
    header = re.fullmatch(r"\s*(\d+)\s+(\d+)\s*", first)
    if not header:
        raise InputError(
            f"{path}: its first line is not the number of vectors and their length, such as '5000 128': "
            "write the file in word2vec's text format"
        )
    count, length = map(int, header.groups())
    nodes, rows = [], _Rows(path, "line {}, after the word,", WORD, length)
    for number, line in lines:
        word, *numbers = re.split(r"[ \t]+", line.strip(" \t"))
        nodes.append(_node(path, number, word))
        rows.add(number, numbers)
    if len(nodes) != count:
        raise InputError(
            f"{path} has {len(nodes)} vectors, and {count} by its first line: copy the file again, or "
            "correct that line"
        )
    return _named(nodes, rows)


def read_projector(path: str | Path) -> Named:
    """Read the numbers of TensorBoard's projector (vectors.tsv), and their nodes in metadata.tsv next to it.

    The metadata have a header with node_type and node_id or, without a header, one word type:id a line.
    """
    listed = Path(inputs.metadata_of(path))
    nodes = _listed_nodes(listed)
    rows = _Rows(path, "line {}", "write only numbers, separated by tabs, and no header")
    for number, line in _lines(path):
        rows.add(number, line.split("\t"))
    if len(rows.rows) != len(nodes):
        raise InputError(
            f"{path} has {len(rows.rows)} vectors, and {listed} has {len(nodes)} nodes: give both the same "
            "rows"
        )
    return _named(nodes, rows)


READERS: dict[str, Callable[[str | Path], Named]] = {
    ".csv": read_csv,
    ".npz": read_npz,
    ".tsv": read_projector,
    **dict.fromkeys((".txt", ".vec", ".emb"), read_word2vec),
}


class _Rows:
    """Collects the rows of a matrix.

    place: where a row is, {} its number; hint: what to do about a bad one. length: of a row, None for that of
    the first.
    """

    def __init__(self, path: str | Path, place: str, hint: str, length: int | None = None) -> None:
        self.path, self.place, self.hint, self.length = path, place, hint, length
        self.rows: list[np.ndarray] = []

    def add(self, number: int, numbers: Sequence[str] | Sequence[float] | None) -> None:
        """Add a row; raises InputError if it is no list of numbers or has another length."""
        place = f"{self.path}: {self.place.format(number)}"
        try:
            with np.errstate(
                over="ignore"
            ):  # what is too large for float32 becomes infinite; the gate sees it
                row = np.array(numbers, np.float64).astype(np.float32)
        except (ValueError, TypeError) as error:
            raise InputError(f"{place} is no list of numbers: {self.hint}") from error
        if row.ndim != 1 or not len(row):
            raise InputError(f"{place} is no list of numbers: {self.hint}")
        self.length = self.length or len(row)
        if len(row) != self.length:
            raise InputError(
                f"{place} has {len(row)} numbers where {self.length} are expected, so the vectors differ in "
                f"length: {ONE_LENGTH}"
            )
        self.rows.append(row)

    def matrix(self) -> np.ndarray:
        """All rows, float32 (n, d); raises InputError if there are none."""
        if not self.rows:
            raise InputError(f"{self.path} has no vectors: give a file with at least one")
        return np.stack(self.rows)


def _named(nodes: Sequence[tuple[str, str]], rows: _Rows) -> Named:
    matrix = rows.matrix()
    return Named(*(np.array(column, object) for column in zip(*nodes, strict=True)), matrix)


def _node(path: str | Path, number: int, word: str) -> tuple[str, str]:
    node = tokens.split(word)
    if node is None:
        raise InputError(f"{path}: line {number} has the word '{word[:60]}', which has no type: {WORD}")
    return node


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """The number and the text of each line that is not empty."""
    try:
        with Path(path).open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if text:
                    yield number, text
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: line {number} is not UTF-8 text: save the vectors as text (word2vec: binary=False)"
        ) from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): correct the path or its permissions"
        ) from error


def _listed_nodes(path: Path) -> list[tuple[str, str]]:
    """The nodes that the metadata of a projector list."""
    lines = list(_lines(path))
    header = lines[0][1].split("\t") if lines else []
    if len(header) == 1:
        return [_node(path, number, line) for number, line in lines]
    for name in COLUMNS[:2]:
        if name not in header:
            raise InputError(
                f"{path} has no column {name}: give it a header with node_type and node_id, or one word, "
                "type:id, a line"
            )
    rows = []
    for number, line in lines[1:]:
        fields = line.split("\t")
        if len(fields) != len(header):
            raise InputError(
                f"{path}: line {number} has {len(fields)} fields and its header {len(header)}: write a "
                "tab in a name as %09"
            )
        rows.append([fields[header.index(name)] for name in COLUMNS[:2]])
    columns = [
        cells.with_formulas(pa.array(column, pa.string())).to_pylist() for column in zip(*rows, strict=True)
    ]
    return [tuple(map(tokens.unescape, node)) for node in zip(*columns, strict=True)]


def _arrays(path: str | Path) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"{path} is no npz file, or is cut short: write it with numpy.savez, or copy it again"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if is_out_of_memory(error):
            raise
        if "allow_pickle" in str(error):
            raise InputError(
                f"{path} has an array of Python objects, a pickle, which is not read: save ids as text, "
                "numpy.array(ids, str)"
            ) from error
        raise InputError(f"{path} is damaged ({shortened(error)}): copy or write it again") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise InputError(f"{path} has {name}, which is no array: {ARRAYS}")
    return arrays


def _of_type(path: str | Path, node_type: str, arrays: dict[str, np.ndarray]) -> Named:
    for name in ("ids", "vectors"):
        if name not in arrays:
            raise InputError(f"{path} has no array {node_type}/{name}: {ARRAYS}")
    ids, vectors = arrays["ids"], arrays["vectors"]
    if ids.ndim != 1 or ids.dtype.kind not in "Uiu":
        raise InputError(f"{path}: {node_type}/ids is no list of texts: save it as numpy.array(ids, str)")
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise InputError(f"{path}: {node_type}/vectors is no matrix of numbers: give it one row for each id")
    if len(ids) != len(vectors):
        raise InputError(
            f"{path} has {len(ids)} {node_type}/ids and {len(vectors)} rows of {node_type}/vectors: give "
            "each id one row"
        )
    with np.errstate(over="ignore"):
        matrix = vectors.astype(np.float32)
    return Named(np.full(len(ids), node_type, object), np.array(ids.astype(str).tolist(), object), matrix)
