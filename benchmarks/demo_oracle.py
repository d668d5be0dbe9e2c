"""Upper limit of the metrics on the demo graph: an oracle with the planted mechanisms, compared with the SVD.

    python benchmarks/demo_oracle.py --json

For the oracle, a pair fits if the drug's target mechanism is the disease's cause and the drug disturbs none
of its symptoms. Pairs that fit are ranked by how many training pairs of the fold have that mechanism, that
drug and that disease. Which of the fitting pairs are indications is random, so an embedding can hardly have
better metrics. Folds and metrics are those of benchmarks/quality.py.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import pyarrow.parquet as pq
import quality_protocol as protocol
import quality_rows

import build_graph
from repurpose.config import settings
from repurpose.config.sections import ClassifierSettings, GraphSettings, Target
from repurpose.core import threads
from repurpose.ingest import demo
from repurpose.vectors import baselines
from repurpose.vectors.vectors import Vectors

PROJECT = Path(__file__).resolve().parents[1]
SVD_DIM = 128


def main() -> None:
    """Print a row per split and method."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, help="of the demo graph; the config's if not given")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the folds")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    options = parser.parse_args()
    config = settings.load([PROJECT / "config" / "config.yaml"])
    for row in rows(config, options.scale or config["demo"]["scale"], options.seeds, threads.limit(8)):
        print(json.dumps(row) if options.json else "  ".join(f"{k} {v}" for k, v in row.items()), flush=True)


def rows(config: dict[str, Any], scale: float, seeds: int, used: int) -> Iterator[dict[str, Any]]:
    """Mean metrics over the draws of the folds, per split and method."""
    planted = demo.plant_graph(scale, config["demo"]["seed"])
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(demo.to_table(planted), f"{folder}/kg.parquet")
        settings_of_graph = GraphSettings(**config["graph"])
        target = Target(**config["target"])
        kg = build_graph.read(f"{folder}/kg.parquet", "", settings_of_graph, target).kg
    job = protocol.task(kg, Target(**config["target"]))
    # The id of a node is its number in the planted graph, which starts at 1.
    drugs, diseases = (kg.node_ids[t].astype(int) - 1 for t in ("drug", "disease"))
    mechanism = planted.mechanisms["drug target"][drugs, 0], planted.mechanisms["disease cause"][diseases, 0]
    side_effects = planted.mechanisms["drug side effect"][drugs]
    symptoms = planted.mechanisms["disease symptom"][diseases]
    has_clash = (side_effects[:, None, :, None] == symptoms[None, :, None, :]).any(axis=(2, 3))
    fits = (mechanism[0][:, None] == mechanism[1]) & ~has_clash
    chosen = dataclasses.replace(ClassifierSettings(**config["classifier"]), draws=1)
    svd_vectors = baselines.svd(kg, SVD_DIM, 0)
    vectors = Vectors(svd_vectors["drug"], svd_vectors["disease"], True)

    def oracle(scheme: str, part: protocol.Part, stream: list[int]) -> dict[str, Any]:
        heads, tails = job.heads[part.train], job.tails[part.train]
        counts = [
            1 + np.bincount(labels, minlength=size)
            for labels, size in (
                (mechanism[0][heads], mechanism[0].max() + 1),
                *zip((heads, tails), job.counts, strict=True),
            )
        ]
        # All pairs that fit rank above all that do not.
        scores = (fits + 1e-6) * counts[0][mechanism[1]] * counts[1][:, None] * counts[2]
        return protocol.ranked(job, scores.astype(np.float32), scheme, part)

    def svd(scheme: str, part: protocol.Part, stream: list[int]) -> dict[str, Any]:
        return protocol.ranks(job, vectors, scheme, part, chosen, stream, protocol.DRAWS, used)["trees"]

    for scheme in ("random", "disease"):
        for name, ranks in (("oracle", oracle), ("svd", svd)):
            yield {"scheme": scheme, "method": name, "scale": scale, **mean(job, scheme, ranks, seeds)}


def mean(
    job: protocol.Task, scheme: str, ranks: Callable[..., dict[str, Any]], seeds: int
) -> dict[str, float]:
    """Mean metrics over folds and draws of folds."""
    values = []
    for seed in range(seeds):
        of_fold = protocol.folds(job, scheme, seed)
        test_parts = [protocol.test_part(job, of_fold, fold) for fold in range(protocol.FOLDS)]
        ranks_by_fold = [ranks(scheme, part, [seed, fold, 0]) for fold, part in enumerate(test_parts)]
        row = {key: [result[key] for result in ranks_by_fold] for key in ranks_by_fold[0]}
        values.append(quality_rows.metrics({**row, "positions": [part.asked for part in test_parts]}, job))
    return {name: round(float(np.mean([result[name] for result in values])), 4) for name in values[0]}


if __name__ == "__main__":
    main()
