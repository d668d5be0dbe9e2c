"""Time the neighbour sampler, compared with vectorised numpy code, and its share of a sampled training step.

    python benchmarks/sampling.py --json [--edges 3400000] [--batches 20] [--quick]

The graph is synthetic and has 67,000 nodes; fan-out and batch size are the defaults. The output is one JSON
object per line. `sampler`: milliseconds per batch (median) of both samplers, their ratio, and the number of
messages in a batch of each; the samplers run in turn. `step`, per width: milliseconds of a training step, and
the share of this time for drawing edges, negatives and neighbours.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import attention_graph  # puts scripts/ on the path
import numpy as np
from attention_measure import ENCODER, training_settings

from repurpose.config.sections import EncoderSettings
from repurpose.core import threads
from repurpose.hgt.sampling import Sampler
from repurpose.training import preparation
from repurpose.training.preparation import Job
from repurpose.training.steps import SampledSteps

SEED = 7
FANOUT, BATCH_SIZE = (16, 8), 1024  # config/config.yaml
WIDTHS = (64, 256)


def numpy_batch(
    sampler: Sampler, seeds: np.ndarray, hidden: np.ndarray, generator: np.random.Generator
) -> list[dict[str, np.ndarray]]:
    """The levels of `Sampler.batch` in numpy: each entry gets a random key, and the smallest are kept."""
    whole, edge = sampler.numbered.whole, sampler.numbered.target_edge
    nodes, levels = np.unique(seeds), []
    for fanout in sampler.fanout:
        start, degree = whole.target_ptr[nodes], np.diff(whole.target_ptr)[nodes]
        owner = np.repeat(np.arange(len(nodes)), degree)
        first = np.cumsum(degree) - degree
        entries = np.arange(degree.sum()) - np.repeat(first, degree) + np.repeat(start, degree)
        order = np.argsort(owner + generator.random(len(owner)))
        drawn = order[np.arange(len(owner)) - np.repeat(first, degree) < fanout]
        entries, owner = entries[drawn], owner[drawn]
        visible = ~np.isin(edge[entries], hidden)
        entries, owner = entries[visible], owner[visible]
        rows, target_rows = np.unique(whole.target_rows[entries], return_inverse=True)
        senders = whole.rows.node[rows]
        level_nodes = np.unique(np.concatenate([nodes, senders]))
        target = np.searchsorted(level_nodes, nodes)[owner]
        by_row = np.argsort(target_rows, kind="stable")
        node_of_row = np.searchsorted(level_nodes, senders)
        levels.append(
            {
                "nodes": level_nodes,
                "target_ptr": np.concatenate(
                    [[0], np.cumsum(np.bincount(target, minlength=len(level_nodes)))]
                ),
                "target_rows": target_rows,
                "row_ptr": np.concatenate([[0], np.cumsum(np.bincount(target_rows, minlength=len(rows)))]),
                "row_targets": target[by_row],
                "rows_of_node": np.argsort(node_of_row, kind="stable"),
                "type_bounds": np.searchsorted(rows, whole.rows.type_bounds),
            }
        )
        nodes = level_nodes
    return levels


def compare(steps: SampledSteps, batches: int) -> dict[str, Any]:
    """Milliseconds per batch of both samplers, which run in turn on the same seeds."""
    objective, sampler = steps.objective, steps.sampler
    generator = np.random.default_rng(SEED)
    seconds: dict[str, list[float]] = {"numba": [], "numpy": []}
    messages: dict[str, list[int]] = {"numba": [], "numpy": []}
    for number in range(batches + 1):
        edges = np.sort(generator.choice(steps.starts[-1], BATCH_SIZE, replace=False))
        cuts = np.searchsorted(edges, steps.starts)
        chosen = [edges[a:b] - s for a, b, s in zip(cuts[:-1], cuts[1:], steps.starts[:-1], strict=True)]
        seeds = objective.draw(chosen, generator).nodes
        batch, our_seconds = _timed(lambda s=seeds, e=edges, n=number: sampler.batch(s, e, n))
        peer, peer_seconds = _timed(lambda s=seeds, e=edges: numpy_batch(sampler, s, e, generator))
        if number:  # the first batch does not count, because caches are cold
            seconds["numba"].append(our_seconds)
            seconds["numpy"].append(peer_seconds)
            messages["numba"].append(sum(level.messages.edges for level in batch.levels))
            messages["numpy"].append(sum(len(level["target_rows"]) for level in peer))
    medians = {f"{name}_ms": 1000 * statistics.median(values) for name, values in seconds.items()}
    counts = {f"{name}_messages": round(statistics.mean(values)) for name, values in messages.items()}
    return {**medians, "ratio": medians["numpy_ms"] / medians["numba_ms"], **counts}


def share(steps: SampledSteps, batches: int) -> dict[str, Any]:
    """Milliseconds of a training step, and the shares of it for drawing."""
    spent = {"draw": 0.0, "batch": 0.0, "_numbers": 0.0}
    for instance, name in ((steps.objective, "draw"), (steps.sampler, "batch"), (steps, "_numbers")):
        setattr(instance, name, _counted(getattr(instance, name), spent, name))
    steps.take(1)
    spent.update(dict.fromkeys(spent, 0.0))
    started = time.perf_counter()
    for number in range(2, batches + 2):
        steps.take(number)
    total = time.perf_counter() - started
    return {
        "width": steps.model.settings.hidden_dim,
        "step_ms": 1000 * total / batches,
        "sampling_share": sum(spent.values()) / total,
        "neighbours_share": spent["batch"] / total,
    }


def _counted(call: Callable[..., Any], spent: dict[str, float], name: str) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        result, seconds = _timed(lambda: call(*arguments))
        spent[name] += seconds
        return result

    return timed


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = call()
    return result, time.perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Time the neighbour sampler.")
    parser.add_argument("--json", action="store_true", help="one JSON object per line (the only format)")
    parser.add_argument("--edges", type=int, default=3_400_000, help="directed edges of the graph")
    parser.add_argument("--nodes", type=int, default=67_000)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="a small graph, three batches")
    chosen = parser.parse_args(arguments)
    if chosen.quick:
        chosen.edges, chosen.nodes, chosen.batches = 200_000, 10_000, 3
    threads.limit(8)
    kg = attention_graph.synthetic(chosen.nodes, chosen.edges, seed=SEED)
    options = replace(training_settings(kg), batch_size=BATCH_SIZE, fanout=FANOUT)
    graph = {"nodes": chosen.nodes, "edges": chosen.edges, "threads": threads.current()}
    for width in WIDTHS:
        encoder = replace(ENCODER, hidden_dim=width, embedding_dim=2 * width)
        job = Job(kg, EncoderSettings(**vars(encoder)), options, "disease", "cpu", "sampled", SEED)
        steps, _ = preparation.prepare(job)
        if width == WIDTHS[0]:
            print(
                json.dumps({"sampler": "neighbours", **graph, **compare(steps, chosen.batches)}), flush=True
            )
        print(json.dumps({"step": "sampled", **graph, **share(steps, chosen.batches)}), flush=True)


if __name__ == "__main__":
    main()
