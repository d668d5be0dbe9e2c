"""Watchdog: does a training learn? Judged from held-out edges, its vectors and its losses.

The loss alone is not enough: on shuffled edges it falls far below its floor, because the model learns degrees
and memorises edges. The AUROC of held-out edges against negatives of the same degrees then stays at 0.5.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repurpose.graph.holdout import contains, pair_keys
from repurpose.hgt.hgt import HGT
from repurpose.training import losses
from repurpose.training.objective import Draw, Objective
from repurpose.vectors import spectral

# The deadline is the latest of these three.
LEAST_STEPS = 30
SHARE = 0.05  # of all steps
SECONDS = 120.0  # of training

NOISE = 3.0  # standard errors of a difference
GUESSED = 0.5  # the AUROC of guesses
LEARNING_LINK = 0.98  # share of the link loss of random guesses, if no edges are held out
EXPLODED = 50.0  # times the link loss of random guesses; healthy trainings had spikes of 6 times
LARGEST = 1e3  # root mean square of a parameter; healthy ones were below 3
LEAST_RANK = 1.5  # effective rank of a type's vectors
LEAST_DISTINCT = 0.5  # share of a type's vectors
SAMPLE = 256  # vectors of a type that are measured
RANKED_NODES = 20  # a smaller type has too short a spectrum
STRIKES = 2  # checks in a row that see the vectors collapsed
LARGEST_ERROR = 1e-3  # of embeddings from samples, relative; rounding is below 1e-5
STILL = 1e-4  # relative change of the vectors below which they have not moved

SLOWER = "lower training.learning_rate"
REPORT = "this is a fault of the program: report it"


@dataclass(frozen=True)
class Outcome:
    """How a training ended: what was seen, its likely cause, and the config key to change.

    depends_on_machine: whether the same training may end otherwise with more free memory or disk, or on
    another machine.
    """

    status: str
    reason: str = ""
    remedy: str = ""
    depends_on_machine: bool = False


class BadEnd(Exception):  # noqa: N818 - a way that a training ends, not only an error
    """Ends a training that must not go on; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def stop_if(outcome: Outcome | None) -> None:
    """Raise BadEnd if a check has an outcome."""
    if outcome is not None:
        raise BadEnd(outcome)


@dataclass(frozen=True)
class Level:
    """AUROC of held-out edges against negatives matched to degree, and its standard error."""

    value: float
    error: float


def level(objective: Objective, model: HGT, z: Tensor) -> Level | None:
    """The level of embeddings z; None without held-out edges.

    Relations are weighted by the square root of their number of held-out edges. With equal weights, the
    smallest relations would cause most of the noise; with weights by edges, the largest would hide all
    others. The error is that of the rank-sum statistic under the null model (Mann and Whitney, 1947).
    """
    if not objective.matched:
        return None
    sizes = np.array([(p.shape[1], n.shape[1]) for _, p, n in objective.matched], float)
    weights = np.sqrt(sizes[:, 0]) / np.sqrt(sizes[:, 0]).sum()
    error = np.sqrt((sizes.sum(axis=1) + 1) / (12 * sizes.prod(axis=1)))
    value = np.dot(weights, objective.aurocs(model, z, objective.matched))
    return Level(float(value), float(np.sqrt(np.dot(weights**2, error**2))))


def is_above(now: Level, before: Level) -> bool:
    """Whether one level exceeds another beyond noise."""
    return now.value - before.value > NOISE * math.hypot(now.error, before.error)


