"""Preparation of a training: the job, the model with its inputs, and the composition of the vectors."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from repurpose.config.sections import EncoderSettings, TrainingSettings
from repurpose.core import streams
from repurpose.graph import subgraph
from repurpose.graph.graph import Graph
from repurpose.hgt import hgt
from repurpose.training import selftest, watchdog
from repurpose.training.objective import Objective
from repurpose.training.steps import FullSteps, SampledSteps, Steps
from repurpose.training.watchdog import Level, Outcome
from repurpose.vectors import features, profiles, spectral
from repurpose.vectors.features import NodeFeatures
from repurpose.vectors.spectral import Axes

BATCHINGS = {"full": FullSteps, "sampled": SampledSteps}
NULL_STEPS = 20  # on shuffled edges, for the AUROC of a graph without structure
NULL_EDGES = 2_000_000  # directed edges of the shuffled graph, at most: a step on more takes long
BLOCK = 32  # dimensions of one relation's SVD
WHOLE_WEIGHT = 2.0  # of the whole graph's SVD rows, compared with those of one relation

Inputs = dict[int, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Job:
    """What is trained, on which graph and device.

    device: a torch device. batching: full or sampled. features: given node vectors, by node type, from which
    the inputs are made.
    """

    kg: Graph
    encoder: EncoderSettings
    settings: TrainingSettings
    tail_type: str
    device: str
    batching: str
    seed: int
    features: Mapping[str, NodeFeatures] = field(default_factory=dict)


@dataclass(frozen=True)
class Composition:
    """How a node's vector is composed: relation profile, SVD rows, then the encoder output.

    columns: (nodes, profile_dim + svd_dim), the columns before the encoder output; None for no such columns.
    lengths: (nodes,), to which the encoder output is scaled; None for no scaling. axes: of the SVD rows in
    `columns`. divisors: (nodes, largest number of sides) of the profile's sides, padded with zeros for types
    with fewer sides.
    """

    columns: np.ndarray | None = None
    lengths: np.ndarray | None = None
    axes: Axes | None = None
    divisors: np.ndarray | None = None

    @torch.no_grad()
    def compose(self, z: Tensor) -> Tensor:
        """Vectors (nodes, embedding_dim) from the encoder output z (nodes, projected)."""
        if self.lengths is not None:
            lengths = torch.from_numpy(self.lengths)[:, None]
            z = functional.normalize(z, dim=1) * lengths.to(z.device)
        if self.columns is None:
            return z
        return torch.cat([torch.from_numpy(self.columns).to(z.device), z], dim=1)


class Prepared(NamedTuple):
    """A training that can begin: its steps, which hold the untrained model, and its composition."""

    steps: Steps
    composition: Composition


def prepare(job: Job) -> Prepared:
    """Build the model, its objective, its inputs and its composition."""
    objective = Objective(job.kg, job.settings, job.tail_type, job.seed)
    model = hgt.build(job.kg, job.encoder, job.seed, job.device)
    # From training edges only: held-out edges must not be seen.
    inputs, composition = start(job.kg, objective.held.train, job.encoder, job.seed)
    if inputs is not None:
        model.start_from(inputs)
    if job.features:
        types, width = job.kg.node_types, job.encoder.hidden_dim
        rows = features.inputs(job.features, types, width, hgt.INPUT_SCALE, job.seed)
        model.start_from({types.index(t): (job.features[t].rows, rows[t]) for t in job.features})
    return Prepared(BATCHINGS[job.batching](model, objective, job.settings, job.seed), composition)


def start(
    kg: Graph, edges: Sequence[np.ndarray], encoder: EncoderSettings, seed: int
) -> tuple[Inputs | None, Composition]:
    """Inputs and composition of an encoder, from linear algebra on `edges`.

    Inputs: number of a type -> (nodes (m,), rows (m, hidden_dim)), None for random inputs. Their root mean
    square is `hgt.INPUT_SCALE`; if the graph has fewer nodes than hidden_dim, the last columns are zero.
    With relation profiles, all parts of a node's vector have the length of its profile (see `profiles.rows`);
    without, the SVD rows have the length of the encoder output.
    """
    whole = None
    if encoder.svd_size:
        whole = spectral.axes(kg, edges, encoder.svd_size, seed).padded(encoder.svd_size)
    inputs = _inputs(kg, edges, encoder, whole, seed)
    columns, svd_length, axes = [], np.float32(np.sqrt(encoder.projected)), None
    lengths = divisors = None
    if encoder.profile_dim:
        by_type = [profiles.rows(kg, edges, t, encoder.profile_dim, seed) for t in kg.node_types]
        columns.append(np.concatenate([profile.rows for profile in by_type]))
        most_sides = max(profile.divisors.shape[1] for profile in by_type)
        divisors = np.concatenate(
            [
                np.pad(profile.divisors, ((0, 0), (0, most_sides - profile.divisors.shape[1])))
                for profile in by_type
            ]
        )
        profile_lengths = profiles.profile_lengths(columns[0])
        svd_length = profile_lengths[:, None] * np.float32(profiles.SVD_LENGTH)
        lengths = profile_lengths * np.float32(profiles.ENCODER_LENGTH)
    if encoder.svd_dim:
        axes = whole.first(encoder.svd_dim)
        columns.append(axes.rows * svd_length)
    joined = np.concatenate(columns, axis=1) if columns else None
    return inputs, Composition(joined, lengths, axes, divisors)


def vector_blocks(kg: Graph, encoder: EncoderSettings) -> dict[str, list[int]]:
    """The columns where the parts of a type's vectors end: profile sides, SVD rows, encoder output."""
    ends = {encoder.profile_dim, encoder.profile_dim + encoder.svd_dim, encoder.embedding_dim}
    result = {}
    for node_type in kg.node_types:
        sides = profiles.columns(kg, node_type, encoder.profile_dim).values()
        result[node_type] = sorted((ends | {side.stop for side in sides}) - {0})
    return result


