"""Measure how well full and sampled trainings of the demo graph agree, and trainings with different seeds.

    python benchmarks/agreement.py --seeds 3 --json

Runs the workflow with `devices: [cpu, cpu-sampled]` once per seed (about two minutes each) and prints one
line per pair of trainings. Each line has two negative controls: `mixed` compares the second training with
shuffled rows of the first; `mixed_layers` shuffles only the encoder output, not the SVD and profile columns.
"""

import argparse
import dataclasses
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import write_agreement
from repurpose.config import settings
from repurpose.config.sections import AgreementSettings
from repurpose.gate import agreement
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles

PROJECT = Path(__file__).resolve().parents[1]
BATCHINGS = {"cpu": "full", "cpu-sampled": "sampled"}


def main() -> None:
    """Run the workflow and print a row per pair of trainings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = {seed: run(Path(folder) / str(seed), seed) for seed in range(7, 7 + options.seeds)}
        for row in rows(runs):
            print(
                json.dumps(row) if options.json else "  ".join(f"{k} {v}" for k, v in row.items()), flush=True
            )


def run(folder: Path, seed: int) -> Path:
    """Train the demo graph in full and in samples with one seed; returns the folder of the results."""
    folder.mkdir()
    overlay = folder / "overlay.yaml"
    overlay.write_text(yaml.safe_dump({"seed": seed, "devices": list(BATCHINGS)}))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--snakefile", PROJECT / "Snakefile"]
    command += ["--directory", folder, "--configfile", overlay]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return folder / "results"


def rows(runs: dict[int, Path]) -> Iterator[dict[str, Any]]:
    """Every pair of trainings with its measures, and with the measures of the two negative controls.

    The controls shuffle the rows of the first training: `mixed` the whole vectors, `mixed_layers` only the
    columns of the encoder output.
    """
    config = settings.load([PROJECT / "config" / "config.yaml"])
    chosen = AgreementSettings(**config["agreement"])
    first_columns = {"mixed": 0, "mixed_layers": config["hgt"]["svd_dim"] + config["hgt"]["profile_dim"]}
    kg = graph.load(GraphFiles.in_folder(next(iter(runs.values())) / "graph"))
    devices = [
        device(kg, results, seed, name, chosen.top) for seed, results in runs.items() for name in BATCHINGS
    ]
    connected, generator = kg.connected(), np.random.default_rng(0)
    for first, second in itertools.combinations(devices, 2):
        row = {"devices": [first.name, second.name], **measures(first, second, connected, chosen)}
        for control, first_column in first_columns.items():
            shuffled = {
                t: np.concatenate(
                    [rows[:, :first_column], generator.permutation(rows[:, first_column:])], axis=1
                )
                for t, rows in first.vectors.items()
            }
            control_measures = measures(
                dataclasses.replace(first, vectors=shuffled), second, connected, chosen
            )
            row[control] = {name: control_measures[name] for name in ("neighbour_overlap", "cka")}
        yield row


def measures(
    first: agreement.DeviceRun,
    second: agreement.DeviceRun,
    connected: Mapping[str, np.ndarray],
    chosen: AgreementSettings,
) -> dict[str, float | None]:
    """The value of each check of two trainings."""
    (pair,) = agreement.compare([first, second], connected, chosen, 0)["pairs"]
    return {check["name"]: check["value"] for check in pair["checks"]}


def device(kg: graph.Graph, results: Path, seed: int, name: str, top: int) -> agreement.DeviceRun:
    """The results of one training that are compared."""
    vectors = results / "embeddings" / name
    paths = (vectors / "embeddings.parquet", vectors / "history.parquet")
    ranked = results / "candidates" / name / "candidates.parquet"
    contents = write_agreement.read(kg, *paths, ranked if ranked.exists() else None, top)
    return agreement.DeviceRun(f"{name}, seed {seed}", BATCHINGS[name], *contents)


if __name__ == "__main__":
    main()
