"""Evaluate candidates on a graph: run the workflow and print its metrics as a table.

    python benchmarks/evaluation.py --edges edges.csv.gz --nodes nodes.csv.gz --pairs pharmacotherapydb.csv \\
        --config benchmarks/hetionet.yaml benchmarks/recipe.yaml --folder het

With `--pairs`, the known negatives are Hetionet's curated non-indications, with ids as in the edges table;
without it, those of the graph. The output is Markdown. Per held-out split and method it has the metrics of
the list of one disease (AP with its 95 % interval, MRR of the first treatment, Recall@10 and 50, NDCG@10),
then, of all pairs, the AUPRC with its interval and AUROC against matched and against known negatives. Then
come the differences from the SVD, and how often the removal of the first path lowers the score most. If the
folder has the results already, they are only read.
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
LISTS = tuple(metric_tables.LIST_METRICS)
COLUMNS = ("AP (95 %)", *(metric_tables.LIST_METRICS[name] for name in LISTS[1:]))
COLUMNS += ("AUPRC, all pairs (95 %)", "AUROC, matched", "AUROC, known negatives")
COMPARED = {"ap": "AP", "auprc": "AUPRC"}


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
    overlay.write_text(yaml.safe_dump(overlay_of(options)))
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
    print("\n".join(difference_lines(metrics)))
    dossiers = files.read_table(options.folder / "results/candidates/cpu/evidence.parquet", ["paths"])
    print(count_leading_paths(dossiers["paths"].to_pylist()))


def overlay_of(options: argparse.Namespace) -> dict[str, Any]:
    """The overlay of the run: full paths of the tables, kernel weights to choose from, external pairs."""
    content: dict[str, Any] = {"devices": ["cpu"], "classifier": {"parts": ["trees", "kernel"]}}
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
    """The metrics as Markdown lines, one per split and method."""
    yield f"| held out | method | {' | '.join(COLUMNS)} |"
    yield "|---|---|" + "---|" * len(COLUMNS)
    for scheme, methods in metrics["schemes"].items():
        for method in metric_tables.in_order(methods):
            method_metrics = methods[method]
            against = [method_metrics["against"][negatives]["auroc"] for negatives in ("matched", "known")]
            cells = [value(method_metrics[name], interval=name == "ap") for name in LISTS]
            cells += [value(method_metrics["auprc"], interval=True), *map(value, against)]
            yield f"| {scheme} | {method} | {' | '.join(cells)} |"


def difference_lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Lines with the difference in AP and in AUPRC from the SVD, one per split."""
    yield ""
    for scheme, differences in metrics["differences"].items():
        texts = [
            f"{label} less the SVD's {value(differences['svd'][name], interval=True)}"
            for name, label in COMPARED.items()
        ]
        yield f"{scheme}: {'; '.join(texts)}"


def count_leading_paths(dossiers: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """A line with the number of pairs whose first path is the most important one.

    Pairs with a single path are left out. The first path has the highest path score; the most important one
    lowers the score of the pair most if its edges are removed.
    """
    several = [paths_of_pair for paths_of_pair in dossiers if len(paths_of_pair) > 1]
    agreeing = sum(paths.leading(paths_of_pair) is paths_of_pair[0] for paths_of_pair in several)
    return f"\n{agreeing} of {len(several)} scores rest most on the path of the highest score"


def value(estimate: Mapping[str, float] | None, interval: bool = False) -> str:
    """A metric as text, a dash if it is undefined; `interval` adds its 95 % interval."""
    if not estimate:
        return "-"
    bounds = f" ({estimate['low']:.3f} to {estimate['high']:.3f})" if interval else ""
    return f"{estimate['value']:.3f}{bounds}"


if __name__ == "__main__":
    main()
