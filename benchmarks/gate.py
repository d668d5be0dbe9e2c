"""What the gate must tell apart: healthy embeddings and broken ones, of the demo's graph and of a real one.

    python benchmarks/gate.py --graph results/graph --name demo --rows gate.jsonl
    python benchmarks/gate.py --graph het --name hetionet --config benchmarks/hetionet.yaml --rows gate.jsonl
    python benchmarks/row_files.py gate.jsonl benchmarks/rows/gate.parquet
    python benchmarks/gate.py --document docs/gate.md

Each case is a row of --rows: its measures, those of its null and of its layers, and how its training ended. A
rerun goes on where the last one stopped. The verdicts come from the rows with the thresholds of the config,
which can so be changed without a training. `--document` writes the tables between its marks.
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
from repurpose.core import threads
from repurpose.gate import gate, quality
from repurpose.graph import graph, matrices, subgraph
from repurpose.graph.graph import Graph, GraphFiles
from repurpose.hgt import hgt
from repurpose.training import preparation, training

PROJECT = Path(__file__).resolve().parents[1]
SEEDS = 4
# What the replaced system asked of its embeddings.
MAX_COSINE, MIN_COMPONENTS, MAX_LOSS = 0.5, 15, 0.35
BEGIN, END = "<!-- written by benchmarks/gate.py -->", "<!-- end -->"
PLAIN = {"inputs": "learned", "svd_dim": 0, "profile_dim": 0}
COMPLETED = {"status": "completed", "reason": "", "remedy": "", "notes": []}
Vectors = Mapping[str, np.ndarray]


class Made(NamedTuple):
    """Vectors, the record of their training, the encoder whose null they stand beside, their seed."""

    vectors: Vectors
    record: Mapping[str, Any]
    encoder: hgt.Settings
    seed: int


@dataclass
class Bench:
    """A graph, its config and the trainings that several cases share."""

    name: str
    kg: Graph
    config: Mapping[str, Any]
    kept: dict[str, Any] = field(default_factory=dict)

    def encoder(self, **changes: Any) -> hgt.Settings:
        """The config's encoder with changes."""
        return hgt.Settings(**{**self.config["hgt"], **changes})

    def options(self, **changes: Any) -> training.Settings:
        """The config's training with changes."""
        return training.Settings(**{**settings.learned(self.config["training"]), **changes})

    @property
    def where(self) -> dict[str, Any]:
        """What every training is told beside its settings."""
        return {"tail_type": self.config["target"]["tail_type"], "device": "cpu"}

    def fit(self, seed: int, batching: str = "full", kg: Graph | None = None, **changes: Any) -> Made:
        """A training as the workflow makes it; changes of the encoder."""
        encoder = self.encoder(**changes)
        result = training.fit(
            kg or self.kg,
            encoder,
            self.options(),
            **self.where,
            batching=batching,
            seed=seed,
            on_step=lambda row, steps: None,
        )
        return Made(result.vectors, result.record, encoder, seed)

    def base(self) -> Made:
        """The training of the config with seed 0, which the broken ones are made of."""
        if "base" not in self.kept:
            self.kept["base"] = self.fit(0)
        return self.kept["base"]

    def loose(
        self,
        steps: int,
        change: Callable[[Any], None] = lambda steps: None,
        kg: Graph | None = None,
        rate: float | None = None,
        **changes: Any,
    ) -> Made:
        """Some steps without preflight and watchdog, which would refuse what is to be shown to the gate."""
        options = self.options(**({"learning_rate": rate} if rate else {}))
        taken = preparation.prepare(
            kg or self.kg, self.encoder(**changes), options, **self.where, batching="full", seed=0
        )
        change(taken)
        for step in range(1, steps + 1):
            terms, _ = taken.take(step)
        rows = taken.model.vectors(taken.embed()).numpy()
        record = {**COMPLETED, "final_link": float(terms.link) if steps else None}
        return self.base()._replace(
            vectors={t: rows[self.kg.span(t)] for t in self.kg.node_types},
            record=record,
            encoder=self.encoder(**changes),
        )

    def changed(self, change: Callable[[Vectors, np.random.Generator], Vectors]) -> Made:
        """The base's vectors, changed."""
        made = self.base()
        return made._replace(
            vectors=change(made.vectors, np.random.default_rng(7)), record=COMPLETED | {"final_link": None}
        )


