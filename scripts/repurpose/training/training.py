"""A training from its preflight to its vectors; read `fit` first, then `train`, the loop."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from repurpose.config.sections import TrainingSettings
from repurpose.core.errors import StoppedError, is_out_of_memory
from repurpose.graph import twins
from repurpose.hgt import torch_private
from repurpose.hgt.hgt import HGT
from repurpose.hgt.trained import Parameters, Trained
from repurpose.training import (
    checkpoint,
    devices,
    diagnosis,
    history,
    losses,
    memory,
    preflight,
    preparation,
    selftest,
    watchdog,
)
from repurpose.training.checkpoint import add_prefix, select_prefix
from repurpose.training.objective import Draw, Terms
from repurpose.training.preparation import Composition, Job, Prepared
from repurpose.training.steps import SampledSteps, states
from repurpose.training.watchdog import BadEnd, Outcome, Watchdog, stop_if

Row = dict[str, float | int | None]

COMPLETED = Outcome("completed")


@dataclass(frozen=True)
class Result:
    """What a training leaves: vectors per node type (nodes, d), empty if it was refused, and its record.

    trained: the encoder behind the vectors. failure: facts and the last batch's pairs if the training ended
    badly after its first step.
    """

    vectors: dict[str, np.ndarray]
    record: dict[str, Any]
    trained: Trained | None = None
    failure: tuple[dict[str, Any], pa.Table] | None = None


def fit(
    job: Job,
    *,
    on_step: Callable[[Row, int], None],
    on_resume: Callable[[list[Row]], None] | None = None,
    checkpoints: checkpoint.Folder | None = None,
    is_stopping: Callable[[], bool] = bool,
    results: Path | None = None,
) -> Result:
    """Train one encoder; the vectors are those of the best state on the held-out validation edges.

    on_step: receives one row of the history after each step, and the number of steps. on_resume: receives the
    rows before the first step if the training continues from one of `checkpoints`. results: the folder that
    the results are written to; its disk must have room for them. The record has a status: `completed`, or
    with reason and remedy `refused` (preflight), `stalled`, `collapsed` or `diverged` (watchdog). Raises
    StoppedError, after a checkpoint, when `is_stopping` says so.
    """
    started, held = time.perf_counter(), memory.peak(job.device, now=True)
    run, outcome = None, COMPLETED
    try:
        try:
            stop_if(preflight.features({t: rows.vectors for t, rows in job.features.items()}))
            stop_if(preflight.room(job.kg, job.encoder, job.device, job.batching))
            stop_if(preflight.disk(_bytes_on_disk(job, checkpoints, results)))
            prepared = preparation.prepare(job)
            model = prepared.steps.model
            stop_if(preflight.inputs(model.inputs, model.bounds, job.kg.node_types))
            stop_if(preparation.check_sampler(job, prepared.steps))
            run = Run(job, prepared, started)
            if not _resume(run, checkpoints, on_resume):
                run.begin()
            train(run, on_step, checkpoints, is_stopping, held)
        except BadEnd as end:
            outcome = end.outcome
        if run is None or outcome.status == "refused":
            return _refuse(job, outcome, started, run.step if run else 0)
        return _finish(run, outcome, checkpoints)
    except (MemoryError, OSError, RuntimeError, ValueError) as error:
        if not is_out_of_memory(error):
            raise
        where = job.kg, job.encoder, job.device, job.batching
        return _refuse(job, preflight.out_of_memory(*where, error, held), started)


def train(
    run: "Run",
    on_step: Callable[[Row, int], None],
    checkpoints: checkpoint.Folder | None,
    is_stopping: Callable[[], bool],
    held: int,
) -> None:
    """Take all steps that are left; held: bytes that the process had before the training.

    Raises BadEnd if the training does not learn, breaks, or will not fit into memory.
    """
    steps, watch, total = run.steps, run.watch, run.total
    first, began = run.step, time.perf_counter()
    try:
        for step in range(first + 1, total + 1):
            terms, run.draw = steps.take(step)
            run.add_row(step, terms)
            is_validated = step % run.valid_every == 0
            stop_if(watch.loss(run.row["link"], step))
            if step == 1 or is_validated:
                stop_if(watch.parameters(steps.model, step))
            if is_validated:
                run.validate()
            if step < total and watch.is_due(step, run.seconds):
                stop_if(run.judge(steps.embed()))
            if step == first + preflight.MEASURED_STEPS:
                seconds = (time.perf_counter() - began) / preflight.MEASURED_STEPS
                stop_if(_forecast(run, seconds, held))
            is_asked = step < total and is_stopping()
            if checkpoints and (is_asked or step == total or checkpoints.is_due()):
                checkpoints.write(run.state())
            if is_asked:
                raise StoppedError(
                    f"stopped at step {step} of {total} as asked; the same command continues from there"
                )
            if step < total:
                on_step(run.row, total)
        run.validate(is_last=True)
    except BadEnd:
        on_step(run.row, total)
        raise
    on_step(run.row, total)


class Run:
    """A training under way: its steps, its history, its best state, and what the watchdog has seen."""

    def __init__(self, job: Job, prepared: Prepared, started: float) -> None:
        self.job, self.started = job, started
        self.steps, self.composition = prepared
        self.total, self.valid_every = preparation.plan(job.settings, job.batching, self.steps.per_epoch)
        is_different = twins.one_of_each(job.kg, self.steps.objective.held.train)
        self.watch = Watchdog(
            self.steps.objective,
            self.steps.model.bounds,
            is_different,
            self.total,
            lambda: preparation.null_level(job),
        )
        self.rows: list[Row] = []
        self.draw: Draw | None = None  # what the last step predicted
        self.edges_seen = 0
        self.best: dict[str, Tensor] | None = None
        self.best_step, self.best_auroc = 0, None

    @property
    def step(self) -> int:
        """Number of steps taken."""
        return len(self.rows)

    @property
    def row(self) -> Row:
        """The history's last row."""
        return self.rows[-1]

    @property
    def seconds(self) -> float:
        """Seconds of training, including those before a resume."""
        return time.perf_counter() - self.started

    def begin(self) -> None:
        """Measure the untrained model, so that the watchdog can compare the training with it."""
        self.watch.begin(self.steps.model, self.steps.embed())
        stop_if(self.watch.parameters(self.steps.model, 0))

    def add_row(self, step: int, terms: Terms) -> None:
        """Add a step to the history."""
        self.edges_seen += self.draw.positives
        counts = {
            "step": step,
            "epoch": -(-step // self.steps.per_epoch),
            "edges_seen": self.edges_seen,
        }
        norm = self.steps.gradient_norm.item()
        figures = {**_numbers(terms), "gradient_norm": norm if math.isfinite(norm) else None}
        figures |= {"valid_auroc": None, "seconds": self.seconds}
        self.rows.append({**counts, **figures, **_floors(self.job.settings, self.draw)})

    def validate(self, is_last: bool = False) -> None:
        """Put the AUROC of held-out edges into the last row, unless it is there, and keep the best state.

        Raises BadEnd if the vectors have collapsed or are not finite, or at the end if nothing was learned.
        """
        row, model = self.row, self.steps.model
        is_due = is_last and self.watch.is_due(self.step, self.seconds)
        if row["valid_auroc"] is not None and not is_due:
            return
        z = self.steps.embed()
        if row["valid_auroc"] is None:
            auroc = row["valid_auroc"] = self.steps.objective.auroc(model, z)
            row["seconds"] = self.seconds
            if auroc is not None and (self.best_auroc is None or auroc > self.best_auroc):
                self.best_auroc, self.best_step = auroc, self.step
                self.best = {name: value.detach().clone() for name, value in model.state_dict().items()}
            stop_if(self.watch.vectors(z, list(self.job.kg.node_types), self.step))
            if isinstance(self.steps, SampledSteps) and self.step == min(self.valid_every, self.total):
                stop_if(self._compare_samples(z))
        if is_due:
            stop_if(self.judge(z))
        else:
            self.watch.notice(model, z)

    def judge(self, z: Tensor) -> Outcome | None:
        """None if the training has been seen to learn, otherwise its bad end; z: embeddings of all nodes."""
        return self.watch.stalled(self.steps.model, z, self.draw, self.step, self.row["link"])

    def _compare_samples(self, z: Tensor) -> Outcome | None:
        """None if samples give the same embeddings as the whole graph with the present weights."""
        steps = self.steps
        error = selftest.mismatch(steps.model, steps.sampler, steps.objective.held.train, z, steps.seed)
        return self.watch.samples(error, self.step)

    def state(self) -> checkpoint.State:
        """Everything that the next step depends on, and the results so far."""
        watch_facts, watch_tensors = self.watch.state()
        tensors = {
            **add_prefix("steps", self.steps.tensors()),
            **add_prefix("best", self.best or {}),
            **add_prefix("watch", watch_tensors),
        }
        facts = {
            "rows": [list(row.values()) for row in self.rows],
            "columns": list(self.row),
            "best_step": self.best_step,
            "best_auroc": self.best_auroc,
            "edges_seen": self.edges_seen,
            "seconds": self.seconds,
            "watch": watch_facts,
        }
        return checkpoint.State(self.step, tensors, facts)

    def resume(self, state: checkpoint.State) -> None:
        """Continue from `state`."""
        self.steps.restore(select_prefix("steps", state.tensors))
        self.best = select_prefix("best", state.tensors) or None
        facts = state.facts
        self.rows = [dict(zip(facts["columns"], values, strict=True)) for values in facts["rows"]]
        self.edges_seen = facts["edges_seen"]
        self.best_step, self.best_auroc = facts["best_step"], facts["best_auroc"]
        self.watch.resume(facts["watch"], select_prefix("watch", state.tensors))
        self.started -= facts["seconds"]

    def trained(self) -> Trained:
        """The encoder in the model's present state."""
        return encoder(self.steps.model, states(self.steps), self.composition)

    def facts(self, outcome: Outcome) -> dict[str, Any]:
        """What the record says of a training that took steps."""
        notes = list(self.steps.objective.notes)
        if outcome.status == "completed" and self.total < watchdog.LEAST_STEPS:
            notes.append(
                f"{self.total} steps are too few to judge whether the training learns; "
                f"{watchdog.LEAST_STEPS} are needed"
            )
        return {
            "contrastive_floor": self.row["contrastive_floor"] if self.rows else None,
            "steps": self.step,
            "best_step": self.best_step,
            "best_valid_auroc": self.best_auroc,
            "edges_seen": self.edges_seen,
            "final_link": self.row["link"] if outcome.status == "completed" and self.rows else None,
            "notes": notes,
        }


def encoder(model: HGT, layer_inputs: Sequence[Tensor], composition: Composition) -> Trained:
    """The encoder in the form that is saved; layer_inputs: input of each layer for all nodes.

    Node types that receive no messages have a share of 0.
    """
    layers = []
    for conv in model.layers:
        parameters = torch_private.parameters(conv)
        is_receiving = parameters.share.new_tensor(torch_private.receiving(conv))
        layers.append(parameters._replace(share=parameters.share * is_receiving))
    output = [torch.stack([getattr(linear, name) for linear in model.outputs]) for name in ("weight", "bias")]
    return Trained(
        tuple(Parameters(*map(_array, layer)) for layer in layers),
        tuple(map(_array, layer_inputs)),
        *map(_array, output),
        *(composition.axes[1:] if composition.axes else (None, None)),
        composition.divisors,
    )


def _bytes_on_disk(job: Job, checkpoints: checkpoint.Folder | None, results: Path | None) -> dict[Path, int]:
    """Bytes that will be written to the folders of the checkpoints and of the results."""
    needed = {}
    if checkpoints:
        one = memory.of_checkpoint(job.kg, job.encoder)
        # Earlier checkpoints are deleted only when a later one is complete.
        needed[checkpoints.path] = max(one, checkpoint.AT_ONCE * one - checkpoints.size())
    if results:
        needed[results] = memory.of_results(job.kg, job.encoder)
    return needed


def _resume(
    run: Run, checkpoints: checkpoint.Folder | None, on_resume: Callable[[list[Row]], None] | None
) -> bool:
    """Continue from the newest checkpoint; False if there is none for this training."""
    state = checkpoints.latest() if checkpoints else None
    if state is None:
        return False
    if state.step > run.total:
        logging.info(
            "starting from the first step: the checkpoint has %d steps, more than the %d asked",
            state.step,
            run.total,
        )
        return False
    run.resume(state)
    logging.info("resumed at step %d of %d", state.step, run.total)
    if on_resume:
        # The last row of a complete training is not validated yet: `on_step` receives it later.
        on_resume(run.rows[:-1] if run.step == run.total else run.rows)
    return True


def _forecast(run: Run, seconds: float, held: int) -> Outcome | None:
    """Log the time and memory that the remaining steps will take; refuse if memory is too small."""
    job, left = run.job, run.total - run.step
    needed, outcome = preflight.after(job.kg, job.encoder, job.device, job.batching, held)
    logging.info(
        "%.2f s a step: about %s for the %d steps that are left, and a peak of %.2f GB of memory",
        seconds,
        history.duration(seconds * left),
        left,
        needed / 1e9,
    )
    return outcome


def _finish(run: Run, outcome: Outcome, checkpoints: checkpoint.Folder | None) -> Result:
    """The vectors of the best state, and how the training ended."""
    job, steps, failure = run.job, run.steps, None
    if outcome.status != "completed":
        logging.error("%s: %s; %s", outcome.status, outcome.reason, outcome.remedy)
        failure = diagnosis.diagnose(job.kg, steps, run.draw, steps.embed())
        if checkpoints:
            checkpoints.clear()
    if run.best is not None:
        steps.model.load_state_dict(run.best)
    z = run.composition.compose(steps.embed()).float().cpu().numpy()
    vectors = {t: z[job.kg.span(t)] for t in job.kg.node_types}
    return Result(vectors, _record(outcome, run.seconds, run.facts(outcome)), run.trained(), failure)


def _refuse(job: Job, outcome: Outcome, started: float, steps: int = 0) -> Result:
    """A result without vectors, with the reason."""
    logging.error("%s: %s; %s", outcome.status, outcome.reason, outcome.remedy)
    no_vectors = {t: np.zeros((0, job.encoder.embedding_dim), np.float32) for t in job.kg.node_types}
    facts = {
        "contrastive_floor": None,
        "steps": steps,
        "best_step": 0,
        "best_valid_auroc": None,
        "edges_seen": 0,
        "final_link": None,
        "notes": [],
    }
    return Result(no_vectors, _record(outcome, time.perf_counter() - started, facts))


def _record(outcome: Outcome, seconds: float, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The content of training.json, except what the rule's script adds."""
    return {
        **asdict(outcome),
        "floor": losses.LINK_FLOOR,
        **facts,
        "seconds": seconds,
        "peak_rss_bytes": devices.peak_rss_bytes(),
    }


def _floors(settings: TrainingSettings, draw: Draw) -> Row:
    """The losses of a null model: random guesses, or vectors that are all equal."""
    floors = {
        "link_floor": losses.LINK_FLOOR,
        "ranking_floor": losses.RANKING_FLOOR if settings.ranking.weight else None,
        "contrastive_floor": draw.contrast.floor if draw.contrast else None,
    }
    weighted = [
        getattr(settings, name).weight * (floors[f"{name}_floor"] or 0.0)
        for name in ("ranking", "contrastive")
    ]
    return {**floors, "total_floor": losses.LINK_FLOOR + sum(weighted)}


def _numbers(terms: Terms) -> Row:
    """The losses as numbers; all None if the total is not finite."""
    if not math.isfinite(terms.total.item()):
        return dict.fromkeys(Terms._fields)
    return {name: None if term is None else term.item() for name, term in terms._asdict().items()}


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
