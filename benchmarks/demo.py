"""Time the whole workflow from an empty folder to the report, by default on the demo graph.

    python benchmarks/demo.py --json [--cores 8 2] [--rounds 1]
    python benchmarks/demo.py --json --cores 2 --config benchmarks/scale.yaml --projects . ../older

Rounds alternate between the projects (checkouts with an environment of their own, from `make env`) and the
numbers of cores, one run at a time. The output is one JSON object per line: project, cores, rounds, seconds
(median), seconds_min, of each rule the seconds of the last round, and the AUPRC on the random split of hgt,
degree and svd. With several projects, `ratio` compares the seconds with those of the last project. An overlay
with a relative path is each project's own file, where it has one. `--keep FOLDER` keeps the runs.
"""

import argparse
import contextlib
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]


def run(project: Path, cores: int, configs: Sequence[Path], keep: Path | None) -> dict[str, Any]:
    """Seconds of one run in an empty folder and of its rules, and the AUPRC of hgt and two baselines."""
    own = project / ".venv" / "bin" / "python"
    python = own if own.exists() else sys.executable
    configs = [each if (each := project / path).exists() else path.resolve() for path in configs]
    with contextlib.ExitStack() as stack:
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            folder = tempfile.mkdtemp(prefix=f"{project.name}-", dir=keep.resolve())
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        command = [python, "-m", "snakemake", "--cores", cores, "--directory", folder]
        command += ["--snakefile", project / "Snakefile"]
        command += ["--configfile", *configs] if configs else []
        started = time.perf_counter()
        done = subprocess.run(
            list(map(str, command)), cwd=project, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"snakemake --cores {cores} failed in {project}:\n{done.stdout}{done.stderr}")
        results = Path(folder, "results")
        metrics = json.loads((results / "classifier" / "cpu" / "metrics.json").read_text())
        rules = seconds_of_rules(results)
    random = metrics["schemes"]["random"]
    auprc = {method: random[method]["auprc"]["value"] for method in ("hgt", "degree", "svd")}
    return {"seconds": seconds, "rules": rules, "auprc": auprc}


def seconds_of_rules(results: Path) -> dict[str, float]:
    """Seconds of each rule of a run on one device, as Snakemake wrote them."""
    return {
        path.parent.name: float(path.read_text().split("\n")[1].split("\t")[0])
        for path in sorted((results / "benchmarks").glob("*/*.tsv"))
    }


def main() -> None:
    """Run all rounds and print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line (the only format)")
    parser.add_argument("--cores", type=int, nargs="+", default=[8, 2])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--config", nargs="+", default=[], type=Path, help="overlays of the config")
    parser.add_argument("--projects", nargs="+", default=[PROJECT], type=Path)
    parser.add_argument("--keep", type=Path, help="folder for the runs (by default they are deleted)")
    chosen = parser.parse_args()
    cases = list(itertools.product([path.resolve() for path in chosen.projects], chosen.cores))
    runs: dict[tuple[Path, int], list[dict[str, Any]]] = {case: [] for case in cases}
    for _, (project, cores) in itertools.product(range(chosen.rounds), cases):
        runs[project, cores].append(run(project, cores, chosen.config, chosen.keep))
    medians = {case: statistics.median(each["seconds"] for each in runs[case]) for case in cases}
    for project, cores in cases:
        of_case = runs[project, cores]
        row = {"project": str(project), "cores": cores, "rounds": len(of_case)}
        row |= {"seconds": medians[project, cores], "seconds_min": min(each["seconds"] for each in of_case)}
        if len(chosen.projects) > 1:
            row["ratio"] = medians[project, cores] / medians[cases[-1][0], cores]
        print(json.dumps({**row, "rules": of_case[-1]["rules"], "auprc": of_case[-1]["auprc"]}))


if __name__ == "__main__":
    main()
