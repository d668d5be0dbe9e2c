"""Whether a finished run's probabilities can be believed: of untreated tails, and on test pairs.

    python benchmarks/probabilities.py --results results --config my.yaml --schemes disease random

One JSON object per line. `untreated`: mean probability of the best new head of the tails without a known
treatment, in candidates.parquet. `best`: that of the best head of tails whose treatments were hidden, and
how often it is a treatment (metrics.json). Then per scheme, by a model and a curve of the final model's
settings that know nothing of its test pairs: mean probability and share of treatments, reliability, and the
best head of each tail. `disease`: tails whose treatments are hidden, and those without any, weighted to be as
many for each of these as there are. `random`: all tails, of whose treatments some are hidden and the others
known to the model.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np

from repurpose.classifier import classifier, examples, out_of_fold, pair_model
from repurpose.classifier.classifier import Task
from repurpose.config import settings
from repurpose.core import files, threads
from repurpose.evaluation import calibration
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.graph.target import Target
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
    parser.add_argument("--schemes", nargs="*", default=[], choices=["disease", "random"])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    config = settings.load([PROJECT / "config" / "config.yaml", *options.config])
    task = read(options.results, options.device, config, threads.limit(options.threads))
    metrics = files.read_json(options.results / "classifier" / options.device / "metrics.json")
    print(json.dumps(untreated(options.results, options.device)))
    for name, found in metrics["calibration"].get("curves", [{}])[0].get("best", {}).items():
        print(json.dumps({"what": "best", "tails": name, **found}))
    for scheme in options.schemes:
        for row in tested(task, scheme, metrics["members"], metrics["kernel_weight"]):
            print(json.dumps(row), flush=True)


def read(results: Path, device: str, config: dict[str, Any], used: int) -> Task:
    """What the run's classifier learned from."""
    kg = graph.load(GraphFiles.in_folder(results / "graph"))
    types = Target(**config["target"]).types
    vectors = Vectors.read(results / "embeddings" / device / "embeddings.parquet", kg, types)
    labelled, elsewhere = (results / "pairs" / name for name in ("pairs.parquet", "external.parquet"))
    return Task(
        vectors,
        pairs.load(labelled),
        pairs.known(kg, *types),
        examples.Settings(**config["classifier"]),
        config["seed"],
        used,
        external.load(elsewhere if elsewhere.exists() else None),
    )


def untreated(results: Path, device: str) -> dict[str, Any]:
    """The best new head of each tail without a known treatment: mean probability, and how many tails."""
    target = Target(**files.read_json(results / "pairs" / "certificate.json")["target"])
    kg = graph.load(GraphFiles.in_folder(results / "graph"))
    _, treated = pairs.treated(pairs.label(kg, target))
    ids = kg.node_ids[target.tail_type]
    columns = ["tail_id", "probability", "rank", "known"]
    table = files.read_table(results / "candidates" / device / "candidates.parquet", columns).to_pandas()
    new = table[(table["known"] == "") & ~table["tail_id"].isin(ids[np.unique(treated)])]
    best = new.sort_values("rank").groupby("tail_id")["probability"].first()
    return {
        "what": "untreated",
        "tails": len(best),
        "predicted": float(best.mean()),
        "highest": float(best.max()),
    }


def tested(task: Task, scheme: str, rounds: list[int], weight: float) -> Iterator[dict[str, Any]]:
    """Rows of a scheme's test pairs (see above)."""
    is_test = (task.pairs[scheme] == "test").to_numpy()
    rest = out_of_fold.without(task, is_test)
    curve = out_of_fold.calibrated(rest, rounds, weight, shares=(0.0,))["curves"][0]
    vectors = task.vectors if weight else replace(task.vectors, blocks=None)
    model = classifier.fit_final(replace(rest, vectors=vectors), rounds, weight)
    positive = task.pairs["label"] == 1
    asked, treated = task.pairs[positive & is_test], np.unique(task.pairs.loc[positive, "tail_index"])
    tails, weights = np.arange(task.sizes[1]), np.ones(task.sizes[1])
    if scheme == "disease":
        own = np.unique(asked["tail_index"])
        weights[np.setdiff1d(tails, treated)] = len(own) / len(treated)
        tails = np.sort(np.concatenate([own, np.setdiff1d(tails, treated)]))
    margins = pair_model.members(model, task.vectors, [sum(rounds)])(tails.astype(np.int32))[0]
    labels, taken = (np.zeros((task.sizes[1], task.sizes[0]), bool) for _ in range(2))
    labels[asked["tail_index"], asked["head_index"]] = True
    taken[task.taken.tails, task.taken.heads] = True
    row, head = np.nonzero((labels | ~taken)[tails])
    predicted = calibration.probabilities(margins[row, head], curve)
    label, tail = labels[tails[row], head].astype(np.int8), tails[row]
    found = calibration.reliability(predicted, label, weights[tail])
    means = (float(np.average(each, weights=weights[tail])) for each in (predicted, label))
    yield {"what": scheme, **dict(zip(("predicted", "found"), means, strict=True)), **found}
    for name, best in calibration.summarise_top_pairs(predicted, label, tail, weights[tail]).items():
        yield {"what": f"{scheme}, best", "tails": name, **best}


if __name__ == "__main__":
    main()
