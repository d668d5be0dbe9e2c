"""Test the watchdog on healthy trainings of a real graph or the demo graph: it must not stop any of them.

    python benchmarks/watchdog.py --graph results/graph --json
    python benchmarks/watchdog.py --graph het/results/graph --config config/presets/hetionet.yaml --json

The output is one line per seed and batching: the number of steps, the level on held-out edges at the start,
the best level with its standard error, and the status. With `--shuffled` the edges are shuffled first; then
all trainings must be stopped as stalled.
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
from repurpose.config.sections import EncoderSettings, TrainingSettings
from repurpose.core import threads
from repurpose.graph import graph, subgraph
from repurpose.graph.graph import Graph, GraphFiles
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
    section = config["training"]
    options = TrainingSettings(**section)
    encoder = EncoderSettings(**config["hgt"])
    for batching, length in lengths.items():
        # The number of steps in a sampled epoch depends on the graph, so the plan is replaced by `length`.
        with mock.patch.object(preparation, "plan", return_value=(length, max(5, length // 10))):
            for seed in range(seeds):
                yield row(kg, encoder, options, config["target"]["tail_type"], batching, seed)


def row(
    kg: Graph, encoder: EncoderSettings, options: TrainingSettings, tail_type: str, batching: str, seed: int
) -> dict[str, Any]:
    """Train once and return the row with the outcome."""
    levels, began = {}, time.perf_counter()
    original_stalled = watchdog.Watchdog.stalled

    def record_and_judge(self, *arguments):
        outcome = original_stalled(self, *arguments)
        levels.update(start=self.start.value, best=self.best.value, error=self.best.error)
        return outcome

    with mock.patch.object(watchdog.Watchdog, "stalled", record_and_judge):
        job = training.Job(kg, encoder, options, tail_type, "cpu", batching, seed)
        result = training.fit(job, on_step=lambda row, total: None)
    record = result.record
    return {
        "batching": batching,
        "seed": seed,
        "status": record["status"],
        "steps": record["steps"],
        **{name: round(value, 4) for name, value in levels.items()},
        "seconds": round(time.perf_counter() - began, 1),
        "reason": record["reason"],
    }


if __name__ == "__main__":
    main()
