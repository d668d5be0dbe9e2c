"""Memory: how much a training needs, predicted from the size of its graph, and how much there is."""

import re
import resource
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from repurpose.config.sections import EncoderSettings
from repurpose.graph.graph import Graph
from repurpose.hgt import hgt
from repurpose.training import devices, steps

FLOAT = 4  # bytes
COPIES = 5  # of each parameter: itself, its gradient, Adam's two moments, the best state
PER_EDGE = 60  # bytes of a directed edge: both sorted lists, those of a step, the split, leftovers of sorting
LIBRARIES = 100_000_000  # bytes that libraries take at their first use
MESSAGES = 5  # numbers that PyG's layer holds per message and width; measured: 300,000 messages of width 128
SVD_TABLES = 5  # tables of SVD rows that are in memory at once while it is computed
LEAST_WIDTH = 8  # smallest width that a refusal proposes
SAFE = 0.9  # share of the memory to fill: what is free and what is needed vary from moment to moment
UNLIMITED = 1 << 62
WIDTHS = ("hidden_dim", "embedding_dim", "svd_dim", "profile_dim")
CGROUPS = Path("/sys/fs/cgroup")
# The line of /proc/self/cgroup that names the group, the folder of groups, and the names of the limit, the
# use, and the idle cache in the use.
CGROUP_VERSIONS = (
    (r"^0::/(.*)$", "", "max", "current", "inactive_file"),
    (
        r"^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:/(.*)$",
        "memory",
        "limit_in_bytes",
        "usage_in_bytes",
        "total_inactive_file",
    ),
)


@dataclass(frozen=True)
class Fitting:
    """Config keys and values with which a training fits into memory, and the bytes that it would need."""

    settings: dict[str, Any]
    needed: int


def predicted(
    kg: Graph, settings: EncoderSettings, device: str, batching: str, held: int | None = None
) -> int:
    """Peak bytes: those of `of_training` for full steps of the fused attention, otherwise a lower bound.

    The lower bound is what does not depend on batches: parameters with their moments, and two tables of
    vectors. held: bytes that the process has before the training; None for those that it has now.
    """
    whole = of_training(kg, settings, device, held) if batching == "full" else None
    return _least(kg, settings, device, held) if whole is None else whole


def expected(kg: Graph, settings: EncoderSettings, device: str, batching: str, held: int) -> int:
    """Peak bytes that a training probably takes, at least `predicted`; proposals of settings use it.

    Sampled steps of the fused attention take as much as full steps, because all nodes are embedded after some
    of them. PyG's layer has about `MESSAGES` numbers per message and width: in full steps for all layers,
    because the backward pass needs them; in sampled training for one layer and `steps.PART_EDGES` messages,
    when all nodes are embedded.
    """
    whole = of_training(kg, settings, device, held)
    if whole is not None:
        return whole
    edges = sum(2 * len(kg.heads[index]) for index in kg.of_role("message"))
    messages = edges * settings.layers if batching == "full" else min(edges, steps.PART_EDGES)
    return _least(kg, settings, device, held) + FLOAT * MESSAGES * messages * settings.hidden_dim


def still_to_come(kg: Graph, settings: EncoderSettings) -> int:
    """Bytes that a training takes after its first steps: for the best state, the vectors and their file."""
    nodes = kg.nodes
    return FLOAT * (hgt.count_parameters(kg, settings) + 2 * nodes * settings.embedding_dim)


def of_checkpoint(kg: Graph, settings: EncoderSettings) -> int:
    """Bytes of a checkpoint on disk: parameters, two moments, the best state."""
    return FLOAT * 4 * hgt.count_parameters(kg, settings)


def of_results(kg: Graph, settings: EncoderSettings) -> int:
    """Bytes on disk of the vectors, and of the encoder with the inputs of its layers for all nodes."""
    nodes = kg.nodes
    states = nodes * settings.hidden_dim * settings.layers
    return FLOAT * (nodes * settings.embedding_dim + states + hgt.count_parameters(kg, settings))


def fitting(
    kg: Graph, settings: EncoderSettings, device: str, batching: str, *, needed: int, has: int, held: int
) -> list[Fitting]:
    """Settings with which a training that needs `needed` bytes would fit into `has`: up to two proposals.

    The first keeps the widths and trains on samples; it is for PyG's layer with full batching. The other
    halves the largest widths until the training fits. If a training takes more than `expected` says, a
    smaller one of the same batching is assumed to take more by the same factor. held: bytes that the process
    had before the training; these and the libraries' are always taken. A proposal fills at most `SAFE` of
    what is left.
    """

    fixed = held + (LIBRARIES if hgt.is_fused(settings, device) else 0)

    def beyond_fixed(smaller: EncoderSettings, its_batching: str) -> int:
        return expected(kg, smaller, device, its_batching, held) - fixed

    most = fixed + SAFE * (has - fixed)
    proposals, scale = [], max(1.0, (needed - fixed) / beyond_fixed(settings, batching))
    if batching == "full" and not hgt.is_fused(settings, device):
        sampled = {
            f"training.batching.{torch.device(device).type}": "sampled",
            "training.fanout": [max(4, 16 >> layer) for layer in range(settings.layers)],
        }
        proposals.append(Fitting(sampled, fixed + beyond_fixed(settings, "sampled")))
    for smaller in _narrower(settings):
        proposals.append(
            Fitting(_changed(settings, smaller), fixed + int(scale * beyond_fixed(smaller, batching)))
        )
        if proposals[-1].needed <= most:
            break
    return [proposal for proposal in proposals if proposal.needed <= most]


