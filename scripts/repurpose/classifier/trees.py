"""Score every pair of some heads and tails by boosted trees, without a feature matrix.

A feature of a pair is a number of its head, a number of its tail, or the product of the two. For one tail,
the splits on tail features are decided once for all heads. The remaining splits are written as a list of
steps. The steps are computed for a tile of heads at a time, from the leaves upwards: each step is one
comparison and one choice between two rows of values. XGBoost, in contrast, walks every tree from its root for
every pair, and needs the features of each pair in memory.

The scores are XGBoost's own to the last bit: the product is rounded before it is compared with the threshold,
and leaves are added in the order of the trees.
"""

import json
from typing import Any, NamedTuple

import numpy as np
import xgboost

from repurpose.classifier import ensemble
from repurpose.kernels import parallel
from repurpose.kernels.compiled import loop
from repurpose.kernels.simd import choose, load, splat, store

TILE = 512  # heads computed at once: with 512 numbers each, their vectors are 1 MB and fit a core's L2 cache
VECTOR = 32  # heads in one vector operation (one or two instructions)
LEAF = -1  # child number and kind of a leaf
OF_HEAD, OF_TAIL, OF_BOTH = 0, 1, 2
GROUP = 8  # tails that share a tile of heads, so that the tile is loaded once for all of them
# Flags of a step: its lower or higher child is a leaf; it is the last of its tree; its tree is a single leaf.
LOW_IS_LEAF, HIGH_IS_LEAF, LAST, ALONE = 1, 2, 4, 8


class Forest(NamedTuple):
    """Trees as arrays over the nodes of all trees; tree i has the nodes first[i] to first[i + 1] - 1.

    left, right: child of a split, LEAF for a leaf. kind: the split's feature is a column of the head's vector
    (OF_HEAD), of the tail's (OF_TAIL), or the product of both (OF_BOTH); LEAF for a leaf. column: number of
    that column. value: float32, threshold of a split (a smaller feature goes left) or value of a leaf. base:
    start of the sum. levels: nodes on the longest path from a root to a leaf.
    """

    first: np.ndarray
    left: np.ndarray
    right: np.ndarray
    kind: np.ndarray
    column: np.ndarray
    value: np.ndarray
    base: np.float32
    levels: int


