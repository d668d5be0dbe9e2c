"""Time the scoring of every pair of a graph: trees, kernel and best lists, compared with XGBoost's predict.

    python benchmarks/scoring.py --json
    python benchmarks/scoring.py --json --quick

The vectors are random and have the size of PrimeKG: 7,957 drugs and 17,080 diseases with 512 dimensions.
Pairs with a high planted product are treatments, and 300 trees of depth 6 are fitted to them as in the
workflow. XGBoost reads features that are written for a bounded number of pairs at a time. It scores the pairs
of some diseases, and its time is scaled to all; its margins must be those of our trees. The last line is the
full matrix, scored in a separate process: `seconds` of the rule without reading and writing, their `ratio` to
XGBoost's, the largest difference of a probability from XGBoost's by the trees alone, and peak memory. A
second model, the contraindication model, also scores the listed pairs; here it has the same trees.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import xgboost
from scipy.special import expit

from repurpose.candidates import by_head, candidates
from repurpose.classifier import kernel, pair_model, trees
from repurpose.classifier.list_weights import EMBEDDED, ListWeights
from repurpose.config.sections import Target
from repurpose.core import files, threads
from repurpose.graph import graph
from repurpose.pairs import pairs
from repurpose.training import devices
from repurpose.vectors.vectors import Vectors

FULL = {"heads": 7957, "tails": 17080, "width": 512, "rounds": 300, "positives": 9388, "timed": 1_000_000}
QUICK = {"heads": 1000, "tails": 800, "width": 64, "rounds": 50, "positives": 900, "timed": 100_000}
NEGATIVES = 20  # for each treatment
FACETS = 24  # planted dimensions of drugs and diseases; their product says how well a pair fits
TREES = {
    "objective": "binary:logistic",
    "max_depth": 6,
    "learning_rate": 0.1,
    "max_bin": 64,
    "colsample_bytree": 0.2,
}
FILES = ("trees.ubj", "kernel.safetensors")


def make(sizes: Mapping[str, int]) -> tuple[Vectors, tuple[np.ndarray, np.ndarray]]:
    """Vectors of unit length, and the treatments: of random pairs, those that fit best."""
    generator = np.random.default_rng(0)
    facets = [generator.normal(size=(sizes[side], FACETS)) for side in ("heads", "tails")]
    projection = generator.normal(size=(FACETS, sizes["width"]))
    rows = [
        facet_rows @ projection + generator.normal(size=(len(facet_rows), sizes["width"]))
        for facet_rows in facets
    ]
    rows = [
        (facet_rows / np.linalg.norm(facet_rows, axis=1, keepdims=True)).astype(np.float32)
        for facet_rows in rows
    ]
    drawn_pairs = [generator.integers(0, sizes[side], 50 * sizes["positives"]) for side in ("heads", "tails")]
    fit = (facets[0][drawn_pairs[0]] * facets[1][drawn_pairs[1]]).sum(axis=1) + generator.normal(
        size=len(drawn_pairs[0])
    )
    best = np.argsort(-fit)[: sizes["positives"]]
    return Vectors(*rows, product=True), (drawn_pairs[0][best], drawn_pairs[1][best])


def model(vectors: Vectors, positives: tuple[np.ndarray, np.ndarray], rounds: int) -> pair_model.Model:
    """Trees and a kernel, fitted to distinguish treatments from random other pairs."""
    generator = np.random.default_rng(1)
    random_pairs = [
        generator.integers(0, len(rows), NEGATIVES * len(positives[0]))
        for rows in (vectors.heads, vectors.tails)
    ]
    pair_indices = [np.concatenate(pair) for pair in zip(positives, random_pairs, strict=True)]
    labels = np.repeat([1, 0], [len(positives[0]), len(random_pairs[0])])
    data = xgboost.QuantileDMatrix(vectors.features(*pair_indices), labels, max_bin=TREES["max_bin"])
    booster = xgboost.train({**TREES, "learning_rate": 0.1, "nthread": threads.current()}, data, rounds)
    ridge = kernel.fit(vectors.heads, vectors.tails, positives, generator)
    return pair_model.Model(booster, ridge, None, weights(vectors))


def weights(vectors: Vectors) -> ListWeights:
    """The same weights of trees and kernel for all lists."""
    values, sizes = np.array([1, 2], np.float32), (len(vectors.heads), len(vectors.tails))
    return ListWeights.of_lists(EMBEDDED, values, values, sizes)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a call, and its result."""
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def xgboost_margins(
    booster: xgboost.Booster, vectors: Vectors, heads: np.ndarray, tails: np.ndarray
) -> np.ndarray:
    """XGBoost's margins of pairs; the features are written for a bounded number of pairs at a time."""
    booster.set_param({"nthread": threads.current()})
    step = pair_model.BLOCK_VALUES // booster.num_features()
    margins = []
    for first in range(0, len(heads), step):
        rows = vectors.features(heads[first : first + step], tails[first : first + step])
        margins.append(booster.inplace_predict(rows, predict_type="margin"))
    return np.concatenate(margins)


