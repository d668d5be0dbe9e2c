"""Compare embeddings of this project and of peers, on the same pairs and with the same classifier.

    python benchmarks/quality.py --edges kg.csv --config my.yaml --methods degree svd hgt --seeds 5 --json

All relations between the two target types are removed from the graph, so that one embedding per method and
seed can be used for every split. Each split has five folds over the positive pairs: random pairs, whole
diseases held out (ranked among the held-out ones), or whole drugs held out. The variant of a method is chosen
on validation pairs within the training folds, and only the chosen one is tested. Each training and each test
is a row of --rows; a rerun continues where the last run stopped. With --development the test pairs are
others, which are for choices of settings (see `development` in quality_protocol.py). DeepWalk, DistMult,
ComplEx and RotatE need envs/benchmarks.txt.
"""

import argparse
import dataclasses
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import quality_methods
import quality_protocol as protocol
import quality_rows
import row_files
from safetensors.numpy import load_file, save_file
from threadpoolctl import threadpool_limits

import build_graph
from repurpose.config import settings
from repurpose.config.sections import ClassifierSettings, GraphSettings, Target
from repurpose.core import threads
from repurpose.pairs import pairs
from repurpose.training import devices
from repurpose.vectors.vectors import Vectors

PROJECT = Path(__file__).resolve().parents[1]
BLOCKS = ("head_blocks", "tail_blocks")  # in a file of vectors: the last columns of their blocks


