"""Preflight checks: before a training begins, are its inputs sound, and do memory and disk suffice?"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from repurpose.config.sections import EncoderSettings
from repurpose.core.errors import shortened
from repurpose.graph.graph import Graph
from repurpose.training import memory
from repurpose.training.watchdog import Outcome

MEASURED_STEPS = 3  # after which time and memory are known
REMEDY = "correct the vectors in graph.features, or leave the nodes of this type out of it"
RANK_ONE = 1e-10  # relative size of the second squared singular value, below which the rank counts as 1


def features(vectors: Mapping[str, np.ndarray]) -> Outcome | None:
    """Refuse the given node vectors, type -> (m, f), if they are not finite or of rank 1."""
    for name, rows in vectors.items():
        fault = vectors_fault(torch.from_numpy(rows))
        if fault:
            return Outcome("refused", f"the given vectors of {name} nodes {fault}", REMEDY)
    return None


def inputs(x: Tensor, bounds: list[int], names: list[str]) -> Outcome | None:
    """Refuse node inputs x (nodes, width) if those of a type are not finite or of rank 1."""
    for name, first, last in zip(names, bounds[:-1], bounds[1:], strict=True):
        fault = vectors_fault(x[first:last].detach())
        if fault:
            return Outcome("refused", f"the inputs of {name} nodes {fault}", REMEDY)
    return None


def vectors_fault(rows: Tensor) -> str | None:
    """Why the vectors (n, width) of a type are unfit for training; None if they are fit."""
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
    return "have rank 1: all nodes are the same but for a factor, and a model cannot distinguish them"


def room(kg: Graph, encoder: EncoderSettings, device: str, batching: str) -> Outcome | None:
    """Refuse a training if memory is too small for it, predicted from the size of its graph."""
    held, has = memory.peak(device, now=True), memory.limit(device)
    needed = memory.predicted(kg, encoder, device, batching, held)
    return None if needed <= has else too_large(kg, encoder, device, batching, needed, has, held)


def after(
    kg: Graph, encoder: EncoderSettings, device: str, batching: str, held: int = 0
) -> tuple[int, Outcome | None]:
    """The peak expected from what the first steps took, and a refusal if memory is too small for it.

    held: bytes that the process had before the training.
    """
    needed = memory.peak(device) + memory.still_to_come(kg, encoder)
    has = memory.limit(device)
    if needed <= has:
        return needed, None
    return needed, too_large(kg, encoder, device, batching, needed, has, held)


def disk(needed: Mapping[Path, int]) -> Outcome | None:
    """Refuse if a disk has no room for what will be written; needed: folder -> bytes.

    Folders on one disk share its free space.
    """
    folders_of_disk: dict[int, list[Path]] = {}
    for folder in needed:
        folders_of_disk.setdefault(_existing(folder).stat().st_dev, []).append(folder)
    for folders in folders_of_disk.values():
        size, free = sum(needed[each] for each in folders), shutil.disk_usage(_existing(folders[0])).free
        if size > free:
            seen = (
                f"checkpoints and results need {_amount(size)} on the disk of "
                f"{' and '.join(map(str, folders))}, which has {_amount(free)} free"
            )
            return by_machine(seen, "make room there, or lower hgt.hidden_dim or hgt.embedding_dim")
    return None


def out_of_memory(
    kg: Graph, encoder: EncoderSettings, device: str, batching: str, error: Exception, held: int
) -> Outcome:
    """The refusal if a step ran out of memory; held: see `after`."""
    has = memory.limit(device)
    # It needs more than there is, even if less was expected.
    needed = max(has, memory.expected(kg, encoder, device, batching, held))
    fitting = memory.fitting(kg, encoder, device, batching, needed=needed, has=has, held=held)
    return by_machine(f"{device} ran out of memory ({shortened(error)})", _advice(fitting, device))


def too_large(
    kg: Graph, encoder: EncoderSettings, device: str, batching: str, needed: int, has: int, held: int
) -> Outcome:
    """The refusal of a training that needs `needed` bytes if there are only `has`."""
    seen = f"the training would take {_amount(needed)} of memory, and {device} has {_amount(has)} for it"
    fitting = memory.fitting(kg, encoder, device, batching, needed=needed, has=has, held=held)
    return by_machine(seen, _advice(fitting, device))


def by_machine(reason: str, remedy: str) -> Outcome:
    """A refusal that more free memory or disk, or another machine, may lift: the next run tries again.

    Only this function sets `depends_on_machine`.
    """
    return Outcome("refused", reason, remedy, depends_on_machine=True)


def _advice(fitting: Sequence[memory.Fitting], device: str) -> str:
    if not fitting:
        return (
            f"no width down to {memory.LEAST_WIDTH} fits either: use a machine with more memory, or "
            "graph.node_types for a part of the graph"
        )
    return f"set {', or '.join(_proposal(each, device) for each in fitting)}"


def _proposal(fitting: memory.Fitting, device: str) -> str:
    settings = ", ".join(f"{key}: {value}" for key, value in fitting.settings.items())
    device_type = torch.device(device).type
    named = (
        f" ({device_type}-sampled in devices where {device_type}-full is)"
        if "training.fanout" in fitting.settings
        else ""
    )
    return f"{settings}{named}, which would take about {_amount(fitting.needed)}"


def _existing(folder: Path) -> Path:
    """The folder, or the nearest folder above it that exists."""
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())


def _amount(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
