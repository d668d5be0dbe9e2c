"""Agreement of devices: how similar their embeddings, candidates and first losses are.

Two trainings never give the same vectors; at best, nodes have the same nearest neighbours. All measures of
vectors here therefore stay the same when a space is rotated.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from repurpose.config.sections import AgreementSettings
from repurpose.core import streams

MIN_NODES = 20  # types with fewer nodes are skipped: two lists of neighbours overlap by chance
ROUNDING = 1e-12  # a smaller spread, relative to the largest value, is only rounding
SAMPLED_NODES = 2000  # at most so many nodes per type are compared
CANDIDATE_COLUMNS = ["head_id", "tail_id", "known"]
OTHER_SEEDS = "their seeds differ, so the tolerances do not apply"

Shortlist = dict[str, set[str]]  # tail id -> ids of its best heads


@dataclass(frozen=True)
class DeviceRun:
    """The results of one run (a device with a seed) that are compared.

    vectors: node type -> (nodes, d), empty if its training was refused; losses: link loss of its first
    steps; candidates: its shortlist, None if it did not pass the gate. seed: None for the config's `seed`.
    """

    name: str
    batching: str
    vectors: Mapping[str, np.ndarray]
    losses: Sequence[float | None]
    candidates: Shortlist | None
    seed: int | None = None


def compare(
    devices: Sequence[DeviceRun], connected: Mapping[str, np.ndarray], settings: AgreementSettings, seed: int
) -> dict[str, Any]:
    """Compare every pair of runs; the result is ready for JSON.

    The tolerances are for runs with the same seed. Two runs with different seeds get the same figures, but
    without a tolerance or a judgement: `agrees`, `threshold` and `passed` are None, and a note says why.

    connected: node type -> bool (nodes,), True for nodes that have edges.
    """
    pairs = [_compare_two(*two, connected, settings, seed) for two in itertools.combinations(devices, 2)]
    judgements = [pair["agrees"] for pair in pairs if pair["agrees"] is not None]
    return {
        "devices": [device.name for device in devices],
        "agrees": all(judgements) if judgements else None,
        "pairs": pairs,
    }


def neighbour_overlap(first: np.ndarray, second: np.ndarray, rows: np.ndarray, count: int) -> float:
    """Mean share of the `count` nearest neighbours that a node has in both embeddings.

    first (n, d) and second (n, e) are embeddings of the same nodes; nearest by centred cosine. The mean is
    over the node indices `rows`. Expected by chance: count / (n - 1).
    """
    shares = []
    units = [_unit_rows(vectors) for vectors in (first, second)]
    for batch in np.array_split(rows, max(1, len(rows) // 512)):
        near = np.zeros((2, len(batch), len(first)), bool)
        for marks, unit in zip(near, units, strict=True):
            cosine = unit[batch] @ unit.T
            cosine[np.arange(len(batch)), batch] = -np.inf
            nearest = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
            np.put_along_axis(marks, nearest, True, axis=1)
        shares.append((near[0] & near[1]).sum(axis=1) / count)
    return float(np.concatenate(shares).mean())


def cka(first: np.ndarray, second: np.ndarray) -> float | None:
    """Linear centred kernel alignment of two embeddings of the same nodes, (n, d) and (n, e), n > 3.

    1 if one is a rotation of the other, 0 on average if they are independent, None if one has no spread.
    Kornblith et al. (ICML 2019), with the unbiased estimate of Song et al. (JMLR 2012). The biased estimate
    is far above 0 for independent vectors unless n is much larger than d.
    """
    kernels = [_centred_kernel(vectors) for vectors in (first, second)]
    within = [_hsic(kernel, kernel) for kernel in kernels]
    if min(within) <= 0:
        return None
    return _hsic(*kernels) / float(np.sqrt(within[0] * within[1]))


def shortlist(batches: Iterable[pa.RecordBatch], top: int) -> Shortlist:
    """The `top` best heads of each tail, without heads that have a known relation to it.

    batches: rows of candidates.parquet in its order, with `CANDIDATE_COLUMNS`. They come in batches because
    the file may hold every pair of the graph.
    """
    best_by_batch = [
        rows.loc[rows["known"] == "", ["tail_id", "head_id"]].groupby("tail_id", sort=False).head(top)
        for rows in (batch.to_pandas() for batch in batches)
    ]
    if not best_by_batch:
        return {}
    best = pd.concat(best_by_batch).groupby("tail_id", sort=False).head(top)
    return {str(tail): set(rows["head_id"]) for tail, rows in best.groupby("tail_id")}


def candidate_overlap(first: Shortlist, second: Shortlist) -> float | None:
    """Mean share of a tail's best heads that are in both shortlists, over the tails of the first."""
    shares = []
    for tail, heads in first.items():
        other = second.get(tail, set())
        shares.append(len(heads & other) / max(len(heads), len(other)))
    return float(np.mean(shares)) if shares else None


