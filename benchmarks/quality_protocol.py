"""How the quality benchmark asks what embeddings are worth: folds, examples, classifiers, ranks.

Every method gets the same positives, folds, random negatives and classifiers: XGBoost on features
[head, tail, head x tail] (`trees`), kernel ridge regression (`kernel`), and `both` joined with the largest
weight of `classifier.kernel_weights`. What is kept of a test fold is the rank of each of its positives,
from which all metrics follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from repurpose.classifier import boosting, examples, kernel, pair_model
from repurpose.graph.graph import Graph
from repurpose.graph.target import Target
from repurpose.pairs import pairs
from repurpose.vectors.vectors import Vectors

FOLDS = 5
DRAWS = 2  # of negatives; the margins of their models are averaged
VALID_SHARE = 0.125  # of the pairs, heads or tails that a fold trains on
TOP = 100
CLASSIFIERS = ("trees", "kernel", "both")
SIDES = {"drug": 0, "disease": 1}  # of a pair, which a scheme holds out whole


@dataclass(frozen=True)
class Positives:
    """The positive pairs of a task, heads and tails (P,): all that metrics need of it beside the ranks."""

    heads: np.ndarray
    tails: np.ndarray


@dataclass(frozen=True)
class Task(Positives):
    """The positives of a graph's target and everything that a fold may not confuse with negatives.

    known: all pairs that any relation joins. counts: heads, tails. reserved: heads and tails of pairs that
    are neither asked for nor ranked.
    """

    known: pairs.Known
    counts: tuple[int, int]
    reserved: tuple[np.ndarray, np.ndarray] = (np.zeros(0, int), np.zeros(0, int))


@dataclass(frozen=True)
class Part:
    """What a model of a fold learns from, and what it is asked.

    train, asked: positions of positives. hidden: positives that are neither and must not be seen.
    """

    train: np.ndarray
    asked: np.ndarray
    hidden: np.ndarray


def task(kg: Graph, target: Target) -> Task:
    """The task of a graph; negatives that the target names count as known pairs, not as positives."""
    labelled = pairs.label(kg, target)
    positive = labelled[labelled["label"] == 1]
    return Task(
        positive["head_index"].to_numpy(),
        positive["tail_index"].to_numpy(),
        pairs.known(kg, *target.types),
        (kg.count(target.head_type), kg.count(target.tail_type)),
    )


def development(job: Task) -> Task:
    """A task to make choices by: all that joins heads and tails but the target's reserved positives.

    Reserved are the positives of the first fold of each scheme, about half of them: what was chosen by
    the others can be tested on pairs that no choice has seen.
    """
    is_reserved = reserved(job)
    keys = job.heads.astype(np.int64) * job.counts[1] + job.tails
    others = job.known.heads.astype(np.int64) * job.counts[1] + job.known.tails
    chosen = np.setdiff1d(others, keys[is_reserved])
    heads, tails = np.divmod(chosen, job.counts[1])
    return Task(heads, tails, job.known, job.counts, (job.heads[is_reserved], job.tails[is_reserved]))


def reserved(job: Task) -> np.ndarray:
    """Which positives (P,) are reserved."""
    return np.any([folds(job, scheme, 0) == 0 for scheme in pairs.SCHEMES], axis=0)


def folds(job: Task, scheme: str, seed: int, count: int = FOLDS) -> np.ndarray:
    """The fold (P,) of each positive; disease and drug keep all pairs of a tail or a head together.

    Groups go, in random order, to the fold that has the fewest pairs so far.
    """
    rng = np.random.default_rng([seed, pairs.SCHEMES.index(scheme)])
    if scheme == "random":
        return rng.permutation(np.arange(len(job.heads)) % count)
    names, which, sizes = np.unique(_groups(job, scheme), return_inverse=True, return_counts=True)
    of_group, filled = np.zeros(len(names), int), np.zeros(count, int)
    for group in rng.permutation(len(names)):
        of_group[group] = filled.argmin()
        filled[of_group[group]] += sizes[group]
    return of_group[which]


def test_part(job: Task, of_fold: np.ndarray, fold: int) -> Part:
    """Train on all other folds, ask for this one."""
    return Part(np.flatnonzero(of_fold != fold), np.flatnonzero(of_fold == fold), np.zeros(0, int))


def valid_part(job: Task, scheme: str, of_fold: np.ndarray, fold: int, seed: int) -> Part:
    """Ask for a share of the fold's training positives, or of their heads or tails; its test is hidden."""
    outer = test_part(job, of_fold, fold)
    groups = outer.train if scheme == "random" else _groups(job, scheme)[outer.train]
    rng = np.random.default_rng([seed, pairs.SCHEMES.index(scheme), fold, 1])
    names = rng.permutation(np.unique(groups))
    is_asked = np.isin(groups, names[: max(1, round(VALID_SHARE * len(names)))])
    return Part(outer.train[~is_asked], outer.train[is_asked], outer.asked)


