"""Time the whole workflow on the demo graph, from an empty folder to the report, for several --cores.

    python benchmarks/demo.py --json [--cores 8 2] [--rounds 1]

Rounds alternate between the numbers of cores, one run at a time. The output is one JSON object per line:
cores, rounds, seconds (median), seconds_min, and the AUPRC on the random split of hgt, degree and svd.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).parent.parent


def run(cores: int) -> tuple[float, dict[str, float]]:
    """Seconds of one run in an empty folder, and the AUPRC of hgt and two baselines on the random split."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            str(cores),
            "--snakefile",
            PROJECT / "Snakefile",
        ]
        started = time.perf_counter()
        done = subprocess.run([*command, "--directory", folder], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"snakemake --cores {cores} failed:\n{done.stdout}{done.stderr}")
        metrics = json.loads(Path(folder, "results/classifier/cpu/metrics.json").read_text())
    random = metrics["schemes"]["random"]
    return seconds, {method: random[method]["auprc"]["value"] for method in ("hgt", "degree", "svd")}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the workflow on the demo graph.")
    parser.add_argument("--json", action="store_true", help="one JSON object per line (the only format)")
    parser.add_argument("--cores", type=int, nargs="+", default=[8, 2])
    parser.add_argument("--rounds", type=int, default=1)
    chosen = parser.parse_args()
    seconds: dict[int, list[float]] = {cores: [] for cores in chosen.cores}
    for _ in range(chosen.rounds):
        for cores in chosen.cores:
            run_seconds, auprc = run(cores)
            seconds[cores].append(run_seconds)
    for cores, run_seconds in seconds.items():
        row = {"cores": cores, "rounds": len(run_seconds), "seconds": statistics.median(run_seconds)}
        print(json.dumps({**row, "seconds_min": min(run_seconds), "auprc": auprc}))


if __name__ == "__main__":
    main()
