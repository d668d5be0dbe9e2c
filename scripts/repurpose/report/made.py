"""How the results of a folder were made: config, tables with their digests, versions, time and memory."""

import contextlib
import csv
import subprocess
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from repurpose.core import files

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
        "stages": list(_stages(folder / "benchmarks")),
        "previous": {
            path.parent.name: path.as_posix()
            for path in sorted((folder / "previous" / "candidates").glob("*/candidates.csv"))
        },
        "versions": _versions(),
        "commit": commit(PROJECT),
    }


def _stages(folder: Path) -> Iterator[Mapping[str, Any]]:
    for path in sorted(folder.glob("*/**/*.tsv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        if rows:
            memory, load = _number(rows[-1].get("max_rss")), _number(rows[-1].get("mean_load"))
            yield {
                "rule": path.relative_to(folder).parts[0],
                "of": path.relative_to(folder / path.relative_to(folder).parts[0]).with_suffix("").as_posix(),
                "seconds": _number(rows[-1].get("s")),
                "memory": memory * 2**20 if memory is not None else None,
                "load": load,
            }


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