def loss_difference(
    first: Sequence[float | None], second: Sequence[float | None], steps: int
) -> float | None:
    """Largest relative difference of the first `steps` losses; None if one is missing."""
    pairs = list(zip(first[:steps], second[:steps], strict=False))
    if not pairs or any(loss is None for pair in pairs for loss in pair):
        return None
    return max(abs(a - b) / max(abs(a), abs(b), 1e-12) for a, b in pairs)


def _compare_two(
    first: DeviceRun,
    second: DeviceRun,
    connected: Mapping[str, np.ndarray],
    settings: AgreementSettings,
    seed: int,
) -> dict[str, Any]:
    types = _compare_types(first, second, connected, settings.neighbours, seed)
    checks = [
        _check_at_least(
            "neighbour_overlap", _mean_over_types(types, "neighbour_overlap"), settings.min_neighbour_overlap
        ),
        _check_at_least("cka", _mean_over_types(types, "cka"), settings.min_cka),
    ]
    notes = [
        f"{device.name} has no {what}"
        for device in (first, second)
        for what, missing in (
            ("vectors", not device.vectors),
            ("candidates", device.vectors and device.candidates is None),
        )
        if missing
    ]
    if first.candidates is not None and second.candidates is not None:
        overlap = candidate_overlap(first.candidates, second.candidates)
        checks.append(_check_at_least("candidate_overlap", overlap, settings.min_candidate_overlap))
    if first.batching == second.batching:
        difference = loss_difference(first.losses, second.losses, settings.first_steps)
        checks.append(_check_at_most("first_losses", difference, settings.max_loss_difference))
    is_judged = first.seed == second.seed
    if not is_judged:
        checks = [{**check, "side": "", "threshold": None, "passed": None} for check in checks]
        notes.append(OTHER_SEEDS)
    return {
        "devices": [first.name, second.name],
        "agrees": all(check["passed"] for check in checks) if is_judged else None,
        "checks": checks,
        "types": types,
        "notes": notes,
    }


def _compare_types(
    first: DeviceRun, second: DeviceRun, connected: Mapping[str, np.ndarray], neighbours: int, seed: int
) -> dict[str, dict[str, float | int | None]]:
    """Similarity of two embeddings, for each node type with enough connected nodes."""
    result: dict[str, dict[str, float | int | None]] = {}
    for node_type in sorted(first.vectors.keys() & second.vectors.keys()):
        rows = np.flatnonzero(connected[node_type])
        if len(rows) < max(MIN_NODES, neighbours + 2):
            continue
        a, b = (device.vectors[node_type][rows].astype(np.float64) for device in (first, second))
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            continue
        sample = streams.generator(seed, "nodes of the agreement").permutation(len(rows))[:SAMPLED_NODES]
        result[node_type] = {
            "nodes": len(rows),
            "neighbour_overlap": neighbour_overlap(a, b, sample, neighbours),
            "chance": neighbours / (len(rows) - 1),
            "cka": cka(a[sample], b[sample]),
        }
    return result


def _mean_over_types(types: Mapping[str, Mapping[str, float | None]], name: str) -> float | None:
    """Mean over types; None if there is no type or if one has no value, so that the check fails."""
    values = [row[name] for row in types.values()]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _check_at_least(name: str, value: float | None, threshold: float) -> dict[str, Any]:
    return _check(name, value, "at least", threshold, value is not None and value >= threshold)


def _check_at_most(name: str, value: float | None, threshold: float) -> dict[str, Any]:
    return _check(name, value, "at most", threshold, value is not None and value <= threshold)


def _check(name: str, value: float | None, side: str, threshold: float, passed: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "side": side, "threshold": threshold, "passed": passed}


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)


def _centred_kernel(rows: np.ndarray) -> np.ndarray:
    """Inner products of the centred rows, (n, n), with a zero diagonal; all zero if all rows are equal."""
    centred = rows - rows.mean(axis=0)
    if np.abs(centred).max() <= ROUNDING * np.abs(rows).max():
        return np.zeros((len(rows), len(rows)))
    kernel = centred @ centred.T
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _hsic(k: np.ndarray, other: np.ndarray) -> float:
    """Unbiased Hilbert-Schmidt independence criterion of two kernels with zero diagonals."""
    n = len(k)
    product = (k * other).sum()
    sums = k.sum() * other.sum() / ((n - 1) * (n - 2))
    rows = 2 * (k.sum(axis=0) @ other.sum(axis=0)) / (n - 2)
    return float(product + sums - rows) / (n * (n - 3))
