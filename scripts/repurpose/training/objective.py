"""The training objective: the loss terms, and the held-out edges that measure progress."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from repurpose.config.sections import TrainingSettings
from repurpose.core import streams
from repurpose.graph import holdout, negatives
from repurpose.graph.graph import Graph
from repurpose.hgt.hgt import HGT
from repurpose.training import losses

VALID_EDGES = 2000  # per relation; enough for an AUROC to about 0.01
MATCHED_NEGATIVES = 4  # per held-out edge, for the watchdog; its noise is a fifth lower than with one

Pairs = tuple[int, np.ndarray, np.ndarray]  # index of a relation, edges (2, P), negatives (2, N)


@dataclass(frozen=True)
class Draw:
    """The pairs that one step predicts, by node numbers over all types.

    relation, head, tail: (P,), the first `positives` of them edges, the others negatives. ranked: per
    relation, positions of the edges of the ranking term. rows: anchors, then partners of the contrastive
    term; empty without `contrast`.
    """

    relation: np.ndarray
    head: np.ndarray
    tail: np.ndarray
    positives: int
    ranked: Sequence[np.ndarray]
    rows: np.ndarray
    contrast: losses.Contrast | None

    @property
    def nodes(self) -> np.ndarray:
        """All nodes whose embeddings the step reads, with repetitions."""
        return np.concatenate([self.head, self.tail, self.rows])

    def renumbered(self, positions: Callable[[np.ndarray], np.ndarray]) -> "Draw":
        """The same pairs with node numbers changed by `positions`."""
        return replace(self, **{name: positions(getattr(self, name)) for name in ("head", "tail", "rows")})


class Terms(NamedTuple):
    """The losses of one step; `ranking` and `contrastive` are None where the term is off."""

    total: Tensor
    link: Tensor
    ranking: Tensor | None
    contrastive: Tensor | None

    def detached(self) -> "Terms":
        """The same values without gradients."""
        return Terms(*(None if term is None else term.detach() for term in self))


class Objective:
    """The edges that training may see, what a step draws from them, and the losses of a draw.

    held: the split of the message edges. valid: held-out edges with fixed negatives, which choose the best
    state. matched: the same with negatives of matched degree, which degrees alone do not distinguish from
    edges. similar: None if no two tails share enough neighbours, or if the contrastive term is off. notes:
    sentences for the record.
    """

    def __init__(self, kg: Graph, settings: TrainingSettings, tail_type: str, seed: int) -> None:
        self.settings, self.relations = settings, len(kg.of_role("message"))
        self.held = holdout.split(kg, settings.valid_share, seed)
        self.sources = negatives.candidates(kg, self.held.train, self.held.train)
        self.offsets, self.tails = kg.offsets(), kg.span(tail_type)
        self.notes: list[str] = []
        self.similar = self._similar(kg, tail_type)
        self.valid = self._validation_pairs(
            kg, settings.degree_matched_share, 1, streams.generator(seed, "validation pairs")
        )
        self.matched = self._validation_pairs(
            kg, 1.0, MATCHED_NEGATIVES, streams.generator(seed, "degree-matched validation pairs")
        )

    def draw(self, chosen: Sequence[np.ndarray], generator: np.random.Generator) -> Draw:
        """Draw pairs: the training edges at `chosen` of each relation, as many negatives, and tails."""
        positives = [edges[:, rows] for edges, rows in zip(self.held.train, chosen, strict=True)]
        matched = self.settings.degree_matched_share
        negative = [
            negatives.corrupt(source, edges, matched, generator) if edges.size else edges
            for source, edges in zip(self.sources, positives, strict=True)
        ]
        contrast, rows = None, np.zeros(0, np.int64)
        if self.similar is not None:
            size = self.settings.contrastive.batch_size
            contrast = losses.draw_contrast(self.similar, size, generator)
            rows = np.concatenate([contrast.anchors, contrast.partners]).astype(np.int64) + self.tails.start
        relation, head, tail = self._numbered([*positives, *negative], [*range(self.relations)] * 2)
        ranked = self._ranked([each.shape[1] for each in positives], generator)
        return Draw(relation, head, tail, sum(each.shape[1] for each in positives), ranked, rows, contrast)

    def terms(self, model: HGT, z: Tensor, draw: Draw) -> Terms:
        """The losses of a draw whose nodes are rows of z."""
        relation, head, tail, rows = (
            torch.from_numpy(each).to(z.device) for each in (draw.relation, draw.head, draw.tail, draw.rows)
        )
        logits, vectors = model.read(z, relation, head, tail, rows)
        positives = draw.positives
        link = losses.link_loss(
            logits[:positives], logits[positives:], relation[:positives], relation[positives:], self.relations
        )
        total, ranking, contrastive = link, None, None
        if draw.ranked:
            chosen = torch.from_numpy(np.concatenate(draw.ranked)).to(z.device)
            ends = (each.index_select(0, chosen) for each in (head, tail))
            counts = [len(each) for each in draw.ranked]
            ranking = losses.ranking_loss(z, model.decoder.weight, *ends, counts)
            total = total + self.settings.ranking.weight * ranking
        if draw.contrast is not None:
            options = self.settings.contrastive
            masked = torch.from_numpy(draw.contrast.masked).to(z.device)
            contrastive = losses.info_nce(*vectors.chunk(2), masked, options.temperature)
            total = total + options.weight * contrastive
        return Terms(total, link, ranking, contrastive)

    def auroc(self, model: HGT, z: Tensor) -> float | None:
        """Mean over relations of the AUROC of held-out edges against fixed negatives; None without edges."""
        scores = self.aurocs(model, z, self.valid)
        return float(np.mean(scores)) if scores else None

    def aurocs(self, model: HGT, z: Tensor, pairs: Sequence[Pairs]) -> list[float]:
        """The AUROC of each of `pairs`; 0.5 if a logit is not finite."""
        scores = []
        for index, positive, negative in pairs:
            relation, head, tail = (
                torch.from_numpy(each).to(z.device)
                for each in self._numbered([positive, negative], [index, index])
            )
            with torch.no_grad():
                logits = model.read(z, relation, head, tail, head[:0])[0].cpu().numpy()
            labels = np.repeat([1, 0], [positive.shape[1], negative.shape[1]])
            scores.append(float(roc_auc_score(labels, logits)) if np.isfinite(logits).all() else 0.5)
        return scores

    def _ranked(self, counts: Sequence[int], generator: np.random.Generator) -> list[np.ndarray]:
        """Random positions of at most `ranking.edges` edges of each relation; counts: edges per relation."""
        if not self.settings.ranking.weight:
            return []
        most, first = self.settings.ranking.edges, np.cumsum([0, *counts])[:-1]
        return [generator.permutation(n)[:most] + start for n, start in zip(counts, first, strict=True)]

    def _numbered(
        self, edges: Sequence[np.ndarray], relations: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Relation, head and tail (P,) of edges, by node numbers; edges: (2, E) of one relation each."""
        numbered = [edge + self.offsets[index] for edge, index in zip(edges, relations, strict=True)]
        head, tail = np.concatenate(numbered, axis=1)
        relation = np.repeat(np.asarray(relations, np.int64), [edge.shape[1] for edge in edges])
        return relation, head, tail

    def _similar(self, kg: Graph, tail_type: str) -> losses.SimilarTails | None:
        options = self.settings.contrastive
        if options.weight == 0 or not options.relations:
            return None
        threshold = options.similarity_threshold
        similar = losses.similar_tails(kg, self.held.train, options.relations, tail_type, threshold)
        if len(similar.anchors):
            return similar
        note = (
            f"no two {tail_type} nodes share enough neighbours over {', '.join(options.relations)} "
            f"(Jaccard above {threshold}): the contrastive term is skipped"
        )
        logging.warning(note)
        self.notes.append(note)
        return None

    def _validation_pairs(
        self, kg: Graph, matched: float, times: int, generator: np.random.Generator
    ) -> list[Pairs]:
        """Per relation with held-out edges: index, positives, and fixed negatives, which are no known edges.

        matched: share of the negatives drawn in proportion to degree. times: negatives for each positive.
        """
        everything = holdout.merge(self.held.train, self.held.valid, self.held.check)
        sources = negatives.candidates(kg, self.held.train, everything)
        pairs = []
        for index, (source, edges) in enumerate(zip(sources, self.held.valid, strict=True)):
            positive = edges[:, generator.permutation(edges.shape[1])[:VALID_EDGES]]
            repeated = np.repeat(positive, times, axis=1)
            negative = negatives.corrupt(source, repeated, matched, generator)
            if positive.shape[1] and negative.shape[1]:
                pairs.append((index, positive, negative))
        return [pair for pair in pairs if pair[1].shape[1] >= holdout.FEW_EDGES] or pairs
