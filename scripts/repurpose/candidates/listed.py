"""Paths and reasons of the best new candidates of every tail, for the report.

They are found without counterfactual scores, so that all tails can have them. Nodes are node numbers (the
node's index plus the number of nodes of earlier types), relations positions in relations.json.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from repurpose.candidates.evidence import ORIGIN, Explainer, arrow
from repurpose.candidates.reasons import REASONS
from repurpose.core import files
from repurpose.graph import paths
from repurpose.report import explorer

RANK = explorer.RANKS["tail"]
COLUMNS = ["head_id", "tail_id", "known", RANK]
PATH = pa.struct(
    [
        ("score", pa.float32()),
        ("nodes", pa.list_(pa.int32())),
        ("relations", pa.list_(pa.int16())),
        ("arrows", pa.list_(pa.int8())),
        ("origins", pa.list_(ORIGIN)),
    ]
)
SCHEMA = pa.schema(
    [
        ("head_index", pa.int32()),
        ("tail_index", pa.int32()),
        ("paths", pa.list_(PATH)),
        ("reasons", REASONS),
    ]
)
TAILS_PER_BLOCK = 500


def write(path: str | Path, explainer: Explainer, candidates: pa.Table, per_tail: int, count: int) -> int:
    """Write `count` paths and reasons of the best candidates of each tail; returns the number of pairs.

    These are the `per_tail` best new ones, and as many known ones that rank among or above them. candidates:
    COLUMNS of ranked pairs.
    """
    heads, tails = explainer.ends(candidates)
    is_new = pc.equal(candidates["known"], "").to_numpy()
    rows = explorer.best_of_each(tails, candidates[RANK].to_numpy(), is_new, per_tail)
    heads, tails = heads[rows], tails[rows]
    with files.replacing(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as file:
        ends_of_blocks = np.flatnonzero(np.diff(tails // TAILS_PER_BLOCK)) + 1
        for block in np.split(np.arange(len(tails)), ends_of_blocks):
            file.write_table(_table(explainer, heads[block], tails[block], count))
    return len(heads)


def _table(explainer: Explainer, heads: np.ndarray, tails: np.ndarray, count: int) -> pa.Table:
    reasons = explainer.reasoner.reasons(heads, tails, count) if explainer.reasoner else [[]] * len(heads)
    rows = [
        {
            "head_index": head,
            "tail_index": tail,
            "paths": [_path(explainer, way) for way in ways],
            "reasons": reasons_of_pair,
        }
        for head, tail, ways, reasons_of_pair in zip(
            heads.tolist(), tails.tolist(), explainer.ways(heads, tails, count), reasons, strict=True
        )
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def _path(explainer: Explainer, way: paths.Path) -> dict[str, object]:
    relations = [explainer.kg.relations[index] for index in way.relations]
    return {
        "score": way.score,
        "nodes": way.nodes,
        "relations": way.relations,
        "arrows": [arrow(*edge) for edge in zip(relations, way.forward, strict=True)],
        "origins": explainer.origins(way),
    }
