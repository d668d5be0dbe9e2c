"""The pair model, a weighted sum of parts: its scores and its two files.

Two parts read embeddings: boosted trees and kernel ridge regression. Two read metapaths and votes (see
`metapath_model`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
import xgboost

from repurpose.classifier import ensemble, kernel, trees
from repurpose.classifier.list_weights import EMBEDDED, PARTS, ListWeights
from repurpose.classifier.metapath_model import FittedMetapaths
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.evaluation import calibration, popularity
from repurpose.evaluation.ranks import MemberScorer, Scorer, TailScorer
from repurpose.vectors.vectors import Vectors

# Values of a feature matrix built at once for scoring: 128 MB of float32.
BLOCK_VALUES = 1 << 25
OFFSETS = "head_offsets"  # name of the weights' offsets in the kernel's file
DENSE = 1 / 8  # share of all heads x tails, from which scoring all of them is faster than single pairs


class Model(NamedTuple):
    """The parts of a fitted model, None for those that it lacks, and their weights."""

    booster: xgboost.Booster | None
    ridge: kernel.Ridge | None
    metapaths: FittedMetapaths | None
    weights: ListWeights


def scorer(model: Model, vectors: Vectors, threads: int) -> Scorer:
    """A function that computes two scores of pairs (n,): (2, n), for the list of the tail and of the head."""
    score = part_scorer(model, vectors, threads)
    return lambda heads, tails: model.weights.combined(score(heads, tails), heads, tails)


def part_scorer(model: Model, vectors: Vectors, threads: int) -> Scorer:
    """A function that computes the scores of pairs (n,) by each part of a model: (parts, n).

    A last row follows if the part metapaths has other scores for lists of heads (see `in_lists_of_heads`).
    """
    parts, scorers = model.weights.parts, []
    if "trees" in parts:
        scorers.append(tree_scorer(model.booster, vectors, threads))
    if "kernel" in parts:
        kernel_scores = kernel.scorer(model.ridge, vectors.heads, vectors.tails)
        scorers.append(lambda heads, tails: kernel.logarithm(kernel_scores(heads, tails)))
    if model.metapaths:
        scorers.append(lambda heads, tails: _kept(model.metapaths.of_pairs(heads, tails), parts))
    return lambda heads, tails: np.concatenate([np.atleast_2d(score(heads, tails)) for score in scorers])


def part_matrix(model: Model, vectors: Vectors, leaves_trees: bool = False) -> TailScorer:
    """A function that computes the scores of tails (m,) with all heads by each part: (parts, m, heads).

    A last row follows as in `part_scorer`. leaves_trees: the trees' scores are left as 0.
    """
    parts, scorers = model.weights.parts, []
    if "trees" in parts:
        of_tails = _no_margins(len(vectors.heads)) if leaves_trees else tree_matrix(model.booster, vectors)
        scorers.append(lambda tails: of_tails(tails)[None])
    if "kernel" in parts:
        kernel_scores = kernel.matrix(model.ridge, vectors.heads, vectors.tails)
        scorers.append(lambda tails: kernel.logarithm(kernel_scores(tails))[None])
    if model.metapaths:
        scorers.append(lambda tails: _kept(model.metapaths.scores(tails), parts))
    return lambda tails: np.concatenate([score(tails) for score in scorers])


def members(model: Model, vectors: Vectors, rounds: Sequence[int]) -> MemberScorer:
    """A function that computes scores of some tails with all heads, (2 + members, tails, heads) float32.

    The first are the model's for the lists of the tails, the second those for the lists of the heads, the
    others those of each ensemble member alone for the lists of the tails: its own trees, with the same other
    parts. rounds: number of trees of each member. A single member is the model itself and is not repeated.
    """
    count, width = vectors.heads.shape
    forest, heads = trees.read(model.booster, width), trees.columns(vectors.heads)
    other_parts = part_matrix(model, vectors, leaves_trees=True)
    ends = np.cumsum([0, *rounds]).tolist()
    member_forests = [trees.part(forest, *span) for span in pairwise(ends)]

    def score(tails: np.ndarray) -> np.ndarray:
        rows = vectors.tails[tails]
        sums = [np.full((len(tails), heads.shape[1]), forest.base)]
        for member_forest in member_forests:
            sums.append(trees.scores(member_forest, heads, rows, sums[-1].copy()))
        alone = [len(member_forests) * (after - before) + forest.base for before, after in pairwise(sums)]
        parts = other_parts(tails)
        parts[0] = sums[-1][:, :count]
        result = [*model.weights.combined(parts, None, tails)]
        for margins in alone if len(alone) > 1 else []:
            parts[0] = margins[:, :count]
            result.append(model.weights.combined(parts, None, tails)[0])
        return np.stack(result)

    return score


def embedded_means(model: Model, vectors: Vectors, seed: int) -> np.ndarray:
    """The mean score of each head over a sample of tails by each part that reads embeddings.

    float32 (parts, heads); 0 for the other parts.
    """
    parts = model.weights.parts
    embedded = [part for part in parts if part in EMBEDDED]
    means = np.zeros((len(parts), len(vectors.heads)), np.float32)
    if embedded:
        unused = np.zeros(len(embedded), np.float32)
        weights = ListWeights.of_lists(embedded, unused, unused, (len(vectors.heads), len(vectors.tails)))
        score = part_matrix(model._replace(metapaths=None, weights=weights), vectors)
        means[[part in EMBEDDED for part in parts]] = popularity.means(score, len(vectors.tails), seed)
    return means


def support(model: Model) -> np.ndarray:
    """How much the known pairs of other tails say about each tail (see `PairFeatures.support`): (tails,).

    0 for a model that reads no votes.
    """
    if model.metapaths:
        return model.metapaths.features.support()
    return np.zeros(len(model.weights.treated[1]), np.float32)


def _kept(scores: np.ndarray, parts: Sequence[str]) -> np.ndarray:
    """Those of the scores of `FittedMetapaths` that belong to parts of the model."""
    return scores[[name in parts for name in (*PARTS[2:], "metapaths")]]


def _no_margins(heads: int) -> TailScorer:
    return lambda tails: np.zeros((len(tails), heads), np.float32)


def tree_matrix(booster: xgboost.Booster, vectors: Vectors) -> TailScorer:
    """A function that computes the trees' margins of some tails with all heads.

    Only features [head, tail, head x tail] have a fast way.
    """
    count, width = vectors.heads.shape
    if not vectors.product:
        all_heads, score = np.arange(count, dtype=np.int32), _walked(booster, vectors)
        return lambda tails: score(
            np.tile(all_heads, len(tails)), np.repeat(tails.astype(np.int32), count)
        ).reshape(len(tails), count)
    forest, heads = trees.read(booster, width), trees.columns(vectors.heads)
    return lambda tails: trees.scores(forest, heads, vectors.tails[tails])[:, :count]


def replaced(
    model: Model,
    vectors: Vectors,
    ends: tuple[np.ndarray, np.ndarray],
    rows: tuple[np.ndarray, np.ndarray],
    threads: int,
) -> np.ndarray:
    """The embeddings' part of the scores (n,) of pairs if `rows` (n, d) replace the vectors of their ends.

    It is the weighted sum of trees and kernel, for the lists of the pairs' tails.
    """
    pairs = np.arange(len(ends[0]))
    result = np.zeros(len(pairs), np.float32)
    if model.booster:
        margins = tree_scorer(model.booster, Vectors(*rows, vectors.product), threads)(pairs, pairs)
        result += model.weights.of_tails("trees", ends[1]) * margins
    if model.ridge:
        scores = kernel.replaced(model.ridge, (vectors.heads, vectors.tails), ends, rows)
        result += model.weights.of_tails("kernel", ends[1]) * kernel.logarithm(scores)
    return result


def tree_scorer(booster: xgboost.Booster, vectors: Vectors, threads: int) -> Scorer:
    """A function that computes the trees' margins (log-odds, float32) of pairs.

    XGBoost walks the trees on blocks of features. If at least DENSE of all heads x the tails of the pairs are
    wanted, `trees` scores all of them instead; the margins are the same.
    """
    booster.set_param({"nthread": threads})
    walked = _walked(booster, vectors)
    count, of_tails = len(vectors.heads), tree_matrix(booster, vectors) if vectors.product else None

    def score(heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        if of_tails:
            unique_tails, row = np.unique(tails, return_inverse=True)
            if len(heads) >= DENSE * count * len(unique_tails) and len(unique_tails) * count <= BLOCK_VALUES:
                return of_tails(unique_tails)[row, heads]
        return walked(heads, tails)

    return score


def _walked(booster: xgboost.Booster, vectors: Vectors) -> Scorer:
    """A function that lets XGBoost itself compute the margins of pairs, on blocks of features."""
    step = max(1, BLOCK_VALUES // max(booster.num_features(), 1))

    def score(heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        margins = np.empty(len(heads), np.float32)
        for start in range(0, len(heads), step):
            block = slice(start, start + step)
            rows = vectors.features(heads[block], tails[block])
            margins[block] = booster.inplace_predict(rows, predict_type="margin")
        return margins

    return score


def known_negative(path: str | Path, vectors: Vectors, threads: int) -> Scorer | None:
    """A function that computes the probability of pairs to be known negatives; path: contraindication model.

    None if the file says that there is no model. Raises InputError that names the file if it is damaged.
    """
    content = files.read_json(path)
    if content["model"] is None:
        return None
    try:
        booster = ensemble.of_text(content["model"], content["digest"])
    except ValueError as error:
        raise InputError(f"{path} is damaged; {files.rebuild_hint(path)}") from error
    score = tree_scorer(booster, vectors, threads)
    curve = calibration.select_curve(content["calibration"], 0.0, path)
    return lambda heads, tails: calibration.probabilities(score(heads, tails), curve).astype(np.float32)


def save(model: Model, booster: str | Path, similar: str | Path) -> None:
    """Write the trees as UBJSON, and the kernel and the offsets of the weights as safetensors."""
    with files.replacing(booster) as temporary:
        temporary.write_bytes(model.booster.save_raw("ubj"))
    arrays = model.ridge._asdict() if model.ridge else {}
    if model.weights.offsets is not None:
        arrays = {**arrays, OFFSETS: model.weights.offsets}
    with files.replacing(similar) as temporary:
        temporary.write_bytes(safetensors.numpy.save(arrays))


def load(
    booster: str | Path,
    similar: str | Path,
    trained: Mapping[str, Any],
    metapaths: FittedMetapaths | None,
    treated: tuple[np.ndarray, np.ndarray],
) -> Model:
    """Read the model that a metrics.json (`trained`) describes.

    metapaths: the final model of the run. treated: of each head and of each tail, whether it has a known
    treatment. Raises InputError if a file is missing, or its digest is not the one in metrics.json.
    """
    digests = trained["model_digests"]
    content, saved = (
        _content(path, digest) for path, digest in zip((booster, similar), digests, strict=True)
    )
    arrays = safetensors.numpy.load(saved) if saved else {}
    weights = ListWeights.read(trained["weights"], treated, arrays.pop(OFFSETS, None))
    ridge = kernel.Ridge(**arrays) if arrays else None
    reads_metapaths = set(weights.parts) - set(EMBEDDED)
    return Model(ensemble.of_bytes(content), ridge, metapaths if reads_metapaths else None, weights)


def _content(path: str | Path, digest: str) -> bytes:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise _not_the_model(path, error.strerror or "unreadable") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise _not_the_model(path, "its digest is not the one in its metrics file")
    return content


def _not_the_model(path: str | Path, reason: str) -> InputError:
    return InputError(f"{path} is not the model that was trained ({reason}); {files.rebuild_hint(path)}")
