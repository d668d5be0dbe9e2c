"""The training loop: steps over the whole graph or samples of it, the best state on held-out edges kept."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from repurpose import checkpoint, devices, graph, hgt, losses, selftest
from repurpose.errors import StoppedError
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
    on_resume: Callable[[list[Row]], None] | None = None,
    checkpoints: checkpoint.Folder | None = None,
    is_stopping: Callable[[], bool] = bool,
) -> Result:
    """Train one encoder on the message relations of `kg` on one torch device, `batching` full or sampled.

    `on_step` receives one row of the history after each step, and the number of steps; `on_resume` the
    rows before the first step where the training goes on from one of `checkpoints`. The record has
    status `completed`; or with reason and remedy `refused`, where the sampler failed its self-test, or
    `diverged`, where the loss stopped being a number. The vectors are those of the best state on the
    held-out validation edges. Raises StoppedError, after a checkpoint, when `is_stopping` says so.
    """
    started = time.perf_counter()
    steps = prepare(kg, encoder, settings, tail_type=tail_type, device=device, batching=batching, seed=seed)
    total, valid_every = plan(settings, batching, steps.per_epoch)
    run = _Run(steps, valid_every, started)
    failure = proof(kg, steps, seed)
    if failure:
        return _refused(kg, encoder, run, failure)
    before = checkpoints.latest() if checkpoints else None
    if before and before.step > total:
        logging.info(
            "starting afresh: the checkpoint has %d steps, more than the %d asked", before.step, total
        )
    elif before:
        run.resume(before)
        logging.info("resumed at step %d of %d", before.step, total)
        if on_resume:
            on_resume(run.rows)
    while run.step < total:
        row = run.advance()
        if row["total"] is None:
            on_step(row, total)
            break
        asked = is_stopping() and run.step < total
        if checkpoints and (asked or run.step == total or checkpoints.is_due()):
            checkpoints.write(run.state())
        if asked:
            raise StoppedError(
                f"stopped at step {run.step} of {total} as asked; the same command goes on from there"
            )
        if run.step == total:
            run.validate()
        on_step(row, total)
    return _ended(kg, run, checkpoints)


class _Run:
    """A training under way: its steps, its history and its best state so far."""

    def __init__(self, steps: FullSteps | SampledSteps, valid_every: int, started: float) -> None:
        self.steps, self.valid_every, self.started = steps, valid_every, started
        self.step, self.edges_seen = 0, 0
        self.rows: list[Row] = []
        self.best: dict[str, Tensor] | None = None
        self.best_step, self.best_auroc = 0, None

    def advance(self) -> Row:
        """Take one step; its row, with losses of None where the loss was no number."""
        self.step += 1
        terms, predicted = self.steps.take(self.step)
        self.edges_seen += predicted
        epoch = -(-self.step // self.steps.per_epoch)
        figures = {**_values(terms), "valid_auroc": None, "seconds": time.perf_counter() - self.started}
        self.rows.append({"step": self.step, "epoch": epoch, "edges_seen": self.edges_seen, **figures})
        if self.step % self.valid_every == 0:
            self.validate()
        return self.rows[-1]

    def validate(self) -> None:
        """Put the AUROC of held-out edges into the last row, unless it is there, and keep the best state."""
        row, model = self.rows[-1], self.steps.model
        if row["valid_auroc"] is not None or row["total"] is None:
            return
        auroc = row["valid_auroc"] = self.steps.objective.auroc(model, self.steps.embed())
        row["seconds"] = time.perf_counter() - self.started
        if auroc is not None and (self.best_auroc is None or auroc > self.best_auroc):
            self.best_auroc, self.best_step = auroc, self.step
            self.best = {name: value.detach().clone() for name, value in model.state_dict().items()}

    def state(self) -> checkpoint.State:
        """Everything that the next step depends on, and what has been found so far."""
        tensors = checkpoint.named("steps", self.steps.tensors()) | checkpoint.named("best", self.best or {})
        facts = {
            "rows": [list(row.values()) for row in self.rows],
            "columns": list(self.rows[-1]),
            "best_step": self.best_step,
            "best_auroc": self.best_auroc,
            "edges_seen": self.edges_seen,
            "contrastive_floor": self.steps.objective.contrastive_floor,
            "seconds": time.perf_counter() - self.started,
        }
        return checkpoint.State(self.step, tensors, facts)

    def resume(self, state: checkpoint.State) -> None:
        """Stand where `state` was taken."""
        self.steps.restore(checkpoint.part("steps", state.tensors))
        self.best = checkpoint.part("best", state.tensors) or None
        facts = state.facts
        self.rows = [dict(zip(facts["columns"], values, strict=True)) for values in facts["rows"]]
        self.step, self.edges_seen = state.step, facts["edges_seen"]
        self.best_step, self.best_auroc = facts["best_step"], facts["best_auroc"]
        self.steps.objective.contrastive_floor = facts["contrastive_floor"]
        self.started -= facts["seconds"]

    def record(self, status: str, reason: str = "", remedy: str = "") -> dict[str, Any]:
        """The content of training.json that training knows."""
        objective = self.steps.objective
        return {
            "status": status,
            "reason": reason,
            "remedy": remedy,
            "floor": losses.LINK_FLOOR,
            "contrastive_floor": objective.contrastive_floor,
            "steps": self.step,
            "best_step": self.best_step,
            "best_valid_auroc": self.best_auroc,
            "edges_seen": self.edges_seen,
            "final_link": self.rows[-1]["link"] if status == "completed" and self.rows else None,
            "seconds": time.perf_counter() - self.started,
            "peak_rss_bytes": devices.peak_rss_bytes(),
            "notes": objective.notes,
        }


def _ended(kg: Graph, run: _Run, checkpoints: checkpoint.Folder | None) -> Result:
    """The vectors of the best state, and how the training ended."""
    model, outcome = run.steps.model, ("completed",)
    if run.rows and run.rows[-1]["total"] is None:
        outcome = "diverged", f"the loss was no number at step {run.step}", "lower training.learning_rate"
        if checkpoints:
            checkpoints.clear()
    if run.best is not None:
        model.load_state_dict(run.best)
    z = run.steps.embed().float().cpu().numpy()
    vectors = {t: z[graph.span(kg, t)] for t in kg.node_types}
    return Result(vectors, run.record(*outcome), model)


def _refused(kg: Graph, encoder: hgt.Settings, run: _Run, failure: selftest.Failure) -> Result:
    reason = f"the sampler failed its self-test, check '{failure.check}': {failure.seen}"
    remedy = "this is a fault of the program: report it, and train with full batching meanwhile"
    nothing = {t: np.zeros((0, encoder.embedding_dim), np.float32) for t in kg.node_types}
    return Result(nothing, run.record("refused", reason, remedy), run.steps.model)


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
        logging.info("the sampler passed its self-test in %.1f s", time.perf_counter() - started)
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
