"""One device of a finished run: its graph, vectors, model and calibration.

Ranking, explaining and looking up candidates all start from a `FinishedDevice`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from repurpose.candidates import applicability, counterfactual
from repurpose.candidates.candidates import Annotator
from repurpose.candidates.counterfactual import CounterfactualScorer
from repurpose.candidates.evidence import Explainer
from repurpose.candidates.reasons import Reasoner
from repurpose.classifier import classifier, metapath_fits, pair_model
from repurpose.classifier.pair_model import Model
from repurpose.config.sections import Target
from repurpose.core import files, threads
from repurpose.evaluation import calibration, popularity
from repurpose.evaluation.ranks import MemberScorer, Scorer
from repurpose.graph import graph, paths, sources
from repurpose.graph.graph import Graph, GraphFiles
from repurpose.pairs import pairs
from repurpose.vectors import embeddings
from repurpose.vectors.vectors import Vectors


class DeviceFiles(NamedTuple):
    """The files of a device that has passed its gate.

    metapaths: the models on metapaths, None for a score of the embeddings alone. negatives: the
    contraindication model, None where pairs are not annotated. encoder: None for embeddings of another tool.
    sources: where edges come from, None where nothing is explained.
    """

    graph: GraphFiles
    embeddings: Path
    model: Path
    kernel: Path
    metrics: Path
    metapaths: Path | None = None
    negatives: Path | None = None
    encoder: Path | None = None
    sources: Path | None = None

    @classmethod
    def of(cls, inputs: Any) -> Self:
        """The files among the named inputs of a Snakemake job."""
        named = {name: inputs.get(name) for name in cls._fields[1:]}
        return cls(GraphFiles.of(inputs), **{name: Path(path) for name, path in named.items() if path})

    @classmethod
    def in_results(cls, results: Path, device: str) -> Self:
        """The files of a device in a results folder."""
        embedded, classified = results / "embeddings" / device, results / "classifier" / device
        return cls(
            GraphFiles.in_folder(results / "graph"),
            embedded / "embeddings.parquet",
            classified / "model.ubj",
            classified / "kernel.safetensors",
            classified / "metrics.json",
            _existing(results / "metapaths" / "models.json"),
            classified / "negatives.json",
            _existing(embedded / "encoder.safetensors"),
            _existing(results / "graph" / "sources.parquet"),
        )


@dataclass(frozen=True)
class FinishedDevice:
    """A device's results in memory; cached properties are computed when they are first used.

    vectors_by_type: node type -> (nodes, d), without types that have no vectors; vectors: those of the
    target's two types. metadata: of the
    embedding file. metrics: the content of metrics.json.
    """

    source: DeviceFiles
    target: Target
    kg: Graph
    vectors_by_type: Mapping[str, np.ndarray]
    metadata: Mapping[str, str]
    vectors: Vectors
    model: Model
    metrics: Mapping[str, Any]

    @cached_property
    def score(self) -> MemberScorer:
        """A function that scores tails with all heads, by the model and by each ensemble member."""
        return pair_model.members(self.model, self.vectors, self.metrics["members"])

    @cached_property
    def treated(self) -> tuple[np.ndarray, np.ndarray]:
        """Heads and tails of the known treatments."""
        return pairs.treated(pairs.label(self.kg, self.target))

    @cached_property
    def cautions(self) -> tuple[np.ndarray, np.ndarray]:
        """The cautions on heads and on tails."""
        vectors = self.vectors.heads, self.vectors.tails
        return applicability.of_target(self.kg, self.target, vectors, self.treated)

    def annotator(self, correct_popularity: float, seed: int) -> Annotator:
        """An annotator of scored pairs.

        correct_popularity: share of a head's mean score that is subtracted from its scores. seed: of the
        random sample of tails for the mean.
        """
        penalties = None
        if correct_popularity:
            mean = popularity.means(lambda tails: self.score(tails)[0], len(self.vectors.tails), seed)
            penalties = np.float32(correct_popularity) * mean
        return Annotator(
            self.kg,
            self.target,
            pairs.known(self.kg, *self.target.types),
            calibration.select_curve(self.metrics["calibration"], correct_popularity, self.source.metrics),
            self.model.weights.treated[1],
            pair_model.support(self.model),
            self.cautions,
            self._known_negative(),
            penalties,
        )

    def _known_negative(self) -> Scorer | None:
        negatives = self.source.negatives
        return pair_model.known_negative(negatives, self.vectors, threads.current()) if negatives else None

    @cached_property
    def explainer(self) -> Explainer:
        """An explainer of pairs, with counterfactual scores if the encoder is there."""
        return Explainer(
            self.kg,
            self.target,
            (self.vectors.heads, self.vectors.tails),
            self.treated,
            paths.network(self.kg),
            self.counterfactuals,
            self._reasoner() if self.model.metapaths else None,
            sources.load(self.source.sources) if self.source.sources else None,
        )

    def _reasoner(self) -> Reasoner:
        return Reasoner(self.kg, self.target, self.model.metapaths, self.model.weights)

    @cached_property
    def counterfactuals(self) -> CounterfactualScorer | None:
        """A scorer with the trained encoder; None for embeddings that come without it."""
        if not self.source.encoder:
            return None
        encoder = counterfactual.read(
            self.source.encoder, self.kg, self.target.types, self.vectors_by_type, self.metadata
        )
        return CounterfactualScorer(encoder, self.model, self.vectors, threads.current())


def load(files_of_device: DeviceFiles, target: Target) -> FinishedDevice:
    """Read a device's files; raises InputError that names a missing, damaged or mismatched file."""
    kg = graph.load(files_of_device.graph)
    embedded = embeddings.read(files_of_device.embeddings)
    # An encoder computes vectors anew, from those of all types; without one, only two types are read.
    required = None if files_of_device.encoder else target.types
    vectors_by_type = embeddings.aligned(embedded, kg, files_of_device.embeddings, required)
    metrics = files.read_json(files_of_device.metrics)
    labelled = pairs.label(kg, target)
    sizes = kg.count(target.head_type), kg.count(target.tail_type)
    metapaths = files_of_device.metapaths
    model = pair_model.load(
        files_of_device.model,
        files_of_device.kernel,
        metrics,
        metapath_fits.load_final(metapaths, kg, target.types, labelled) if metapaths else None,
        classifier.treated_masks(pairs.treated(labelled), sizes, metrics["question"]),
    )
    return FinishedDevice(
        files_of_device,
        target,
        kg,
        vectors_by_type,
        embedded.metadata,
        Vectors.from_rows(vectors_by_type, target.types),
        model,
        metrics,
    )


def _existing(path: Path) -> Path | None:
    return path if path.exists() else None
