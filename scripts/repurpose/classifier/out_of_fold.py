"""The probabilities of the final model, from pairs whose tail's treatments its like has not seen.

The tails are dealt into folds. For each, the final model is fitted again, by the same function and with the
same rounds and weight, as if nothing were known to treat the fold's tails: what their pairs then score is on
the final model's scale, at the level of a tail without a known treatment.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from repurpose.classifier import classifier, pair_model
from repurpose.classifier.classifier import Task
from repurpose.evaluation import calibration, popularity
from repurpose.pairs import unknown
from repurpose.pairs.pairs import Known

log = logging.getLogger(__name__)

FOLDS = 4
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of a head's mean score that may be taken off (see `popularity`)
SIDES = ("head_index", "tail_index")


class Sample(NamedTuple):
    """Treatments and unknown pairs of tails with all heads, scored by a model that did not see the fold.

    margins (n,), means (n,) of the pair's head over all tails by the same model: float32. labels, tails and
    folds (n,). weights (n,): how many pairs each stands for, where some of the tails were drawn.
    """

    margins: np.ndarray
    means: np.ndarray
    labels: np.ndarray
    tails: np.ndarray
    folds: np.ndarray
    weights: np.ndarray


def calibrated(
    task: Task, rounds: Sequence[int], weight: float, shares: Sequence[float] = SHARES
) -> dict[str, Any]:
    """How margins of `classifier.fit_final` with these `rounds` and `weight` become probabilities.

    `curves`: per share of a head's mean that is taken off, the curve (see `calibration.fit`) through the
    pairs of all folds; its `reliability`, and how often the `best` pair of a tail is a treatment, are those
    of the same pairs by curves that were fitted to the other folds.
    """
    found, side, folds = sample(task, rounds, weight)
    curves = [{"share": share, **_curve(found, share)} for share in shares]
    if curves[0]["is_flat"]:
        log.warning(
            "held-out treatments do not score above unknown pairs: every pair has about the same "
            "probability, do not rely on the ranking"
        )
    top = curves[0]["best"]["all"]
    log.info(
        "probabilities over %d folds of whole %ss: the best pair of a tail has %.3g, found are %.3g",
        folds,
        side,
        top["predicted"],
        top["found"],
    )
    return {
        "held_out": side,
        "folds": folds,
        "tails": len(np.unique(found.tails)),
        "treated_tails": len(np.unique(found.tails[found.labels == 1])),
        "positives": int(found.labels.sum()),
        "pairs": len(found.labels),
        "curves": curves,
    }


def sample(task: Task, rounds: Sequence[int], weight: float) -> tuple[Sample, str, int]:
    """The sample, what was held out whole (tail; head where too few tails have a treatment), and the folds.

    Of tails with a treatment, and of those without, so many are drawn as make `evaluation_pairs` pairs.
    """
    rng = np.random.default_rng([task.seed, 1])
    treated = task.pairs[task.pairs["label"] == 1]
    column = "tail_index" if treated["tail_index"].nunique() >= FOLDS else "head_index"
    side, size = SIDES.index(column), task.sizes[SIDES.index(column)]
    count = np.bincount(treated[column], minlength=size)
    folds = min(FOLDS, int((count > 0).sum()))
    fold = np.empty(size, np.int64)
    # Dealt out in the order of their treatments, so that each fold has about as many.
    fold[np.argsort(-(count + rng.random(size)), kind="stable")] = np.arange(size) % folds
    tails, weights = _drawn_tails(task, treated["tail_index"].to_numpy(), rng)
    labels, is_asked = _asked(task, tails)
    # Nobody asks a kernel of weight 0, whose parts need no weights then.
    vectors = task.vectors if weight else replace(task.vectors, blocks=None)
    parts = []
    for number in range(folds):
        held = fold[task.pairs[column]] == number
        model = classifier.fit_final(without(replace(task, vectors=vectors), held), rounds, weight)
        score = pair_model.members(model, task.vectors, [sum(rounds)])
        means = popularity.means(lambda part, of=score: of(part)[0], task.sizes[1], task.seed)
        inside = fold[tails] == number if side else np.ones(len(tails), bool)
        margins = _scores(score, tails[inside], task.sizes[0])
        own = is_asked[inside] & (True if side else (fold == number)[None])
        row, head = np.nonzero(own)
        tail = np.flatnonzero(inside)[row]
        columns = margins[row, head], means[head], labels[tail, head], tails[tail], np.full(len(row), number)
        parts.append((*columns, weights[tail]))
    return Sample(*map(np.concatenate, zip(*parts, strict=True))), ("head", "tail")[side], folds


def _curve(found: Sample, share: float) -> dict[str, Any]:
    margins = found.margins - np.float32(share) * found.means
    predicted = np.empty(len(margins))
    for number in np.unique(found.folds):
        out = found.folds == number
        rest = calibration.fit(margins[~out], found.labels[~out], found.weights[~out])
        predicted[out] = calibration.probabilities(margins[out], rest)
    return {
        **calibration.fit(margins, found.labels, found.weights),
        "reliability": calibration.reliability(predicted, found.labels, found.weights),
        "best": calibration.summarise_top_pairs(predicted, found.labels, found.tails, found.weights),
    }


def without(task: Task, held: np.ndarray) -> Task:
    """The task as if nobody knew some of its labelled pairs, a mask: they may be drawn as negatives."""
    hidden, known = task.pairs[held], task.known
    ends = (hidden[column].to_numpy() for column in SIDES)
    kept = ~unknown.is_known(Known(*ends, np.empty(0, object)), known.heads, known.tails)
    left = Known(known.heads[kept], known.tails[kept], known.names[kept])
    return replace(task, pairs=task.pairs[~held], known=left)


def _drawn_tails(task: Task, treated: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Tails with and without a treatment, ascending (m,), and how many each stands for."""
    most = max(FOLDS, task.settings.evaluation_pairs // task.sizes[0])
    parts = [np.unique(treated), np.setdiff1d(np.arange(task.sizes[1]), treated)]
    drawn = [rng.permutation(part)[:most] for part in parts]
    tails = np.concatenate(drawn).astype(np.int32)
    pairs_of = zip(parts, drawn, strict=True)
    weights = np.concatenate([np.full(len(own), len(part) / max(len(own), 1)) for part, own in pairs_of])
    order = np.argsort(tails)
    return tails[order], weights[order]


def _asked(task: Task, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which pairs of tails (m,) and all heads are treatments, and which are these or unknown: (m, heads)."""

    def marked(heads: np.ndarray, at: np.ndarray) -> np.ndarray:
        found, inside = np.zeros((len(tails), task.sizes[0]), bool), np.isin(at, tails)
        found[np.searchsorted(tails, at[inside]), heads[inside]] = True
        return found

    labelled = {
        label: marked(*(part[column].to_numpy() for column in SIDES))
        for label, part in task.pairs.groupby("label")
    }
    is_unknown = ~marked(task.taken.heads, task.taken.tails)
    # Known negatives are no sample of the unknown pairs; they stand in where none is left.
    others = is_unknown if is_unknown.any() else labelled.get(0, is_unknown)
    return labelled[1].astype(np.int8), labelled[1] | others


def _scores(score: pair_model.MemberScorer, tails: np.ndarray, heads: int) -> np.ndarray:
    """The model's margins of tails with all heads, some at a time."""
    step = max(1, pair_model.BLOCK_VALUES // (8 * max(heads, 1)))
    parts = [score(tails[start : start + step])[0] for start in range(0, len(tails), step)]
    return np.concatenate(parts) if parts else np.zeros((0, heads), np.float32)
