"""Calibrate the final model: turn its margins into probabilities by cross-validation over whole tails.

The tails are randomly assigned to folds. For each fold, the final model is fitted again, with the same rounds
and weights, without the labelled pairs of the fold's tails. The scores of these tails' pairs are on the
final model's scale, at the level of a tail without a known treatment. The less the known treatments of other
tails say about a tail, the fewer of its pairs turn out to be treatments: the curve learns how much fewer.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from repurpose.classifier import classifier, metapath_fits, pair_model
from repurpose.classifier import folds as folds_module
from repurpose.classifier.classifier import Task
from repurpose.classifier.folds import FOLDS, SIDES
from repurpose.classifier.list_weights import ListWeights
from repurpose.core import streams
from repurpose.core.logs import IF_SLOW
from repurpose.evaluation import calibration, popularity
from repurpose.pairs import unknown

log = logging.getLogger(__name__)

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of a head's mean score that is subtracted (see `popularity`)


class Sample(NamedTuple):
    """Treatments and unknown pairs, each scored by the model that was fitted without the pair's fold.

    margins (n,): float32. means (n,): mean margin of the pair's head over all tails by the same model,
    float32. labels, tails and folds (n,). weights (n,): number of pairs that each pair represents, above 1 if
    only a sample of the tails is scored. support (n,): of the pair's tail (see `pair_model.support`), 0 where
    the model knows pairs of the tails.
    """

    margins: np.ndarray
    means: np.ndarray
    labels: np.ndarray
    tails: np.ndarray
    folds: np.ndarray
    weights: np.ndarray
    support: np.ndarray


def calibrated(
    task: Task,
    rounds: Sequence[int],
    weights: ListWeights,
    shares: Sequence[float] = SHARES,
    random_fit: classifier.Fit | None = None,
) -> dict[str, Any]:
    """Calibrate `classifier.fit_final` with these `rounds` and `weights`; returns a dict for JSON.

    `curves`: for each share of a head's mean that is subtracted, the curve (see `calibration.fit`) fitted to
    the pairs of all folds. Its `reliability`, and how often the `best` pair of a tail is a treatment, are
    cross-validated: each fold is judged by a curve fitted to the other folds.

    `treated`: the same for the lists of tails with known treatments, whose scores have other weights, from
    the model of random pairs (`random_fit`) and its test pairs; None without that model, or if its test pairs
    of such tails are too few for a curve.
    """
    scored, side, folds = sample(task, rounds, weights)
    result = {"held_out": side, "folds": folds, **_described(scored, shares), "treated": None}
    if result["curves"][0]["is_flat"]:
        log.warning(
            "held-out treatments do not score above unknown pairs: every pair has about the same "
            "probability, do not rely on the ranking"
        )
    top = result["curves"][0]["best"]["all"]
    log.info(
        "probabilities over %d folds of whole %ss: mean of the best pair of each tail %.3g, known share %.3g",
        folds,
        side,
        top["predicted"],
        top["found"],
    )
    of_treated = sample_of_treated(task, random_fit) if random_fit else None
    if of_treated and _has_enough(of_treated):
        result["treated"] = {"held_out": "pair", "folds": FOLDS, **_described(of_treated, shares)}
    return result


def sample(task: Task, rounds: Sequence[int], weights: ListWeights) -> tuple[Sample, str, int]:
    """The sample, the side that was held out, and the number of folds.

    Whole tails are held out, or whole heads if fewer than FOLDS tails have a treatment (see `folds`).
    Tails are sampled: those with a treatment, and those without, make up to `evaluation_pairs` pairs each.
    """
    rng = streams.generator(task.seed, "sample of the calibration")
    treated = task.pairs[task.pairs["label"] == 1]
    folds = task.metapaths.folds if task.metapaths else folds_module.make(task.pairs, task.sizes, task.seed)
    side = SIDES.index(folds.column)
    tails, tail_weights = _draw_tails(task, treated["tail_index"].to_numpy(), rng)
    labels, is_scored = _pair_masks(task, tails)
    parts = []
    for number in range(folds.count):
        remaining = without(task, folds.is_held_out(task.pairs, number))
        model = classifier.fit_final(remaining, rounds, weights, metapath_fits.fold_name(number))
        score = pair_model.members(model, task.vectors, [sum(rounds)])
        means = popularity.means(lambda part, of=score: of(part)[0], task.sizes[1], task.seed)
        is_in_fold = folds.of_node[tails] == number if side else np.ones(len(tails), bool)
        margins = _scores(score, tails[is_in_fold], task.sizes[0])
        is_used = is_scored[is_in_fold] & (True if side else (folds.of_node == number)[None])
        row, head = np.nonzero(is_used)
        tail = np.flatnonzero(is_in_fold)[row]
        columns = margins[row, head], means[head], labels[tail, head], tails[tail], np.full(len(row), number)
        # Where heads are held out, the model knows pairs of the tails.
        support = pair_model.support(model)[tails[tail]] if side else np.zeros(len(tail), np.float32)
        parts.append((*columns, tail_weights[tail], support))
        log.info("probabilities: fold %d of %d", number + 1, folds.count, extra=IF_SLOW)
    return Sample(*map(np.concatenate, zip(*parts, strict=True))), ("head", "tail")[side], folds.count


def sample_of_treated(task: Task, fit: classifier.Fit) -> Sample:
    """Test pairs of the random split and unknown pairs, both of tails that the split's model knows pairs of.

    Tails are in folds. As in `sample`, the unknown pairs are those of at most `evaluation_pairs` pairs.
    """
    rng = streams.generator(task.seed, "sample of the calibration of treated tails")
    is_test = (task.pairs["random"] == "test") & (task.pairs["label"] == 1)
    known = np.unique(
        task.pairs.loc[(task.pairs["random"] == "train") & (task.pairs["label"] == 1), "tail_index"]
    )
    most = max(FOLDS, task.settings.evaluation_pairs // task.sizes[0])
    tails = np.sort(rng.permutation(known)[:most]).astype(np.int32)
    fold_of_tail = rng.permutation(len(tails)) % FOLDS
    score = pair_model.members(fit.model, task.vectors, [sum(fit.rounds)])
    means = popularity.means(lambda part: score(part)[0], task.sizes[1], task.seed)
    labels, is_scored = _pair_masks(replace(task, pairs=task.pairs[is_test]), tails)
    margins = _scores(score, tails, task.sizes[0])
    row, head = np.nonzero(is_scored)
    weights = np.full(len(row), len(known) / max(1, len(tails)))
    columns = margins[row, head], means[head], labels[row, head], tails[row], fold_of_tail[row], weights
    return Sample(*columns, np.zeros(len(row), np.float32))


def _has_enough(scored: Sample) -> bool:
    """Whether each fold can be judged by a curve that is fitted to treatments of the other folds."""
    return len(np.unique(scored.folds[scored.labels == 1])) > 1


def _described(scored: Sample, shares: Sequence[float]) -> dict[str, Any]:
    """The curves and the sizes of a sample, ready for JSON."""
    return {
        "tails": len(np.unique(scored.tails)),
        "treated_tails": len(np.unique(scored.tails[scored.labels == 1])),
        "positives": int(scored.labels.sum()),
        "pairs": len(scored.labels),
        "curves": [{"share": share, **_curve(scored, share)} for share in shares],
    }


def _curve(scored: Sample, share: float) -> dict[str, Any]:
    margins = scored.margins - np.float32(share) * scored.means
    predicted = cross_validated(scored._replace(margins=margins))
    return {
        **_fitted(scored._replace(margins=margins), slice(None)),
        "reliability": calibration.reliability(predicted, scored.labels, scored.weights),
        "best": calibration.summarise_top_pairs(predicted, scored.labels, scored.tails, scored.weights),
    }


def cross_validated(scored: Sample) -> np.ndarray:
    """The probabilities (n,) of a sample's pairs, each fold by a curve that is fitted to the other folds."""
    predicted = np.empty(len(scored.margins))
    for number in np.unique(scored.folds):
        is_held_out = scored.folds == number
        other_folds = _fitted(scored, ~is_held_out)
        of_fold = scored.margins[is_held_out], other_folds, scored.support[is_held_out]
        predicted[is_held_out] = calibration.probabilities_of(calibration.log_odds(*of_fold))
    return predicted


