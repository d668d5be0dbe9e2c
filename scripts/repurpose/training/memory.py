"""How much memory a training will take, from the counts of its graph alone, and how much there is for it."""

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
PER_EDGE = 60  # bytes of a directed edge: both sorted lists, those of a step, the split, what sorting leaves
LIBRARIES = 100_000_000  # bytes that libraries take when they are first used
MESSAGES = 5  # numbers of PyG's layer per message and width; 300,000 messages of width 128 had 5
SVD_TABLES = 5  # tables of an SVD's rows that are held at once while it is computed
LEAST_WIDTH = 8  # that is proposed
SAFE = 0.9  # share of the memory that is there: it varies from moment to moment, and so does what is needed
UNLIMITED = 1 << 62
WIDTHS = ("hidden_dim", "embedding_dim", "svd_dim", "profile_dim")
CGROUPS = Path("/sys/fs/cgroup")
# Which line of /proc/self/cgroup names the group, where groups are, limit, use, and what of it is idle cache.
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
    """Config keys with values with which a training fits, and the bytes that it would need."""

    settings: dict[str, Any]
    needed: int


def predicted(
    kg: Graph, settings: EncoderSettings, device: str, batching: str, held: int | None = None
) -> int:
    """Peak bytes as `of_training` has them for full steps of the fused attention, else the least it can be.

    The least is what does not depend on batches: parameters with their moments and two tables of vectors.
    held: bytes that the process has before the training; None for those that it has now.
    """
    whole = of_training(kg, settings, device, held) if batching == "full" else None
    return _least(kg, settings, device, held) if whole is None else whole


def expected(kg: Graph, settings: EncoderSettings, device: str, batching: str, held: int) -> int:
    """Peak bytes that a training probably takes, never less than `predicted`; settings are proposed by it.

    Samples of the fused attention take up to what full steps do, for all nodes are embedded after some of
    them. PyG's layer has about `MESSAGES` numbers per message and width: of all layers in full steps, for the
    way back; of one layer and `steps.PART_EDGES` messages where nodes are embedded after sampled ones.
    """
    whole = of_training(kg, settings, device, held)
    if whole is not None:
        return whole
    edges = sum(2 * len(kg.heads[index]) for index in kg.of_role("message"))
    of_layers = edges * settings.layers if batching == "full" else min(edges, steps.PART_EDGES)
    return _least(kg, settings, device, held) + FLOAT * MESSAGES * of_layers * settings.hidden_dim


def still_to_come(kg: Graph, settings: EncoderSettings) -> int:
    """Bytes that a training takes after its first steps: the best state, the vectors and their file."""
    nodes = kg.nodes
    return FLOAT * (_parameters(kg, settings) + 2 * nodes * settings.embedding_dim)


def of_checkpoint(kg: Graph, settings: EncoderSettings) -> int:
    """Bytes of a checkpoint on disk: parameters, two moments, the best state."""
    return FLOAT * 4 * _parameters(kg, settings)


def of_results(kg: Graph, settings: EncoderSettings) -> int:
    """Bytes on disk of the vectors, and of the encoder with what each of its layers reads of all nodes."""
    nodes = kg.nodes
    states = nodes * settings.hidden_dim * settings.layers
    return FLOAT * (nodes * settings.embedding_dim + states + _parameters(kg, settings))


def fitting(
    kg: Graph, settings: EncoderSettings, device: str, batching: str, *, needed: int, has: int, held: int
) -> list[Fitting]:
    """What to set for a training that needs `needed` bytes to fit into `has`: none, one or two ways.

    The first keeps the widths and trains on samples, where PyG's layer would else have all messages at once;
    the other halves the widest parts until it fits. As far as a training takes more than `expected` says, a
    smaller one of the same batching is taken to do so too. held: bytes that the process had before the
    training, which with libraries are there in any case; of what is left a way fills `SAFE` at most.
    """

    fixed = held + (LIBRARIES if hgt.is_fused(settings, device) else 0)

    def beyond(smaller: EncoderSettings, of: str) -> int:
        return expected(kg, smaller, device, of, held) - fixed

    most = fixed + SAFE * (has - fixed)
    found, scale = [], max(1.0, (needed - fixed) / beyond(settings, batching))
    if batching == "full" and not hgt.is_fused(settings, device):
        sampled = {
            f"training.batching.{torch.device(device).type}": "sampled",
            "training.fanout": [max(4, 16 >> layer) for layer in range(settings.layers)],
        }
        found.append(Fitting(sampled, fixed + beyond(settings, "sampled")))
    for smaller in _narrower(settings):
        found.append(Fitting(_changed(settings, smaller), fixed + int(scale * beyond(smaller, batching))))
        if found[-1].needed <= most:
            break
    return [each for each in found if each.needed <= most]


