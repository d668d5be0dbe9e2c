"""What is to be trained, on what: the model, its steps and their number, and the level of no signal."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from repurpose.graph import subgraph
from repurpose.graph.graph import Graph
from repurpose.hgt import hgt
from repurpose.training import selftest, starts, watchdog
from repurpose.training.objective import Objective, Settings
from repurpose.training.steps import FullSteps, SampledSteps
from repurpose.training.watchdog import Level, Outcome
from repurpose.vectors import features
from repurpose.vectors.features import NodeFeatures

BATCHINGS = {"full": FullSteps, "sampled": SampledSteps}
NULL_STEPS = 20  # on shuffled edges, for the level of no signal
NULL_EDGES = 2_000_000  # directed, at most: a step on more takes long


@dataclass(frozen=True)
class Job:
    """What is to be trained, on what."""

    kg: Graph
    encoder: hgt.Settings
    settings: Settings
    tail_type: str
    device: str
    batching: str
    seed: int


def prepare(
    kg: Graph,
    encoder: hgt.Settings,
    settings: Settings,
    *,
    tail_type: str,
    device: str,
    batching: str,
    seed: int,
    given: Mapping[str, NodeFeatures] | None = None,
) -> FullSteps | SampledSteps:
    """An untrained model, what it is to learn, and the steps that it takes."""
    objective = Objective(kg, settings, tail_type, seed)
    model = hgt.build(kg, encoder, seed, device)
    # Of training edges alone: what is held out must not be seen.
    starts.give(model, kg, objective.held.train, seed)
    if given:
        rows = features.inputs(given, kg.node_types, encoder.hidden_dim, hgt.INPUT_SCALE, seed)
        model.start_from({kg.node_types.index(t): (given[t].rows, rows[t]) for t in given})
    return BATCHINGS[batching](model, objective, settings, seed)


def proof(kg: Graph, steps: FullSteps | SampledSteps, seed: int) -> Outcome | None:
    """The refusal of a sampler that does something wrong; None where it does not, or nothing is sampled."""
    if isinstance(steps, FullSteps):
        return None
    started = time.perf_counter()
    train, size = steps.objective.held.train, steps.settings.batch_size
    failure = selftest.run(kg, steps.model, steps.sampler, train, size, seed)
    if failure:
        reason = f"the sampler failed its self-test, check '{failure.check}': {failure.seen}"
        return Outcome("refused", reason, f"{watchdog.REPORT}, and train with full batching meanwhile")
    logging.info("the sampler passed its self-test in %.1f s", time.perf_counter() - started)
    return None


def plan(settings: Settings, batching: str, per_epoch: int) -> tuple[int, int]:
    """Number of steps of a training, and of those from one validation to the next."""
    if batching == "full":
        return settings.epochs, settings.valid_every
    return settings.sampled_epochs * per_epoch, max(settings.valid_every, per_epoch // 10)


def no_signal(job: Job) -> Level | None:
    """The level that a few steps of the same training reach on shuffled edges."""
    logging.info("%d steps on shuffled edges, for the level of no signal", NULL_STEPS)
    mixed = subgraph.shuffle_edges(job.kg, job.seed)
    edges = [np.stack([mixed.heads[i], mixed.tails[i]]) for i in mixed.of_role("message")]
    part, _ = subgraph.sample(mixed, edges, NULL_EDGES, np.random.default_rng([job.seed, 8]))
    plain = replace(job.settings, contrastive={**job.settings.contrastive, "weight": 0})
    # What stands beside the layers' numbers has no say in the level, and takes as long as the steps.
    layers = replace(job.encoder, embedding_dim=job.encoder.projected, svd_dim=0, profile_dim=0)
    steps = prepare(**vars(replace(job, kg=part, settings=plain, encoder=layers)))
    for step in range(1, NULL_STEPS + 1):
        steps.take(step)
    return watchdog.level(steps.objective, steps.model, steps.embed())