def _fitted(scored: Sample, rows: np.ndarray | slice) -> dict[str, Any]:
    return calibration.fit(
        scored.margins[rows], scored.labels[rows], scored.weights[rows], scored.support[rows]
    )


def without(task: Task, held: np.ndarray) -> Task:
    """The task without the labelled pairs of the mask `held`; these pairs may then be drawn as negatives."""
    return replace(task, pairs=task.pairs[~held], known=unknown.without(task.known, task.pairs[held]))


def _draw_tails(task: Task, treated: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A sample of tails with and without a treatment, ascending (m,), and how many tails each represents."""
    most = max(FOLDS, task.settings.evaluation_pairs // task.sizes[0])
    groups = [np.unique(treated), np.setdiff1d(np.arange(task.sizes[1]), treated)]
    drawn = [rng.permutation(group)[:most] for group in groups]
    tails = np.concatenate(drawn).astype(np.int32)
    per_group = zip(groups, drawn, strict=True)
    weights = np.concatenate(
        [np.full(len(sampled), len(group) / max(len(sampled), 1)) for group, sampled in per_group]
    )
    order = np.argsort(tails)
    return tails[order], weights[order]


def _pair_masks(task: Task, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two masks (m, heads) of the pairs of tails (m,): which are treatments, and which are scored.

    Treatments and unknown pairs are scored.
    """
    labelled = {
        label: unknown.marked(*(rows[column].to_numpy() for column in SIDES), tails, task.sizes[0])
        for label, rows in task.pairs.groupby("label")
    }
    is_unknown = ~unknown.marked(task.taken.heads, task.taken.tails, tails, task.sizes[0])
    # Known negatives do not represent the unknown pairs; they are used only if there is no unknown pair.
    comparison = is_unknown if is_unknown.any() else labelled.get(0, is_unknown)
    return labelled[1].astype(np.int8), labelled[1] | comparison


def _scores(score: pair_model.MemberScorer, tails: np.ndarray, heads: int) -> np.ndarray:
    """The model's margins of tails with all heads, computed in blocks of tails."""
    step = max(1, pair_model.BLOCK_VALUES // (8 * max(heads, 1)))
    parts = [score(tails[start : start + step])[0] for start in range(0, len(tails), step)]
    return np.concatenate(parts) if parts else np.zeros((0, heads), np.float32)
