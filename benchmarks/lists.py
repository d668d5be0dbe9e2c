"""The list of one disease: methods compared by what a person sees who asks for a disease, or a drug.

    python benchmarks/lists.py --results results --config my.yaml --rows lists.jsonl --seeds 1 2 3 4 5

The embeddings of a finished run are used for all splits: no treatment is in the graph that they were trained
on. `disease`: in each of five folds, the treatments of a fifth of the treated diseases are hidden; validation
pairs are those of an eighth of the others. `random`: the same with single pairs. Methods: `whole` (the
workflow's score), `prior` (the same plus a share of the drug's mean score, the share chosen on validation
pairs), `embedding` (its parts that read embeddings), `metapaths` (its other parts), `previous`
(trees and six times the kernel, the score before version 2), `popularity` (number of known treatments of a
drug), and the embedding's parts on other vectors: `svd` (a truncated SVD), `untrained` (an encoder that was
not trained), `no_layers` (the file without the columns of the encoder output), `degree`; `votes` and `paths`
are the workflow's baselines. `whole_no_layers` is the whole score with the vectors of `no_layers`: `whole`
less this is what the encoder adds to linear algebra, metapaths and votes.

With --untreated RELATION, the pairs of a relation that is neither in the graph nor among the labels are a
test of the diseases without a treatment, by the model of all treatments: for Hetionet,
compound_palliates_disease.

Each fold is one row per method, with the metrics of each disease. A rerun continues where the last run
stopped. At the end, the table is printed: means over diseases, and over seeds; differences to `whole` with 95
% intervals that draw diseases.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import pandas as pd
import row_files

from repurpose.candidates import likeness
from repurpose.classifier import (
    classifier,
    metapath_baselines,
    metapath_fits,
    pair_model,
    popularity_baseline,
)
from repurpose.classifier.classifier import EXTERNAL, Fit, Task
from repurpose.classifier.list_weights import EMBEDDED, ListWeights
from repurpose.config import settings
from repurpose.config.sections import ClassifierSettings, Target
from repurpose.core import streams, threads
from repurpose.evaluation import evaluation, popularity
from repurpose.graph import graph
from repurpose.graph.graph import Graph, GraphFiles
from repurpose.pairs import pairs, unknown
from repurpose.vectors import baselines
from repurpose.vectors.vectors import Vectors

PROJECT = Path(__file__).resolve().parents[1]
FOLDS = 5
VALID = 8  # one of so many of the other diseases, or pairs, is for validation
METRICS = ("ap", "mrr_of_first", "recall_at_10", "recall_at_50", "ndcg_at_10")
METHODS = (
    *("whole", "prior", "embedding", "metapaths", "previous", "votes", "paths"),
    *("whole_no_layers", "svd", "no_layers", "untrained", "degree", "popularity"),
)
# Shares of a drug's mean score that may be subtracted; a negative one favours popular drugs.
SHARES = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5)
PREVIOUS_KERNEL = 6.0  # the kernel's weight in benchmarks/hetionet.yaml before version 2


@dataclass(frozen=True)
class Bench:
    """What all folds share; other_vectors: of the methods that do not read the run's embeddings."""

    kg: Graph
    types: tuple[str, str]
    task: Task
    other_vectors: Mapping[str, Vectors]


