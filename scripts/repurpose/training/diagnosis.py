"""Diagnosis of a failed training: losses, gradients, vectors, and the last batch."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy.stats import spearmanr
from torch import Tensor

from repurpose.core import files
from repurpose.graph import twins
from repurpose.graph.graph import Graph
from repurpose.training import losses, watchdog
from repurpose.training.objective import Draw, Objective
from repurpose.training.steps import Steps

EDGES = pa.schema(
    [
        ("relation", pa.string()),
        ("head_type", pa.string()),
        ("head_id", pa.string()),
        ("tail_type", pa.string()),
        ("tail_id", pa.string()),
        ("is_edge", pa.bool_()),
        ("logit", pa.float32()),
    ]
)


def diagnose(kg: Graph, steps: Steps, draw: Draw | None, z: Tensor) -> tuple[dict[str, Any], pa.Table]:
    """The facts of a failure, ready for JSON, and the pairs of the last batch with their present logits.

    draw: the last batch, None before the first step. z: (nodes, d), the present embeddings. Losses are None
    for relations without pairs in the batch; numbers that are not finite are None.
    """
    relations = kg.message_relations
    names = [f"{r.head_type} - {r.relation} - {r.tail_type}" for r in relations]
    model = steps.model
    facts = {
        "vectors": _vectors(kg, steps, z),
        "gradient_norm_per_relation": dict(zip(names, gradient_norms(steps), strict=True)),
    }
    if draw is None:
        return {**facts, "loss_per_relation": dict.fromkeys(names)}, EDGES.empty_table()
    relation, head, tail = (
        torch.from_numpy(numbers).to(z.device) for numbers in (draw.relation, draw.head, draw.tail)
    )
    with torch.no_grad():
        logits = model.read(z, relation, head, tail, head[:0])[0].cpu()
    facts["loss_per_relation"] = dict(zip(names, _losses(draw, logits, len(relations)), strict=True))
    facts["known_share_of_negatives"] = watchdog.known_share(steps.objective, draw)
    return facts, _pairs(kg, steps.objective, draw, logits.numpy())


def keep(folder: Path, failure: tuple[dict[str, Any], pa.Table] | None) -> None:
    """Write the facts and pairs of a failure into `folder`, or remove those of an earlier training."""
    if failure is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    files.write_json(folder / "facts.json", failure[0])
    files.write_table(folder / "last_batch.parquet", failure[1])


def gradient_norms(steps: Steps) -> list[float | None]:
    """Per message relation, the norm of the last gradient of its decoder and its matrices in all layers."""
    model = steps.model
    edge_types = sum(len(pair) for pair in model.edge_types)
    squares = np.zeros(len(model.edge_types))
    if model.decoder.weight.grad is not None:
        squares += model.decoder.weight.grad.square().sum(dim=1).cpu().numpy()
    relations = np.repeat(np.arange(len(model.edge_types)), [len(pair) for pair in model.edge_types])
    for layer in model.layers:
        for maps in (layer.k_rel, layer.v_rel):
            if maps.weight.grad is not None:
                # One matrix per head and edge type, heads first.
                sums = maps.weight.grad.view(-1, edge_types, maps.weight[0].numel()).square().sum(dim=(0, 2))
                squares += np.bincount(relations, sums.cpu().numpy(), len(squares))
    return [_finite(value) for value in np.sqrt(squares)]


def _vectors(kg: Graph, steps: Steps, z: Tensor) -> dict[str, dict[str, float | None]]:
    degree = np.zeros(len(z))
    for edges, offset in zip(steps.objective.held.train, steps.objective.offsets, strict=True):
        degree += np.bincount((edges + offset).ravel(), minlength=len(z))
    result = {}
    is_different = twins.one_of_each(kg, steps.objective.held.train)
    spread = watchdog.spread(z, steps.model.bounds, is_different, list(kg.node_types))
    for node_type, (rank, distinct) in spread.items():
        span = kg.span(node_type)
        correlation = degree_correlation(z[span].double().cpu().numpy(), degree[span])
        result[node_type] = {
            "effective_rank": rank,
            "distinct_share": distinct,
            "degree_correlation": correlation,
        }
    return result


def degree_correlation(rows: np.ndarray, degree: np.ndarray) -> float | None:
    """Spearman's correlation of degrees (n,) with the first principal component of rows (n, d), unsigned.

    None if either does not vary.
    """
    if not np.isfinite(rows).all():
        return None
    step = max(1, len(rows) // 2000)
    rows, degree = rows[::step] - rows[::step].mean(axis=0), degree[::step]
    svd = np.linalg.svd(rows, full_matrices=False)
    component = svd[0][:, 0] * svd[1][0]
    if np.ptp(component) == 0 or np.ptp(degree) == 0:
        return None
    return abs(float(spearmanr(component, degree).statistic))


def _losses(draw: Draw, logits: Tensor, relations: int) -> list[float | None]:
    relation, positives = torch.from_numpy(draw.relation), draw.positives
    mean, counts = losses.link_losses(
        logits[:positives], logits[positives:], relation[:positives], relation[positives:], relations
    )
    return [
        _finite(value) if counted else None
        for value, counted in zip(mean.tolist(), counts.tolist(), strict=True)
    ]


def _pairs(kg: Graph, objective: Objective, draw: Draw, logits: np.ndarray) -> pa.Table:
    """The pairs of a draw, with the names of the edges table."""
    relations = kg.message_relations
    columns = {"relation": np.array([r.relation for r in relations], object)[draw.relation]}
    for end, side, numbers in (("head", 0, draw.head), ("tail", 1, draw.tail)):
        types = np.array([getattr(r, f"{end}_type") for r in relations], object)
        start = np.array([offset[side, 0] for offset in objective.offsets])
        ids = np.empty(len(numbers), object)
        for index, relation in enumerate(relations):
            rows = draw.relation == index
            ids[rows] = kg.node_ids[getattr(relation, f"{end}_type")][numbers[rows] - start[index]]
        columns[f"{end}_type"], columns[f"{end}_id"] = types[draw.relation], ids
    columns["is_edge"] = np.arange(len(logits)) < draw.positives
    columns["logit"] = logits
    return pa.table(columns, schema=EDGES)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
