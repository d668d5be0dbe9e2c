"""The terms of the training loss: links per relation, their ranking, and diseases that share genes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn import functional

from repurpose.graph import matrices
from repurpose.graph.graph import Graph
from repurpose.training import compared

# Mean BCE of the positives plus mean BCE of the negatives, when every logit is 0.
LINK_FLOOR = 2 * math.log(2)
RANKING_FLOOR = 1.0  # of `ranking_loss`, when all logits are alike


def link_loss(
    positive: Tensor, negative: Tensor, positive_of: Tensor, negative_of: Tensor, relations: int
) -> Tensor:
    """Mean over relations of mean BCE on positives plus mean BCE on negatives.

    `positive` (P,) and `negative` (N,) are logits, `*_of` their relation indices. Relations without
    positives or without negatives do not count, so a constant zero logit gives 2 ln 2 exactly.
    """
    mean, counts = link_losses(positive, negative, positive_of, negative_of, relations)
    return (mean * counts).sum() / counts.sum().clamp(min=1)


def link_losses(
    positive: Tensor, negative: Tensor, positive_of: Tensor, negative_of: Tensor, relations: int
) -> tuple[Tensor, Tensor]:
    """The link loss of each relation (R,), and which of them (R,) have both positives and negatives."""
    parts = []
    for logits, of, sign in ((positive, positive_of, 1.0), (negative, negative_of, -1.0)):
        # softplus(-x) is the cross entropy of logit x with label 1.
        total = logits.new_zeros(relations).index_add(0, of, functional.softplus(-sign * logits))
        parts.append((total, torch.bincount(of, minlength=relations)))
    (gain, positives), (loss, negatives) = parts
    counts = (positives > 0) & (negatives > 0)
    return gain / positives.clamp(min=1) + loss / negatives.clamp(min=1), counts


def ranking_loss(z: Tensor, weight: Tensor, head: Tensor, tail: Tensor, counts: Sequence[int]) -> Tensor:
    """Mean over relations of how badly an edge's head and tail are found among those of the others.

    head, tail: (E,) the ends of edges, those of the first relation first; counts: edges of each relation,
    which the device need not be asked for; z (nodes, d), weight (relations, d): DistMult's. The softmax cross
    entropy of an edge's tail among the tails of its relation's edges, and of its head among their heads,
    each divided by the log of their number: 1 for a model that knows nothing. What shares the edge's head
    or tail is no candidate. A relation with fewer than two edges does not count. In-batch negatives as
    in Karpukhin et al., "Dense passage retrieval", EMNLP 2020.
    """
    parts, last = [], 0
    for index, count in enumerate(counts):
        own, last = slice(last, last + count), last + count
        if count < 2:
            continue
        heads, tails, target = head[own], tail[own], torch.arange(count, device=z.device)
        logits = (
            (z.index_select(0, heads) * weight[index]) @ z.index_select(0, tails).T / math.sqrt(z.shape[1])
        )
        alike = (heads[:, None] == heads) | (tails[:, None] == tails)
        logits = logits.masked_fill(alike.fill_diagonal_(False), -math.inf)
        both = functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
        parts.append(both / (2 * math.log(count)))
    return torch.stack(parts).mean() if parts else z.sum() * 0


@dataclass(frozen=True)
class SimilarTails:
    """Pairs of target tails (diseases) whose neighbour sets overlap."""

    similar: sp.csr_array  # (tails, tails) bool, without the diagonal
    anchors: np.ndarray  # tails that have at least one similar tail


def similar_tails(
    kg: Graph, edges: Sequence[np.ndarray], names: Sequence[str], tail_type: str, threshold: float
) -> SimilarTails:
    """Tails whose sets of neighbours over the named relations have a Jaccard index above `threshold`.

    `edges` are (2, E) arrays per message relation. Sparse: only pairs that share a neighbour exist.
    Raises InputError if a named relation is no message relation of the tail type.
    """
    compared.require(kg.relations, names, tail_type)
    joined = matrices.neighbours(kg, edges, names, tail_type)
    shared = (joined @ joined.T).tocoo()
    size = joined.sum(axis=1)
    union = size[shared.row] + size[shared.col] - shared.data
    keep = (shared.row != shared.col) & (shared.data > threshold * union)
    cells = (np.ones(keep.sum(), bool), (shared.row[keep], shared.col[keep]))
    similar = sp.csr_array(cells, shape=shared.shape)
    return SimilarTails(similar, np.flatnonzero(np.diff(similar.indptr)))


@dataclass(frozen=True)
class Contrast:
    """Drawn tails and, for each, a similar one; `masked` (B, B) are partners that are no negatives."""

    anchors: np.ndarray
    partners: np.ndarray
    masked: np.ndarray

    @property
    def floor(self) -> float:
        """The loss at total collapse (all vectors alike): the mean log of the number of candidates."""
        return float(np.log((~self.masked).sum(axis=1)).mean())


def draw_contrast(similar: SimilarTails, size: int, generator: np.random.Generator) -> Contrast:
    """At most `size` tails that have similar ones, each with one of these.

    The candidates of an anchor are the partners of the whole draw but those that are also similar to
    it, or the anchor itself.
    """
    anchors = generator.choice(similar.anchors, min(size, len(similar.anchors)), replace=False)
    indptr, indices = similar.similar.indptr, similar.similar.indices
    degree = indptr[anchors + 1] - indptr[anchors]
    partners = indices[indptr[anchors] + generator.integers(0, degree)]
    masked = similar.similar[anchors][:, partners].toarray() | (anchors[:, None] == partners[None, :])
    np.fill_diagonal(masked, False)
    return Contrast(anchors, partners, masked)


def info_nce(anchors: Tensor, partners: Tensor, masked: Tensor, temperature: float) -> Tensor:
    """InfoNCE (van den Oord et al., 2018) of vectors (B, d) with their partners, on cosine / temperature."""
    unit_anchors, unit_partners = functional.normalize(anchors, dim=1), functional.normalize(partners, dim=1)
    logits = (unit_anchors @ unit_partners.T / temperature).masked_fill(masked, -math.inf)
    return functional.cross_entropy(logits, torch.arange(len(anchors), device=anchors.device))