def read(booster: xgboost.Booster, width: int) -> Forest:
    """The trees of a booster with one output on the features [head, tail, head x tail]; width: of a vector.

    Raises ValueError if the trees split categories or have other features, or if there is no tree.
    """
    if booster.num_features() != 3 * width:
        raise ValueError(
            f"the trees do not split on features of [head, tail, head x tail] with {width} numbers each"
        )
    forest = read_columns(booster)
    kind = np.where(forest.left == LEAF, LEAF, forest.column // width)
    return forest._replace(kind=kind, column=forest.column % width)


def read_columns(booster: xgboost.Booster) -> Forest:
    """The trees of a booster with one output, on any features of pairs, for `column_scores`.

    Raises ValueError if the trees split categories, or if there is no tree.
    """
    model = json.loads(booster.save_raw("json"))
    trees = model["learner"]["gradient_booster"]["model"]["trees"]
    counts = [len(tree["left_children"]) for tree in trees]
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def joined(name: str, dtype: Any) -> np.ndarray:
        return np.concatenate([np.zeros(0, dtype), *(np.asarray(tree[name], dtype) for tree in trees)])

    if not trees:
        raise ValueError("the model has no trees")
    if any(tree["categories_nodes"] for tree in trees):
        raise ValueError("the trees split categories")
    moved = np.repeat(first[:-1], counts)
    left, right = (joined(f"{side}_children", np.int64) for side in ("left", "right"))
    is_leaf, feature = left == LEAF, joined("split_indices", np.int64)
    left, right = (np.where(is_leaf, LEAF, side + moved) for side in (left, right))
    return Forest(
        first,
        left,
        right,
        np.where(is_leaf, LEAF, OF_HEAD),
        feature,
        joined("split_conditions", np.float32),
        _base(model, booster.num_features()),
        _levels(first[:-1], left, right),
    )


def part(forest: Forest, begin: int, end: int) -> Forest:
    """The trees `begin` to `end` - 1."""
    return forest._replace(first=forest.first[begin : end + 1])


def columns(heads: np.ndarray) -> np.ndarray:
    """Transpose vectors (n, d) for `scores`; up to VECTOR - 1 heads of zeros are added: (d, n + padding)."""
    return np.ascontiguousarray(np.pad(heads, ((0, -len(heads) % VECTOR), (0, 0))).T, np.float32)


def scores(
    forest: Forest, heads: np.ndarray, tails: np.ndarray, onto: np.ndarray | None = None
) -> np.ndarray:
    """Margins (tails, heads) of all pairs, float32: XGBoost's, to the last bit.

    heads: from `columns`, with padding; tails: float32 (m, d). onto: margins of earlier trees; the leaves are
    added to them in place.
    """
    tails = np.ascontiguousarray(tails, np.float32)
    result = np.full((len(tails), heads.shape[1]), forest.base) if onto is None else onto
    work = heads.shape[1] * max(len(forest.first) - 1, 1)
    parallel.run(_score, parallel.even(len(tails), work), heads, tails, *forest[:6], forest.levels, result)
    return result


def column_scores(forest: Forest, features: np.ndarray) -> np.ndarray:
    """Margins (m, n) of pairs by trees from `read_columns`, float32: XGBoost's, to the last bit.

    features: float32 (features, m, n), for example of m tails with n heads.
    """
    _, tails, heads = features.shape
    padding = (0, 0), (0, 0), (0, -heads % VECTOR)
    rows = np.ascontiguousarray(np.pad(features.transpose(1, 0, 2), padding), np.float32)
    result = np.full((tails, rows.shape[2]), forest.base)
    work = rows.shape[2] * max(len(forest.first) - 1, 1)
    parallel.run(_score_columns, parallel.even(tails, work), rows, *forest[:6], forest.levels, result)
    return result[:, :heads]


def _base(model: dict[str, Any], features: int) -> np.float32:
    """The start of the sum of leaves, computed by XGBoost itself, so that it has XGBoost's rounding."""
    first = model["learner"]["gradient_booster"]["model"]["trees"][0]
    # A model of the first tree alone, with all leaves and thresholds 0, returns only the start.
    empty = first | {"split_conditions": [0.0] * len(first["split_conditions"])}
    booster = ensemble.of_trees(model, [empty])
    return booster.inplace_predict(np.zeros((1, features), np.float32), predict_type="margin")[0]


def _levels(nodes: np.ndarray, left: np.ndarray, right: np.ndarray) -> int:
    levels = 0
    while len(nodes):
        levels += 1
        inner = nodes[left[nodes] != LEAF]
        nodes = np.concatenate([left[inner], right[inner]])
    return levels


@loop(fastmath=False)
def _score(begin, end, columns, tails, first, left, right, kind, column, value, levels, result):
    # Per tail, the steps of all trees: a split comes after the splits below it, its left side first.
    most = len(left)
    count = np.empty(GROUP, np.int64)
    shape = np.empty((GROUP, most), np.int8)
    row = np.empty((GROUP, most), np.int32)
    numbers = np.empty((GROUP, most, 4), np.float32)  # factor, threshold, constant below, constant above
    chosen = np.empty((levels + 1, TILE), np.float32)
    work = np.empty((3, most), np.int64), np.empty(levels + 1, np.int64)
    for group in range(begin, end, GROUP):
        size = min(GROUP, end - group)
        for at in range(size):
            tail = tails[group + at]
            count[at] = _plan(
                tail, first, left, right, kind, column, value, *work, shape[at], row[at], numbers[at]
            )
        for start in range(0, columns.shape[1], TILE):
            width = min(TILE, columns.shape[1] - start)
            for at in range(size):
                _walk(
                    count[at],
                    shape[at],
                    row[at],
                    numbers[at],
                    columns,
                    start,
                    width,
                    chosen,
                    result,
                    group + at,
                )


@loop(fastmath=False)
def _score_columns(begin, end, features, first, left, right, kind, column, value, levels, result):
    most = len(left)
    shape, row = np.empty(most, np.int8), np.empty(most, np.int32)
    numbers = np.empty((most, 4), np.float32)
    chosen = np.empty((levels + 1, TILE), np.float32)
    work = np.empty((3, most), np.int64), np.empty(levels + 1, np.int64)
    # No split is on a tail's number, so the steps are the same for all tails.
    unread = np.empty(0, np.float32)
    steps = _plan(unread, first, left, right, kind, column, value, *work, shape, row, numbers)
    for line in range(begin, end):
        columns = features[line]
        for start in range(0, columns.shape[1], TILE):
            width = min(TILE, columns.shape[1] - start)
            _walk(steps, shape, row, numbers, columns, start, width, chosen, result, line)


@loop(fastmath=False, nogil=False)
def _plan(tail, first, left, right, kind, column, value, visited, waiting, shape, row, numbers):
    """Write the steps of all trees for one tail; returns the number of steps."""
    steps = 0
    for tree in range(len(first) - 1):
        root = first[tree]
        while kind[root] == OF_TAIL:
            root = left[root] if tail[column[root]] < value[root] else right[root]
        if left[root] < 0:
            shape[steps], numbers[steps, 2] = ALONE, value[root]
            steps += 1
            continue
        seen, waiting[0], open_nodes = 0, root, 1
        while open_nodes:
            open_nodes -= 1
            node = waiting[open_nodes]
            low, high = left[node], right[node]
            while kind[low] == OF_TAIL:
                low = left[low] if tail[column[low]] < value[low] else right[low]
            while kind[high] == OF_TAIL:
                high = left[high] if tail[column[high]] < value[high] else right[high]
            visited[0, seen], visited[1, seen], visited[2, seen] = node, low, high
            seen += 1
            for child in (low, high):
                if left[child] >= 0:
                    waiting[open_nodes] = child
                    open_nodes += 1
        for at in range(seen - 1, -1, -1):
            node, low, high = visited[0, at], visited[1, at], visited[2, at]
            form = LAST if at == 0 else 0
            if left[low] < 0:
                form |= LOW_IS_LEAF
                numbers[steps, 2] = value[low]
            if left[high] < 0:
                form |= HIGH_IS_LEAF
                numbers[steps, 3] = value[high]
            shape[steps], row[steps] = form, column[node]
            numbers[steps, 0] = tail[column[node]] if kind[node] == OF_BOTH else np.float32(1)
            numbers[steps, 1] = value[node]
            steps += 1
    return steps


@loop(fastmath=False, nogil=False)
def _walk(steps, shape, row, numbers, columns, start, width, chosen, result, line):
    """Compute all steps for one tail and a tile of heads, and add the chosen leaves to result[line]."""
    top = 0
    for step in range(steps):
        form = shape[step]
        low, high = splat(VECTOR, numbers[step, 2]), splat(VECTOR, numbers[step, 3])
        if form == ALONE:
            for j in range(0, width, VECTOR):
                store(result, line, start + j, load(VECTOR, result, line, start + j) + low)
            continue
        top -= (form & LOW_IS_LEAF == 0) + (form & HIGH_IS_LEAF == 0)
        # If both sides are rows, the right side's row follows the left side's on the stack.
        below, above = top, top + (form & LOW_IS_LEAF == 0)
        is_last, is_low, is_high = form & LAST != 0, form & LOW_IS_LEAF != 0, form & HIGH_IS_LEAF != 0
        factor, threshold = numbers[step, 0], numbers[step, 1]
        for j in range(0, width, VECTOR):
            if not is_low:
                low = load(VECTOR, chosen, below, j)
            if not is_high:
                high = load(VECTOR, chosen, above, j)
            found = choose(load(VECTOR, columns, row[step], start + j), factor, threshold, low, high)
            if is_last:
                store(result, line, start + j, load(VECTOR, result, line, start + j) + found)
            else:
                store(chosen, top, j, found)
        top = 0 if is_last else top + 1