def compare_trees(folder: Path, sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """XGBoost and our trees on the same pairs, in turn; the shorter of two times counts for each."""
    vectors, fitted = _load(folder)
    tails = np.arange(-(-sizes["timed"] // sizes["heads"]), dtype=np.int32)
    pair_indices = (
        np.tile(np.arange(sizes["heads"], dtype=np.int32), len(tails)),
        np.repeat(tails, sizes["heads"]),
    )
    forest, heads = trees.read(fitted.booster, sizes["width"]), trees.columns(vectors.heads)
    calls = {
        "xgboost": lambda: xgboost_margins(fitted.booster, vectors, *pair_indices),
        "trees": lambda: trees.scores(forest, heads, vectors.tails[tails])[:, : sizes["heads"]].ravel(),
    }
    runs = [{name: timed(call) for name, call in calls.items()} for _ in range(2)]
    margins = {name: expit(runs[0][name][1].astype(np.float64)) for name in calls}
    scale = sizes["heads"] * sizes["tails"] / len(pair_indices[0])
    seconds = {name: min(run[name][0] for run in runs) * scale for name in calls}
    splits = int((forest.kind != trees.LEAF).sum()) / sizes["rounds"]
    difference = float(np.abs(margins["xgboost"] - margins["trees"]).max())
    return [
        {"what": "xgboost", "pairs_timed": len(pair_indices[0]), "seconds": seconds["xgboost"]},
        {
            "what": "trees",
            "pairs_timed": len(pair_indices[0]),
            "splits_per_tree": splits,
            "seconds": seconds["trees"],
            "ratio": seconds["xgboost"] / seconds["trees"],
            "max_difference": difference,
        },
    ]


def score_full_matrix(folder: Path, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Score the full matrix as the workflow does: the best 100 of each tail and the best 50 of each head."""
    vectors, fitted = _load(folder)
    ids = {t: np.array([f"{t}:{i}" for i in range(sizes[t])], object) for t in ("heads", "tails")}
    kg = graph.Graph(tuple(ids), ids, ids, (), (), ())
    none = np.zeros(0, np.int32)
    annotator = candidates.Annotator(
        kg,
        Target("heads", "tails", ["known"], []),
        pairs.Known(none, none, np.zeros(0, object)),
        {"margins": [0.0, 1.0], "log_odds": [0.0, 1.0]},
        np.zeros(sizes["tails"], bool),
        np.zeros(sizes["tails"], np.float32),
        tuple(np.full(sizes[side], "", object) for side in ("heads", "tails")),
        pair_model.tree_scorer(fitted.booster, vectors, threads.current()),
    )
    of_heads = by_head.HeadCollector(sizes["heads"], 50)

    def rank() -> int:
        score = pair_model.members(fitted, vectors, [sizes["rounds"]])
        tables = candidates.rank(score, annotator, per_tail=100, collectors=[of_heads])
        return sum(table.num_rows for table in tables) + of_heads.table(annotator).num_rows

    seconds, rows = timed(rank)
    return {"seconds": seconds, "rows": rows, "peak_rss_gb": devices.peak_rss_bytes() / 1e9}


def _load(folder: Path) -> tuple[Vectors, pair_model.Model]:
    rows = [np.load(folder / f"{side}.npy") for side in ("heads", "tails")]
    paths = [folder / name for name in FILES]
    vectors = Vectors(*rows, product=True)
    digests, of_lists = [files.digest(path) for path in paths], weights(vectors)
    trained = {"model_digests": digests, "weights": of_lists.described()}
    return vectors, pair_model.load(*paths, trained, None, of_lists.treated)


def main() -> None:
    """Make vectors and model, then run both measurements, each in a separate process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--quick", action="store_true", help="a small matrix, for a test")
    options = parser.parse_args()
    sizes = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vectors, positives = make(sizes)
        fitted = model(vectors, positives, sizes["rounds"])
        pair_model.save(fitted, *(folder / file_name for file_name in FILES))
        for side in ("heads", "tails"):
            np.save(folder / f"{side}.npy", getattr(vectors, side))
        process = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, process, max_tasks_per_child=1) as pool:
            rows = pool.submit(compare_trees, folder, sizes).result()
            full_matrix = pool.submit(score_full_matrix, folder, sizes).result()
    last = {"what": "full matrix", "pairs": sizes["heads"] * sizes["tails"], **full_matrix}
    last |= {
        "ratio": rows[0]["seconds"] / full_matrix["seconds"],
        "max_difference": rows[1]["max_difference"],
    }
    for row in [*rows, last]:
        print(json.dumps(row) if options.json else "  ".join(f"{k} {v}" for k, v in row.items()))


if __name__ == "__main__":
    main()