def check_sampler(job: Job, steps: Steps) -> Outcome | None:
    """The refusal of a sampler that fails its self-test; None if it passes, or if nothing is sampled."""
    if isinstance(steps, FullSteps):
        return None
    started = time.perf_counter()
    train, size = steps.objective.held.train, steps.settings.batch_size
    failure = selftest.run(job.kg, steps.model, steps.sampler, train, size, job.seed)
    if failure:
        reason = f"the sampler failed its self-test, check '{failure.check}': {failure.seen}"
        return Outcome("refused", reason, f"{watchdog.REPORT}, and train with full batching meanwhile")
    logging.info("the sampler passed its self-test in %.1f s", time.perf_counter() - started)
    return None


def plan(settings: TrainingSettings, batching: str, per_epoch: int) -> tuple[int, int]:
    """Number of steps of a training, and number of steps between two validations."""
    if batching == "full":
        return settings.epochs, settings.valid_every
    return settings.sampled_epochs * per_epoch, max(settings.valid_every, per_epoch // 10)


def null_level(job: Job) -> Level | None:
    """The AUROC that a few steps of the same training reach on shuffled edges: the null model."""
    logging.info("%d steps on shuffled edges, to measure the level without signal", NULL_STEPS)
    shuffled = subgraph.shuffle_edges(job.kg, job.seed)
    generator = streams.generator(job.seed, "edges of the null model")
    sampled, _ = subgraph.sample(shuffled, shuffled.message_edges(), NULL_EDGES, generator)
    settings = replace(job.settings, contrastive=replace(job.settings.contrastive, weight=0.0))
    # The SVD and profile columns are left out: they do not change the AUROC and cost as much as the steps.
    encoder = replace(job.encoder, embedding_dim=job.encoder.projected, svd_dim=0, profile_dim=0)
    steps, _ = prepare(replace(job, kg=sampled, settings=settings, encoder=encoder, features={}))
    for step in range(1, NULL_STEPS + 1):
        steps.take(step)
    return watchdog.level(steps.objective, steps.model, steps.embed())


def _inputs(
    kg: Graph, edges: Sequence[np.ndarray], encoder: EncoderSettings, whole: Axes | None, seed: int
) -> Inputs | None:
    width = encoder.hidden_dim
    if encoder.inputs == "learned":
        return None
    whole_rows = whole.first(width).rows
    if encoder.inputs == "spectral":
        rows = whole_rows * np.float32(hgt.INPUT_SCALE * np.sqrt(width))
    else:
        relation_rows = spectral.relation_rows(kg, edges, BLOCK, seed)
        by_type = [
            np.concatenate([WHOLE_WEIGHT * whole_rows[kg.span(t)], *relation_rows[number]], axis=1)
            for number, t in enumerate(kg.node_types)
        ]
        rows = np.concatenate([spectral.components(block, width, hgt.INPUT_SCALE) for block in by_type])
    connected, result = kg.connected(), {}
    for number, node_type in enumerate(kg.node_types):
        nodes = np.flatnonzero(connected[node_type])
        result[number] = nodes, rows[kg.span(node_type)][nodes]
    return result