def ranks(
    job: Task,
    vectors: Vectors,
    scheme: str,
    part: Part,
    settings: examples.Settings,
    stream: Sequence[int],
    draws: int,
    threads: int,
) -> dict[str, dict[str, Any]]:
    """Classifier -> the rank of each positive that is asked for, from the mean margin over some draws.

    `above`: twice the number of negatives that score higher, those that score the same counted once;
    `place`: twice the number of pairs of the same tail that do. Negatives are all pairs that no fold has
    as positives, within the held-out tails (heads) where whole ones are held out. `negatives`: their number.
    """
    pools = [np.arange(count) for count in job.counts]
    side = SIDES.get(scheme)
    if side is not None:
        # A negative of a held-out head or tail would tell the classifier something about it.
        out = (job.heads, job.tails)[side]
        pools[side] = np.setdiff1d(pools[side], np.setdiff1d(out, out[part.train]))
    frame = pd.DataFrame(
        {"head_index": job.heads[part.train], "tail_index": job.tails[part.train], "label": 1}
    )
    is_candidate = _candidates(job, scheme, part)
    heads, tails = np.nonzero(is_candidate)
    pair = heads.astype(np.int32), tails.astype(np.int32)
    trees = np.zeros(len(heads), np.float32)
    for draw in range(draws):
        rng = np.random.default_rng([*stream, draw])
        made = examples.make_examples(frame, job.known, *pools, settings, rng)
        booster = boosting.boost(vectors, made, settings.trees, settings, draw, threads)
        trees += pair_model.tree_scorer(booster, vectors, threads)(*pair) / draws
    ridge = boosting.fit_kernel(vectors, made, stream[0])
    similar = kernel.scorer(ridge, vectors.heads, vectors.tails)(*pair)
    both = pair_model.joined(trees, similar, max(settings.kernel_weights))
    scores = np.full(job.counts, -np.inf, np.float32)
    found = {}
    for name, values in zip(CLASSIFIERS, (trees, similar, both), strict=True):
        scores[heads, tails] = values
        found[name] = ranked(job, scores, scheme, part)
    return found


def ranked(job: Task, scores: np.ndarray, scheme: str, part: Part) -> dict[str, Any]:
    """What `ranks` gives, from given scores (heads, tails)."""
    asked = job.heads[part.asked], job.tails[part.asked]
    return _ranked(scores, _candidates(job, scheme, part), *asked)


def _candidates(job: Task, scheme: str, part: Part) -> np.ndarray:
    """The pairs (heads, tails) that the asked ones are ranked among, with these."""
    is_candidate = np.ones(job.counts, bool)
    side = SIDES.get(scheme)
    if side is not None:
        others = np.setdiff1d(np.arange(job.counts[side]), (job.heads, job.tails)[side][part.asked])
        is_candidate[(others, slice(None)) if side == 0 else (slice(None), others)] = False
    for seen in (part.train, part.hidden):
        is_candidate[job.heads[seen], job.tails[seen]] = False
    is_candidate[job.reserved] = False
    return is_candidate


def _ranked(
    scores: np.ndarray, is_candidate: np.ndarray, heads: np.ndarray, tails: np.ndarray
) -> dict[str, Any]:
    own = scores[heads, tails]
    is_negative = is_candidate.copy()
    is_negative[heads, tails] = False
    above = _beating(np.sort(scores[is_negative]), own)
    place = np.zeros(len(own), np.int64)
    for tail in np.unique(tails):
        of_tail = tails == tail
        # Less one: a pair ties with itself.
        column = np.sort(scores[is_candidate[:, tail], tail])
        place[of_tail] = _beating(column, own[of_tail]) - 1
    return {"above": above.tolist(), "place": place.tolist(), "negatives": int(is_negative.sum())}


def _beating(ascending: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Twice the number of sorted values above each score, ties counted once."""
    low, high = (np.searchsorted(ascending, scores, side) for side in ("left", "right"))
    return 2 * len(ascending) - low - high


def auroc(above: np.ndarray, negatives: int, weights: np.ndarray | None = None) -> np.ndarray:
    """AUROC from the positives' `above` (P,), for each line of weights (W, P)."""
    weights = np.ones((1, len(above))) if weights is None else weights
    return 1 - (weights @ (above / 2)) / np.maximum(weights.sum(axis=1), 1e-9) / max(negatives, 1)


def auprc(above: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Average precision from the positives' `above` (P,), for each line of weights (W, P)."""
    weights = np.ones((1, len(above))) if weights is None else weights
    order = np.argsort(above, kind="stable")
    ordered = weights[:, order]
    found = np.cumsum(ordered, axis=1)
    precision = found / np.maximum(found + above[order] / 2, 1e-9)
    return (ordered * precision).sum(axis=1) / np.maximum(ordered.sum(axis=1), 1e-9)


def recall(
    place: np.ndarray, tails: np.ndarray, weights: np.ndarray | None = None, top: int = TOP
) -> np.ndarray:
    """Share of a tail's positives among its best `top`, mean over tails, for each line of weights (W, P)."""
    weights = np.ones((1, len(place))) if weights is None else weights
    _, which = np.unique(tails, return_inverse=True)
    of_tail = np.eye(which.max() + 1)[which]
    found, size = (weights * (place < 2 * top)) @ of_tail, weights @ of_tail
    shares = np.divide(found, size, out=np.zeros_like(found), where=size > 0)
    return shares.sum(axis=1) / np.maximum((size > 0).sum(axis=1), 1)


def _groups(job: Task, scheme: str) -> np.ndarray:
    return job.tails if scheme == "disease" else job.heads
