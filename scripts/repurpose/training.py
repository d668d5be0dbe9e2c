"""The training loop: one full-graph step an epoch, validated on held-out edges, the best state kept."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from repurpose import devices, graph, hgt, holdout, losses, negatives
from repurpose.graph import Graph

Row = dict[str, float | int | None]
VALID_EDGES = 2000  # per relation; enough for an AUROC to about 0.01


@dataclass(frozen=True)
class Settings:
    """The config section `training`, without `batching`."""

    epochs: int
    learning_rate: float
    edge_sample_size: int
    supervision_share: float
    valid_share: float
    valid_every: int
    degree_matched_share: float
    contrastive: Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What a training leaves: vectors per node type (nodes, d), the record and the trained model."""

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
    seed: int,
    on_step: Callable[[Row], None],
) -> Result:
    """Train one encoder on the message relations of `kg` on one torch device.

    `on_step` receives one row of the history after each step. The record has status `completed`, or
    `diverged` with reason and remedy when the loss stopped being a number; the vectors are those of the
    best state on the held-out validation edges.
    """
    started = time.perf_counter()
    run = _Run(kg, encoder, settings, tail_type, device, seed)
    status, reason, remedy = "completed", "", ""
    best, best_step, row = None, 0, {}
    for step in range(1, settings.epochs + 1):
        row = {"step": step, "epoch": step, **run.step()}
        if not math.isfinite(row["total"]):
            status, reason = "diverged", f"the loss was {row['total']} at step {step}"
            remedy = "lower training.learning_rate"
            on_step(
                {
                    **row,
                    "link": None,
                    "contrastive": None,
                    "total": None,
                    "valid_auroc": None,
                    "seconds": _since(started),
                }
            )
            break
        validated = step % settings.valid_every == 0 or step == settings.epochs
        row["valid_auroc"] = run.validate() if validated else None
        row["seconds"] = _since(started)
        on_step(row)
        if row["valid_auroc"] is not None and (best is None or row["valid_auroc"] > best):
            best, best_step = row["valid_auroc"], step
            run.keep()
    record = {
        "status": status,
        "reason": reason,
        "remedy": remedy,
        "floor": losses.LINK_FLOOR,
        "contrastive_floor": run.contrastive_floor,
        "steps": row.get("step", 0),
        "best_step": best_step,
        "best_valid_auroc": best,
        "edges_seen": run.edges_seen,
        "final_link": row.get("link") if status == "completed" else None,
    }
    vectors = run.vectors()
    record |= {"seconds": _since(started), "peak_rss_bytes": devices.peak_rss_bytes(), "notes": run.notes}
    return Result(vectors, record, run.model)


