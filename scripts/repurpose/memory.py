"""How much memory a training will take, from the counts of its graph alone, and how much there is for it."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from repurpose import devices, hgt
from repurpose.graph import Graph

FLOAT = 4  # bytes
COPIES = 5  # of each parameter: itself, its gradient, Adam's two moments, the best state
PER_EDGE = 60  # bytes of a directed edge: both sorted lists, those of a step, the split, what sorting leaves
LIBRARIES = 100_000_000  # bytes that libraries take when they are first used
CHECKPOINTS = 3  # on disk at once: the last two and the one that is being written
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Fitting:
    """Config keys with values with which a training fits, and the bytes that it would need."""

    settings: dict[str, Any]
    needed: int


def predicted(kg: Graph, settings: hgt.Settings, device: str, batching: str) -> int:
    """Peak bytes as `of_training` has them for full steps of the fused attention, else the least it can be.

    The least is what does not depend on batches: parameters with their moments and two tables of vectors.
    """
    whole = of_training(kg, settings, device) if batching == "full" else None
    if whole is not None:
        return whole
    nodes = sum(kg.count(t) for t in kg.node_types)
    tables = 2 * nodes * (settings.hidden_dim + settings.embedding_dim)
    return peak(device, now=True) + FLOAT * ((COPIES - 1) * _parameters(kg, settings) + tables)


def still_to_come(kg: Graph, settings: hgt.Settings) -> int:
    """Bytes that a training takes after its first steps: the best state, the vectors and their file."""
    nodes = sum(kg.count(t) for t in kg.node_types)
    return FLOAT * (_parameters(kg, settings) + 2 * nodes * settings.embedding_dim)


def on_disk(kg: Graph, settings: hgt.Settings) -> int:
    """Bytes that checkpoints (parameters, two moments, the best state) and the embedding file take."""
    nodes = sum(kg.count(t) for t in kg.node_types)
    return FLOAT * (CHECKPOINTS * 4 * _parameters(kg, settings) + nodes * settings.embedding_dim)


def fitting(
    kg: Graph, settings: hgt.Settings, device: str, batching: str, has: int, scale: float
) -> Fitting | None:
    """The largest widths, halved together, that fit into `has` bytes; None where not even small ones do.

    scale: how much more a training takes than `predicted` says, as far as that is known.
    """
    hidden, dim = settings.hidden_dim // 2, settings.embedding_dim // 2
    while hidden >= 8 and dim >= 8 and hidden % settings.heads == 0:
        smaller = replace(settings, hidden_dim=hidden, embedding_dim=dim)
        needed = int(scale * predicted(kg, smaller, device, batching))
        if needed <= has:
            return Fitting({"hgt.hidden_dim": hidden, "hgt.embedding_dim": dim}, needed)
        hidden, dim = hidden // 2, dim // 2
    return None


def peak(device: str, now: bool = False) -> int:
    """The most bytes that this process has held so far on a torch device, or those that it holds now.

    The CPU's own memory where the device shares it.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.memory_allocated(device) if now else torch.cuda.max_memory_allocated(device)
    return psutil.Process().memory_info().rss if now else devices.peak_rss_bytes()


def limit(device: str) -> int:
    """Bytes that this process may hold on a torch device: what it holds and what is free."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    free = min(psutil.virtual_memory().available, *_free_in_cgroups(Path("/proc/self/cgroup"), CGROUPS))
    return free + peak(device, now=True)


def is_exhausted(error: Exception) -> bool:
    """Whether an error says that a device, or the machine, has no memory left."""
    words = ("out of memory", "can't allocate memory")  # of PyTorch, which has no class of its own for each
    return isinstance(error, MemoryError) or any(each in str(error) for each in words)


def _free_in_cgroups(own: Path, root: Path) -> list[int]:
    """Bytes free in each control group (version 2) that holds this process and has a limit; a huge number."""
    found = re.search(r"^0::/(.*)$", own.read_text(), re.MULTILINE) if own.exists() else None
    free = [1 << 62]
    folder = root / found[1] if found else root
    while found and (folder == root or root in folder.parents):
        most, used, stat = (folder / f"memory.{name}" for name in ("max", "current", "stat"))
        if most.exists() and most.read_text().strip().isdigit():
            cached = re.search(r"^inactive_file (\d+)$", stat.read_text(), re.MULTILINE)
            free.append(int(most.read_text()) - int(used.read_text()) + int(cached[1] if cached else 0))
        folder = folder.parent
    return free


def of_training(kg: Graph, settings: hgt.Settings, device: str) -> int | None:
    """Peak bytes of this process if it now trains on `kg`; None where the fused attention does not run.

    What the process holds already, plus parameters, edges, and the large tensors of a step at their most:
    for each layer its input, keys, values, queries and output, and on the way back one layer's gradients
    and the tables of one head; embeddings wider than a layer come on top, for little else fits their place.
    Within 15 % of what was measured from 0.2 to 3.4 million edges and widths of 32 to 512.
    """
    if not hgt.is_fused(settings, device):
        return None
    nodes = sum(kg.count(t) for t in kg.node_types)
    rows, edges = _counts(kg)
    width, dim = settings.hidden_dim, settings.projected
    head = width // settings.heads
    layers = nodes * width * 5 * (settings.layers + 1)
    tables = 4 * rows * head + 2 * nodes * head
    wider = 3 * nodes * max(0, dim - width)
    # An SVD is made before the first step, and gone but for what is kept beside what the layers give; at the
    # end the two are joined, and nothing of a step has made room for that.
    beside = settings.embedding_dim - dim
    joined = nodes * (beside + (settings.embedding_dim if beside else 0))
    floats = COPIES * _parameters(kg, settings) + layers + tables + wider + joined
    return psutil.Process().memory_info().rss + LIBRARIES + PER_EDGE * edges + FLOAT * floats


def _counts(kg: Graph) -> tuple[int, int]:
    """Rows (an edge type and a node that sends through it) and directed edges of the messages."""
    rows = edges = 0
    for index in kg.of_role("message"):
        relation, head, tail = kg.relations[index], kg.heads[index], kg.tails[index]
        edges += 2 * len(head)
        if relation.head_type == relation.tail_type and not relation.directed:
            rows += len(np.unique(np.concatenate([head, tail])))
        else:
            rows += len(np.unique(head)) + len(np.unique(tail))
    return rows, edges


def _parameters(kg: Graph, settings: hgt.Settings) -> int:
    """Number of parameters, counted on a model without memory."""
    with torch.device("meta"):
        model = hgt.build(kg, settings, seed=0, device="meta")
    return sum(each.numel() for each in model.parameters())
