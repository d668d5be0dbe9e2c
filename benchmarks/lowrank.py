"""Compare the truncated SVDs that an encoder starts from: this project's code and scikit-learn's.

    python benchmarks/lowrank.py --edges kg.csv --config config/presets/full.yaml --cores 1
    python benchmarks/lowrank.py --planted 1.0 --config config/presets/full.yaml --cores 2

The output is one JSON object per matrix: the adjacency of the graph and, for each node type, the relation
profiles. Both run on the same cores, one after the other. `kept` is the sum of squared singular values of
ours, divided by that of scikit-learn. The last JSON object has the sums of the seconds.
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

from repurpose.config.sections import EncoderSettings
from repurpose.core import threads
from repurpose.graph.graph import Graph
from repurpose.kernels import lowrank
from repurpose.vectors import profiles, spectral


def main() -> None:
    """Print a line per matrix, then a line with the sums."""
    parser = trainings.graph_parser(__doc__)
    parser.add_argument("--cores", type=int, default=8)
    options = parser.parse_args()
    config = trainings.load_config(options)
    kg, encoder = trainings.read(config, options.planted), EncoderSettings(**config["hgt"])
    threads.limit(options.cores)
    lowrank.svd(sparse.eye_array(3, dtype=np.float32), 1, 0)  # compiles before the measurement
    rows = []
    for name, matrix, size in matrices(kg, encoder):
        rows.append({"matrix": name, "shape": matrix.shape, "entries": matrix.nnz} | compare(matrix, size))
        print(json.dumps(rows[-1]), flush=True)
    sums = {key: round(sum(row[key] for row in rows), 2) for key in ("seconds", "scikit_learn_seconds")}
    ratio = round(sums["scikit_learn_seconds"] / sums["seconds"], 2)
    print(json.dumps({"cores": threads.current(), **sums, "ratio": ratio}))


def matrices(kg: Graph, encoder: EncoderSettings) -> Iterator[tuple[str, sparse.csr_array, int]]:
    """Name, matrix and number of singular vectors, for each SVD of the encoder."""
    edges = kg.message_edges()
    yield "graph", spectral.normalised_adjacency(kg, edges), encoder.svd_size
    for node_type in kg.node_types:
        columns = profiles.columns(kg, node_type, encoder.profile_dim)
        for side, block in profiles.weighted_neighbours(kg, edges, node_type).items():
            size = min(columns[side].stop - columns[side].start, *block.shape)
            yield f"profiles of {node_type}", profiles.unit_rows(block), size


def compare(matrix: sparse.csr_array, size: int) -> dict[str, Any]:
    """Seconds of both SVDs, and the ratio `kept` of their squared singular values."""
    our_seconds, our_values = timed(lambda: lowrank.svd(matrix, size, 0)[1])
    their_seconds, their_values = timed(lambda: randomized_svd(matrix, size, random_state=0)[1])
    kept = float((our_values.astype(float) ** 2).sum() / (their_values.astype(float) ** 2).sum())
    return {
        "seconds": round(our_seconds, 3),
        "scikit_learn_seconds": round(their_seconds, 3),
        "kept": round(kept, 4),
    }


if __name__ == "__main__":
    main()
