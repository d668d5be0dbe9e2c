"""What is looked at before a training has cost anything: its inputs, and what the machine has for it."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from repurpose import hgt, memory
from repurpose.graph import Graph
from repurpose.watchdog import Outcome

MEASURED_STEPS = 3  # after which time and memory are known
REMEDY = "correct the vectors in graph.features, or leave the nodes of this type out of it"
RANK_ONE = 1e-10  # share of the second largest squared singular value at which there is only one direction


def given(vectors: Mapping[str, np.ndarray]) -> Outcome | None:
    """Refuse given node vectors, type -> (m, f), that are not finite or with which nodes look alike."""
    for name, rows in vectors.items():
        fault = vectors_fault(torch.from_numpy(rows))
        if fault:
            return Outcome("refused", f"the given vectors of {name} nodes {fault}", REMEDY)
    return None


def inputs(x: Tensor, bounds: list[int], names: list[str]) -> Outcome | None:
    """Refuse node inputs x (nodes, width) with which a type's nodes look alike: rank 1, or not finite."""
    for name, first, last in zip(names, bounds[:-1], bounds[1:], strict=True):
        fault = vectors_fault(x[first:last].detach())
        if fault:
            return Outcome("refused", f"the inputs of {name} nodes {fault}", REMEDY)
    return None


def vectors_fault(rows: Tensor) -> str | None:
    """What makes the vectors (n, width) of a type unfit to train from; None where nothing does."""
    bad = int((~torch.isfinite(rows)).any(dim=1).sum())
    if bad:
        return f"are not finite: {bad} of {len(rows)} have a NaN or an infinite value"
    if len(rows) < 2:
        return None
    rows = rows.double().cpu()
    rows = rows / rows.abs().max().clamp(min=torch.finfo(rows.dtype).tiny)
    values = torch.linalg.eigvalsh(rows.T @ rows).flip(0)
    if len(values) > 1 and values[1] > RANK_ONE * values[0]:
        return None
    return "are of rank 1: all nodes look alike but for a factor, and a model cannot tell them apart"


def room(kg: Graph, encoder: hgt.Settings, device: str, batching: str) -> Outcome | None:
    """Refuse a training of which the counts of its graph alone say that memory is too small for it."""
    needed, has = memory.predicted(kg, encoder, device, batching), memory.limit(device)
    return None if needed <= has else _too_large(kg, encoder, device, batching, needed, has)


def after(kg: Graph, encoder: hgt.Settings, device: str, batching: str) -> tuple[int, Outcome | None]:
    """The peak to expect from what the first steps took, and a refusal where memory is too small for it."""
    needed = memory.peak(device) + memory.still_to_come(kg, encoder)
    has = memory.limit(device)
    return needed, None if needed <= has else _too_large(kg, encoder, device, batching, needed, has)


def disk(folder: Path, needed: int) -> Outcome | None:
    """Refuse where the disk of `folder` has no room for the checkpoints and vectors, `needed` bytes."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    if needed <= free:
        return None
    seen = (
        f"checkpoints and embeddings need {_gb(needed)} on the disk of {folder}, which has {_gb(free)} free"
    )
    return Outcome("refused", seen, "make room there, or lower hgt.hidden_dim or hgt.embedding_dim")


def out_of_memory(kg: Graph, encoder: hgt.Settings, device: str, batching: str, error: Exception) -> Outcome:
    """The refusal where a step itself found no memory."""
    seen = f"{device} ran out of memory ({' '.join(str(error).split())[:200]})"
    fitting = memory.fitting(kg, encoder, device, batching, memory.limit(device), 1.0)
    return Outcome("refused", seen, _advice(fitting))


def _too_large(
    kg: Graph, encoder: hgt.Settings, device: str, batching: str, needed: int, has: int
) -> Outcome:
    scale = needed / memory.predicted(kg, encoder, device, batching)
    seen = f"the training would take {_gb(needed)} of memory, and {device} has {_gb(has)} for it"
    return Outcome("refused", seen, _advice(memory.fitting(kg, encoder, device, batching, has, scale)))


def _advice(fitting: memory.Fitting | None) -> str:
    if fitting is None:
        return "nothing smaller fits either: use a machine with more memory, or graph.node_types for a part"
    settings = ", ".join(f"{key}: {value}" for key, value in fitting.settings.items())
    return f"set {settings}, which would take about {_gb(fitting.needed)}"


def _gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB"
