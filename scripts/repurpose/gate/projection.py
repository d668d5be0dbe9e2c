"""The map of an embedding: all nodes in two dimensions, and the nearest nodes of heads and tails."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from sklearn.neighbors import NearestNeighbors

from repurpose.core import streams

# x, y: null for a node without a finite vector. nearest: indices of nodes of the same type, by cosine, the
# nearest first; null for types other than the target's two.
SCHEMA = pa.schema(
    [
        ("node_type", pa.string()),
        ("node_index", pa.int32()),
        ("x", pa.float32()),
        ("y", pa.float32()),
        ("nearest", pa.list_(pa.int32())),
    ]
)


def project(vectors: Mapping[str, np.ndarray], method: str, seed: int) -> dict[str, np.ndarray]:
    """Coordinates (n, 2) of all nodes from their vectors (n, d), scaled to length 1; NaN if not finite.

    method: `pca`, the two directions of most variance, or `umap` (McInnes, Healy & Melville 2018) by cosine.
    """
    rows = np.concatenate([*vectors.values()]).astype(np.float32)
    is_finite = np.isfinite(rows).all(axis=1)
    unit = rows[is_finite]
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    result = np.full((len(rows), 2), np.nan, np.float32)
    if len(unit) > 2:
        result[is_finite] = _umap(unit, seed) if method == "umap" else _pca(unit)
    ends = np.cumsum([len(each) for each in vectors.values()])
    return dict(zip(vectors, np.split(result, ends[:-1]), strict=True))


def _pca(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    leading = directions[:, :-3:-1]
    # The sign of a direction is arbitrary: its largest weight is positive, so a rerun has the same map.
    leading = leading * np.sign(leading[np.abs(leading).argmax(axis=0), range(leading.shape[1])])
    result = centred @ leading
    return np.pad(result, ((0, 0), (0, 2 - result.shape[1])))


def _umap(rows: np.ndarray, seed: int) -> np.ndarray:
    # Imported here: it compiles code for seconds, and by default it is not used.
    import umap

    model = umap.UMAP(
        n_neighbors=min(15, len(rows) - 1),
        metric="cosine",
        random_state=streams.seed_of(seed, "map of the embeddings") % 2**32,
        n_jobs=1,
    )
    return model.fit_transform(rows)


def nearest(rows: np.ndarray, count: int) -> np.ndarray:
    """Indices (n, count) of the nearest other rows by cosine, the nearest first; fewer for few rows."""
    model = NearestNeighbors(n_neighbors=min(count, len(rows) - 1), metric="cosine", algorithm="brute")
    return model.fit(rows).kneighbors(return_distance=False)


def table(
    vectors: Mapping[str, np.ndarray], target_types: Sequence[str], method: str, count: int, seed: int
) -> pa.Table:
    """The map of an embedding (SCHEMA): node type -> vectors (n, d) of all its nodes.

    count: how many nearest nodes each head and each tail has; none if a vector of its type is not finite.
    """
    places = project(vectors, method, seed) if vectors else {}
    tables = []
    for node_type, rows in vectors.items():
        neighbours = None
        if node_type in target_types and len(rows) > 1 and np.isfinite(rows).all():
            neighbours = nearest(rows, count).tolist()
        columns = {
            "node_type": [node_type] * len(rows),
            "node_index": range(len(rows)),
            "x": places[node_type][:, 0],
            "y": places[node_type][:, 1],
            "nearest": neighbours or [None] * len(rows),
        }
        tables.append(
            pa.table([pa.array(columns[f.name], f.type, from_pandas=True) for f in SCHEMA], schema=SCHEMA)
        )
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()
