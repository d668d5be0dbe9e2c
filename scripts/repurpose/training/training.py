"""A training from its preflight to its vectors: resumed, watched, its best state kept."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from repurpose.core.errors import StoppedError, is_out_of_memory
from repurpose.graph.graph import Graph
from repurpose.hgt import hgt
from repurpose.hgt.trained import Trained
from repurpose.training import checkpoint, devices, diagnosis, history, losses, memory, preflight, preparation
from repurpose.training.objective import Settings
from repurpose.training.preparation import Job
from repurpose.training.run import Row, Run
from repurpose.training.watchdog import Outcome, Watchdog
from repurpose.vectors.features import NodeFeatures

__all__ = ["Result", "Row", "Settings", "fit"]


@dataclass(frozen=True)
class Result:
    """What a training leaves: vectors per node type (nodes, d), none if it was refused, and its record.

    trained: the encoder behind the vectors. failure: facts and the last batch's pairs where it ended badly
    after its first step.
    """

    vectors: dict[str, np.ndarray]
    record: dict[str, Any]
    trained: Trained | None = None
    failure: tuple[dict[str, Any], pa.Table] | None = None


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
    given: Mapping[str, NodeFeatures] | None = None,
    results: Path | None = None,
) -> Result:
    """Train one encoder on the message relations of `kg` on one torch device, `batching` full or sampled.

    `on_step` receives one row of the history after each step, and the number of steps; `on_resume` the
    rows before the first step where the training goes on from one of `checkpoints`. given:
    vectors by node type that its inputs start from. The record has a status: `completed`, or
    with reason and remedy `refused` (preflight), `stalled`, `collapsed` or `diverged` (watchdog).
    results: the folder for what the training leaves, whose disk must have room for it. The
    vectors are those of the best state on the held-out validation edges. Raises StoppedError, after a
    checkpoint, when `is_stopping` says so.
    """
    started, held = time.perf_counter(), memory.peak(device, now=True)
    job = Job(kg, encoder, settings, tail_type, device, batching, seed)
    try:
        run, outcome = _started(job, given, checkpoints, results, started)
        if run is None:
            return _refused(job, outcome, started)
        if not _resumed(run, checkpoints, on_resume):
            outcome = run.begin()
        outcome = outcome or _take_steps(job, run, on_step, checkpoints, is_stopping, held)
        if outcome and outcome.status == "refused":
            return _refused(job, outcome, started, run.step)
        return _ended(job, run, outcome or Outcome("completed"), checkpoints)
    except (MemoryError, OSError, RuntimeError, ValueError) as error:
        if not is_out_of_memory(error):
            raise
        return _refused(job, preflight.out_of_memory(kg, encoder, device, batching, error, held), started)


def _started(
    job: Job,
    given: Mapping[str, NodeFeatures] | None,
    checkpoints: checkpoint.Folder | None,
    results: Path | None,
    started: float,
) -> tuple[Run | None, Outcome | None]:
    """The run before its first step; None, with the refusal, where the preflight ends it."""
    given = given or {}
    outcome = preflight.given({t: each.vectors for t, each in given.items()})
    outcome = outcome or preflight.room(job.kg, job.encoder, job.device, job.batching)
    outcome = outcome or preflight.disk(_on_disk(job, checkpoints, results))
    if outcome:
        return None, outcome
    steps = preparation.prepare(**vars(job), given=given)
    outcome = preflight.inputs(steps.model.inputs, steps.model.bounds, job.kg.node_types)
    outcome = outcome or preparation.proof(job.kg, steps, job.seed)
    if outcome:
        return None, outcome
    total, valid_every = preparation.plan(job.settings, job.batching, steps.per_epoch)
    watch = Watchdog(steps.objective, steps.model.bounds, total, lambda: preparation.no_signal(job))
    return Run(steps, watch, job.kg.node_types, total=total, valid_every=valid_every, started=started), None


def _on_disk(job: Job, checkpoints: checkpoint.Folder | None, results: Path | None) -> dict[Path, int]:
    """Bytes that will be written to the folders of the checkpoints and of the results."""
    needed = {}
    if checkpoints:
        one = memory.of_checkpoint(job.kg, job.encoder)
        # Earlier ones go when later ones come, but not before the first of these is whole.
        needed[checkpoints.path] = max(one, checkpoint.AT_ONCE * one - checkpoints.size())
    if results:
        needed[results] = memory.of_results(job.kg, job.encoder)
    return needed


def _take_steps(
    job: Job,
    run: Run,
    on_step: Callable[[Row, int], None],
    checkpoints: checkpoint.Folder | None,
    is_stopping: Callable[[], bool],
    held: int,
) -> Outcome | None:
    """All steps that are left; how the training ended if it was not well."""
    first, began, outcome = run.step, time.perf_counter(), None
    while run.step < run.total and outcome is None:
        outcome = run.advance()
        if outcome is None and run.step == first + preflight.MEASURED_STEPS:
            outcome = _forecast(job, run, (time.perf_counter() - began) / preflight.MEASURED_STEPS, held)
        if outcome is None:
            _keep(run, checkpoints, is_stopping() and run.step < run.total)
            if run.step < run.total:
                on_step(run.rows[-1], run.total)
    outcome = outcome or run.finish()
    on_step(run.rows[-1], run.total)
    return outcome


def _keep(run: Run, checkpoints: checkpoint.Folder | None, asked: bool) -> None:
    """Write a checkpoint where one is due; raises StoppedError where the training is `asked` to stop."""
    if checkpoints and (asked or run.step == run.total or checkpoints.is_due()):
        checkpoints.write(run.state())
    if asked:
        raise StoppedError(
            f"stopped at step {run.step} of {run.total} as asked; the same command goes on from there"
        )


def _resumed(
    run: Run, checkpoints: checkpoint.Folder | None, on_resume: Callable[[list[Row]], None] | None
) -> bool:
    """Whether the run goes on from a checkpoint."""
    before = checkpoints.latest() if checkpoints else None
    if before is None:
        return False
    if before.step > run.total:
        logging.info(
            "starting afresh: the checkpoint has %d steps, more than the %d asked", before.step, run.total
        )
        return False
    run.resume(before)
    logging.info("resumed at step %d of %d", before.step, run.total)
    if on_resume:
        # The last row of a whole training is still to be validated and comes as a step.
        on_resume(run.rows[:-1] if run.step == run.total else run.rows)
    return True


def _forecast(job: Job, run: Run, seconds: float, held: int) -> Outcome | None:
    """Say what steps of so many seconds mean for the rest, and refuse where memory is too small for it."""
    needed, outcome = preflight.after(job.kg, job.encoder, job.device, job.batching, held)
    logging.info(
        "%.2f s a step: about %s for the %d steps that are left, and a peak of %.2f GB of memory",
        seconds,
        history.duration(seconds * (run.total - run.step)),
        run.total - run.step,
        needed / 1e9,
    )
    return outcome


def _ended(job: Job, run: Run, outcome: Outcome, checkpoints: checkpoint.Folder | None) -> Result:
    """The vectors of the best state, and how the training ended."""
    failure = None
    if outcome.status != "completed":
        logging.error("%s: %s; %s", outcome.status, outcome.reason, outcome.remedy)
        failure = diagnosis.diagnose(job.kg, run.steps, run.steps.embed())
        if checkpoints:
            checkpoints.clear()
    if run.best is not None:
        run.steps.model.load_state_dict(run.best)
    z = run.steps.model.vectors(run.steps.embed()).float().cpu().numpy()
    vectors = {t: z[job.kg.span(t)] for t in job.kg.node_types}
    return Result(vectors, _record(outcome, run.seconds, run.facts(outcome)), run.trained(), failure)


def _refused(job: Job, outcome: Outcome, started: float, steps: int = 0) -> Result:
    """No vectors, and why."""
    logging.error("%s: %s; %s", outcome.status, outcome.reason, outcome.remedy)
    nothing = {t: np.zeros((0, job.encoder.embedding_dim), np.float32) for t in job.kg.node_types}
    facts = {
        "contrastive_floor": None,
        "steps": steps,
        "best_step": 0,
        "best_valid_auroc": None,
        "edges_seen": 0,
        "final_link": None,
        "notes": [],
    }
    return Result(nothing, _record(outcome, time.perf_counter() - started, facts))


def _record(outcome: Outcome, seconds: float, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The content of training.json that training knows."""
    return {
        **asdict(outcome),
        "floor": losses.LINK_FLOOR,
        **facts,
        "seconds": seconds,
        "peak_rss_bytes": devices.peak_rss_bytes(),
    }