def main() -> None:
    """Measure what has no row yet, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--config", nargs="*", default=[], type=Path, help="the overlays of that run")
    parser.add_argument("--rows", nargs="+", type=Path, default=[Path("results/lists.jsonl")])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1])
    parser.add_argument("--schemes", nargs="*", default=["disease", "random"], choices=["disease", "random"])
    parser.add_argument("--untreated", help="a relation that is a test of diseases without a treatment")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--reference", choices=METHODS, default="whole", help="of the differences")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.seeds:
        measure(options)
    for row in table(row_files.read(*options.rows), options.reference):
        print(json.dumps(row))


def measure(options: argparse.Namespace) -> None:
    """Append a row for each method, split and seed that has none."""
    config = settings.load([PROJECT / "config" / "config.yaml", *options.config])
    bench = read(options.results, options.device, config, threads.limit(options.threads), options.methods)
    path = row_files.new_rows_file(options.rows)
    for seed in options.seeds:
        for scheme in options.schemes:
            for fold in range(FOLDS):
                wanted = missing(options, seed, scheme, fold)
                if wanted:
                    labels = fold_labels(bench.task.pairs, scheme, fold, seed)
                    for row in tested(bench, scheme, labels, seed, wanted):
                        row_files.append(path, {"seed": seed, "scheme": scheme, "fold": fold, **row})
        wanted = missing(options, seed, "untreated", 0) if options.untreated else []
        for row in untreated(bench, options.untreated, seed, wanted) if wanted else []:
            row_files.append(path, {"seed": seed, "scheme": "untreated", "fold": 0, **row})


def missing(options: argparse.Namespace, seed: int, scheme: str, fold: int) -> list[str]:
    """The methods that have no row yet."""
    done = {
        row["method"]
        for row in row_files.read(*options.rows)
        if (row["seed"], row["scheme"], row["fold"]) == (seed, scheme, fold)
    }
    return [method for method in options.methods if method not in done]


def read(
    results: Path, device: str, config: Mapping[str, Any], n_threads: int, methods: Sequence[str]
) -> Bench:
    """The graph, pairs and vectors of a run that these methods need."""
    kg, target = graph.load(GraphFiles.in_folder(results / "graph")), Target(**config["target"])
    classifier_settings = ClassifierSettings(**config["classifier"])
    labelled = pairs.load(results / "pairs" / "pairs.parquet")
    vectors = Vectors.read(results / "embeddings" / device / "embeddings.parquet", kg, target.types)
    known = pairs.known(kg, *target.types)
    task = Task(vectors, labelled, known, classifier_settings, 0, n_threads)
    makers = {
        "svd": lambda: Vectors.from_rows(
            baselines.svd(kg, classifier_settings.svd_dim, config["seed"]), target.types
        ),
        "no_layers": vectors.without_layers,
        "whole_no_layers": vectors.without_layers,
        "untrained": lambda: Vectors.read(results / "baselines" / "untrained.parquet", kg, target.types),
        "degree": lambda: Vectors(
            *(baselines.degree_features(kg, node_type) for node_type in target.types), product=False
        ),
    }
    other_vectors = {method: make() for method, make in makers.items() if method in methods}
    return Bench(kg, target.types, task, other_vectors)


def fold_labels(labelled: pd.DataFrame, scheme: str, fold: int, seed: int) -> np.ndarray:
    """The split of each labelled pair in a fold: train, valid or test."""
    rng = streams.generator(seed, "folds of the benchmark", pairs.SCHEMES.index(scheme))
    groups = labelled["tail_index"].to_numpy() if scheme == "disease" else np.arange(len(labelled))
    names, group_of_pair = np.unique(groups, return_inverse=True)
    order = rng.permutation(len(names))
    fold_of_group = np.empty(len(names), np.int64)
    fold_of_group[order] = np.arange(len(names)) % FOLDS
    is_valid = (rng.permutation(len(names)) % VALID) == 0
    is_test = fold_of_group == fold
    split = np.where(is_test, "test", np.where(is_valid, "valid", "train")).astype(object)
    return split[group_of_pair]


def tested(
    bench: Bench, scheme: str, labels: np.ndarray, seed: int, methods: list[str]
) -> Iterator[dict[str, Any]]:
    """The row of each method on one split."""
    for method, (task, fits) in fitted(bench, {scheme: labels}, seed, methods).items():
        yield {"method": method, **metrics_by_tail(task, fits[scheme])}


def fitted(
    bench: Bench,
    labels_by_scheme: Mapping[str, np.ndarray],
    seed: int,
    methods: list[str],
    tests: pd.DataFrame | None = None,
) -> dict[str, tuple[Task, dict[str, Fit]]]:
    """Method -> its task, and scheme -> fit; tests: external pairs, for the scheme EXTERNAL."""
    columns = [name for name in bench.task.pairs if name not in pairs.ALL_SCHEMES]
    labelled = bench.task.pairs[columns].assign(**labels_by_scheme)
    task = replace(bench.task, pairs=labelled, seed=seed)
    if tests is not None:
        # To the model they are unknown pairs like any others.
        task = replace(task, external_pairs=tests, known=unknown.without(task.known, tests))
    task = with_metapaths(bench, task)
    whole = classifier.evaluate_all(task)
    fits = {"whole": (task, whole)}
    if "embedding" in methods:
        fits["embedding"] = task, classifier.ablated(task, whole, EMBEDDED)
    if "previous" in methods:
        fits["previous"] = task, {scheme: previous(task, scheme, fit) for scheme, fit in whole.items()}
    if set(metapath_baselines.METHODS) & set(methods):
        found = metapath_baselines.evaluate_all(task, bench.types)
        fits |= {method: (task, fit_by_scheme) for method, fit_by_scheme in found.items()}
    for method, vectors in bench.other_vectors.items():
        if method in methods:
            alone = replace(task, vectors=vectors)
            if method != "whole_no_layers":
                alone = replace(alone, metapaths=None)
            if method == "degree":
                alone = replace(alone, settings=replace(task.settings, parts=["trees"]))
            fits[method] = alone, classifier.evaluate_all(alone)
    if "prior" in methods:
        fits["prior"] = task, with_prior(task, whole)
    if "popularity" in methods:
        fits["popularity"] = task, popularity_baseline.evaluate_all(task)
    return {method: fit for method, fit in fits.items() if method in methods}


def with_prior(task: Task, fits: Mapping[str, Fit]) -> dict[str, Fit]:
    """The tests ranked by the score less a share of the drug's mean score, chosen on validation pairs.

    The external pairs have the share of the scheme `disease`.
    """
    result: dict[str, Fit] = {}
    chosen: dict[str, float] = {}
    for scheme, fit in fits.items():
        score, mean = pair_model.scorer(fit.model, task.vectors, task.threads), head_means(task, fit)
        if scheme == EXTERNAL:
            chosen[scheme] = chosen["disease"]
        else:
            split = task.pairs[scheme].replace({"valid": "test", "test": "set aside"})
            validation = replace(task, pairs=task.pairs.assign(**{scheme: split}))
            ap = {
                share: evaluation.values_by_tail(
                    classifier.rank_tests(validation, scheme, popularity.corrected(score, mean, share))[0]
                )["ap"].mean()
                for share in SHARES
            }
            chosen[scheme] = max(ap, key=ap.__getitem__)
        corrected = popularity.corrected(score, mean, chosen[scheme])
        ranked, metrics = classifier.rank_tests(task, scheme, corrected)
        result[scheme] = fit._replace(ranked=ranked, metrics={**metrics, "share": chosen[scheme]})
    return result


def head_means(task: Task, fit: Fit) -> np.ndarray:
    """The mean score of each head over tails, float32 (heads,)."""
    score = pair_model.members(fit.model, task.vectors, [sum(fit.rounds)])
    return popularity.means(lambda tails: score(tails)[0], task.sizes[1], task.seed)


def with_metapaths(bench: Bench, task: Task) -> Task:
    """The task with the models on metapaths for its schemes, and for all pairs if there are tests."""
    fits = metapath_fits.fit_all(
        bench.kg,
        bench.types,
        task.pairs,
        task.known,
        longest=task.settings.metapath_steps,
        kept=task.settings.metapaths_kept,
        seed=task.seed,
        threads=task.threads,
        final=bool(len(task.external_pairs)),
        has_folds=False,
    )
    return replace(task, metapaths=fits)


def previous(task: Task, scheme: str, fit: Fit) -> Fit:
    """The fit with the weights of the score before version 2."""
    weights = np.array([1, PREVIOUS_KERNEL], np.float32)
    fixed = ListWeights.of_lists(EMBEDDED, weights, weights, task.sizes)
    model = fit.model._replace(weights=fixed, metapaths=None)
    return classifier.tested(task, scheme, fit._replace(model=model))


def untreated(bench: Bench, relation: str, seed: int, methods: list[str]) -> Iterator[dict[str, Any]]:
    """The row of each method on the tails without a treatment that have pairs of a relation.

    AUROC and the lists' likeness are added; the lists are those of all tails without a treatment.
    """
    labelled = bench.task.pairs.drop(columns=[name for name in pairs.ALL_SCHEMES if name in bench.task.pairs])
    split = pairs.split(labelled, pairs.SCHEMES, 0.1, 0.2, seed)
    labels_by_scheme = {scheme: split[scheme].to_numpy() for scheme in pairs.SCHEMES}
    head_type, tail_type = bench.types
    target = Target(head_type=head_type, tail_type=tail_type, positive=[relation], negative=[])
    tests = pairs.label(bench.kg, target)[["head_index", "tail_index", "label"]]
    all_tails = np.arange(bench.task.sizes[1], dtype=np.int32)
    asked = np.setdiff1d(all_tails, pairs.treated(labelled)[1])
    tests = tests[tests["tail_index"].isin(asked)].reset_index(drop=True)
    for method, (task, fits) in fitted(bench, labels_by_scheme, seed, methods, tests).items():
        fit = fits[EXTERNAL]
        scores = list_scores(method, task, fit, asked)
        lists = np.argsort(-scores, axis=1, kind="stable")[:, : likeness.PLACES]
        alike = likeness.describe(lists, task.vectors.tails[asked], seed)
        yield {
            "method": method,
            **metrics_by_tail(task, fit),
            "heads": alike["heads"],
            "share": alike["share"],
        }


def list_scores(method: str, task: Task, fit: Fit, tails: np.ndarray) -> np.ndarray:
    """Scores (m, heads) of tails (m,) by the model of all treatments."""
    if method == "popularity":
        heads = np.arange(task.sizes[0])
        of_heads = popularity_baseline.scorer(task, EXTERNAL)(heads, np.zeros_like(heads))[0]
        return np.tile(of_heads, (len(tails), 1))
    score = pair_model.part_matrix(fit.model, task.vectors)
    scores = fit.model.weights.combined(score(tails), None, tails)[0]
    return scores - fit.metrics["share"] * head_means(task, fit) if method == "prior" else scores


def metrics_by_tail(task: Task, fit: Fit) -> dict[str, list[float]]:
    """The tails of a test, and each metric of each tail, with its AUROC among all heads."""
    values = evaluation.values_by_tail(fit.ranked)
    positives = fit.ranked.frame[fit.ranked.frame["label"] == 1]
    known = np.bincount(task.taken.tails, minlength=task.sizes[1])
    unknown_pairs = task.sizes[0] - known[positives["tail_index"]]
    below = 1 - (positives["tail_above"] + positives["tail_tied"] / 2) / unknown_pairs
    auroc = below.groupby(positives["tail_index"]).mean()
    return {
        "tails": values.index.tolist(),
        **{metric: values[metric].tolist() for metric in METRICS},
        "auroc": auroc.loc[values.index].tolist(),
    }


def table(rows: list[dict[str, Any]], reference: str) -> Iterator[dict[str, Any]]:
    """One row for each scheme and method: means over tails and seeds, and differences to the reference.

    A tail's value is its mean over seeds; the intervals draw tails. lowest: the lowest mean of a seed.
    """
    for scheme in dict.fromkeys(row["scheme"] for row in rows):
        of_scheme = [row for row in rows if row["scheme"] == scheme]
        frames = {
            method: pd.concat(
                pd.DataFrame({"seed": row["seed"], "tail": row["tails"], **{m: row[m] for m in metrics(row)}})
                for row in of_scheme
                if row["method"] == method
            )
            for method in dict.fromkeys(row["method"] for row in of_scheme)
        }
        base = frames.get(reference)
        for method, frame in frames.items():
            by_seed = frame.groupby("seed")[list(metrics(frame))].mean()
            line = {"scheme": scheme, "method": method, "seeds": len(by_seed)}
            line |= {"tails": int(frame["tail"].nunique())}
            line |= {metric: round(float(by_seed[metric].mean()), 4) for metric in by_seed}
            line["lowest"] = {
                metric: round(float(by_seed[metric].min()), 4) for metric in ("ap", "mrr_of_first")
            }
            alike = [row for row in of_scheme if row["method"] == method and "heads" in row]
            if alike:
                line |= {key: float(np.mean([row[key] for row in alike])) for key in ("heads", "share")}
            if base is not None and method != reference:
                line["less_than_reference"] = {
                    metric: difference(base, frame, metric)
                    for metric in ("ap", "mrr_of_first", "recall_at_50")
                }
            yield line


def metrics(row: Any) -> list[str]:
    """The metrics of a row, or of a frame of rows."""
    return [name for name in (*METRICS, "auroc") if name in row]


def difference(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> list[float]:
    """Mean difference of two methods over tails, and its 95 % interval."""
    means = [
        frame.groupby(["tail", "seed"])[metric].mean().groupby("tail").mean() for frame in (first, second)
    ]
    values = (means[0] - means[1]).dropna().to_numpy()
    draws = streams.generator(0, "intervals of the benchmark").integers(len(values), size=(1000, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return [round(float(number), 4) for number in (values.mean(), low, high)]


if __name__ == "__main__":
    main()