class _Run:
    """The state of one training: model, optimizer, edges, generators."""

    def __init__(
        self, kg: Graph, encoder: hgt.Settings, settings: Settings, tail_type: str, device: str, seed: int
    ):
        self.kg, self.settings, self.device = kg, settings, torch.device(device)
        self.generator = np.random.default_rng([seed, 1])
        self.held = holdout.split(kg, settings.valid_share, seed)
        self.sampled = negatives.candidates(kg, self.held.train, self.held.train)
        self.tails = graph.span(kg, tail_type)
        self.offsets = graph.offsets(kg)
        self.notes: list[str] = []
        self.similar = self._similar(tail_type)
        self.contrastive_floor: float | None = None
        self.model = hgt.build(kg, encoder, seed, device)
        # fused: one pass over each parameter, no temporary copies.
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=settings.learning_rate, fused=True)
        self.edges = self.model.prepare(self.held.train)
        self.valid_pairs = self._validation_pairs(seed)
        self.edges_seen = 0
        self.best: dict[str, Tensor] | None = None

    def step(self) -> Row:
        """One optimizer step over the whole graph; the edges it predicts are hidden from its messages."""
        self.model.train()
        hidden = [self._draw(edges.shape[1]) for edges in self.held.train]
        positives = [edges[:, rows] for edges, rows in zip(self.held.train, hidden, strict=True)]
        matched = self.settings.degree_matched_share
        drawn = [
            negatives.corrupt(source, edges, matched, self.generator)
            for source, edges in zip(self.sampled, positives, strict=True)
        ]
        contrast = self._draw_contrast()
        rows = [] if contrast is None else [contrast.anchors, contrast.partners]
        pairs = [*positives, *drawn], [*range(len(drawn))] * 2
        # No name for the embeddings: they would outlive their use in the backward pass.
        relation, logits, vectors = self._read(self.model(self.edges.without(hidden)), *pairs, rows)
        count = sum(edges.shape[1] for edges in positives)
        of_each = logits[:count], logits[count:], relation[:count], relation[count:]
        total = link = losses.link_loss(*of_each, len(positives))
        contrastive = None
        if contrast is not None:
            masked = torch.from_numpy(contrast.masked).to(self.device)
            temperature = self.settings.contrastive["temperature"]
            contrastive = losses.info_nce(*vectors.chunk(2), masked, temperature)
            self.contrastive_floor = contrast.floor
            total = link + self.settings.contrastive["weight"] * contrastive
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        self.edges_seen += count
        return {
            "edges_seen": self.edges_seen,
            "link": link.item(),
            "contrastive": None if contrastive is None else contrastive.item(),
            "total": total.item(),
        }

    def validate(self) -> float | None:
        """Mean over relations of the AUROC of held-out edges against fixed negatives; None without any."""
        if not self.valid_pairs:
            return None
        z = self._embed()
        scores = []
        for index, positive, negative in self.valid_pairs:
            with torch.no_grad():
                logits = self._read(z, [positive, negative], [index, index], [])[1].cpu().numpy()
            labels = np.repeat([1, 0], [positive.shape[1], negative.shape[1]])
            scores.append(roc_auc_score(labels, logits) if np.isfinite(logits).all() else 0.5)
        return float(np.mean(scores))

    def keep(self) -> None:
        """Remember the present weights as the best ones."""
        self.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def vectors(self) -> dict[str, np.ndarray]:
        """Embeddings of the best state (of the last one, if none was validated), per node type."""
        if self.best is not None:
            self.model.load_state_dict(self.best)
        z = self._embed().float().cpu().numpy()
        return {t: z[graph.span(self.kg, t)] for t in self.kg.node_types}

    def _embed(self) -> Tensor:
        self.model.eval()
        with torch.no_grad():
            return self.model(self.edges.whole)

    def _draw(self, edges: int) -> np.ndarray:
        """Rows of one relation to predict in a step: at least one, where the relation has two or more."""
        size = min(self.settings.edge_sample_size, int(self.settings.supervision_share * edges))
        size = max(size, 1) if edges > 1 else 0
        return self.generator.choice(edges, size, replace=False, shuffle=False)

    def _read(
        self, z: Tensor, edges: Sequence[np.ndarray], relations: Sequence[int], rows: Sequence[np.ndarray]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Relation index and logit of each pair of `edges`, (2, P) arrays of one relation each; z[tails]."""
        moved = [edge + self.offsets[index] for edge, index in zip(edges, relations, strict=True)]
        head, tail = np.concatenate(moved, axis=1)
        of = np.repeat(np.asarray(relations, np.int64), [edge.shape[1] for edge in edges])
        wanted = np.concatenate([np.zeros(0, np.int64), *rows]) + self.tails.start
        relation, head, tail, wanted = (
            torch.from_numpy(each).to(self.device) for each in (of, head, tail, wanted)
        )
        return relation, *self.model.read(z, relation, head, tail, wanted)

    def _draw_contrast(self) -> losses.Contrast | None:
        if self.similar is None:
            return None
        return losses.draw_contrast(self.similar, self.settings.contrastive["batch_size"], self.generator)

    def _similar(self, tail_type: str) -> losses.SimilarTails | None:
        options = self.settings.contrastive
        if options["weight"] == 0 or not options["relations"]:
            return None
        threshold = options["similarity_threshold"]
        similar = losses.similar_tails(self.kg, self.held.train, options["relations"], tail_type, threshold)
        if len(similar.anchors):
            return similar
        note = (
            f"no two {tail_type} nodes share enough neighbours over {', '.join(options['relations'])} "
            f"(Jaccard above {threshold}): the contrastive term is skipped"
        )
        logging.warning(note)
        self.notes.append(note)
        return None

    def _validation_pairs(self, seed: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Per relation with held-out edges: index, positives and fixed negatives that are no edge at all."""
        generator = np.random.default_rng([seed, 2])
        everything = holdout.merged(self.held.train, self.held.valid, self.held.check)
        sources = negatives.candidates(self.kg, self.held.train, everything)
        pairs = []
        for index, (source, edges) in enumerate(zip(sources, self.held.valid, strict=True)):
            positive = edges[:, generator.permutation(edges.shape[1])[:VALID_EDGES]]
            negative = negatives.corrupt(source, positive, self.settings.degree_matched_share, generator)
            if positive.shape[1] and negative.shape[1]:
                pairs.append((index, positive, negative))
        return [pair for pair in pairs if pair[1].shape[1] >= holdout.FEW_EDGES] or pairs


def _since(started: float) -> float:
    return time.perf_counter() - started
