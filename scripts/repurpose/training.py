"""The training loop: steps over the whole graph or samples of it, the best state on held-out edges kept."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from repurpose import devices, graph, hgt, losses, selftest
from repurpose.graph import Graph
from repurpose.objective import Objective, Settings, Terms
from repurpose.steps import FullSteps, SampledSteps

__all__ = ["Result", "Row", "Settings", "fit"]

Row = dict[str, float | int | None]
BATCHINGS = {"full": FullSteps, "sampled": SampledSteps}


@dataclass(frozen=True)
class Result:
    """What a training leaves: vectors per node type (nodes, d), none if it was refused; record and model."""

    vectors: dict[str, np.ndarray]
    record: dict[str, Any]
    model: hgt.HGT


def fit(
    kg: Graph,
    encoder: hgt.Settings,
    settings: Settings,
    *,
    tail_type: str,
    device: str,
    batching: str,
    seed: int,
    on_step: Callable[[Row, int], None],
) -> Result:
    """Train one encoder on the message relations of `kg` on one torch device, `batching` full or sampled.

    `on_step` receives one row of the history after each step, and the number of steps. The record has
    status `completed`; or with reason and remedy `refused`, where the sampler failed its self-test, or
    `diverged`, where the loss stopped being a number. The vectors are those of the best state on the
    held-out validation edges.
    """
    started = time.perf_counter()
    steps = prepare(kg, encoder, settings, tail_type=tail_type, device=device, batching=batching, seed=seed)
    model, objective = steps.model, steps.objective
    total, valid_every = plan(settings, batching, steps.per_epoch)
    status, reason, remedy = "completed", "", ""
    best, best_step, state, edges_seen, row = None, 0, None, 0, {}
    failure = proof(kg, steps, seed)
    if failure:
        status, total = "refused", 0
        reason = f"the sampler failed its self-test, check '{failure.check}': {failure.seen}"
        remedy = "this is a fault of the program: report it, and train with full batching meanwhile"
    for step in range(1, total + 1):
        terms, predicted = steps.take(step)
        edges_seen += predicted
        row = {"step": step, "epoch": -(-step // steps.per_epoch), "edges_seen": edges_seen, **_values(terms)}
        if row["total"] is None:
            status, reason = "diverged", f"the loss was {terms.total.item()} at step {step}"
            remedy = "lower training.learning_rate"
            on_step({**row, "valid_auroc": None, "seconds": _since(started)}, total)
            break
        validated = step % valid_every == 0 or step == total
        row["valid_auroc"] = objective.auroc(model, steps.embed()) if validated else None
        row["seconds"] = _since(started)
        on_step(row, total)
        if row["valid_auroc"] is not None and (best is None or row["valid_auroc"] > best):
            best, best_step = row["valid_auroc"], step
            state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    if state is not None:
        model.load_state_dict(state)
    if failure:
        vectors = {t: np.zeros((0, encoder.embedding_dim), np.float32) for t in kg.node_types}
    else:
        z = steps.embed().float().cpu().numpy()
        vectors = {t: z[graph.span(kg, t)] for t in kg.node_types}
    record = {
        "status": status,
        "reason": reason,
        "remedy": remedy,
        "floor": losses.LINK_FLOOR,
        "contrastive_floor": objective.contrastive_floor,
        "steps": row.get("step", 0),
        "best_step": best_step,
        "best_valid_auroc": best,
        "edges_seen": edges_seen,
        "final_link": row.get("link") if status == "completed" else None,
        "seconds": _since(started),
        "peak_rss_bytes": devices.peak_rss_bytes(),
        "notes": objective.notes,
    }
    return Result(vectors, record, model)


def prepare(
    kg: Graph,
    encoder: hgt.Settings,
    settings: Settings,
    *,
    tail_type: str,
    device: str,
    batching: str,
    seed: int,
) -> FullSteps | SampledSteps:
    """An untrained model, what it is to learn, and the steps that it takes."""
    objective = Objective(kg, settings, tail_type, seed)
    return BATCHINGS[batching](hgt.build(kg, encoder, seed, device), objective, settings, seed)


def proof(kg: Graph, steps: FullSteps | SampledSteps, seed: int) -> selftest.Failure | None:
    """What a sampler does wrong; None where nothing is wrong or nothing is sampled."""
    if isinstance(steps, FullSteps):
        return None
    started = time.perf_counter()
    train, size = steps.objective.held.train, steps.settings.batch_size
    failure = selftest.run(kg, steps.model, steps.sampler, train, size, seed)
    if not failure:
        logging.info("the sampler passed its self-test in %.1f s", _since(started))
    return failure


def plan(settings: Settings, batching: str, per_epoch: int) -> tuple[int, int]:
    """Number of steps of a training, and of those from one validation to the next."""
    if batching == "full":
        return settings.epochs, settings.valid_every
    return settings.sampled_epochs * per_epoch, max(settings.valid_every, per_epoch // 10)


def _values(terms: Terms) -> Row:
    """The losses as numbers, all None where the total is none."""
    if not math.isfinite(terms.total.item()):
        return dict.fromkeys(Terms._fields)
    return {name: None if term is None else term.item() for name, term in terms._asdict().items()}


def _since(started: float) -> float:
    return time.perf_counter() - started
