"""Vectors of nodes from the letters of their names: an example of features of one's own."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from scipy.sparse import linalg
from sklearn.feature_extraction.text import TfidfVectorizer

from repurpose.core import streams
from repurpose.graph.graph import Graph

LETTERS = (3, 5)  # lengths of the pieces of words
SCHEMA = pa.schema([("node_type", pa.string()), ("node_id", pa.string()), ("vector", pa.list_(pa.float32()))])
MANY = 1000  # of so many names, pieces that only one of them has are left out


def embed(names: Sequence[str], width: int, seed: int) -> np.ndarray:
    """Vectors of names: a truncated SVD of TF-IDF-weighted character n-grams, float32 (names, width).

    Names that share word parts, such as the endings of drug classes, have similar vectors. There are fewer
    than `width` columns if the names have fewer distinct pieces or are fewer than that.
    """
    pieces = TfidfVectorizer(
        analyzer="char_wb", ngram_range=LETTERS, min_df=2 if len(names) > MANY else 1, sublinear_tf=True
    )
    weights = pieces.fit_transform(name.casefold() for name in names)
    width = min(width, weights.shape[1] - 1, len(names) - 1)
    if width < 1:
        return np.zeros((len(names), 1), np.float32)
    start = streams.generator(seed, "vectors of names").standard_normal(min(weights.shape))
    left, values, _ = linalg.svds(weights, k=width, v0=start)
    return (left * values)[:, ::-1].astype(np.float32)


def table(kg: Graph, types: Sequence[str], width: int, seed: int) -> pa.Table:
    """Vectors (SCHEMA) of the nodes of these types that have a name other than their id."""
    parts = [SCHEMA.empty_table()]
    for node_type in types:
        ids, texts = kg.node_ids[node_type], kg.node_names[node_type]
        rows = np.flatnonzero(ids != texts)
        if len(rows):
            vectors = list(embed(texts[rows].tolist(), width, seed))
            columns = [pa.array(each) for each in ([node_type] * len(rows), ids[rows].tolist(), vectors)]
            parts.append(pa.table(columns, schema=SCHEMA))
    return pa.concat_tables(parts)
