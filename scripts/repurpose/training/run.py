"""A training under way: its steps, its history, its best state, and what the watchdog makes of them."""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repurpose.hgt import torch_private
from repurpose.hgt.hgt import HGT
from repurpose.hgt.trained import Parameters, Trained
from repurpose.training import checkpoint, losses, selftest, watchdog
from repurpose.training.checkpoint import named, part
from repurpose.training.objective import Terms
from repurpose.training.steps import FullSteps, SampledSteps, states
from repurpose.training.watchdog import Outcome, Watchdog

Row = dict[str, float | int | None]


class Run:
    """One training; `total` steps, a validation every `valid_every` of them."""

    def __init__(
        self,
        steps: FullSteps | SampledSteps,
        watch: Watchdog,
        types: tuple[str, ...],
        *,
        total: int,
        valid_every: int,
        started: float,
    ) -> None:
        self.steps, self.watch, self.types = steps, watch, list(types)
        self.total, self.valid_every, self.started = total, valid_every, started
        self.step, self.edges_seen = 0, 0
        self.rows: list[Row] = []
        self.best: dict[str, Tensor] | None = None
        self.best_step, self.best_auroc = 0, None

    @property
    def seconds(self) -> float:
        """Seconds of training, those before a resume included."""
        return time.perf_counter() - self.started

    def begin(self) -> Outcome | None:
        """Look at the untrained model, which is what the training has to be better than."""
        z = self.steps.embed()
        self.watch.begin(self.steps.model, z)
        return self.watch.parameters(self.steps.model, 0)

    def advance(self) -> Outcome | None:
        """Take one step and look at it; how the training ended if it has to end here."""
        self.step += 1
        terms, predicted = self.steps.take(self.step)
        self.edges_seen += predicted
        epoch = -(-self.step // self.steps.per_epoch)
        figures = {**_values(terms), "valid_auroc": None, "seconds": self.seconds}
        counts = {"step": self.step, "epoch": epoch, "edges_seen": self.edges_seen}
        self.rows.append({**counts, **figures, **self._floors()})
        outcome = self.watch.numbers(self.rows[-1]["link"], self.step)
        if outcome is None and (self.step == 1 or self.step % self.valid_every == 0):
            outcome = self.watch.parameters(self.steps.model, self.step)
        if outcome is None and self.step % self.valid_every == 0:
            outcome = self.validate()
        if outcome is None and self.step < self.total and self.watch.due(self.step, self.seconds):
            outcome = self._judge(self.steps.embed())
        return outcome

    def _floors(self) -> Row:
        """The losses of a model that knows nothing: of guessing, and of vectors that are all alike."""
        objective = self.steps.objective
        weights = {name: getattr(objective.settings, name)["weight"] for name in ("ranking", "contrastive")}
        floors = {
            "link_floor": losses.LINK_FLOOR,
            "ranking_floor": losses.RANKING_FLOOR if weights["ranking"] else None,
            "contrastive_floor": objective.contrastive_floor,
        }
        others = [weights[name] * (floors[f"{name}_floor"] or 0.0) for name in weights]
        return {**floors, "total_floor": losses.LINK_FLOOR + sum(others)}

    def finish(self) -> Outcome | None:
        """Validate after the last step; how the training ended if it was not well."""
        return self.validate(last=True)

    def validate(self, last: bool = False) -> Outcome | None:
        """Put the AUROC of held-out edges into the last row, unless it is there, and keep the best state."""
        row, model = self.rows[-1], self.steps.model
        due = last and self.watch.due(self.step, self.seconds)
        if row["valid_auroc"] is not None and not due:
            return None
        z = self.steps.embed()
        if row["valid_auroc"] is None:
            auroc = row["valid_auroc"] = self.steps.objective.auroc(model, z)
            row["seconds"] = self.seconds
            if auroc is not None and (self.best_auroc is None or auroc > self.best_auroc):
                self.best_auroc, self.best_step = auroc, self.step
                self.best = {name: value.detach().clone() for name, value in model.state_dict().items()}
            outcome = self.watch.vectors(z, self.types, self.step)
            if isinstance(self.steps, SampledSteps) and self.step == min(self.valid_every, self.total):
                outcome = outcome or self._compared(z)
            if outcome:
                return outcome
        if due:
            return self._judge(z)
        self.watch.notice(model, z)
        return None

    def _compared(self, z: Tensor) -> Outcome | None:
        """Whether samples compute what the whole graph does, with the weights that the training has now."""
        steps = self.steps
        train = steps.objective.held.train
        error = selftest.mismatch(steps.model, steps.sampler, train, z, steps.seed)
        return self.watch.samples(error, self.step)

    def _judge(self, z: Tensor) -> Outcome | None:
        link = self.rows[-1]["link"]
        return self.watch.stalled(self.steps.model, z, self.steps.last, self.step, link)

    def state(self) -> checkpoint.State:
        """Everything that the next step depends on, and what has been found so far."""
        watched, vectors = self.watch.state()
        tensors = {
            **named("steps", self.steps.tensors()),
            **named("best", self.best or {}),
            **named("watch", vectors),
        }
        facts = {
            "rows": [list(row.values()) for row in self.rows],
            "columns": list(self.rows[-1]),
            "best_step": self.best_step,
            "best_auroc": self.best_auroc,
            "edges_seen": self.edges_seen,
            "contrastive_floor": self.steps.objective.contrastive_floor,
            "seconds": self.seconds,
            "watch": watched,
        }
        return checkpoint.State(self.step, tensors, facts)

    def resume(self, state: checkpoint.State) -> None:
        """Stand where `state` was taken."""
        self.steps.restore(part("steps", state.tensors))
        self.best = part("best", state.tensors) or None
        facts = state.facts
        self.rows = [dict(zip(facts["columns"], values, strict=True)) for values in facts["rows"]]
        self.step, self.edges_seen = state.step, facts["edges_seen"]
        self.best_step, self.best_auroc = facts["best_step"], facts["best_auroc"]
        self.steps.objective.contrastive_floor = facts["contrastive_floor"]
        self.watch.resume(facts["watch"], part("watch", state.tensors))
        self.started -= facts["seconds"]

    def trained(self) -> Trained:
        """The encoder as the model is now."""
        return encoder(self.steps.model, states(self.steps))

    def facts(self, outcome: Outcome) -> dict[str, Any]:
        """What the record says of a training that took steps."""
        objective, notes = self.steps.objective, list(self.steps.objective.notes)
        if outcome.status == "completed" and self.total < watchdog.LEAST_STEPS:
            notes.append(
                f"{self.total} steps are too few to judge whether the training learns; "
                f"{watchdog.LEAST_STEPS} are needed"
            )
        return {
            "contrastive_floor": objective.contrastive_floor,
            "steps": self.step,
            "best_step": self.best_step,
            "best_valid_auroc": self.best_auroc,
            "edges_seen": self.edges_seen,
            "final_link": self.rows[-1]["link"] if outcome.status == "completed" and self.rows else None,
            "notes": notes,
        }


def encoder(model: HGT, read: Sequence[Tensor]) -> Trained:
    """A model as it is kept; `read` is what each of its layers reads.

    Node types that receive nothing have a share of 0.
    """
    layers = []
    for conv in model.layers:
        found = torch_private.parameters(conv)
        is_receiving = found.share.new_tensor(torch_private.receiving(conv))
        layers.append(found._replace(share=found.share * is_receiving))
    output = [torch.stack([getattr(each, name) for each in model.outputs]) for name in ("weight", "bias")]
    return Trained(
        tuple(Parameters(*map(_array, layer)) for layer in layers),
        tuple(map(_array, read)),
        *map(_array, output),
        *(model.axes[1:] if model.axes else (None, None)),
        model.divisors,
    )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def _values(terms: Terms) -> Row:
    """The losses as numbers, all None where the total is none."""
    if not math.isfinite(terms.total.item()):
        return dict.fromkeys(Terms._fields)
    return {name: None if term is None else term.item() for name, term in terms._asdict().items()}