def healthy(bench: Bench) -> Iterator[tuple[str, Callable[[], Made]]]:
    """Trainings that candidates may come from."""
    width = bench.config["hgt"]["hidden_dim"]
    yield "seed 0", bench.base
    for seed in range(1, SEEDS):
        yield f"seed {seed}", lambda seed=seed: bench.fit(seed)
    for seed in range(2):
        yield f"half as wide, seed {seed}", lambda seed=seed: bench.fit(seed, **widths(width // 2, bench))
    yield "twice as wide", lambda: bench.fit(0, **widths(2 * width, bench))
    for seed in range(2):
        yield f"sampled, seed {seed}", lambda seed=seed: bench.fit(seed, batching="sampled")
    yield "PyG's layer, as on a GPU", lambda: bench.fit(1, attention="pyg")
    yield "random inputs", lambda: bench.fit(0, inputs="learned")
    yield "no linear algebra", lambda: bench.fit(0, **PLAIN, embedding_dim=2 * width)
    yield "3 layers", lambda: bench.fit(0, layers=3)


def broken(bench: Bench) -> Iterator[tuple[str, Callable[[], Made]]]:
    """What candidates must not come from."""
    total, width = bench.config["training"]["epochs"], bench.config["hgt"]["hidden_dim"]
    yield "untrained", lambda: bench.loose(0)
    yield "untrained, random inputs", lambda: bench.loose(0, inputs="learned")
    yield "stopped at 5 % of the steps", lambda: bench.loose(max(1, total // 20))
    yield "stopped at 5 %, random inputs", lambda: bench.loose(max(1, total // 20), inputs="learned")
    yield "untrained, no linear algebra", lambda: bench.loose(0, **PLAIN, embedding_dim=2 * width)
    yield "constant input", lambda: bench.loose(total, constant)
    yield "shuffled edges", lambda: bench.loose(total, kg=subgraph.shuffle_edges(bench.kg, 5))
    yield "8 layers that only pass on", lambda: bench.loose(total, passing, layers=8)
    yield "neighbours' mean, 8 times", lambda: bench.changed(lambda v, g: smoothed(bench.kg, v, 8))
    yield "learning rate 1", lambda: bench.loose(min(total, 30), rate=1.0)
    yield "rank 1", lambda: bench.changed(lambda v, g: projected(v, 1, g))
    yield "rank 2", lambda: bench.changed(lambda v, g: projected(v, 2, g))
    yield "random numbers", lambda: bench.changed(lambda v, g: noisy(v, 1e6, g))
    for size in (2.0, 4.0):
        yield f"noise of {size:g} sd", lambda size=size: bench.changed(lambda v, g: noisy(v, size, g))
    yield "rows of each type in another order", lambda: bench.changed(permuted)
    yield "rows of each type moved by one", lambda: bench.changed(moved)
    for t in (bench.config["target"][key] for key in ("head_type", "tail_type")):
        yield (
            f"rows of {t} in another order",
            lambda t=t: bench.changed(lambda v, g: v | {t: permuted(v, g)[t]}),
        )
    yield "rows by an id that repeats across types", lambda: bench.changed(mixed)
    yield "NaN in one row", lambda: bench.changed(spoiled)


def widths(hidden: int, bench: Bench) -> dict[str, int]:
    """An encoder's widths, in the proportion of the config's."""
    own = bench.config["hgt"]
    scaled = {
        key: own[key] * hidden // own["hidden_dim"] for key in ("embedding_dim", "svd_dim", "profile_dim")
    }
    return {"hidden_dim": hidden} | scaled


@torch.no_grad()
def constant(steps: Any) -> None:
    """One input for all nodes of a type, that stays."""
    model = steps.model
    for first, last in zip(model.bounds, model.bounds[1:], strict=False):
        model.inputs[first:last] = model.inputs[first]
    model.inputs.requires_grad_(False)


@torch.no_grad()
def passing(steps: Any) -> None:
    """Layers that keep nothing of a node's own state: their gates are open and stay so."""
    for layer in steps.model.layers:
        for name in layer.skip:
            layer.skip[name].fill_(20.0).requires_grad_(False)


def smoothed(kg: Graph, vectors: Vectors, times: int) -> Vectors:
    """The mean of a node's neighbours, some times over."""
    adjacency = matrices.adjacency(kg, kg.message_edges())
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    mean = sparse.diags_array(1 / np.maximum(degree, 1)) @ adjacency
    rows = np.concatenate([vectors[t] for t in kg.node_types])
    for _ in range(times):
        rows = mean @ rows
    return {t: rows[kg.span(t)].astype(np.float32) for t in kg.node_types}


def projected(vectors: Vectors, rank: int, generator: np.random.Generator) -> Vectors:
    """The first principal components of each type alone, and a little noise."""
    result = {}
    for t, rows in vectors.items():
        mean = rows.mean(axis=0)
        _, directions = np.linalg.eigh((rows - mean).T @ (rows - mean))
        kept = directions[:, -rank:]
        flat = (rows - mean) @ kept @ kept.T + mean
        result[t] = (flat + 1e-4 * generator.normal(size=rows.shape)).astype(np.float32)
    return result


def noisy(vectors: Vectors, size: float, generator: np.random.Generator) -> Vectors:
    """Normal noise, `size` times the standard deviation of each type's numbers."""
    return {
        t: (rows + size * rows.std() * generator.normal(size=rows.shape)).astype(np.float32)
        for t, rows in vectors.items()
    }


def permuted(vectors: Vectors, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """The rows of each type dealt out anew."""
    return {t: generator.permutation(rows) for t, rows in vectors.items()}


def moved(vectors: Vectors, generator: np.random.Generator) -> Vectors:
    """The rows of each type moved by one."""
    return {t: np.roll(rows, 1, axis=0) for t, rows in vectors.items()}


def mixed(vectors: Vectors, generator: np.random.Generator) -> Vectors:
    """Rows under a number that every type counts from zero: the last type to have it wins."""
    table = np.zeros((max(map(len, vectors.values())), next(iter(vectors.values())).shape[1]), np.float32)
    for rows in vectors.values():
        table[: len(rows)] = rows
    return {t: table[: len(rows)] for t, rows in vectors.items()}


def spoiled(vectors: Vectors, generator: np.random.Generator) -> Vectors:
    """One number that is none."""
    result = {t: rows.copy() for t, rows in vectors.items()}
    next(iter(result.values()))[0, 0] = np.nan
    return result


def main() -> None:
    """Add the cases that are not yet in the rows, then judge all rows."""
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
    for each in judged:
        print(json.dumps(each) if options.json else line(each))


def add(bench: Bench, paths: Sequence[Path], wanted: str = "") -> None:
    """Measure what is not there yet."""
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


def measured(bench: Bench, made: Made) -> dict[str, Any]:
    """The measures of a case as the workflow takes them."""
    share = bench.config["training"]["valid_share"]
    options = {
        "tail_type": bench.config["target"]["tail_type"],
        "contrastive": bench.config["training"]["contrastive"],
        "valid_share": share,
        "seed": made.seed,
    }
    dim = next(iter(made.vectors.values())).shape[1]
    key = f"null {made.seed} {made.encoder.hidden_dim} {made.encoder.layers} {dim}"
    if key not in bench.kept:
        null = quality.encode_untrained(bench.kg, made.encoder, dim, share, made.seed)
        bench.kept[key] = quality.measure(bench.kg, null, **options)
    found, layers = quality.measure(bench.kg, made.vectors, **options), None
    if found["types"]:
        own = f"layers {made.seed} {made.encoder}"
        if own not in bench.kept:
            bench.kept[own] = quality.measure_untrained_layers(bench.kg, made.encoder, share, made.seed)
        layers = quality.measure_layers(
            bench.kg, made.vectors, made.encoder, share, made.seed, null=bench.kept[own]
        )
    return {
        "measured": found,
        "null": bench.kept[key],
        "layers": layers,
        "record": {k: made.record.get(k) for k in ("status", "reason", "remedy", "final_link")},
    }


def write(path: Path, judged: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> None:
    """Put the tables between the document's marks."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{path} has no lines {BEGIN} and {END}: add them where the tables belong")
    path.write_text(f"{before}{BEGIN}\n\n{tables(judged)}\n\n{END}{after}", encoding="utf-8")


def tables(judged: Sequence[Mapping[str, Any]]) -> str:
    """How many pass, check by check and by the classic thresholds; then every case."""
    lines = ["| | healthy that fail | broken that pass |", "|---|---|---|"]
    healthy_ones, broken_ones = (
        [each for each in judged if each["healthy"] == kind] for kind in (True, False)
    )
    counts = f"of {len(healthy_ones)}", f"of {len(broken_ones)}"

    def counted(name: str, fails: Callable[[Mapping[str, Any]], bool]) -> str:
        wrong = sum(map(fails, healthy_ones)), sum(not fails(each) for each in broken_ones)
        return f"| {name} | {wrong[0]} {counts[0]} | {wrong[1]} {counts[1]} |"

    lines.append(counted("**the gate**", lambda each: not each["passed"]))
    for name in dict.fromkeys(name for each in judged for name in each["leads"]):
        lines.append(counted(f"`{name}` alone", lambda each, name=name: name in each["failed"]))
    said = {
        "mean_cosine": f"mean cosine at most {MAX_COSINE}",
        "final_loss": f"final loss at most {MAX_LOSS}",
    }
    said["components_at_90"] = f"at least {MIN_COMPONENTS} components for 90 %"
    for name, words in said.items():
        lines.append(counted(f"classic: {words}", lambda each, name=name: each["classic"][name] is False))
    lines += [
        "",
        "| graph | case | verdict | mean cosine | components | final loss |",
        "|---|---|---|---|---|---|",
    ]
    for each in judged:
        verdict = "passes" if each["passed"] else f"fails {', '.join(each['failed'])}"
        wrong = "" if each["passed"] == each["healthy"] else " (**wrong**)"
        figures = [
            "" if each["values"][key] is None else f"{each['values'][key]:.2f}"
            for key in ("mean_cosine", "components_at_90", "final_loss")
        ]
        kind = "healthy" if each["healthy"] else "broken"
        lines.append(
            f"| {each['graph']} | {kind}: {each['case']} | {verdict}{wrong} | {' | '.join(figures)} |"
        )
    return "\n".join(lines)


def judge(row: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict on a row: which checks failed, and what the classic thresholds would have said."""
    record = {"reason": "", "remedy": "", **{k: v for k, v in row["record"].items() if v is not None}}
    verdict = gate.judge(
        row["case"], row["measured"], row["null"], record, gate.Thresholds(**config["gate"]), row["layers"]
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
    """How far a check is above its threshold."""
    known = check["value"] is not None and check["threshold"] is not None
    return check["value"] - check["threshold"] if known else None


def line(judged: Mapping[str, Any]) -> str:
    """One case as text."""
    wanted = "healthy" if judged["healthy"] else "broken"
    said = "passes" if judged["passed"] else f"fails {', '.join(judged['failed'])}"
    leads = "  ".join(f"{k} {v:+.3f}" for k, v in judged["leads"].items() if v is not None)
    mark = "" if judged["passed"] == judged["healthy"] else "  <-- WRONG"
    return f"{judged['graph']}: {wanted}: {judged['case']}: {said}{mark}\n    {leads}"


if __name__ == "__main__":
    main()