class Watchdog:
    """The watchdog of one training: its start, its best level, and whether it has been seen to learn.

    is_different: of the nodes (n,), one of each set of twins (see `twins.one_of_each`). no_signal: computes
    the level of the same training on shuffled edges; called only if needed.
    """

    def __init__(
        self,
        objective: Objective,
        bounds: list[int],
        is_different: np.ndarray,
        total: int,
        no_signal: Callable[[], Level | None],
    ) -> None:
        self.objective, self.bounds, self.total, self.no_signal = objective, bounds, total, no_signal
        self.is_different = is_different
        self.start: Level | None = None
        self.first: Tensor | None = None  # some vectors before the first step, (n, d)
        self.best: Level | None = None
        self.is_learning, self.strikes = False, 0

    def begin(self, model: HGT, z: Tensor) -> None:
        """Keep the level and some vectors of the untrained model."""
        self.start, self.first = level(self.objective, model, z), self._sample(z)

    def is_due(self, step: int, seconds: float) -> bool:
        """Whether a training that has not been seen to learn has reached its deadline."""
        if step < LEAST_STEPS or self.is_learning:
            return False
        return step == self.total or (step >= SHARE * self.total and seconds >= SECONDS)

    def loss(self, link: float | None, step: int) -> Outcome | None:
        """Check the link loss after a step; link: None if the loss was not finite."""
        if link is None:
            return Outcome("diverged", f"the loss was no number at step {step}", SLOWER)
        if link > EXPLODED * losses.LINK_FLOOR:
            seen = f"the link loss was {link:.3g} at step {step}; guessing has {losses.LINK_FLOOR:.3f}"
            return Outcome("diverged", seen, SLOWER)
        return None

    def parameters(self, model: HGT, step: int) -> Outcome | None:
        """Check that no parameter is larger than in any healthy training."""
        for name, parameter in model.named_parameters():
            size = parameter.detach().square().mean().sqrt().item()
            if not size <= LARGEST:
                seen = f"the parameters {name} have a root mean square of {size:.3g} after step {step}"
                return Outcome("diverged", f"{seen}; in a sound training it stays below {LARGEST:g}", SLOWER)
        return None

    def vectors(self, z: Tensor, names: list[str], step: int) -> Outcome | None:
        """Check that vectors are finite, and that those of a node type do not collapse twice in a row."""
        if not torch.isfinite(z).all():
            return Outcome("diverged", f"embeddings were no numbers at step {step}", SLOWER)
        seen = None
        for name, (rank, distinct) in spread(z, self.bounds, self.is_different, names).items():
            if rank is not None and rank < LEAST_RANK:
                seen = f"the vectors of {name} nodes have an effective rank of {rank:.2f} at step {step}"
            elif distinct is not None and distinct < LEAST_DISTINCT:
                seen = f"only {distinct:.0%} of the vectors of {name} nodes differ at step {step}"
        self.strikes = self.strikes + 1 if seen else 0
        if self.strikes < STRIKES:
            return None
        return Outcome("collapsed", str(seen), "lower training.learning_rate or training.contrastive.weight")

    def samples(self, error: float, step: int) -> Outcome | None:
        """Check that embeddings from samples are those of the whole graph; error: relative."""
        if error <= LARGEST_ERROR:
            return None
        seen = f"at step {step} embeddings from samples differ by {error:.1e} from those of full batching"
        return Outcome("diverged", f"{seen}: the sampler mixes up nodes or edges", REPORT)

    def notice(self, model: HGT, z: Tensor) -> None:
        """Keep the present level if it is the best."""
        now = level(self.objective, model, z)
        if now and (self.best is None or now.value > self.best.value):
            self.best = now

    def stalled(self, model: HGT, z: Tensor, draw: Draw | None, step: int, link: float) -> Outcome | None:
        """The judgement at the deadline: None if the training has been seen to learn, otherwise `stalled`."""
        self.notice(model, z)
        if self.best is None or self.start is None:
            # No edges are held out, so the loss must decide.
            self.is_learning = link < LEARNING_LINK * losses.LINK_FLOOR
            seen, null_level = "no edges are held out", ""
        else:
            null = self.no_signal() if is_above(self.best, self.start) else None
            self.is_learning = null is not None and is_above(self.best, null)
            null_level = f"; shuffled edges give {null.value:.3f}" if null else ""
            seen = (
                f"the AUROC of held-out edges against pairs of the same degrees began at "
                f"{self.start.value:.3f} and came to {self.best.value:.3f} (noise {self.best.error:.3f})"
            )
        if self.is_learning:
            return None
        cause, remedy = self._cause(model, z, draw)
        floor = f"at step {step} the link loss is {link:.3f}, where guessing has {losses.LINK_FLOOR:.3f}"
        return Outcome("stalled", f"{seen}{null_level}; {floor}: {cause}", remedy)

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Facts for JSON and tensors, for a checkpoint."""
        start, best = (each and asdict(each) for each in (self.start, self.best))
        facts = {"start": start, "best": best, "is_learning": self.is_learning, "strikes": self.strikes}
        return facts, {} if self.first is None else {"first": self.first}

    def resume(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Restore what `state` returned."""
        self.start, self.best = (facts[k] and Level(**facts[k]) for k in ("start", "best"))
        self.is_learning, self.strikes = facts["is_learning"], facts["strikes"]
        self.first = tensors.get("first")

    def _sample(self, z: Tensor) -> Tensor:
        return z[:: max(1, len(z) // SAMPLE)].detach().cpu().clone()

    def _cause(self, model: HGT, z: Tensor, draw: Draw | None) -> tuple[str, str]:
        """The likely cause of a stall, and what to change."""
        sample = self._sample(z)
        if self.first is not None and (sample - self.first).norm() <= STILL * self.first.norm():
            return "the vectors have not moved since the start", "raise training.learning_rate"
        if not model.decoder.weight.detach().any():
            return "the decoder's weights are all zero, so no gradient reaches the encoder", REPORT
        share = known_share(self.objective, draw) if draw else 0.0
        if share > 0.5:
            return f"{share:.0%} of the negatives are edges of the graph", REPORT
        if self.best and self.start and self.best.value - GUESSED > NOISE * self.best.error:
            # Structure is there, so what is missing is a gain over the start that exceeds the noise.
            edges = sum(positives.shape[1] for _, positives, _ in self.objective.matched)
            least = NOISE * math.hypot(self.best.error, self.start.error)
            return (
                "the vectors tell edges from other pairs, but hardly better than before the first step; with "
                f"{edges} held-out edges, a gain below {least:.2f} is not seen",
                "raise training.learning_rate or training.epochs; a graph this small may need more edges",
            )
        return (
            "the edges hold no structure that a model could learn, or it learns too slowly to be seen",
            "check that graph.columns names the right columns of the edges table; else raise "
            "training.learning_rate",
        )


def spread(
    z: Tensor, bounds: list[int], is_different: np.ndarray, names: list[str], least: int = RANKED_NODES
) -> dict[str, tuple[float | None, float | None]]:
    """Effective rank (None for a type of fewer than `least` nodes) and share of distinct vectors per type.

    Measured on about `SAMPLE` nodes of each type with two or more; both are None if vectors are not finite.
    is_different (nodes,): only these are measured, because twins may share a vector.
    """
    result = {}
    for name, first, last in zip(names, bounds[:-1], bounds[1:], strict=True):
        numbers = first + np.flatnonzero(is_different[first:last])
        if len(numbers) < 2:
            continue
        rows = z[numbers[:: max(1, len(numbers) // SAMPLE)]].double().cpu().numpy()
        if not np.isfinite(rows).all():
            result[name] = None, None
            continue
        distinct = len(np.unique(rows, axis=0)) / len(rows)
        values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
        rank = spectral.effective_rank(values, np.abs(rows).max() * math.sqrt(len(rows)))
        result[name] = (rank if len(numbers) >= least else None, distinct)
    return result


def known_share(objective: Objective, draw: Draw) -> float:
    """Share of a draw's negatives that are training edges."""
    positives, known = draw.positives, 0
    for index, source in enumerate(objective.sources):
        in_relation = draw.relation[positives:] == index
        head, tail = (
            numbers[positives:][in_relation] - offset
            for numbers, offset in zip((draw.head, draw.tail), objective.offsets[index][:, 0], strict=True)
        )
        known += contains(source.known, pair_keys(head, tail, source.tails, source.symmetric)).sum()
    return float(known / max(1, len(draw.head) - positives))
