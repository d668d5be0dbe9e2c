"""The truncated SVDs that an encoder starts from: this project's beside scikit-learn's.

    python benchmarks/lowrank.py --edges kg.csv --config config/presets/full.yaml --cores 1
    python benchmarks/lowrank.py --planted 1.0 --config config/presets/full.yaml --cores 2

One JSON object per matrix (the graph's own and, for each node type, the profiles of its relations), both ways
on the same cores one after the other: seconds, and the share of scikit-learn's kept squares that ours keeps.
The last sums up.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import devices as trainings
import numpy as np
from scipy import sparse
from scoring import timed
from sklearn.utils.extmath import randomized_svd

from repurpose.core import threads
from repurpose.graph.graph import Graph
from repurpose.hgt import hgt
from repurpose.kernels import lowrank
from repurpose.vectors import profiles, spectral


def main() -> None:
    """Print a line per matrix, then the sum."""
    parser = trainings.graph_parser(__doc__)
    parser.add_argument("--cores", type=int, default=8)
    options = parser.parse_args()
    config = trainings.load_config(options)
    kg, encoder = trainings.read(config, options.planted), hgt.Settings(**config["hgt"])
    threads.limit(options.cores)
    lowrank.svd(sparse.eye_array(3, dtype=np.float32), 1, 0)  # compiled by then
    rows = []
    for name, matrix, size in matrices(kg, encoder):
        rows.append({"matrix": name, "shape": matrix.shape, "entries": matrix.nnz} | compared(matrix, size))
        print(json.dumps(rows[-1]), flush=True)
    sums = {key: round(sum(row[key] for row in rows), 2) for key in ("seconds", "scikit_learn_seconds")}
    ratio = round(sums["scikit_learn_seconds"] / sums["seconds"], 2)
    print(json.dumps({"cores": threads.current(), **sums, "ratio": ratio}))


def matrices(kg: Graph, encoder: hgt.Settings) -> Iterator[tuple[str, sparse.csr_array, int]]:
    """Name, matrix and the number of vectors asked for."""
    edges = kg.message_edges()
    yield "graph", spectral.normalised_adjacency(kg, edges), encoder.svd_size
    for node_type in kg.node_types:
        columns = profiles.columns(kg, node_type, encoder.profile_dim)
        for side, block in profiles.weighted_neighbours(kg, edges, node_type).items():
            size = min(columns[side].stop - columns[side].start, *block.shape)
            yield f"profiles of {node_type}", profiles.unit_rows(block), size


def compared(matrix: sparse.csr_array, size: int) -> dict[str, Any]:
    """Seconds of both, and the share of squares."""
    ours, own = timed(lambda: lowrank.svd(matrix, size, 0)[1])
    theirs, other = timed(lambda: randomized_svd(matrix, size, random_state=0)[1])
    kept = float((own.astype(float) ** 2).sum() / (other.astype(float) ** 2).sum())
    return {"seconds": round(ours, 3), "scikit_learn_seconds": round(theirs, 3), "kept": round(kept, 4)}


if __name__ == "__main__":
    main()
