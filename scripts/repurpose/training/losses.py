"""The terms of the training loss: link prediction, ranking, and contrast between diseases."""

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
RANKING_FLOOR = 1.0  # of `ranking_loss`, when all logits are equal


def link_loss(
    positive: Tensor, negative: Tensor, positive_of: Tensor, negative_of: Tensor, relations: int
) -> Tensor:
    """Mean over relations of the mean BCE of positives plus the mean BCE of negatives.

    positive (P,) and negative (N,) are logits, positive_of and negative_of their relation indices. Relations
    without positives or without negatives do not count, so that logits of zero give 2 ln 2 exactly.
    """
    mean, counts = link_losses(positive, negative, positive_of, negative_of, relations)
    return (mean * counts).sum() / counts.sum().clamp(min=1)


def link_losses(
    positive: Tensor, negative: Tensor, positive_of: Tensor, negative_of: Tensor, relations: int
) -> tuple[Tensor, Tensor]:
    """The link loss of each relation (R,), and which of them (R,) have both positives and negatives."""
    sums_and_counts = []
    for logits, relation, sign in ((positive, positive_of, 1.0), (negative, negative_of, -1.0)):
        # softplus(-x) is the cross entropy of logit x with label 1.
        total = logits.new_zeros(relations).index_add(0, relation, functional.softplus(-sign * logits))
        sums_and_counts.append((total, torch.bincount(relation, minlength=relations)))
    (gain, positives), (loss, negatives) = sums_and_counts
    counts = (positives > 0) & (negatives > 0)
    return gain / positives.clamp(min=1) + loss / negatives.clamp(min=1), counts


def ranking_loss(z: Tensor, weight: Tensor, head: Tensor, tail: Tensor, counts: Sequence[int]) -> Tensor:
    """Mean over relations of the loss for ranking an edge's head and tail among those of other edges.

    The softmax cross entropy of an edge's tail among the tails of its relation's edges, and of its head among
    their heads, each divided by the log of their number: 1 for a model whose logits are all equal. Edges that
    share the edge's head or tail are not candidates. Relations with fewer than two edges do not count.
    In-batch negatives as in Karpukhin et al., "Dense passage retrieval", EMNLP 2020.

    head, tail: (E,) ends of the edges, sorted by relation. counts: edges of each relation, as numbers,
    because reading them from the device would take time. z (nodes, d), weight (relations, d): of DistMult.
    """
    terms, last = [], 0
    for index, count in enumerate(counts):
        edges, last = slice(last, last + count), last + count
        if count < 2:
            continue
        heads, tails, target = head[edges], tail[edges], torch.arange(count, device=z.device)
        logits = (
            (z.index_select(0, heads) * weight[index]) @ z.index_select(0, tails).T / math.sqrt(z.shape[1])
        )
        shares_an_end = (heads[:, None] == heads) | (tails[:, None] == tails)
        logits = logits.masked_fill(shares_an_end.fill_diagonal_(False), -math.inf)
        entropy = functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
        terms.append(entropy / (2 * math.log(count)))
    return torch.stack(terms).mean() if terms else z.sum() * 0


@dataclass(frozen=True)
class SimilarTails:
    """Pairs of target tails (diseases) whose neighbour sets overlap."""

    similar: sp.csr_array  # (tails, tails) bool, without the diagonal
    anchors: np.ndarray  # tails that have at least one similar tail


def similar_tails(
    kg: Graph, edges: Sequence[np.ndarray], names: Sequence[str], tail_type: str, threshold: float
) -> SimilarTails:
    """Tails whose sets of neighbours over the named relations have a Jaccard index above `threshold`.

    edges: (2, E) per message relation. The result is sparse: only pairs that share a neighbour are computed.
    Raises InputError if a named relation is no message relation of the tail type.
    """
    compared.require(kg.relations, names, tail_type)
    neighbours = matrices.neighbours(kg, edges, names, tail_type)
    shared = (neighbours @ neighbours.T).tocoo()
    size = neighbours.sum(axis=1)
    union = size[shared.row] + size[shared.col] - shared.data
    keep = (shared.row != shared.col) & (shared.data > threshold * union)
    cells = (np.ones(keep.sum(), bool), (shared.row[keep], shared.col[keep]))
    similar = sp.csr_array(cells, shape=shared.shape)
    return SimilarTails(similar, np.flatnonzero(np.diff(similar.indptr)))


@dataclass(frozen=True)
class Contrast:
    """Drawn tails (B,), a similar tail for each, and which partners (B, B) are masked: no negatives."""

    anchors: np.ndarray
    partners: np.ndarray
    masked: np.ndarray

    @property
    def floor(self) -> float:
        """The loss if all vectors are equal: the mean log of the number of candidates."""
        return float(np.log((~self.masked).sum(axis=1)).mean())


def draw_contrast(similar: SimilarTails, size: int, generator: np.random.Generator) -> Contrast:
    """Draw at most `size` tails that have similar tails, and one similar tail for each.

    The candidates of an anchor are its partner and all other partners of the draw, except tails that are
    similar to the anchor, and the anchor itself.
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
