"""Test the gate on healthy and on broken embeddings of the demo graph and of a real graph.

    python benchmarks/gate.py --graph results/graph --name demo --rows gate.jsonl
    python benchmarks/gate.py --graph het --name hetionet --config benchmarks/hetionet.yaml --rows gate.jsonl
    python benchmarks/row_files.py gate.jsonl benchmarks/rows/gate.parquet
    python benchmarks/gate.py --document docs/gate.md

Each case is a row of --rows: its measures, those of its null model and of its encoder output, and the status
of its training. A rerun continues where the last run stopped. The verdicts are computed from the rows with
the thresholds of the config, so thresholds can be changed without a new training. `--document` writes the
tables between the marks in that file.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import row_files
import torch
from scipy import sparse

from repurpose.config import settings
from repurpose.config.sections import ContrastiveSettings, EncoderSettings, GateSettings, TrainingSettings
from repurpose.core import threads
from repurpose.gate import gate, quality
from repurpose.graph import graph, matrices, subgraph
from repurpose.graph.graph import Graph, GraphFiles
from repurpose.training import preparation, training
from repurpose.training.preparation import Job

PROJECT = Path(__file__).resolve().parents[1]
SEEDS = 8
# Thresholds of the system that this project replaced.
MAX_COSINE, MIN_COMPONENTS, MAX_LOSS = 0.5, 15, 0.35
BEGIN, END = "<!-- written by benchmarks/gate.py -->", "<!-- end -->"
NO_LINEAR_ALGEBRA = {"inputs": "learned", "svd_dim": 0, "profile_dim": 0}
COMPLETED = {"status": "completed", "reason": "", "remedy": "", "notes": []}
Vectors = Mapping[str, np.ndarray]


class Trained(NamedTuple):
    """Vectors, the record of their training, the settings of the encoder for their null model, their seed."""

    vectors: Vectors
    record: Mapping[str, Any]
    encoder: EncoderSettings
    seed: int


@dataclass
class Bench:
    """A graph, its config and the trainings that several cases share."""

    name: str
    kg: Graph
    config: Mapping[str, Any]
    cache: dict[str, Any] = field(default_factory=dict)

    def encoder(self, **changes: Any) -> EncoderSettings:
        """The config's encoder with changes."""
        return EncoderSettings(**{**self.config["hgt"], **changes})

    def options(self, **changes: Any) -> TrainingSettings:
        """The config's training with changes."""
        return TrainingSettings(**{**self.config["training"], **changes})

    @property
    def fixed_options(self) -> dict[str, Any]:
        """The arguments of every training in addition to its settings."""
        return {"tail_type": self.config["target"]["tail_type"], "device": "cpu"}

    def job(self, encoder: EncoderSettings, options: TrainingSettings, kg: Graph | None, **where: Any) -> Job:
        """A training on the CPU."""
        return Job(kg or self.kg, encoder, options, **self.fixed_options, **where)

    def fit(self, seed: int, batching: str = "full", kg: Graph | None = None, **changes: Any) -> Trained:
        """Train as the workflow does; `changes` are settings of the encoder."""
        encoder = self.encoder(**changes)
        job = self.job(encoder, self.options(), kg, batching=batching, seed=seed)
        result = training.fit(job, on_step=lambda row, steps: None)
        return Trained(result.vectors, result.record, encoder, seed)

    def base(self, seed: int = 0) -> Trained:
        """The training of the config; changes of its vectors give most broken cases."""
        key = f"base {seed}"
        if key not in self.cache:
            self.cache[key] = self.fit(seed)
        return self.cache[key]

    def train_without_checks(
        self,
        steps: int,
        change: Callable[[Any], None] = lambda steps: None,
        kg: Graph | None = None,
        rate: float | None = None,
        seed: int = 0,
        **changes: Any,
    ) -> Trained:
        """Train some steps without preflight and watchdog, which stop a broken training before the gate."""
        options = self.options(**({"learning_rate": rate} if rate else {}))
        training_steps, composition = preparation.prepare(
            self.job(self.encoder(**changes), options, kg, batching="full", seed=seed)
        )
        change(training_steps)
        for step in range(1, steps + 1):
            terms, _ = training_steps.take(step)
        rows = composition.compose(training_steps.embed()).numpy()
        record = {**COMPLETED, "final_link": float(terms.link) if steps else None}
        vectors = {t: rows[self.kg.span(t)] for t in self.kg.node_types}
        return Trained(vectors, record, self.encoder(**changes), seed)

    def changed(self, change: Callable[[Vectors, np.random.Generator], Vectors], seed: int = 0) -> Trained:
        """The vectors of `base` after a change."""
        trained = self.base(seed)
        return trained._replace(
            vectors=change(trained.vectors, np.random.default_rng(7)), record=COMPLETED | {"final_link": None}
        )


