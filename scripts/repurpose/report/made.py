"""How the results of a folder were made: config, tables with their digests, versions, time and memory."""

import contextlib
import csv
import subprocess
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.provenance import records

PACKAGES = (
    "torch",
    "torch-geometric",
    "xgboost",
    "xgboost-cpu",
    "scikit-learn",
    "numpy",
    "pyarrow",
    "snakemake",
)
PROJECT = Path(__file__).resolve().parents[3]


def describe(results: str | Path) -> dict[str, Any]:
    """What `page.render` shows as `made`; parts that the folder does not hold are empty.

    overlays: config files of the run. tables: config key, file and SHA-256 of each table. config: the text of
    config.yaml. stages: rule, of (device or other wildcards), seconds, memory (bytes) and load (per cent of
    one core) of each job, from Snakemake's benchmark files. versions: package -> version. previous: device ->
    its candidates of an earlier run, kept in results/previous.
    """
    folder = Path(results)
    run = (
        files.read_json(folder / "records" / "run.json") if (folder / "records" / "run.json").exists() else {}
    )
    config = folder / "config.yaml"
    return {
        "overlays": run.get("overlays", []),
        "tables": [
            {"key": key, "file": path, "digest": digest}
            for key, (path, digest) in sorted(run.get("tables", {}).items())
        ],
        "config": config.read_text(encoding="utf-8") if config.exists() else "",
        "stages": list(_stages(folder)),
        "previous": {
            path.parent.name: path.as_posix()
            for path in sorted((folder / "previous" / "candidates").glob("*/candidates.csv"))
        },
        "versions": _versions(),
        "commit": commit(PROJECT),
    }


def _stages(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The jobs whose files the folder has, from their benchmark files.

    A job that took its files back has a benchmark of that alone: what making them cost is in .run, if they
    were made on this machine. Without any record, all benchmark files count.
    """
    made_by = records.read_all(folder / records.RECORDS.name)
    for path in sorted((folder / "benchmarks").glob("*/**/*.tsv")):
        rule, *_ = path.relative_to(folder / "benchmarks").parts
        of = path.relative_to(folder / "benchmarks" / rule).with_suffix("").as_posix()
        record = made_by.get(f"{rule}/{of}") or made_by.get(rule)
        if made_by and not record:
            continue
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        if not rows:
            continue
        seconds, memory, load = (_number(rows[-1].get(name)) for name in ("s", "max_rss", "mean_load"))
        memory = memory * 2**20 if memory is not None else None
        cost = _cost(record, folder) if record else {}
        if cost.get("seconds", 0) > (seconds or 0):
            seconds, memory, load = cost["seconds"], cost.get("memory"), None
        yield {"rule": rule, "of": of, "seconds": seconds, "memory": memory, "load": load}


def _cost(record: records.Record, folder: Path) -> Mapping[str, Any]:
    """What making the files of a record cost; empty if that is not known."""
    path = records.cost_path(record, folder / records.RUN.name)
    try:
        content = files.read_json(path) if path.exists() else {}
    except InputError:
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: value for key, value in content.items() if isinstance(value, int | float)}


def _number(text: str | None) -> float | None:
    """A number of a benchmark file; None for what Snakemake could not measure (NA or -)."""
    try:
        return float(text or "")
    except ValueError:
        return None


def _versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def commit(project: Path) -> str:
    """The commit that is checked out, "-changed" added if files differ from it; "" outside a checkout."""
    if not (project / ".git").exists():
        return ""

    def ask(*command: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(project), *command], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    head = ask("rev-parse", "--short=12", "HEAD")
    return f"{head}-changed" if head and ask("status", "--porcelain", "--untracked-files=no") else head
