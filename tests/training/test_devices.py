"""The devices of the machine, and the peak memory of this process."""

import subprocess
import sys
from pathlib import Path

import communities
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from repurpose.config.sections import EncoderSettings, TrainingSettings
from repurpose.core.errors import InputError
from repurpose.training import devices, memory, preparation
from repurpose.training.preparation import Job

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def test_the_cpu_is_always_there():
    assert devices.available()[0] == "cpu"
    devices.require("cpu")


def test_a_missing_device_is_refused_with_the_available_ones():
    with pytest.raises(InputError, match=r"^device cuda:77 is not available on this machine; available: cpu"):
        devices.require("cuda:77")


def test_the_peak_is_that_of_this_process_and_not_of_its_parent():
    ballast = np.ones(100_000_000)
    peak = devices.peak_rss_bytes()
    assert peak > ballast.nbytes
    code = "from repurpose.training import devices; print(devices.peak_rss_bytes())"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < ballast.nbytes


@pytest.mark.parametrize(
    ("mps", "gpus", "expected"),
    [
        (False, 0, ["cpu"]),
        (True, 0, ["cpu", "mps"]),
        (False, 2, ["cpu", "cuda", "cuda:0", "cuda:1"]),
    ],
)
def test_available_devices_are_named_and_not_refused(monkeypatch, mps, gpus, expected):
    """The devices are faked; nothing runs on them."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert devices.available() == expected
    for name in expected:
        devices.require(name)
    with pytest.raises(InputError, match=f"available: {', '.join(expected)}$"):
        devices.require("cuda:2")


def test_memory_of_a_gpu_is_its_own_and_not_the_machines(monkeypatch):
    """The answers of its driver are faked."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5 * 2**30, 8 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 2**30)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 2**29)
    assert memory.limit("cuda") == 6 * 2**30
    assert memory.peak("cuda") == 2**29
    assert memory.limit("mps") == pytest.approx(memory.limit("cpu"), rel=0.05)


class Placement(TorchDispatchMode):
    """Records operations that mix devices, and tensors of a type that some devices lack."""

    def __init__(self):
        super().__init__()
        self.mixed, self.doubles, self.calls = set(), set(), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)]
        self.calls += 1
        if "copy" not in str(func) and len({x.device.type for x in tensors if x.dim()}) > 1:
            self.mixed.add(str(func))
        if any(x.device.type == "meta" and x.dtype == torch.float64 for x in tensors):
            self.doubles.add(str(func))
        return out


@pytest.fixture(name="shapes")
def operations_on_shapes():
    """PyTorch's device `meta`, whose tensors have no numbers, replaces a GPU; it lacks two operations."""
    library = torch.library.Library("aten", "IMPL")
    library.impl("bincount", lambda x, weights=None, minlength=0: x.new_empty(minlength), "Meta")
    with torch.fx.experimental._config.patch(meta_nonzero_assume_all_nonzero=True):
        yield
    library._destroy()


@pytest.mark.parametrize("batching", ["full", "sampled"])
def test_a_step_on_another_device_has_all_its_tensors_there_in_supported_types(shapes, batching):
    encoder = EncoderSettings(
        hidden_dim=16,
        embedding_dim=8,
        layers=2,
        heads=4,
        attention="fused",
        dropout=0.1,
        decoder="distmult",
        inputs="learned",
        svd_dim=0,
        profile_dim=0,
    )
    contrastive = {"weight": 0.5, "similarity_threshold": 0.1, "relations": ["disease_gene"]}
    options = TrainingSettings(
        epochs=3,
        sampled_epochs=1,
        learning_rate=0.02,
        edge_sample_size=500,
        supervision_share=0.3,
        batch_size=64,
        fanout=[4, 4],
        valid_share=0.1,
        valid_every=10,
        degree_matched_share=0.5,
        ranking={"weight": 0.5, "edges": 64},
        contrastive={**contrastive, "temperature": 0.2, "batch_size": 64},
    )
    kg = communities.build()
    steps, _ = preparation.prepare(Job(kg, encoder, options, "disease", "meta", batching, seed=1))
    steps.optimizer.step = lambda: None  # PyTorch's own step does not support `meta`
    with Placement() as seen:
        terms, draw = steps.take(1)
        z = steps.embed()
    assert z.device.type == terms.total.device.type == "meta"
    assert z.shape == (kg.nodes, 8) and draw.positives > 0
    assert seen.calls > 500
    assert not seen.mixed and not seen.doubles


def test_placement_records_mixed_devices_and_float64():
    with Placement() as seen:
        torch.ones(5, device="meta")[torch.tensor([1, 2])]
        torch.ones(5, device="meta").double()
    assert seen.mixed == {"aten.index.Tensor"} and seen.doubles