def healthy(bench: Bench) -> Iterator[tuple[str, Callable[[], Trained]]]:
    """Trainings that must pass the gate."""
    width = bench.config["hgt"]["hidden_dim"]
    yield "seed 0", bench.base
    for seed in range(1, SEEDS):
        yield f"seed {seed}", lambda seed=seed: bench.base(seed)
    for seed in range(2):
        yield f"half as wide, seed {seed}", lambda seed=seed: bench.fit(seed, **widths(width // 2, bench))
    yield "twice as wide", lambda: bench.fit(0, **widths(2 * width, bench))
    for seed in range(2):
        yield f"sampled, seed {seed}", lambda seed=seed: bench.fit(seed, batching="sampled")
    yield "PyG's layer, as on a GPU", lambda: bench.fit(1, attention="pyg")
    yield "random inputs", lambda: bench.fit(0, inputs="learned")
    yield "no linear algebra", lambda: bench.fit(0, **NO_LINEAR_ALGEBRA, embedding_dim=2 * width)
    yield "3 layers", lambda: bench.fit(0, layers=3)


def broken(bench: Bench) -> Iterator[tuple[str, Callable[[], Trained]]]:
    """Cases that must not pass the gate."""
    total, width = bench.config["training"]["epochs"], bench.config["hgt"]["hidden_dim"]
    yield "untrained", lambda: bench.train_without_checks(0)
    yield "untrained, random inputs", lambda: bench.train_without_checks(0, inputs="learned")
    yield "stopped at 5 % of the steps", lambda: bench.train_without_checks(max(1, total // 20))
    yield (
        "stopped at 5 %, random inputs",
        lambda: bench.train_without_checks(max(1, total // 20), inputs="learned"),
    )
    yield (
        "untrained, no linear algebra",
        lambda: bench.train_without_checks(0, **NO_LINEAR_ALGEBRA, embedding_dim=2 * width),
    )
    yield "constant input", lambda: bench.train_without_checks(total, freeze_constant_inputs)
    yield "shuffled edges", lambda: bench.train_without_checks(total, kg=subgraph.shuffle_edges(bench.kg, 5))
    yield "8 layers that only pass on", lambda: bench.train_without_checks(total, open_skip_gates, layers=8)
    yield "neighbours' mean, 8 times", lambda: bench.changed(lambda v, g: smooth(bench.kg, v, 8))
    yield "learning rate 1", lambda: bench.train_without_checks(min(total, 30), rate=1.0)
    yield "rank 1", lambda: bench.changed(lambda v, g: project(v, 1, g))
    yield "rank 2", lambda: bench.changed(lambda v, g: project(v, 2, g))
    yield "random numbers", lambda: bench.changed(lambda v, g: add_noise(v, 1e6, g))
    for size in (2.0, 4.0):
        yield f"noise of {size:g} sd", lambda size=size: bench.changed(lambda v, g: add_noise(v, size, g))
    yield "rows of each type in another order", lambda: bench.changed(permute)
    yield "rows of each type moved by one", lambda: bench.changed(shift)
    for t in (bench.config["target"][key] for key in ("head_type", "tail_type")):
        yield (
            f"rows of {t} in another order",
            lambda t=t: bench.changed(lambda v, g: v | {t: permute(v, g)[t]}),
        )
    yield "rows by an id that repeats across types", lambda: bench.changed(mix_types)
    yield "NaN in one row", lambda: bench.changed(spoil)
    # The two cases that only the gain over the inputs detects and that come nearest to its threshold.
    for seed in range(1, SEEDS):
        yield (
            f"stopped at 5 % of the steps, seed {seed}",
            lambda seed=seed: bench.train_without_checks(max(1, total // 20), seed=seed),
        )
        yield (
            f"neighbours' mean, 8 times, seed {seed}",
            lambda seed=seed: bench.changed(lambda v, g: smooth(bench.kg, v, 8), seed),
        )


def widths(hidden: int, bench: Bench) -> dict[str, int]:
    """Widths of an encoder with this hidden width, in the proportions of the config."""
    encoder = bench.config["hgt"]
    scaled = {
        key: encoder[key] * hidden // encoder["hidden_dim"]
        for key in ("embedding_dim", "svd_dim", "profile_dim")
    }
    return {"hidden_dim": hidden} | scaled


@torch.no_grad()
def freeze_constant_inputs(steps: Any) -> None:
    """Give all nodes of a type the same input, and do not train the inputs."""
    model = steps.model
    for first, last in zip(model.bounds, model.bounds[1:], strict=False):
        model.inputs[first:last] = model.inputs[first]
    model.inputs.requires_grad_(False)


@torch.no_grad()
def open_skip_gates(steps: Any) -> None:
    """Make layers that keep nothing of a node's own state: their skip gates are open and are not trained."""
    for layer in steps.model.layers:
        for name in layer.skip:
            layer.skip[name].fill_(20.0).requires_grad_(False)


def smooth(kg: Graph, vectors: Vectors, times: int) -> Vectors:
    """Replace the vector of each node by the mean of its neighbours, `times` times."""
    adjacency = matrices.adjacency(kg, kg.message_edges())
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    mean = sparse.diags_array(1 / np.maximum(degree, 1)) @ adjacency
    rows = np.concatenate([vectors[t] for t in kg.node_types])
    for _ in range(times):
        rows = mean @ rows
    return {t: rows[kg.span(t)].astype(np.float32) for t in kg.node_types}


def project(vectors: Vectors, rank: int, generator: np.random.Generator) -> Vectors:
    """Keep only the first `rank` principal components of each type, and add a little noise."""
    result = {}
    for t, rows in vectors.items():
        mean = rows.mean(axis=0)
        _, directions = np.linalg.eigh((rows - mean).T @ (rows - mean))
        kept = directions[:, -rank:]
        flat = (rows - mean) @ kept @ kept.T + mean
        result[t] = (flat + 1e-4 * generator.normal(size=rows.shape)).astype(np.float32)
    return result


def add_noise(vectors: Vectors, size: float, generator: np.random.Generator) -> Vectors:
    """Add normal noise of `size` times the standard deviation of each type."""
    return {
        t: (rows + size * rows.std() * generator.normal(size=rows.shape)).astype(np.float32)
        for t, rows in vectors.items()
    }


def permute(vectors: Vectors, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Shuffle the rows of each type."""
    return {t: generator.permutation(rows) for t, rows in vectors.items()}


def shift(vectors: Vectors, generator: np.random.Generator) -> Vectors:
    """Shift the rows of each type by one."""
    return {t: np.roll(rows, 1, axis=0) for t, rows in vectors.items()}


def mix_types(vectors: Vectors, generator: np.random.Generator) -> Vectors:
    """Look up rows by a number that starts at 0 in every type, so the last type overwrites the others."""
    table = np.zeros((max(map(len, vectors.values())), next(iter(vectors.values())).shape[1]), np.float32)
    for rows in vectors.values():
        table[: len(rows)] = rows
    return {t: table[: len(rows)] for t, rows in vectors.items()}


def spoil(vectors: Vectors, generator: np.random.Generator) -> Vectors:
    """Set one number to NaN."""
    result = {t: rows.copy() for t, rows in vectors.items()}
    next(iter(result.values()))[0, 0] = np.nan
    return result


def main() -> None:
    """Measure the cases that are not yet in the rows, then judge all rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--graph", type=Path, help="folder of a built graph; none: only judge the rows")
    parser.add_argument("--name", help="what the rows call the graph")
    parser.add_argument("--config", nargs="*", default=[], help="overlays")
    parser.add_argument("--cases", default="", help="regular expression of the cases to run")
    parser.add_argument(
        "--rows",
        nargs="+",
        type=Path,
        default=[PROJECT / "benchmarks" / "rows" / "gate.parquet"],
        help="files of rows, .jsonl or .parquet: all are read, new rows go to the last",
    )
    parser.add_argument("--document", type=Path, help="write the tables into it")
    parser.add_argument("--json", action="store_true", help="one JSON object per case")
    options = parser.parse_args()
    threads.limit(8)
    config = settings.load([PROJECT / "config" / "config.yaml", *options.config])
    if options.graph:
        kg = graph.load(GraphFiles.in_folder(options.graph))
        add(Bench(options.name or str(options.graph), kg, config), options.rows, options.cases)
    judged = [judge(row, config) for row in row_files.read(*options.rows)]
    if options.document:
        write(options.document, judged, config)
    for row in judged:
        print(json.dumps(row) if options.json else line(row))


def add(bench: Bench, paths: Sequence[Path], wanted: str = "") -> None:
    """Measure the cases that have no row yet."""
    path = row_files.new_rows_file(paths)
    have = {(row["graph"], row["case"]) for row in row_files.read(*paths)}
    for is_healthy, cases in ((True, healthy(bench)), (False, broken(bench))):
        for name, make in cases:
            if (bench.name, name) not in have and re.search(wanted, name):
                began = time.perf_counter()
                row = {"graph": bench.name, "case": name, "healthy": is_healthy, **measured(bench, make())}
                row_files.append(path, row)
                print(
                    f"{bench.name}: {name}, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True
                )


def measured(bench: Bench, trained: Trained) -> dict[str, Any]:
    """The measures of a case, computed as in the workflow."""
    share = bench.config["training"]["valid_share"]
    options = {
        "tail_type": bench.config["target"]["tail_type"],
        "contrastive": ContrastiveSettings(**bench.config["training"]["contrastive"]),
        "valid_share": share,
        "seed": trained.seed,
    }
    dim = next(iter(trained.vectors.values())).shape[1]
    null_key = f"null {trained.seed} {trained.encoder.hidden_dim} {trained.encoder.layers} {dim}"
    if null_key not in bench.cache:
        null = quality.encode_untrained(bench.kg, trained.encoder, dim, share, trained.seed)
        bench.cache[null_key] = quality.measure(bench.kg, null, **options)
    measures, layers = quality.measure(bench.kg, trained.vectors, **options), None
    if measures["types"]:
        layers_key = f"layers {trained.seed} {trained.encoder}"
        if layers_key not in bench.cache:
            bench.cache[layers_key] = quality.measure_untrained_layers(
                bench.kg, trained.encoder, share, trained.seed
            )
        layers = quality.measure_layers(
            bench.kg, trained.vectors, trained.encoder, share, trained.seed, null=bench.cache[layers_key]
        )
    return {
        "measured": measures,
        "null": bench.cache[null_key],
        "layers": layers,
        "record": {k: trained.record.get(k) for k in ("status", "reason", "remedy", "final_link")},
    }


def write(path: Path, judged: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> None:
    """Put the tables between the document's marks."""
    before, begin, after_begin = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = after_begin.partition(END)
    if not (begin and end):
        sys.exit(f"{path} has no lines {BEGIN} and {END}: add them where the tables belong")
    path.write_text(f"{before}{BEGIN}\n\n{tables(judged)}\n\n{END}{after}", encoding="utf-8")


def tables(judged: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: wrong verdicts by the gate, by each check and by each classic threshold; then all cases."""
    lines = ["| | healthy that fail | broken that pass |", "|---|---|---|"]
    healthy_ones, broken_ones = (
        [row for row in judged if row["healthy"] == is_healthy] for is_healthy in (True, False)
    )
    counts = f"of {len(healthy_ones)}", f"of {len(broken_ones)}"

    def counted(name: str, has_failed: Callable[[Mapping[str, Any]], bool]) -> str:
        wrong = sum(map(has_failed, healthy_ones)), sum(not has_failed(row) for row in broken_ones)
        return f"| {name} | {wrong[0]} {counts[0]} | {wrong[1]} {counts[1]} |"

    lines.append(counted("**the gate**", lambda row: not row["passed"]))
    for name in dict.fromkeys(name for row in judged for name in row["leads"]):
        lines.append(counted(f"`{name}` alone", lambda row, name=name: name in row["failed"]))
    descriptions = {
        "mean_cosine": f"mean cosine at most {MAX_COSINE}",
        "final_loss": f"final loss at most {MAX_LOSS}",
    }
    descriptions["components_at_90"] = f"at least {MIN_COMPONENTS} components for 90 %"
    for name, description in descriptions.items():
        lines.append(counted(f"classic: {description}", lambda row, name=name: row["classic"][name] is False))
    lines += [
        "",
        "| graph | case | verdict | mean cosine | components | final loss |",
        "|---|---|---|---|---|---|",
    ]
    for row in judged:
        verdict = "passes" if row["passed"] else f"fails {', '.join(row['failed'])}"
        wrong = "" if row["passed"] == row["healthy"] else " (**wrong**)"
        figures = [
            "" if row["values"][key] is None else f"{row['values'][key]:.2f}"
            for key in ("mean_cosine", "components_at_90", "final_loss")
        ]
        is_healthy = "healthy" if row["healthy"] else "broken"
        lines.append(
            f"| {row['graph']} | {is_healthy}: {row['case']} | {verdict}{wrong} | {' | '.join(figures)} |"
        )
    return "\n".join(lines)


def judge(row: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict on a row: the checks that failed, and the verdicts of the classic thresholds."""
    record = {"reason": "", "remedy": "", **{k: v for k, v in row["record"].items() if v is not None}}
    verdict = gate.judge(
        row["case"], row["measured"], row["null"], record, GateSettings(**config["gate"]), row["layers"]
    )
    classic = {
        "mean_cosine": _holds(verdict["classic"]["mean_cosine"], lambda value: value <= MAX_COSINE),
        "components_at_90": _holds(
            verdict["classic"]["components_at_90"], lambda value: value >= MIN_COMPONENTS
        ),
        "final_loss": _holds(verdict["classic"]["final_loss"], lambda value: value <= MAX_LOSS),
    }
    return {
        **{key: row[key] for key in ("graph", "case", "healthy")},
        "passed": verdict["passed"],
        "failed": [check["name"] for check in verdict["checks"] if not check["passed"]],
        "leads": {check["name"]: _lead(check) for check in verdict["checks"]},
        "values": verdict["classic"],
        "classic": classic,
    }


def _holds(value: float | None, test: Callable[[float], bool]) -> bool | None:
    return None if value is None else test(value)


def _lead(check: Mapping[str, Any]) -> float | None:
    """The value of a check minus its threshold."""
    known = check["value"] is not None and check["threshold"] is not None
    return check["value"] - check["threshold"] if known else None


def line(judged: Mapping[str, Any]) -> str:
    """One case as text."""
    kind = "healthy" if judged["healthy"] else "broken"
    verdict = "passes" if judged["passed"] else f"fails {', '.join(judged['failed'])}"
    leads = "  ".join(f"{k} {v:+.3f}" for k, v in judged["leads"].items() if v is not None)
    mark = "" if judged["passed"] == judged["healthy"] else "  <-- WRONG"
    return f"{judged['graph']}: {kind}: {judged['case']}: {verdict}{mark}\n    {leads}"


if __name__ == "__main__":
    main()
