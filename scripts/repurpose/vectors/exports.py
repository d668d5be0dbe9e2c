"""Embeddings in the formats of other tools: numpy, word2vec, TensorBoard, PyG, and csv with JSON lists.

No file has a pickle, which could run code when it is read. docs/exports.md says how to read each of them.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import safetensors.numpy

from repurpose.core import cells, files
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.vectors import tokens

COLUMNS = ("node_type", "node_id", "embedding")  # of the csv file
METADATA = ("node_type", "node_id", "node_name")  # of the projector's metadata
IDS, VECTORS = "ids", "vectors"  # the two arrays of a node type in an npz file
ROWS = 4096  # rows written at a time


@dataclass(frozen=True)
class Export:
    """What is exported: the vectors of some node types, float32 (nodes of the type, d), in the graph's order.

    Raises InputError if there is none, or if one has a number that is not finite: JSON cannot hold it.
    """

    kg: Graph
    vectors: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        if not self.count:
            raise InputError("there are no vectors to export: the training was refused, see training.json")
        for node_type, rows in self.vectors.items():
            broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
            if len(broken):
                node = f"{node_type} {self.kg.node_ids[node_type][broken[0]]}"
                raise InputError(f"the vector of {node} is not finite; export vectors that passed their gate")

    @property
    def count(self) -> int:
        """Number of vectors."""
        return sum(map(len, self.vectors.values()))

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return next(iter(self.vectors.values())).shape[1]

    def blocks(self) -> Iterator[tuple[str, slice, np.ndarray]]:
        """Parts of up to ROWS nodes: their type, their indices within it, and their vectors."""
        for node_type, vectors in self.vectors.items():
            for start in range(0, len(vectors), ROWS):
                part = slice(start, start + ROWS)
                yield node_type, part, vectors[part]


def write_npz(folder: Path, export: Export) -> list[Path]:
    """Write embeddings.npz: for each type the arrays TYPE/ids (text) and TYPE/vectors (float32)."""
    arrays = {}
    for node_type, vectors in export.vectors.items():
        arrays[tokens.member(node_type, IDS)] = np.array(export.kg.node_ids[node_type].tolist(), str)
        arrays[tokens.member(node_type, VECTORS)] = np.asarray(vectors, np.float32)
    path = folder / "embeddings.npz"
    # An open file: to the name of the temporary file, numpy would add .npz.
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return [path]


def write_word2vec(folder: Path, export: Export) -> list[Path]:
    """Write embeddings.txt in word2vec's text format; a node is the word type:id (see `tokens.word`)."""
    path = folder / "embeddings.txt"
    with _text_file(path) as write:
        write(f"{export.count} {export.dim}\n")
        for node_type, part, vectors in export.blocks():
            ids = export.kg.node_ids[node_type][part]
            for node_id, numbers in zip(ids, _joined(vectors, " ").to_pylist(), strict=True):
                write(f"{tokens.word(node_type, node_id)} {numbers}\n")
    return [path]


def write_projector(folder: Path, export: Export) -> list[Path]:
    """Write vectors.tsv and metadata.tsv, with rows in one order, for TensorBoard's embedding projector.

    Only the metadata have a header. Tabs and line breaks are escaped (see `tokens`), formulas too.
    """
    paths = [folder / "vectors.tsv", folder / "metadata.tsv"]
    with _text_file(paths[0]) as write_vectors, _text_file(paths[1]) as write_metadata:
        write_metadata("\t".join(METADATA) + "\n")
        for node_type, part, vectors in export.blocks():
            write_vectors("".join(f"{numbers}\n" for numbers in _joined(vectors, "\t").to_pylist()))
            columns = (
                [node_type] * len(vectors),
                export.kg.node_ids[node_type],
                export.kg.node_names[node_type],
            )
            fields = [_fields(columns[0]), *(_fields(column[part]) for column in columns[1:])]
            write_metadata("".join("\t".join(row) + "\n" for row in zip(*fields, strict=True)))
    return paths


def write_csv(folder: Path, export: Export) -> list[Path]:
    """Write embeddings.csv: node_type, node_id, embedding; a vector is a JSON list."""
    path, schema = folder / "embeddings.csv", pa.schema([(name, pa.string()) for name in COLUMNS])
    with files.replacing(path) as temporary, pyarrow.csv.CSVWriter(temporary, schema) as file:
        for node_type, part, vectors in export.blocks():
            columns = [node_type] * len(vectors), export.kg.node_ids[node_type][part]
            texts = [cells.without_formulas(pa.array(column, pa.string())) for column in columns]
            lists = pc.binary_join_element_wise("[", _joined(vectors, ", "), "]", "")
            file.write_table(pa.table([*texts, lists], schema=schema))
    return [path]


def write_pyg(folder: Path, export: Export) -> list[Path]:
    """Write graph.safetensors, from which docs/exports.md builds PyG's HeteroData.

    Tensors: x/TYPE, float32 (n, d), for the types that have vectors; edge_index/RELATION, int64 (2, E). TYPE
    and RELATION are numbers, the places in the lists of the metadata `graph`, which is JSON: node_types,
    node_ids and node_names (a list per type), edge_types. The edges are those that embeddings learn from, so
    no relation between the target's two types is among them.
    """
    kg = export.kg
    arrays = {
        f"x/{kg.node_types.index(node_type)}": np.ascontiguousarray(vectors, np.float32)
        for node_type, vectors in export.vectors.items()
    }
    arrays |= {f"edge_index/{number}": edges for number, edges in enumerate(kg.message_edges())}
    described = {
        "node_types": list(kg.node_types),
        "node_ids": [kg.node_ids[node_type].tolist() for node_type in kg.node_types],
        "node_names": [kg.node_names[node_type].tolist() for node_type in kg.node_types],
        "edge_types": [[r.head_type, r.relation, r.tail_type] for r in kg.message_relations],
    }
    path = folder / "graph.safetensors"
    with files.replacing(path) as temporary:
        temporary.write_bytes(safetensors.numpy.save(arrays, {"graph": json.dumps(described)}))
    return [path]


WRITERS: dict[str, Callable[[Path, Export], list[Path]]] = {
    "npz": write_npz,
    "word2vec": write_word2vec,
    "projector": write_projector,
    "csv": write_csv,
    "pyg": write_pyg,
}


@contextmanager
def _text_file(path: Path) -> Iterator[Callable[[str], object]]:
    """Yield the function that writes text to the file, which replaces an old one when it is complete."""
    with files.replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yield file.write


def _joined(vectors: np.ndarray, separator: str) -> pa.Array:
    """The numbers (n, d) of each row as one text, in the fewest digits that give back the same float32."""
    texts = pa.array(np.asarray(vectors, np.float32).ravel()).cast(pa.string())
    ends = np.arange(0, vectors.size + 1, vectors.shape[1], dtype=np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(ends), texts), separator)


def _fields(texts: list[str] | np.ndarray) -> list[str]:
    escaped = [tokens.escape(text, tokens.FIELD) for text in texts]
    return cells.without_formulas(pa.array(escaped, pa.string())).to_pylist()
