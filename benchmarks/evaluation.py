"""What candidates are worth on a graph: the workflow run on it, and its metrics as a table.

    python benchmarks/evaluation.py --edges edges.csv.gz --nodes nodes.csv.gz --pairs pharmacotherapydb.csv \\
        --config benchmarks/hetionet.yaml benchmarks/recipe.yaml --folder het

Hetionet's curated non-indications (`--pairs`, with ids as in the edges table) are the known negatives there;
without them it is the graph's own. Prints Markdown: per held-out split and method AUPRC against all unknown
pairs with its 95 % interval, AUROC against matched and against known negatives, Recall@100 and MRR within
diseases; then the differences from the SVD, and how often a score rests on the path of the highest score.
A folder that has the results is only read.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from repurpose.core import files
from repurpose.graph import paths
from repurpose.report import metric_tables

PROJECT = Path(__file__).resolve().parents[1]
COLUMNS = ("AUPRC, all pairs (95 %)", "AUROC, matched", "AUROC, known negatives", "Recall@100", "MRR")


def main() -> None:
    """Run the workflow and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edges", help="edges table; the config's if not given")
    parser.add_argument("--nodes", help="nodes table; the config's if not given")
    parser.add_argument(
        "--pairs", help="Hetionet's curated pairs, of which the non-indications are asked about"
    )
    parser.add_argument("--config", nargs="*", default=[], help="overlays")
    parser.add_argument("--folder", type=Path, default=Path("results/evaluation"), help="where it runs")
    parser.add_argument("--cores", type=int, default=8)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    overlay = options.folder / "overlay.yaml"
    overlay.write_text(yaml.safe_dump(settings_of(options)))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        PROJECT / "Snakefile",
        "--cores",
        options.cores,
    ]
    command += ["--directory", options.folder, "--configfile", *(Path(p).resolve() for p in options.config)]
    command.append(overlay.resolve())
    subprocess.run(list(map(str, command)), check=True, stdout=sys.stderr)
    metrics = json.loads((options.folder / "results/classifier/cpu/metrics.json").read_text())
    print("\n".join(table(metrics)))
    print("\n".join(leads(metrics)))
    dossiers = files.read_table(options.folder / "results/candidates/cpu/evidence.parquet", ["paths"])
    print(reasons(dossiers["paths"].to_pylist()))


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The overlay: tables by their full paths, weights of the kernel to choose from, pairs from elsewhere."""
    content: dict[str, Any] = {"devices": ["cpu"], "classifier": {"kernel_weights": [0, 2, 6]}}
    content |= {
        key: str(Path(getattr(options, key)).resolve()) for key in ("edges", "nodes") if getattr(options, key)
    }
    if options.pairs:
        content["external"] = {
            "pairs": str(Path(options.pairs).resolve()),
            "columns": {"head": "drugbank_id", "tail": "doid_id", "label": "category"},
            "positive": [],
            "negative": ["NOT"],
        }
    return content


def table(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Markdown lines, one per split and method."""
    yield f"| held out | method | {' | '.join(COLUMNS)} |"
    yield "|---|---|" + "---|" * len(COLUMNS)
    for scheme, methods in metrics["schemes"].items():
        for method in (name for name in metric_tables.METHODS if name in methods):
            found = methods[method]
            against = [found["against"][kind]["auroc"] for kind in ("matched", "known")]
            cells = [value(found["auprc"], interval=True)]
            cells += [value(each) for each in (*against, found["recall_at_100"], found["mrr"])]
            yield f"| {scheme} | {method} | {' | '.join(cells)} |"


def leads(metrics: Mapping[str, Any]) -> Iterator[str]:
    """The difference in AUPRC from the SVD of each split."""
    yield ""
    for scheme, rivals in metrics["differences"].items():
        yield f"{scheme}: AUPRC less the SVD's {value(rivals['svd']['auprc'], interval=True)}"


def reasons(dossiers: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """Of the pairs with several paths, how many rest most on the path of the highest score."""
    several = [ways for ways in dossiers if len(ways) > 1]
    same = sum(paths.leading(ways) is ways[0] for ways in several)
    return f"\n{same} of {len(several)} scores rest most on the path of the highest score"


def value(found: Mapping[str, float] | None, interval: bool = False) -> str:
    """A metric as text; a dash where it is undefined."""
    if not found:
        return "-"
    bounds = f" ({found['low']:.3f} to {found['high']:.3f})" if interval else ""
    return f"{found['value']:.3f}{bounds}"


if __name__ == "__main__":
    main()