def main() -> None:
    """Run the trainings and tests that have no row yet, then print the summary of all rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edges", help="edges table; the config's if not given")
    parser.add_argument("--nodes", help="nodes table; the config's if not given")
    parser.add_argument("--config", nargs="*", default=[], type=Path, help="overlays")
    parser.add_argument(
        "--methods", nargs="*", choices=list(quality_methods.METHODS), default=["degree", "svd", "hgt"]
    )
    parser.add_argument("--schemes", nargs="+", choices=pairs.SCHEMES, default=list(pairs.SCHEMES))
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first-seed", type=int, default=0, help="they count up from this one")
    parser.add_argument("--classifiers", nargs="+", choices=protocol.CLASSIFIERS, default=["trees", "both"])
    parser.add_argument(
        "--minutes", type=float, default=30, help="training time of a method that has no end of its own"
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        type=Path,
        default=[Path("results/quality/rows.jsonl")],
        help="files of rows, .jsonl or .parquet: all are read, new rows go to the last",
    )
    parser.add_argument("--device", default="cpu", help="where HGT and the models of PyKEEN train")
    parser.add_argument("--vectors", type=Path, default=Path("results/quality/vectors"))
    parser.add_argument(
        "--label", help="what the rows call the method hgt, where the config makes another of it"
    )
    parser.add_argument("--reference", default="svd", help="what the others' differences are taken from")
    parser.add_argument("--development", action="store_true", help="other pairs, to make choices by")
    parser.add_argument("--figure", type=Path, help="draw quality against training seconds")
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    parser.add_argument("--train", nargs=2, metavar=("METHOD", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train or options.methods:
        measure(options)
    if not options.train:
        rows = row_files.read(*options.rows)
        report(rows, quality_rows.positives(rows), options)


def measure(options: argparse.Namespace) -> None:
    """Run the trainings and tests that have no row yet; with --train, train one method in this process."""
    config = settings.load([PROJECT / "config" / "config.yaml", *options.config])
    for key in ("edges", "nodes"):
        config[key] = getattr(options, key) or config[key]
    used = threads.limit(8)
    section, target = GraphSettings(**config["graph"]), Target(**config["target"])
    kg = build_graph.read(config["edges"], config["nodes"], section, target).kg
    if options.train:
        method, seed = options.train
        seconds = 60 * options.minutes
        train(quality_methods.Job(kg, config, int(seed), seconds, options.device), method, options)
        return
    job = protocol.task(kg, Target(**config["target"]))
    if options.development:
        job = protocol.development(job)
    path, task = row_files.new_rows_file(options.rows), quality_rows.task_row(job)
    quality_rows.positives([*row_files.read(*options.rows), task])
    if not any(row["kind"] == "task" for row in row_files.read(path)):
        row_files.append(path, task)
    for method in options.methods:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            complete(options, config, job, method, seed, used)


def train(job: quality_methods.Job, method: str, options: argparse.Namespace) -> None:
    """Train one method in this process; write a file per variant and print the row of the training."""
    options.vectors.mkdir(parents=True, exist_ok=True)
    name = label(options, method)
    began, names = time.perf_counter(), []
    spent = 0.0  # seconds of writing files, which do not count as training
    for variant in quality_methods.METHODS[method](job):
        trained = time.perf_counter() - began - spent
        names.append({"variant": variant.name, "seconds": round(trained, 2), "product": variant.product})
        blocks = zip(BLOCKS, map(np.array, variant.blocks or ()), strict=False)
        save_file(
            {"heads": variant.heads, "tails": variant.tails, **dict(blocks)},
            options.vectors / file_name(name, job.seed, variant.name),
        )
        spent = time.perf_counter() - began - trained
    row = {"kind": "training", "method": name, "seed": job.seed, "device": job.device, "variants": names}
    print(json.dumps(row | {"seconds": names[-1]["seconds"], "peak_rss_bytes": devices.peak_rss_bytes()}))


def complete(
    options: argparse.Namespace,
    config: Mapping[str, Any],
    job: protocol.Task,
    method: str,
    seed: int,
    used: int,
) -> None:
    """Add the missing rows of one method and seed."""
    method_name = label(options, method)
    row_by_kind = {
        (row["kind"], row.get("scheme"), row.get("classifier")): row
        for row in row_files.read(*options.rows)
        if (row.get("method"), row.get("seed")) == (method_name, seed)
    }
    missing = [
        (scheme, names)
        for scheme in options.schemes
        if (names := [name for name in options.classifiers if ("test", scheme, name) not in row_by_kind])
    ]
    if not missing:
        return
    trained = row_by_kind.get(("training", None, None))
    variants = [variant["variant"] for variant in trained["variants"]] if trained else []
    has_files = all((options.vectors / file_name(method_name, seed, name)).exists() for name in variants)
    if trained is None or not has_files:
        trained = train_in_process(options, method, seed)
        if ("training", None, None) not in row_by_kind:
            row_files.append(options.rows[-1], trained)
    for scheme, names in missing:
        began = time.perf_counter()
        for row in test_rows(options.vectors, config, job, trained, scheme, names, used):
            row_files.append(options.rows[-1], row)
            metrics = {name: round(float(v[0]), 4) for name, v in quality_rows.metrics(row, job).items()}
            chosen = f"{method_name} {seed} {scheme} {row['classifier']} {row['variant']}"
            print(
                f"{chosen}: {metrics} after {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True
            )


def train_in_process(options: argparse.Namespace, method: str, seed: int) -> dict[str, Any]:
    """Train in a separate process, so that its peak memory is that of the method."""
    command = [sys.executable, __file__, "--train", method, seed, "--minutes", options.minutes]
    command += ["--vectors", options.vectors, "--device", options.device]
    for key in ("edges", "nodes", "label"):
        command += [f"--{key}", getattr(options, key)] if getattr(options, key) else []
    command += ["--config", *options.config] if options.config else []
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"training {method} with seed {seed} failed (above is what it said)")
    return json.loads(done.stdout.splitlines()[-1])


def test_rows(
    folder: Path,
    config: Mapping[str, Any],
    job: protocol.Task,
    trained: Mapping[str, Any],
    scheme: str,
    classifiers: Sequence[str],
    used: int,
) -> list[dict[str, Any]]:
    """One test row per classifier: the variant with the best validation AUPRC, and its ranks in every fold.

    Folds and random draws are the same for every method; they differ only by seed.
    """
    method, seed = trained["method"], trained["seed"]
    classifier_settings = dataclasses.replace(ClassifierSettings(**config["classifier"]), draws=1)
    of_fold = protocol.folds(job, scheme, seed)
    vectors = {variant["variant"]: load(folder, method, seed, variant) for variant in trained["variants"]}

    def validate(name: str, fold: int) -> dict[str, float]:
        split = protocol.valid_part(job, scheme, of_fold, fold, seed)
        results = protocol.ranks(
            job, vectors[name], scheme, split, classifier_settings, [seed, fold, 1], 1, 1
        )
        return {
            classifier: float(protocol.auprc(np.array(rank["above"]))[0])
            for classifier, rank in results.items()
        }

    def test(name: str, fold: int) -> dict[str, dict[str, Any]]:
        split, stream = protocol.test_part(job, of_fold, fold), [seed, fold, 0]
        results = protocol.ranks(
            job, vectors[name], scheme, split, classifier_settings, stream, protocol.DRAWS, 1
        )
        return {
            classifier: {"positions": split.asked.tolist(), **rank} for classifier, rank in results.items()
        }

    valid = {classifier: dict.fromkeys(vectors, 0.0) for classifier in classifiers}
    # One thread per fold, because such a small fit is slower with several threads.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(used) as pool:
        for name in vectors if len(vectors) > 1 else ():
            scores = list(pool.map(partial(validate, name), range(protocol.FOLDS)))
            for classifier in classifiers:
                valid[classifier][name] = sum(score[classifier] for score in scores) / protocol.FOLDS
        best = {classifier: max(results, key=results.__getitem__) for classifier, results in valid.items()}
        folds = {
            name: list(pool.map(partial(test, name), range(protocol.FOLDS))) for name in set(best.values())
        }
    rows = []
    for classifier, name in best.items():
        row = {"kind": "test", "method": method, "seed": seed, "scheme": scheme, "classifier": classifier}
        row |= {"variant": name, "valid_auprc": valid[classifier] if len(vectors) > 1 else None}
        fold_results = [fold[classifier] for fold in folds[name]]
        rows.append(row | {key: [ranks[key] for ranks in fold_results] for key in fold_results[0]})
    return rows


def load(folder: Path, method: str, seed: int, variant: Mapping[str, Any]) -> Vectors:
    """Read the vectors of a variant from its file."""
    content = load_file(folder / file_name(method, seed, variant["variant"]))
    blocks = tuple(content[name].tolist() for name in BLOCKS) if BLOCKS[0] in content else None
    return Vectors(content["heads"], content["tails"], variant["product"], blocks)


def label(options: argparse.Namespace, method: str) -> str:
    """The name of a method in the rows."""
    return options.label if options.label and method == "hgt" else method


def file_name(method: str, seed: int, variant: str) -> str:
    """The name of the file with the vectors of a variant."""
    return f"{method}-{seed}-{variant.replace(' ', '_')}.safetensors"


def report(rows: list[dict[str, Any]], job: protocol.Positives, options: argparse.Namespace) -> None:
    """Print the summary and draw the figure."""
    entries = list(summaries(rows, job, options.schemes, options.classifiers, options.reference))
    if options.figure:
        quality_rows.draw(entries, options.figure)
    if options.json:
        for entry in entries:
            print(json.dumps(entry))
    else:
        print(quality_rows.table(entries, options.reference))


def summaries(
    rows: list[dict[str, Any]],
    job: protocol.Positives,
    schemes: Sequence[str],
    classifiers: Sequence[str],
    reference: str,
) -> Iterator[dict[str, Any]]:
    """One entry per split, classifier and method, with seconds and memory of its training."""
    for scheme, classifier in itertools.product(schemes, classifiers):
        rows_of_classifier = [row for row in rows if row.get("classifier") in (classifier, None)]
        for entry in quality_rows.summary(rows_of_classifier, job, scheme, reference):
            yield {"classifier": classifier} | entry | quality_rows.costs(rows, entry["method"])


if __name__ == "__main__":
    main()
