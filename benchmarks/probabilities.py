"""Calibration of a finished run's probabilities: for untreated tails, and on test pairs.

    python benchmarks/probabilities.py --results results --config my.yaml --disease

The output is one JSON object per line. `untreated`: for tails without a known treatment, the mean probability
of their best new head in candidates.parquet. `best`: for tails whose treatments were hidden, the mean
probability of their best head and how often it is a treatment (from metrics.json).

With --disease, a model and a calibration curve are fitted with the settings of the final model but without
the test pairs of the scheme `disease`; the rows have mean probability and share of treatments, reliability,
and the best head of each tail. The tails are those whose treatments are all hidden, and those without
treatments, which get weights so that both are in the proportion of the whole graph.

With --support, the pairs of tails whose treatments are hidden get probabilities by curves with and without
the tails' support: mean log loss, calibration error, the highest bin, and the best head of each tail, with
tails without a known treatment apart. All are cross-validated, as in metrics.json.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np

from repurpose.classifier import classifier, metapath_fits, out_of_fold, pair_model
from repurpose.classifier.classifier import Task
from repurpose.classifier.list_weights import EMBEDDED, ListWeights
from repurpose.config import settings
from repurpose.config.sections import ClassifierSettings, Target
from repurpose.core import files, threads
from repurpose.evaluation import calibration
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.pairs import external, pairs
from repurpose.vectors.vectors import Vectors

PROJECT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--config", nargs="*", default=[], type=Path, help="the overlays of that run")
    parser.add_argument("--disease", action="store_true", help="test a curve on held-out tails")
    parser.add_argument("--support", action="store_true", help="compare curves with and without support")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    config = settings.load([PROJECT / "config" / "config.yaml", *options.config])
    task = read(options.results, options.device, config, threads.limit(options.threads))
    metrics = files.read_json(options.results / "classifier" / options.device / "metrics.json")
    print(json.dumps(untreated(options.results, options.device)))
    for name, best in metrics["calibration"].get("curves", [{}])[0].get("best", {}).items():
        print(json.dumps({"what": "best", "tails": name, **best}))
    weights = ListWeights.read(metrics["weights"], tuple(np.zeros(size, bool) for size in task.sizes))
    if options.support:
        for row in supported(task, metrics["members"], weights):
            print(json.dumps(row), flush=True)
    if options.disease and not set(weights.parts) <= set(EMBEDDED):
        parser.error("--disease needs a run with classifier: {parts: [trees, kernel]}, or a part of these")
    for row in tested(task, metrics["members"], weights) if options.disease else []:
        print(json.dumps(row), flush=True)


def supported(task: Task, rounds: list[int], weights: ListWeights) -> Iterator[dict[str, Any]]:
    """The rows with and without the tails' support (see the module's docstring)."""
    scored, _, _ = out_of_fold.sample(task, rounds, weights)
    treated = np.unique(pairs.treated(task.pairs)[1])
    for name, support in (("with", scored.support), ("without", np.zeros_like(scored.support))):
        predicted = out_of_fold.cross_validated(scored._replace(support=support))
        losses = -np.log(np.where(scored.labels == 1, predicted, 1 - predicted))
        reliability = calibration.reliability(predicted, scored.labels, scored.weights)
        row = {"what": f"{name} support", "log_loss": float(np.average(losses, weights=scored.weights))}
        row |= {"ece": reliability["ece"], "highest": reliability["bins"][-1]}
        for group, is_in_group in (("treated", True), ("untreated", False)):
            rows = np.isin(scored.tails, treated) == is_in_group
            columns = (column[rows] for column in (predicted, scored.labels, scored.tails, scored.weights))
            row[group] = calibration.summarise_top_pairs(*columns)["all"] if rows.any() else None
        yield row


def read(results: Path, device: str, config: dict[str, Any], used: int) -> Task:
    """The task of the run's classifier: vectors, labelled pairs, known pairs and settings."""
    kg = graph.load(GraphFiles.in_folder(results / "graph"))
    types = Target(**config["target"]).types
    vectors = Vectors.read(results / "embeddings" / device / "embeddings.parquet", kg, types)
    pairs_in, external_pairs = (results / "pairs" / name for name in ("pairs.parquet", "external.parquet"))
    models, labelled = results / "metapaths" / "models.json", pairs.load(pairs_in)
    return Task(
        vectors,
        labelled,
        pairs.known(kg, *types),
        ClassifierSettings(**config["classifier"]),
        config["seed"],
        used,
        external.load(external_pairs if external_pairs.exists() else None),
        metapath_fits.load(models, kg, types, labelled) if models.exists() else None,
    )


def untreated(results: Path, device: str) -> dict[str, Any]:
    """The row of tails without a known treatment: their number, and probabilities of their best new heads."""
    target = Target(**files.read_json(results / "pairs" / "certificate.json")["target"])
    kg = graph.load(GraphFiles.in_folder(results / "graph"))
    _, treated = pairs.treated(pairs.label(kg, target))
    ids = kg.node_ids[target.tail_type]
    columns = ["tail_id", "probability", "rank_of_drug_for_disease", "known"]
    table = files.read_table(results / "candidates" / device / "candidates.parquet", columns).to_pandas()
    new = table[(table["known"] == "") & ~table["tail_id"].isin(ids[np.unique(treated)])]
    best = new.sort_values("rank_of_drug_for_disease").groupby("tail_id")["probability"].first()
    return {
        "what": "untreated",
        "tails": len(best),
        "predicted": float(best.mean()),
        "highest": float(best.max()),
    }


def tested(task: Task, rounds: list[int], weights: ListWeights) -> Iterator[dict[str, Any]]:
    """The rows of the test pairs of the scheme `disease` (see the module's docstring)."""
    is_test = (task.pairs["disease"] == "test").to_numpy()
    training_task = out_of_fold.without(task, is_test)
    curve = out_of_fold.calibrated(training_task, rounds, weights, shares=(0.0,))["curves"][0]
    model = classifier.fit_final(training_task, rounds, weights)
    positive = task.pairs["label"] == 1
    hidden, treated = task.pairs[positive & is_test], np.unique(task.pairs.loc[positive, "tail_index"])
    untreated, tail_weights = np.setdiff1d(np.arange(task.sizes[1]), treated), np.ones(task.sizes[1])
    hidden_tails = np.unique(hidden["tail_index"])
    tail_weights[untreated] = len(hidden_tails) / len(treated)
    tails = np.sort(np.concatenate([hidden_tails, untreated]))
    margins = pair_model.members(model, task.vectors, [sum(rounds)])(tails.astype(np.int32))[0]
    labels, is_taken = (np.zeros((task.sizes[1], task.sizes[0]), bool) for _ in range(2))
    labels[hidden["tail_index"], hidden["head_index"]] = True
    is_taken[task.taken.tails, task.taken.heads] = True
    row, head = np.nonzero((labels | ~is_taken)[tails])
    predicted = calibration.probabilities(margins[row, head], curve)
    is_treatment, tail = labels[tails[row], head].astype(np.int8), tails[row]
    reliability = calibration.reliability(predicted, is_treatment, tail_weights[tail])
    means = (float(np.average(values, weights=tail_weights[tail])) for values in (predicted, is_treatment))
    yield {"what": "disease", **dict(zip(("predicted", "found"), means, strict=True)), **reliability}
    for name, best in calibration.summarise_top_pairs(
        predicted, is_treatment, tail, tail_weights[tail]
    ).items():
        yield {"what": "disease, best", "tails": name, **best}


if __name__ == "__main__":
    main()
