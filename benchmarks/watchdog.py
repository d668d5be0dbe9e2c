"""Healthy trainings on a real graph or the demo's: does the watchdog ever take one for a failed one?

    python benchmarks/watchdog.py --graph results/graph --json
    python benchmarks/watchdog.py --graph het/results/graph --config config/presets/hetionet.yaml --json

One line per seed and batching: the steps taken, the level of held-out edges at the start and at its best
with its noise, and the status. `--shuffled` does the same on shuffled edges, which must all be stalled.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from repurpose.config import settings
from repurpose.core import threads
from repurpose.graph import graph, subgraph
from repurpose.graph.graph import Graph, GraphFiles
from repurpose.hgt import hgt
from repurpose.training import preparation, training, watchdog

PROJECT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run every seed with both kinds of batching and print a row for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--graph", type=Path, required=True, help="folder of a built graph")
    parser.add_argument("--config", nargs="*", default=[], help="overlays")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--full-steps", type=int, default=60)
    parser.add_argument("--sampled-steps", type=int, default=200)
    parser.add_argument("--shuffled", action="store_true", help="shuffle the edges first")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    options = parser.parse_args()
    threads.limit(8)
    config = settings.load([PROJECT / "config" / "config.yaml", *options.config])
    kg = graph.load(GraphFiles.in_folder(options.graph))
    if options.shuffled:
        kg = subgraph.shuffle_edges(kg, 99)
    lengths = {"full": options.full_steps, "sampled": options.sampled_steps}
    for row in rows(kg, config, lengths, options.seeds):
        row["shuffled"] = options.shuffled
        print(json.dumps(row) if options.json else "  ".join(f"{k} {v}" for k, v in row.items()), flush=True)


def rows(kg: Graph, config: dict[str, Any], lengths: dict[str, int], seeds: int) -> Iterator[dict[str, Any]]:
    """One row per batching and seed; lengths: steps of a training per batching."""
    section = settings.learned(config["training"])
    options = training.Settings(**section)
    encoder = hgt.Settings(**config["hgt"])
    for batching, length in lengths.items():
        # An epoch of samples has as many steps as the graph asks for: cut to the length asked here.
        with mock.patch.object(preparation, "plan", return_value=(length, max(5, length // 10))):
            for seed in range(seeds):
                yield row(kg, encoder, options, config["target"]["tail_type"], batching, seed)


def row(
    kg: Graph, encoder: hgt.Settings, options: training.Settings, tail_type: str, batching: str, seed: int
) -> dict[str, Any]:
    """What became of one training."""
    seen, began = {}, time.perf_counter()
    stalled = watchdog.Watchdog.stalled

    def judged(self, *given):
        outcome = stalled(self, *given)
        seen.update(start=self.start.value, best=self.best.value, error=self.best.error)
        return outcome

    with mock.patch.object(watchdog.Watchdog, "stalled", judged):
        result = training.fit(
            kg,
            encoder,
            options,
            tail_type=tail_type,
            device="cpu",
            batching=batching,
            seed=seed,
            on_step=lambda row, total: None,
        )
    record = result.record
    return {
        "batching": batching,
        "seed": seed,
        "status": record["status"],
        "steps": record["steps"],
        **{name: round(value, 4) for name, value in seen.items()},
        "seconds": round(time.perf_counter() - began, 1),
        "reason": record["reason"],
    }


if __name__ == "__main__":
    main()
