"""The pair model, boosted trees plus kernel ridge regression: its scores and its two files."""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
import xgboost

from repurpose.classifier import kernel, trees
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.evaluation import calibration
from repurpose.evaluation.ranks import MemberScorer, Scorer, TailScorer
from repurpose.vectors.vectors import Vectors

# Values of a feature matrix built at once for scoring: 128 MB of float32.
BLOCK_VALUES = 1 << 25
DENSE = 1 / 8  # share of all heads x tails, from which scoring all of them is faster than single pairs


class Model(NamedTuple):
    """Trees, kernel ridge regression, and the weight with which the kernel's logarithm is added."""

    booster: xgboost.Booster
    ridge: kernel.Ridge
    weight: float


def scorer(model: Model, vectors: Vectors, threads: int) -> Scorer:
    """A function that computes margins of pairs: the trees' log-odds plus the weighted kernel's logarithm."""
    tree_margins = tree_scorer(model.booster, vectors, threads)
    if not model.weight:
        return tree_margins
    kernel_scores = kernel.scorer(model.ridge, vectors.heads, vectors.tails)
    return lambda heads, tails: joined(tree_margins(heads, tails), kernel_scores(heads, tails), model.weight)


def members(model: Model, vectors: Vectors, rounds: Sequence[int]) -> MemberScorer:
    """A function that computes margins of some tails with all heads, (1 + members, tails, heads) float32.

    The first are the model's, the others those of each ensemble member alone: its own trees, with the same
    kernel. rounds: number of trees of each member. A single member is the model itself and is not repeated.
    """
    count, width = vectors.heads.shape
    forest, heads = trees.read(model.booster, width), trees.columns(vectors.heads)
    kernel_scores = kernel.matrix(model.ridge, vectors.heads, vectors.tails) if model.weight else None
    ends = np.cumsum([0, *rounds]).tolist()
    member_forests = [trees.part(forest, *span) for span in pairwise(ends)]

    def score(tails: np.ndarray) -> np.ndarray:
        rows = vectors.tails[tails]
        sums = [np.full((len(tails), heads.shape[1]), forest.base)]
        for member_forest in member_forests:
            sums.append(trees.scores(member_forest, heads, rows, sums[-1].copy()))
        alone = [len(member_forests) * (after - before) + forest.base for before, after in pairwise(sums)]
        margins = np.stack([sums[-1], *(alone if len(alone) > 1 else [])])[:, :, :count]
        return joined(margins, kernel_scores(tails), model.weight) if kernel_scores else margins

    return score


def tree_matrix(booster: xgboost.Booster, vectors: Vectors) -> TailScorer:
    """A function that computes the trees' margins of some tails with all heads.

    Raises ValueError if the features are not [head, tail, head x tail].
    """
    if not vectors.product:
        raise ValueError("trees can be evaluated only on the features [head, tail, head x tail]")
    count, width = vectors.heads.shape
    forest, heads = trees.read(booster, width), trees.columns(vectors.heads)
    return lambda tails: trees.scores(forest, heads, vectors.tails[tails])[:, :count]


def replaced(
    model: Model,
    vectors: Vectors,
    ends: tuple[np.ndarray, np.ndarray],
    rows: tuple[np.ndarray, np.ndarray],
    threads: int,
) -> np.ndarray:
    """The margins (n,) of pairs if `rows` (n, d) replace the vectors of their two ends (n,)."""
    pairs = np.arange(len(ends[0]))
    margins = tree_scorer(model.booster, Vectors(*rows, vectors.product), threads)(pairs, pairs)
    if not model.weight:
        return margins
    return joined(
        margins, kernel.replaced(model.ridge, (vectors.heads, vectors.tails), ends, rows), model.weight
    )


def joined(margins: np.ndarray, kernel_scores: np.ndarray, weight: float) -> np.ndarray:
    """Add the weighted logarithm of the kernel's scores to the trees' margins of the same pairs, float32."""
    return margins + np.float32(weight) * kernel.logarithm(kernel_scores)


def tree_scorer(booster: xgboost.Booster, vectors: Vectors, threads: int) -> Scorer:
    """A function that computes the trees' margins (log-odds, float32) of pairs.

    XGBoost walks the trees on blocks of features. If at least DENSE of all heads x the tails of the pairs are
    wanted, `trees` scores all of them instead; the margins are the same.
    """
    booster.set_param({"nthread": threads})
    step = max(1, BLOCK_VALUES // max(booster.num_features(), 1))
    count, of_tails = len(vectors.heads), tree_matrix(booster, vectors) if vectors.product else None

    def score(heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        if of_tails:
            unique_tails, row = np.unique(tails, return_inverse=True)
            if len(heads) >= DENSE * count * len(unique_tails) and len(unique_tails) * count <= BLOCK_VALUES:
                return of_tails(unique_tails)[row, heads]
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
    text = content["model"].encode()
    if hashlib.sha256(text).hexdigest() != content["digest"]:
        raise InputError(f"{path} is damaged; {files.rebuild_hint(path)}")
    score = tree_scorer(_booster(text), vectors, threads)
    curve = calibration.select_curve(content["calibration"], 0.0, path)
    return lambda heads, tails: calibration.probabilities(score(heads, tails), curve).astype(np.float32)


def save(model: Model, booster: str | Path, similar: str | Path) -> None:
    """Write the trees as UBJSON and the kernel's coefficients as safetensors."""
    with files.replacing(booster) as temporary:
        temporary.write_bytes(model.booster.save_raw("ubj"))
    with files.replacing(similar) as temporary:
        temporary.write_bytes(safetensors.numpy.save(model.ridge._asdict()))


def load(booster: str | Path, similar: str | Path, trained: Mapping[str, Any]) -> Model:
    """Read the model that a metrics.json (`trained`) describes.

    Raises InputError if a file is missing, or its digest is not the one in metrics.json.
    """
    digests = trained["model_digests"]
    content, arrays = (
        _content(path, digest) for path, digest in zip((booster, similar), digests, strict=True)
    )
    return Model(_booster(content), kernel.Ridge(**safetensors.numpy.load(arrays)), trained["kernel_weight"])


def _booster(content: bytes) -> xgboost.Booster:
    """Read trees in one of XGBoost's formats.

    XGBoost ends the whole process on some damaged content, so the caller checks the digest first.
    """
    booster = xgboost.Booster()
    booster.load_model(bytearray(content))
    return booster


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
