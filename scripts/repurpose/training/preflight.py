"""What is looked at before a training has cost anything: its inputs, and what the machine has for it."""

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
RANK_ONE = 1e-10  # share of the second largest squared singular value at which there is only one direction


def features(vectors: Mapping[str, np.ndarray]) -> Outcome | None:
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


def room(kg: Graph, encoder: EncoderSettings, device: str, batching: str) -> Outcome | None:
    """Refuse a training of which the counts of its graph alone say that memory is too small for it."""
    held, has = memory.peak(device, now=True), memory.limit(device)
    needed = memory.predicted(kg, encoder, device, batching, held)
    return None if needed <= has else too_large(kg, encoder, device, batching, needed, has, held)


def after(
    kg: Graph, encoder: EncoderSettings, device: str, batching: str, held: int = 0
) -> tuple[int, Outcome | None]:
    """The peak to expect from what the first steps took, and a refusal where memory is too small for it.

    held: bytes that the process had before the training.
    """
    needed = memory.peak(device) + memory.still_to_come(kg, encoder)
    has = memory.limit(device)
    if needed <= has:
        return needed, None
    return needed, too_large(kg, encoder, device, batching, needed, has, held)


def disk(needed: Mapping[Path, int]) -> Outcome | None:
    """Refuse where a disk has no room for what is going to be written: folder -> bytes.

    Folders of one disk share its room.
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
    """The refusal where a step itself found no memory; held: as of `after`."""
    has = memory.limit(device)
    # It needs more than there is, whatever is expected of it.
    needed = max(has, memory.expected(kg, encoder, device, batching, held))
    fitting = memory.fitting(kg, encoder, device, batching, needed=needed, has=has, held=held)
    return by_machine(f"{device} ran out of memory ({shortened(error)})", _advice(fitting, device))


def too_large(
    kg: Graph, encoder: EncoderSettings, device: str, batching: str, needed: int, has: int, held: int
) -> Outcome:
    """The refusal of a training that needs `needed` bytes where there are `has`."""
    seen = f"the training would take {_amount(needed)} of memory, and {device} has {_amount(has)} for it"
    fitting = memory.fitting(kg, encoder, device, batching, needed=needed, has=has, held=held)
    return by_machine(seen, _advice(fitting, device))


def by_machine(reason: str, remedy: str) -> Outcome:
    """The refusal of what room, another machine or another moment may allow: the next run asks again.

    The one place where `depends_on_machine` is set.
    """
    return Outcome("refused", reason, remedy, depends_on_machine=True)


def _advice(fitting: Sequence[memory.Fitting], device: str) -> str:
    if not fitting:
        return (
            f"no width down to {memory.LEAST_WIDTH} fits either: use a machine with more memory, or "
            "graph.node_types for a part of the graph"
        )
    return f"set {', or '.join(_way(each, device) for each in fitting)}"


def _way(fitting: memory.Fitting, device: str) -> str:
    settings = ", ".join(f"{key}: {value}" for key, value in fitting.settings.items())
    kind = torch.device(device).type
    named = (
        f" ({kind}-sampled in devices where {kind}-full is)" if "training.fanout" in fitting.settings else ""
    )
    return f"{settings}{named}, which would take about {_amount(fitting.needed)}"


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())


def _amount(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