def _least(kg: Graph, settings: EncoderSettings, device: str, held: int | None) -> int:
    nodes = kg.nodes
    tables = 2 * nodes * (settings.hidden_dim + settings.embedding_dim)
    before = peak(device, now=True) if held is None else held
    return before + FLOAT * ((COPIES - 1) * hgt.count_parameters(kg, settings) + tables)


def _narrower(settings: EncoderSettings) -> Iterator[EncoderSettings]:
    """The same encoder with its largest widths halved again and again, down to `LEAST_WIDTH`.

    hidden_dim stays a multiple of heads, and embedding_dim always has room for the encoder output.
    """
    heads, before = settings.heads, settings
    most = max(settings.hidden_dim, settings.projected, settings.svd_dim, settings.profile_dim)
    while most > LEAST_WIDTH:
        most = max(LEAST_WIDTH, most // 2)
        hidden = min(settings.hidden_dim, heads * max(1, most // heads))
        projected, svd, profile = (
            min(width, most) for width in (settings.projected, settings.svd_dim, settings.profile_dim)
        )
        widths = {"svd_dim": svd, "profile_dim": profile, "embedding_dim": projected + svd + profile}
        smaller = replace(settings, hidden_dim=hidden, **widths)
        if smaller != before:
            yield smaller
        before = smaller


def _changed(settings: EncoderSettings, smaller: EncoderSettings) -> dict[str, Any]:
    """The config keys of the widths in which two encoders differ, with the values of the second."""
    pairs = {name: (getattr(settings, name), getattr(smaller, name)) for name in WIDTHS}
    return {f"hgt.{name}": now for name, (before, now) in pairs.items() if now != before}


def peak(device: str, now: bool = False) -> int:
    """Largest number of bytes that this process has held so far on a torch device, or the number now.

    For a device that shares the CPU's memory, the numbers are the CPU's.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.memory_allocated(device) if now else torch.cuda.max_memory_allocated(device)
    return psutil.Process().memory_info().rss if now else devices.peak_rss_bytes()


def limit(device: str) -> int:
    """Bytes that this process may hold on a torch device: what it holds now, and what is free."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    free = min(
        psutil.virtual_memory().available,
        *_free_in_cgroups(Path("/proc/self/cgroup"), CGROUPS),
        _free_of_process(),
    )
    return max(0, free) + peak(device, now=True)


def _free_of_process() -> int:
    """Bytes of addresses left under `ulimit -v`, which some clusters set; a huge number without it."""
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    return UNLIMITED if most == resource.RLIM_INFINITY else most - psutil.Process().memory_info().vms


def _free_in_cgroups(groups: Path, root: Path) -> list[int]:
    """Bytes free in each control group of this process that has a limit, and a huge number."""
    text, free = groups.read_text() if groups.exists() else "", [UNLIMITED]
    for pattern, top, most, used, cached in CGROUP_VERSIONS:
        match = re.search(pattern, text, re.MULTILINE)
        folder = root / top / match[1] if match else root
        while match and (folder == root / top or root / top in folder.parents):
            files = [folder / f"memory.{name}" for name in (most, used, "stat")]
            if files[0].exists() and files[0].read_text().strip().isdigit():
                idle = re.search(rf"^{cached} (\d+)$", files[2].read_text(), re.MULTILINE)
                sizes = (int(file.read_text()) for file in files[:2])
                free.append(next(sizes) - next(sizes) + int(idle[1] if idle else 0))
            folder = folder.parent
    return free


def of_training(kg: Graph, settings: EncoderSettings, device: str, held: int | None = None) -> int | None:
    """Peak bytes of this process if it now trains on `kg`; None if the fused attention does not run.

    The sum of what the process holds already, parameters, edges, and the large tensors of a step: for each
    layer its input, keys, values, queries and output; in the backward pass one layer's gradients and the
    tables of one head; and embeddings wider than a layer, which do not fit into memory that is reused. If the
    SVD before the first step takes more than a step, the SVD counts. held: see `predicted`. Within 15 % of
    measurements from 0.2 to 3.4 million edges and widths of 32 to 512.
    """
    if not hgt.is_fused(settings, device):
        return None
    nodes = kg.nodes
    rows, edges = _counts(kg)
    width, dim = settings.hidden_dim, settings.projected
    head = width // settings.heads
    layers = nodes * width * 5 * (settings.layers + 1)
    tables = 4 * rows * head + 2 * nodes * head
    wider = 3 * nodes * max(0, dim - width)
    # Of an SVD only the columns of the vectors stay after the first step. At the end they are joined with the
    # encoder output, and no memory of a step can be reused for that.
    columns = settings.embedding_dim - dim
    joined = nodes * (columns + (settings.embedding_dim if columns else 0))
    parameters = hgt.count_parameters(kg, settings)
    step = COPIES * parameters + layers + tables + wider + joined
    svd = parameters + SVD_TABLES * nodes * min(settings.svd_size, nodes)
    held = psutil.Process().memory_info().rss if held is None else held
    return held + LIBRARIES + PER_EDGE * edges + FLOAT * max(step, svd)


def _counts(kg: Graph) -> tuple[int, int]:
    """Number of rows (see `hgt.messages`) and of directed message edges."""
    rows = edges = 0
    for index in kg.of_role("message"):
        relation, head, tail = kg.relations[index], kg.heads[index], kg.tails[index]
        edges += 2 * len(head)
        if relation.is_symmetric:
            rows += len(np.unique(np.concatenate([head, tail])))
        else:
            rows += len(np.unique(head)) + len(np.unique(tail))
    return rows, edges
