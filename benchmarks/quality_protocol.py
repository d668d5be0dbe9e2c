"""The protocol of the quality benchmark: folds, examples, classifiers and ranks.

Every method gets the same positives, folds, random negatives and classifiers: XGBoost on the features [head,
tail, head x tail] (`trees`), kernel ridge regression (`kernel`), and their sum with the kernel's logarithm
KERNEL_WEIGHT times (`both`). Only the rank of each positive of a test fold is kept; all
metrics follow from the ranks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from repurpose.classifier import boosting, examples, kernel, pair_model
from repurpose.config.sections import ClassifierSettings, Target
from repurpose.graph.graph import Graph
from repurpose.pairs import pairs, unknown
from repurpose.vectors.vectors import Vectors

FOLDS = 5
DRAWS = 2  # draws of negatives, each with a model; the margins of the models are averaged
VALID_SHARE = 0.125  # of the training pairs of a fold, or of their heads or tails
TOP = 100
LIST = 50  # places of a tail's list
CLASSIFIERS = ("trees", "kernel", "both")
KERNEL_WEIGHT = 6.0  # of the kernel in `both`
SIDES = {"drug": 0, "disease": 1}  # scheme -> the side of a pair whose nodes are held out whole


@dataclass(frozen=True)
class Positives:
    """The positive pairs of a task, heads and tails (P,); metrics need them in addition to the ranks."""

    heads: np.ndarray
    tails: np.ndarray


@dataclass(frozen=True)
class Task(Positives):
    """The positives of a graph's target, and the pairs that must not count as negatives.

    known: all pairs with an edge of any relation. counts: number of heads, number of tails. reserved: heads
    and tails of pairs that are left out of tests and of rankings.
    """

    known: pairs.Known
    counts: tuple[int, int]
    reserved: tuple[np.ndarray, np.ndarray] = (np.zeros(0, int), np.zeros(0, int))


@dataclass(frozen=True)
class Part:
    """The positives of one fold by their use, as positions.

    train: for training. asked: for the test. hidden: left out of both, and not ranked.
    """

    train: np.ndarray
    asked: np.ndarray
    hidden: np.ndarray


def task(kg: Graph, target: Target) -> Task:
    """The task of a graph; known negatives of the target count as known pairs."""
    labelled = pairs.label(kg, target)
    positive = labelled[labelled["label"] == 1]
    return Task(
        positive["head_index"].to_numpy(),
        positive["tail_index"].to_numpy(),
        pairs.known(kg, *target.types),
        (kg.count(target.head_type), kg.count(target.tail_type)),
    )


def development(job: Task) -> Task:
    """A task for choices of settings: its positives are all known pairs except the reserved positives.

    Reserved are the target's positives in the first fold of a scheme, about half of all. A setting that was
    chosen on the others can then be tested on pairs that no choice has used.
    """
    is_reserved = reserved(job)
    keys = job.heads.astype(np.int64) * job.counts[1] + job.tails
    known_keys = job.known.heads.astype(np.int64) * job.counts[1] + job.known.tails
    chosen = np.setdiff1d(known_keys, keys[is_reserved])
    heads, tails = np.divmod(chosen, job.counts[1])
    return Task(heads, tails, job.known, job.counts, (job.heads[is_reserved], job.tails[is_reserved]))


def reserved(job: Task) -> np.ndarray:
    """Bool (P,): True for the positives that are reserved."""
    return np.any([folds(job, scheme, 0) == 0 for scheme in pairs.SCHEMES], axis=0)


def folds(job: Task, scheme: str, seed: int, count: int = FOLDS) -> np.ndarray:
    """The fold (P,) of each positive; `disease` and `drug` keep all pairs of a tail or a head in one fold.

    In random order, each group of pairs goes to the fold with the fewest pairs so far.
    """
    generator = np.random.default_rng([seed, pairs.SCHEMES.index(scheme)])
    if scheme == "random":
        return generator.permutation(np.arange(len(job.heads)) % count)
    names, group_of_pair, sizes = np.unique(_groups(job, scheme), return_inverse=True, return_counts=True)
    fold_of_group, fold_sizes = np.zeros(len(names), int), np.zeros(count, int)
    for group in generator.permutation(len(names)):
        fold_of_group[group] = fold_sizes.argmin()
        fold_sizes[fold_of_group[group]] += sizes[group]
    return fold_of_group[group_of_pair]


def test_part(job: Task, of_fold: np.ndarray, fold: int) -> Part:
    """The part that trains on all other folds and tests on this one."""
    return Part(np.flatnonzero(of_fold != fold), np.flatnonzero(of_fold == fold), np.zeros(0, int))


def valid_part(job: Task, scheme: str, of_fold: np.ndarray, fold: int, seed: int) -> Part:
    """The part that tests on a share of the training positives, or of their heads or tails.

    The test positives of the fold are hidden.
    """
    outer = test_part(job, of_fold, fold)
    groups = outer.train if scheme == "random" else _groups(job, scheme)[outer.train]
    generator = np.random.default_rng([seed, pairs.SCHEMES.index(scheme), fold, 1])
    names = generator.permutation(np.unique(groups))
    is_asked = np.isin(groups, names[: max(1, round(VALID_SHARE * len(names)))])
    return Part(outer.train[~is_asked], outer.train[is_asked], outer.asked)


def ranks(
    job: Task,
    vectors: Vectors,
    scheme: str,
    part: Part,
    settings: ClassifierSettings,
    stream: Sequence[int],
    draws: int,
    threads: int,
) -> dict[str, dict[str, Any]]:
    """Classifier -> ranks of the tested positives, by the mean margin over `draws` draws of negatives.

    `above`: twice the number of negatives with a higher score, where an equal score counts once. `place`:
    the same count over pairs of the same tail. Negatives are all pairs that are no positive of any fold; if
    whole tails (heads) are held out, only pairs of these. `negatives`: number of negatives.
    """
    pools = [np.arange(count) for count in job.counts]
    side = SIDES.get(scheme)
    if side is not None:
        # A negative with a held-out head or tail gives the classifier information about that node.
        held_out = (job.heads, job.tails)[side]
        pools[side] = np.setdiff1d(pools[side], np.setdiff1d(held_out, held_out[part.train]))
    frame = pd.DataFrame(
        {"head_index": job.heads[part.train], "tail_index": job.tails[part.train], "label": 1}
    )
    # To the classifier, the other positives are unknown pairs like any others.
    others = np.setdiff1d(np.arange(len(job.heads)), part.train)
    hidden = pd.DataFrame({"head_index": job.heads[others], "tail_index": job.tails[others]})
    known = unknown.without(job.known, hidden)
    is_candidate = _candidates(job, scheme, part)
    heads, tails = np.nonzero(is_candidate)
    head_and_tail = heads.astype(np.int32), tails.astype(np.int32)
    trees = np.zeros(len(heads), np.float32)
    for draw in range(draws):
        generator = np.random.default_rng([*stream, draw])
        training_examples = examples.make_examples(frame, known, *pools, settings, generator)
        booster = boosting.boost(vectors, training_examples, settings.trees, settings, draw, threads)
        trees += pair_model.tree_scorer(booster, vectors, threads)(*head_and_tail) / draws
    ridge = boosting.fit_kernel(vectors, training_examples, stream[0])
    similar = kernel.scorer(ridge, vectors.heads, vectors.tails)(*head_and_tail)
    both = trees + np.float32(KERNEL_WEIGHT) * kernel.logarithm(similar)
    scores = np.full(job.counts, -np.inf, np.float32)
    ranks_by_classifier = {}
    for name, values in zip(CLASSIFIERS, (trees, similar, both), strict=True):
        scores[heads, tails] = values
        ranks_by_classifier[name] = ranked(job, scores, scheme, part)
    return ranks_by_classifier


def ranked(job: Task, scores: np.ndarray, scheme: str, part: Part) -> dict[str, Any]:
    """The ranks of the tested positives as in `ranks`, from scores (heads, tails)."""
    tested_pairs = job.heads[part.asked], job.tails[part.asked]
    return _ranked(scores, _candidates(job, scheme, part), *tested_pairs)


def _candidates(job: Task, scheme: str, part: Part) -> np.ndarray:
    """Bool (heads, tails): True for pairs that are ranked, that is the tested positives and negatives."""
    is_candidate = np.ones(job.counts, bool)
    side = SIDES.get(scheme)
    if side is not None:
        other_nodes = np.setdiff1d(np.arange(job.counts[side]), (job.heads, job.tails)[side][part.asked])
        is_candidate[(other_nodes, slice(None)) if side == 0 else (slice(None), other_nodes)] = False
    for seen in (part.train, part.hidden):
        is_candidate[job.heads[seen], job.tails[seen]] = False
    is_candidate[job.reserved] = False
    return is_candidate


def _ranked(
    scores: np.ndarray, is_candidate: np.ndarray, heads: np.ndarray, tails: np.ndarray
) -> dict[str, Any]:
    positive_scores = scores[heads, tails]
    is_negative = is_candidate.copy()
    is_negative[heads, tails] = False
    above = _beating(np.sort(scores[is_negative]), positive_scores)
    place = np.zeros(len(positive_scores), np.int64)
    for tail in np.unique(tails):
        is_of_tail = tails == tail
        # Minus one, because a pair ties with itself.
        column = np.sort(scores[is_candidate[:, tail], tail])
        place[is_of_tail] = _beating(column, positive_scores[is_of_tail]) - 1
    return {"above": above.tolist(), "place": place.tolist(), "negatives": int(is_negative.sum())}


def _beating(ascending: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Twice the number of sorted values above each score; a tie counts once."""
    low, high = (np.searchsorted(ascending, scores, side) for side in ("left", "right"))
    return 2 * len(ascending) - low - high


