"""What a run will cost: seconds, memory and disk of each rule, from the size of the graph and the config.

Each figure is a constant and a sum of terms, such as edges times channels. Their coefficients were fitted by
benchmarks/costs.py to measured runs (costs.json), on a machine whose speed was measured at the same time;
seconds are scaled by the speed of this one.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

from repurpose.config.device import Device
from repurpose.config.sections import EncoderSettings
from repurpose.core import files
from repurpose.graph.graph import Graph
from repurpose.pairs import pairs

COEFFICIENTS = Path(__file__).with_name("costs.json")
MEASURES = ("seconds", "memory", "disk")  # disk and memory in bytes
# The speed is measured with a square matrix of this side and an array of this length, some times.
SIDE, LENGTH, REPEATS = 1500, 20_000_000, 5


@dataclass(frozen=True)
class Size:
    """The size of a graph: what the terms are made of.

    rows: of the edges table. edges: distinct message edges. relations: of messages. labelled: known
    treatments and known negatives.
    """

    rows: int
    nodes: int
    edges: int
    relations: int
    heads: int
    tails: int
    treatments: int
    labelled: int


class Cost(NamedTuple):
    """The cost of one job: seconds, peak bytes of memory, bytes of its files."""

    seconds: float
    memory: float
    disk: float


def size_of(kg: Graph, target: Any, rows: int) -> Size:
    """The size of a graph; rows: of its edges table. target: config section."""
    messages = kg.of_role("message")
    labelled = pairs.label(kg, target)
    return Size(
        rows,
        kg.nodes,
        sum(len(kg.heads[index]) for index in messages),
        len(messages),
        kg.count(target.head_type),
        kg.count(target.tail_type),
        int((labelled["label"] == 1).sum()),
        len(labelled),
    )


Config = Mapping[str, Any]
Term = Callable[[Size, Config], float]


def _layers(size: Size, config: Config) -> float:
    """Numbers that one pass of the encoder moves over the edges."""
    return size.edges * config["hgt"]["hidden_dim"] * config["hgt"]["layers"]


def _linear_algebra(size: Size, config: Config) -> float:
    """Numbers that SVD and profiles move over the edges."""
    settings = EncoderSettings(**config["hgt"])
    return size.edges * (settings.svd_size + settings.profile_dim)


def _table(size: Size, config: Config) -> float:
    """Numbers of the table of vectors."""
    return size.nodes * config["hgt"]["embedding_dim"]


def _steps(size: Size, config: Config) -> float:
    return config["training"]["epochs"] * _layers(size, config)


def _supervised(size: Size, config: Config) -> float:
    """Numbers of the edges that all steps predict, at most a sample of each relation."""
    sample = min(size.edges, size.relations * config["training"]["edge_sample_size"])
    return config["training"]["epochs"] * sample * config["hgt"]["hidden_dim"]


def _examples(size: Size, config: Config) -> float:
    """Examples of all draws and schemes."""
    classifier, schemes = config["classifier"], len(config["split"]["schemes"])
    return schemes * classifier["draws"] * size.treatments * (1 + classifier["negatives_per_positive"])


def _grown(size: Size, config: Config) -> float:
    """Examples times features; a member of the ensemble reads its part of the columns."""
    return _examples(size, config) * config["hgt"]["embedding_dim"] / 100


def _negatives(size: Size, config: Config) -> float:
    """Known negatives times features; without any, there is no model of them."""
    return (size.labelled - size.treatments) * config["hgt"]["embedding_dim"]


def _ranked(size: Size, config: Config) -> float:
    """Unknown pairs that the test pairs of all schemes are ranked among."""
    return len(config["split"]["schemes"]) * min(
        _pairs(size, config), config["classifier"]["evaluation_pairs"]
    )


def _pairs(size: Size, _config: Config) -> float:
    return float(size.heads * size.tails)


def _kept(size: Size, config: Config) -> float:
    """Pairs that candidates.parquet keeps."""
    per_tail = config["candidates"]["per_tail"] or size.heads
    return size.tails * min(per_tail, size.heads)


def _explained(size: Size, config: Config) -> float:
    return float(min(config["evidence"]["explained"], _kept(size, config)))


def _listed(size: Size, config: Config) -> float:
    return float(size.tails * min(config["evidence"]["per_tail"], size.heads))


def _shown(size: Size, config: Config) -> float:
    top = config["candidates"]["in_report"]
    return float(size.tails * min(top, size.heads) + size.heads * min(top, size.tails))


def _rows(size: Size, _config: Config) -> float:
    return float(size.rows)


def _nodes(size: Size, _config: Config) -> float:
    return float(size.nodes)


def _edges(size: Size, _config: Config) -> float:
    return float(size.edges)


def _labelled(size: Size, config: Config) -> float:
    return float(size.labelled * len(config["split"]["schemes"]))


# The terms of each rule, for all three measures. A rule that is not here costs less than a second.
TERMS: dict[str, tuple[Term, ...]] = {
    "build_demo": (_rows,),
    "build_graph": (_rows, _nodes),
    "split_pairs": (_labelled, _edges),
    "train_metapaths": (_pairs, _edges, _examples),
    "encode_untrained": (_layers, _linear_algebra, _table),
    "train_embeddings": (_steps, _supervised, _linear_algebra, _table),
    "measure_embeddings": (_layers, _linear_algebra, _table),
    "project_embeddings": (_table,),
    "train_baselines": (_grown, _examples, _ranked, _linear_algebra),
    "train_classifier": (_grown, _examples, _ranked, _pairs, _table),
    "train_contraindications": (_negatives,),
    "rank_candidates": (_pairs, _kept, _table),
    "explain_candidates": (_edges, _explained, _listed, _pairs),
    "write_summary": (_nodes, _shown, _listed),
}
PER_RUN = (
    "train_embeddings",
    "measure_embeddings",
    "project_embeddings",
    "train_classifier",
    "train_contraindications",
    "rank_candidates",
    "explain_candidates",
)


def fit(
    rule: str, sizes: Sequence[Size], configs: Sequence[Config], measured: Sequence[float]
) -> list[float]:
    """Coefficients (1 + terms) that are not negative and have the least relative squares of errors."""
    design = np.array(
        [
            [1.0, *(term(size, config) for term in TERMS[rule])]
            for size, config in zip(sizes, configs, strict=True)
        ]
    )
    scale = np.maximum(design.max(axis=0), 1e-12)
    target = np.array(measured, float)
    weights = 1 / np.maximum(target, 1e-12)
    found, _ = nnls(design / scale * weights[:, None], target * weights)
    return (found / scale).tolist()


def predict(rule: str, size: Size, config: Config, coefficients: Mapping[str, Any], speed: float) -> Cost:
    """The cost of one job of a rule; speed: of this machine, relative to that of the coefficients."""
    values = [1.0, *(term(size, config) for term in TERMS[rule])]
    seconds, memory, disk = (float(np.dot(values, coefficients["rules"][rule][name])) for name in MEASURES)
    return Cost(seconds / speed, memory, disk)


def plan(
    size: Size, config: Config, coefficients: Mapping[str, Any], speed: float
) -> dict[str, tuple[int, Cost]]:
    """The jobs of a run that makes everything: rule -> number of its jobs, cost of one."""
    runs = Device.parse_all(config)
    skipped = {"build_demo"} if config["edges"] != "demo" else set()
    if not {"metapaths", "specificity"} & set(config["classifier"]["parts"]):
        skipped.add("train_metapaths")
    result = {}
    for rule in TERMS:
        jobs = len(runs) if rule in PER_RUN else 1
        if rule == "train_embeddings":
            jobs = sum(run.trains for run in runs)
        if jobs and rule not in skipped:
            result[rule] = (jobs, predict(rule, size, config, coefficients, speed))
    return result


def load() -> dict[str, Any]:
    """The coefficients, the speed of the machine that they were fitted on, and its number of cores."""
    return files.read_json(COEFFICIENTS)


def speed() -> float:
    """The speed of this machine: products of small matrices and sums of a large array, per second.

    The best of REPEATS short measurements, of one process with the threads that it may use.
    """
    square = np.linspace(-1, 1, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    flat = np.linspace(-1, 1, LENGTH, dtype=np.float32)
    best = 0.0
    for _ in range(REPEATS):
        begin = time.perf_counter()
        square @ square
        flat.cumsum()
        best = max(best, 1 / (time.perf_counter() - begin))
    return best
