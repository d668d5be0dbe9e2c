"""Time the full-size model, from a csv of PrimeKG's size to its embedding file.

    python benchmarks/full.py --json [--scale 1.0] [--epochs 100] [--cores 8]

The csv is the planted graph (scale 1.0 has PrimeKG's counts). The output is one JSON object: nodes, edges
(rows of the csv), seconds of the whole command, of each rule and of the training, the peak memory of the
training and values from its record.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import demo
import pyarrow.csv
import pyarrow.parquet as pq
import yaml

PROJECT = Path(__file__).resolve().parents[1]
EMBEDDINGS = "results/embeddings/cpu"


def snakemake(folder: Path, target: str, cores: int, *overlays: str | Path) -> None:
    """Make one target in `folder`; if it fails, exit with the output of Snakemake."""
    command = [sys.executable, "-m", "snakemake", "--cores", cores, target, "--directory", folder]
    command += ["--snakefile", PROJECT / "Snakefile", "--configfile", *overlays]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"snakemake {target} failed:\n{done.stdout}{done.stderr}")


def plant(folder: Path, scale: float, cores: int) -> Path:
    """Write the planted graph as a csv and return its path."""
    overlay = folder / "demo.yaml"
    overlay.write_text(yaml.safe_dump({"demo": {"scale": scale}}))
    snakemake(folder, "results/demo/edges.parquet", cores, overlay)
    table = pq.read_table(folder / "results/demo/edges.parquet")
    pyarrow.csv.write_csv(table, folder / "kg.csv")
    return folder / "kg.csv"


def measure(folder: Path, edges: Path, epochs: int, cores: int) -> dict[str, object]:
    """Run from the csv to the embeddings; returns seconds, memory and values of the training record."""
    overlay = folder / "mine.yaml"
    overlay.write_text(yaml.safe_dump({"edges": str(edges), "training": {"epochs": epochs}}))
    started = time.perf_counter()
    target = f"{EMBEDDINGS}/embeddings.parquet"
    snakemake(folder, target, cores, PROJECT / "config/presets/full.yaml", overlay)
    seconds = time.perf_counter() - started
    record = json.loads((folder / EMBEDDINGS / "training.json").read_text())
    ledger = json.loads((folder / "results/graph/ledger.json").read_text())
    return {
        "nodes": pq.read_metadata(folder / "results/graph/nodes.parquet").num_rows,
        "edges": ledger["rows"],
        "epochs": record["steps"],
        "seconds": round(seconds, 1),
        "seconds_of_rule": demo.seconds_of_rules(folder / "results"),
        "training_seconds": round(record["seconds"], 1),
        "peak_rss_gb": round(record["peak_rss_bytes"] / 1e9, 2),
        "predicted_peak_rss_gb": round(record["predicted_peak_rss_bytes"] / 1e9, 2),
        "best_step": record["best_step"],
        "best_valid_auroc": record["best_valid_auroc"],
        "final_link": record["final_link"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the full-size model on a graph of PrimeKG's size.")
    parser.add_argument("--json", action="store_true", help="one JSON object per line (the only format)")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--cores", type=int, default=8)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        edges = plant(folder, chosen.scale, chosen.cores)
        print(json.dumps(measure(folder, edges, chosen.epochs, chosen.cores)))


if __name__ == "__main__":
    main()