def _least(kg: Graph, settings: EncoderSettings, device: str, held: int | None) -> int:
    nodes = kg.nodes
    tables = 2 * nodes * (settings.hidden_dim + settings.embedding_dim)
    before = peak(device, now=True) if held is None else held
    return before + FLOAT * ((COPIES - 1) * _parameters(kg, settings) + tables)


def _narrower(settings: EncoderSettings) -> Iterator[EncoderSettings]:
    """The same encoder with its widest parts halved again and again, down to `LEAST_WIDTH`.

    The layers' width stays a multiple of the heads, and what the layers give is never left without a place.
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
    """The config keys of the widths in which two encoders differ, and the values of the second."""
    pairs = {name: (getattr(settings, name), getattr(smaller, name)) for name in WIDTHS}
    return {f"hgt.{name}": now for name, (before, now) in pairs.items() if now != before}


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
    free = min(
        psutil.virtual_memory().available,
        *_free_in_cgroups(Path("/proc/self/cgroup"), CGROUPS),
        _free_of_process(),
    )
    return max(0, free) + peak(device, now=True)


def _free_of_process() -> int:
    """Bytes of addresses that `ulimit -v`, which some clusters set, leaves; a huge number without it."""
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    return UNLIMITED if most == resource.RLIM_INFINITY else most - psutil.Process().memory_info().vms


def _free_in_cgroups(own: Path, root: Path) -> list[int]:
    """Bytes free in each control group that holds this process and has a limit, and a huge number."""
    text, free = own.read_text() if own.exists() else "", [UNLIMITED]
    for pattern, top, most, used, cached in CGROUP_VERSIONS:
        found = re.search(pattern, text, re.MULTILINE)
        folder = root / top / found[1] if found else root
        while found and (folder == root / top or root / top in folder.parents):
            files = [folder / f"memory.{name}" for name in (most, used, "stat")]
            if files[0].exists() and files[0].read_text().strip().isdigit():
                idle = re.search(rf"^{cached} (\d+)$", files[2].read_text(), re.MULTILINE)
                sizes = (int(file.read_text()) for file in files[:2])
                free.append(next(sizes) - next(sizes) + int(idle[1] if idle else 0))
            folder = folder.parent
    return free


def of_training(kg: Graph, settings: EncoderSettings, device: str, held: int | None = None) -> int | None:
    """Peak bytes of this process if it now trains on `kg`; None where the fused attention does not run.

    What the process holds already, plus parameters, edges, and the large tensors of a step at their most:
    for each layer its input, keys, values, queries and output, and on the way back one layer's gradients
    and the tables of one head; embeddings wider than a layer come on top, for little else fits their place.
    Where it takes more than all that, the SVD before the first step. held: see `predicted`.
    Within 15 % of what was measured from 0.2 to 3.4 million edges and widths of 32 to 512.
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
    # An SVD is gone before the first step but for what is kept beside what the layers give; at the end the
    # two are joined, and nothing of a step has made room for that.
    beside = settings.embedding_dim - dim
    joined = nodes * (beside + (settings.embedding_dim if beside else 0))
    parameters = _parameters(kg, settings)
    step = COPIES * parameters + layers + tables + wider + joined
    svd = parameters + SVD_TABLES * nodes * min(settings.svd_size, nodes)
    held = psutil.Process().memory_info().rss if held is None else held
    return held + LIBRARIES + PER_EDGE * edges + FLOAT * max(step, svd)


def _counts(kg: Graph) -> tuple[int, int]:
    """Rows (an edge type and a node that sends through it) and directed edges of the messages."""
    rows = edges = 0
    for index in kg.of_role("message"):
        relation, head, tail = kg.relations[index], kg.heads[index], kg.tails[index]
        edges += 2 * len(head)
        if relation.is_symmetric:
            rows += len(np.unique(np.concatenate([head, tail])))
        else:
            rows += len(np.unique(head)) + len(np.unique(tail))
    return rows, edges


def _parameters(kg: Graph, settings: EncoderSettings) -> int:
    """Number of parameters, counted on a model of one layer without memory; all layers have as many."""
    with torch.device("meta"):
        model = hgt.build(kg, replace(settings, layers=1), seed=0, device="meta")
    whole, layer = (sum(each.numel() for each in part.parameters()) for part in (model, model.layers))
    return whole + (settings.layers - 1) * layer