def auroc(above: np.ndarray, negatives: int, weights: np.ndarray | None = None) -> np.ndarray:
    """AUROC (W,) from the `above` (P,) of the positives, for each row of weights (W, P)."""
    weights = np.ones((1, len(above))) if weights is None else weights
    return 1 - (weights @ (above / 2)) / np.maximum(weights.sum(axis=1), 1e-9) / max(negatives, 1)


def auprc(above: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Average precision (W,) from the `above` (P,) of the positives, for each row of weights (W, P)."""
    weights = np.ones((1, len(above))) if weights is None else weights
    order = np.argsort(above, kind="stable")
    ordered = weights[:, order]
    positives_so_far = np.cumsum(ordered, axis=1)
    precision = positives_so_far / np.maximum(positives_so_far + above[order] / 2, 1e-9)
    return (ordered * precision).sum(axis=1) / np.maximum(ordered.sum(axis=1), 1e-9)


def recall(
    place: np.ndarray, tails: np.ndarray, weights: np.ndarray | None = None, top: int = TOP
) -> np.ndarray:
    """Share of a tail's positives among its best `top`, mean over tails (W,), per row of weights (W, P)."""
    weights = np.ones((1, len(place))) if weights is None else weights
    _, tail_of_pair = np.unique(tails, return_inverse=True)
    of_tail = np.eye(tail_of_pair.max() + 1)[tail_of_pair]
    positives_on_top, positives = (weights * (place < 2 * top)) @ of_tail, weights @ of_tail
    shares = np.divide(positives_on_top, positives, out=np.zeros_like(positives_on_top), where=positives > 0)
    return shares.sum(axis=1) / np.maximum((positives > 0).sum(axis=1), 1)


def list_metrics(
    place: np.ndarray, tails: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Metrics of the list of one tail, means over tails (W,), per row of weights (W, P).

    The pairs of a tail have one weight, that of the tail. `ap`: the mean precision at the tail's positives.
    `mrr_of_first`: 1 / rank of the first one. `recall_at_50`: see `recall`. A tie counts half.
    """
    names, first, tail_of_pair = np.unique(tails, return_index=True, return_inverse=True)
    order = np.lexsort((place, tail_of_pair))
    counts = np.bincount(tail_of_pair)
    starts = np.cumsum(counts) - counts
    rank = place[order] / 2 + 1
    precision = (np.arange(len(place)) - np.repeat(starts, counts) + 1) / rank
    values = {
        "ap": np.add.reduceat(precision, starts) / counts,
        "mrr_of_first": 1 / rank[starts],
        "recall_at_50": np.add.reduceat(rank < LIST + 1, starts, dtype=float) / counts,
    }
    of_tails = np.ones((1, len(names))) if weights is None else weights[:, first]
    total = np.maximum(of_tails.sum(axis=1), 1e-9)
    return {name: of_tails @ of_tail / total for name, of_tail in values.items()}


def _groups(job: Task, scheme: str) -> np.ndarray:
    return job.tails if scheme == "disease" else job.heads
