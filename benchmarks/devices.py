"""Train once on each of several devices; compare seconds, memory, validation AUROC and vectors.

    python benchmarks/devices.py --edges kg.csv --config config/presets/full.yaml --devices cpu cuda
    python benchmarks/devices.py --planted 1.0 --config config/presets/full.yaml --devices cuda --epochs 20

`--planted` takes the demo's planted graph instead of a table (scale 1.0 is PrimeKG's size). The output is one
JSON object per device. Each device trains in a separate process, and its vectors are compared with those of
the first: `neighbour_overlap` is the mean share of nearest neighbours in common, of the node type with the
lowest share. Memory is that of the device, if it has its own. Snakemake is not needed, so this runs on every
machine where PyTorch finds the device.
"""

import argparse
import json
import logging
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np

import build_demo
import build_graph
from repurpose.config import settings
from repurpose.config.device import Device
from repurpose.config.sections import EncoderSettings, GraphSettings, Target, TrainingSettings
from repurpose.core import threads
from repurpose.gate import agreement
from repurpose.graph.graph import Graph
from repurpose.training import memory, training

PROJECT = Path(__file__).resolve().parents[1]
NEIGHBOURS = 20


def main() -> None:
    """Train on each device and print its row."""
    parser = graph_parser(__doc__)
    parser.add_argument("--devices", nargs="+", default=["cpu"])
    parser.add_argument("--epochs", type=int, help="full steps; the config's if not given")
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args()
    config = load_config(options)
    if options.epochs:
        config["training"]["epochs"] = options.epochs
    log_to_stderr()
    kg = read(config, options.planted)
    first = None
    for device in options.devices:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            row, vectors = alone.submit(train, kg, config, device, options.threads).result()
        first = first or vectors
        row["neighbour_overlap"] = None if first is vectors else overlap(kg, first, vectors, config["seed"])
        print(json.dumps(row), flush=True)


def graph_parser(description: str | None) -> argparse.ArgumentParser:
    """An argument parser with the options for graph and config."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=form)
    parser.add_argument("--edges", help="edges table; the config's if not given")
    parser.add_argument("--nodes", help="nodes table; the config's if not given")
    parser.add_argument(
        "--planted", type=float, metavar="SCALE", help="the planted graph in place of a table"
    )
    parser.add_argument("--config", nargs="*", default=[], type=Path, help="overlays")
    return parser


def load_config(options: argparse.Namespace) -> dict[str, Any]:
    """The config with the overlays and tables that the options of `graph_parser` name."""
    config = settings.load([PROJECT / "config" / "config.yaml", *options.config])
    return config | {key: getattr(options, key) or config[key] for key in ("edges", "nodes")}


def log_to_stderr() -> None:
    """Write the log lines of trainings to stderr."""
    form = "%(asctime)s %(message)s"
    logging.basicConfig(format=form, datefmt="%H:%M:%S", level=logging.INFO, stream=sys.stderr)


def read(config: dict[str, Any], planted: float | None) -> Graph:
    """Build the graph of the config's tables, or the planted graph of this scale."""
    with tempfile.TemporaryDirectory() as folder:
        if planted:
            config["edges"], config["nodes"] = str(Path(folder) / "edges.parquet"), ""
            build_demo.main(edges_out=config["edges"], scale=planted, seed=config["seed"])
        section, target = GraphSettings(**config["graph"]), Target(**config["target"])
        return build_graph.read(config["edges"], config["nodes"], section, target).kg


def train(
    kg: Graph, config: dict[str, Any], device: str, threads_used: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Train as the workflow does; returns the row of the device and the vectors by node type."""
    log_to_stderr()
    used = threads.limit(threads_used)
    device_options = Device.parse(device, config["training"]["batching"])
    seconds: list[float] = []
    job = training.Job(
        kg,
        EncoderSettings(**config["hgt"]),
        TrainingSettings(**config["training"]),
        tail_type=config["target"]["tail_type"],
        device=device_options.torch_name,
        batching=device_options.batching,
        seed=config["seed"],
    )
    result = training.fit(job, on_step=lambda row, steps: seconds.append(row["seconds"]))
    record = result.record
    row = {
        "device": device,
        "batching": device_options.batching,
        "threads": used,
        "edges": sum(map(len, kg.heads)),
    }
    row |= {key: record[key] for key in ("status", "reason", "steps", "best_valid_auroc", "final_link")}
    row |= {
        "seconds": round(record["seconds"], 2),
        "peak_gb": round(memory.peak(device_options.torch_name) / 1e9, 3),
    }
    row["seconds_a_step"] = round(float(np.median(np.diff(seconds))), 4) if len(seconds) > 1 else None
    return row, result.vectors


def overlap(
    kg: Graph, first: dict[str, np.ndarray], second: dict[str, np.ndarray], seed: int
) -> float | None:
    """Lowest share, over node types, of nearest neighbours that two trainings have in common."""
    generator, shares = np.random.default_rng(seed), []
    for name, nodes in kg.connected().items():
        rows = np.flatnonzero(nodes)
        if len(rows) > NEIGHBOURS + 1 and len(first[name]) and len(second[name]):
            rows = np.sort(generator.permutation(rows)[: agreement.SAMPLED_NODES])
            shares.append(agreement.neighbour_overlap(first[name], second[name], rows, NEIGHBOURS))
    return round(min(shares), 3) if shares else None


if __name__ == "__main__":
    main()
