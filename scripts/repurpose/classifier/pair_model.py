"""The model of pairs, XGBoost and kernel ridge regression side by side: its scores and its two files."""

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
DENSE = 1 / 8  # of the heads of each tail


class Model(NamedTuple):
    """Trees, kernel ridge regression, and the weight of its logarithm beside the trees' margin."""

    booster: xgboost.Booster
    ridge: kernel.Ridge
    weight: float


def scorer(model: Model, vectors: Vectors, threads: int) -> Scorer:
    """Margins (float32) of pairs: the trees' log-odds and `weight` times the log of the kernel's score."""
    grown = tree_scorer(model.booster, vectors, threads)
    if not model.weight:
        return grown
    similar = kernel.scorer(model.ridge, vectors.heads, vectors.tails)
    return lambda heads, tails: joined(grown(heads, tails), similar(heads, tails), model.weight)


def members(model: Model, vectors: Vectors, rounds: Sequence[int]) -> MemberScorer:
    """The same margins of all heads, and those of each member alone: the trees `ensemble.merged` has of it.

    rounds: how many trees each member has. One member is the model itself and is not told apart.
    """
    count, width = vectors.heads.shape
    forest, heads = trees.read(model.booster, width), trees.columns(vectors.heads)
    similar = kernel.matrix(model.ridge, vectors.heads, vectors.tails) if model.weight else None
    ends = np.cumsum([0, *rounds]).tolist()
    parts = [trees.part(forest, *span) for span in pairwise(ends)]

    def score(tails: np.ndarray) -> np.ndarray:
        rows = vectors.tails[tails]
        grown = [np.full((len(tails), heads.shape[1]), forest.base)]
        for part in parts:
            grown.append(trees.scores(part, heads, rows, grown[-1].copy()))
        alone = [len(parts) * (after - before) + forest.base for before, after in pairwise(grown)]
        found = np.stack([grown[-1], *(alone if len(alone) > 1 else [])])[:, :, :count]
        return joined(found, similar(tails), model.weight) if similar else found

    return score


def tree_matrix(booster: xgboost.Booster, vectors: Vectors) -> TailScorer:
    """The trees' margins of some tails with all heads, on the features [head, tail, head x tail]."""
    if not vectors.product:
        raise ValueError("trees are walked on the features [head, tail, head x tail] alone")
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
    """The margins (n,) of pairs if their two ends (n,) had `rows` (n, d) in place of their own vectors."""
    pairs = np.arange(len(ends[0]))
    margins = tree_scorer(model.booster, Vectors(*rows, vectors.product), threads)(pairs, pairs)
    if not model.weight:
        return margins
    return joined(
        margins, kernel.replaced(model.ridge, (vectors.heads, vectors.tails), ends, rows), model.weight
    )


def joined(margins: np.ndarray, similar: np.ndarray, weight: float) -> np.ndarray:
    """The trees' margins and the kernel's scores of the same pairs in one, float32."""
    return margins + np.float32(weight) * kernel.logarithm(similar)


def tree_scorer(booster: xgboost.Booster, vectors: Vectors, threads: int) -> Scorer:
    """The trees' margins (log-odds, float32) of pairs, the same whoever walks the trees.

    XGBoost, on features built a bounded block at a time; or `trees`, for all heads of the tails, where at
    least DENSE of these pairs are asked for.
    """
    booster.set_param({"nthread": threads})
    step = max(1, BLOCK_VALUES // max(booster.num_features(), 1))
    count, of_tails = len(vectors.heads), tree_matrix(booster, vectors) if vectors.product else None

    def score(heads: np.ndarray, tails: np.ndarray) -> np.ndarray:
        if of_tails:
            names, row = np.unique(tails, return_inverse=True)
            if len(heads) >= DENSE * count * len(names) and len(names) * count <= BLOCK_VALUES:
                return of_tails(names)[row, heads]
        margins = np.empty(len(heads), np.float32)
        for start in range(0, len(heads), step):
            part = slice(start, start + step)
            rows = vectors.features(heads[part], tails[part])
            margins[part] = booster.inplace_predict(rows, predict_type="margin")
        return margins

    return score


def known_negative(path: str | Path, vectors: Vectors, threads: int) -> Scorer | None:
    """The probability of pairs to be known negatives, by the contraindication model in `path`.

    None if the file says that there is no model. Raises InputError that names the file if its trees are not
    those that were written.
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
    """The model of a metrics.json, `trained`; raises InputError if a file is missing or another than its."""
    digests = trained["model_digests"]
    content, arrays = (
        _content(path, digest) for path, digest in zip((booster, similar), digests, strict=True)
    )
    return Model(_booster(content), kernel.Ridge(**safetensors.numpy.load(arrays)), trained["kernel_weight"])


def _booster(content: bytes) -> xgboost.Booster:
    """Trees in one of XGBoost's formats; it ends the whole process on some damaged ones: check them first."""
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
