"""A GPU gives what the CPU gives. Without a GPU these tests are skipped with a reason."""

import dataclasses

import numpy as np
import pytest
import small_trainings
import torch
from small_trainings import DROPOUT, ENCODER, PYG, SETTINGS

from repurpose.core.errors import StoppedError
from repurpose.hgt import pyg_layer
from repurpose.training import checkpoint, devices, memory, preparation, training

GPUS = [name for name in devices.available() if name in ("cuda", "mps")]
pytestmark = pytest.mark.skipif(not GPUS, reason="no GPU here: PyTorch sees neither cuda nor mps")
BLOCKS = dataclasses.replace(ENCODER, embedding_dim=32, inputs="blocks", svd_dim=8, profile_dim=8)
OPTIONS = dataclasses.replace(SETTINGS, valid_every=3)


@pytest.fixture(name="gpu", params=GPUS or ["none"])
def each_gpu(request):
    return request.param


def fit(device, encoder=ENCODER, batching="full", options=OPTIONS, **more):
    rows = []
    job = small_trainings.job(encoder=encoder, batching=batching, device=device, **vars(options))
    result = training.fit(job, on_step=lambda row, _: rows.append(row), **more)
    return result, rows


def first_losses(device, batching, encoder=PYG, steps=3):
    job = small_trainings.job(encoder=encoder, batching=batching, device=device)
    run, _ = preparation.prepare(job)
    losses = [run.take(step)[0] for step in range(1, steps + 1)]
    return np.array([[float(value) for value in each] for each in losses])


@pytest.mark.parametrize("encoder", [PYG, ENCODER, BLOCKS], ids=["pyg", "fused", "blocks"])
@pytest.mark.parametrize("batching", ["full", "sampled"])
def test_first_losses_are_those_of_the_cpu(gpu, batching, encoder):
    """For the same weights and draws, before and after updates; on the CPU `fused` is other code."""
    on_gpu, on_cpu = first_losses(gpu, batching, encoder), first_losses("cpu", batching, encoder)
    assert on_gpu == pytest.approx(on_cpu, rel=1e-3, abs=1e-4)


def test_wrong_attention_on_the_gpu_gives_other_losses(gpu, monkeypatch):
    right = first_losses("cpu", "full")
    monkeypatch.setattr(
        pyg_layer.Layer, "propagate", lambda self, edge_index, k, q, v, edge_attr: q.flatten(1)
    )
    assert first_losses(gpu, "full") != pytest.approx(right, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("batching", ["full", "sampled"])
@pytest.mark.parametrize("encoder", [ENCODER, BLOCKS, DROPOUT], ids=["plain", "blocks", "dropout"])
def test_it_learns_planted_structure(gpu, batching, encoder):
    result, rows = fit(gpu, encoder, batching)
    assert (result.record["status"], result.record["reason"]) == ("completed", "")
    assert result.record["best_valid_auroc"] > 0.7
    assert all(np.isfinite(each).all() for each in result.vectors.values())
    assert rows[-1]["link"] < rows[0]["link"]


def test_it_agrees_with_the_cpu_as_the_workflow_asks(gpu):
    """Every node's nearest neighbours; a training with another seed shares far fewer of them."""
    on_gpu, on_cpu = fit(gpu)[0].vectors["gene"], fit("cpu")[0].vectors["gene"]
    job = small_trainings.job(seed=1, **vars(OPTIONS))
    seeded = training.fit(job, on_step=lambda *_: 0).vectors["gene"]
    assert shared_neighbours(on_gpu, on_cpu) > 0.9
    assert shared_neighbours(seeded, on_cpu) < 0.8


def shared_neighbours(first, second, count=10):
    """Mean share of a node's `count` nearest by cosine that two sets of vectors have in common."""
    nearest = []
    for rows in (first, second):
        unit = torch.nn.functional.normalize(torch.from_numpy(rows), dim=1)
        nearest.append((unit @ unit.T).fill_diagonal_(-2).topk(count).indices.numpy())
    return np.mean([len(np.intersect1d(a, b)) / count for a, b in zip(*nearest, strict=True)])


def test_a_training_that_cannot_learn_ends_as_on_the_cpu(gpu):
    still = dataclasses.replace(OPTIONS, learning_rate=1e-30)
    on_gpu, on_cpu = fit(gpu, options=still)[0].record, fit("cpu", options=still)[0].record
    assert on_gpu["best_valid_auroc"] < 0.65
    assert on_gpu["status"] == on_cpu["status"]


@pytest.mark.parametrize("batching", ["full", "sampled"])
def test_a_stopped_training_resumes(gpu, batching, tmp_path):
    """Sums on a GPU have no fixed order, so results are the same up to rounding, not bit by bit."""
    options = dataclasses.replace(OPTIONS, epochs=12, sampled_epochs=1)
    whole, _ = fit(gpu, batching=batching, options=options)
    folder, asked = checkpoint.Folder(tmp_path, {"key": "same"}, seconds=1e9), iter([False] * 4 + [True] * 9)
    more = {"batching": batching, "options": options, "checkpoints": folder}
    with pytest.raises(StoppedError, match="the same command goes on"):
        fit(gpu, **more, is_stopping=lambda: next(asked))
    again, rows = fit(gpu, **more)
    assert rows[0]["step"] == 6
    assert again.record["final_link"] == pytest.approx(whole.record["final_link"], rel=0.01)


def test_heads_one_by_one_equal_all_heads_at_once(gpu, monkeypatch):
    """Large graphs compute heads one by one, to save memory."""
    at_once = first_losses(gpu, "full")
    monkeypatch.setattr(pyg_layer, "KEPT_ACTIVATIONS", 0)
    assert first_losses(gpu, "full") == pytest.approx(at_once, rel=1e-3, abs=1e-4)


@pytest.mark.skipif("cuda" not in GPUS, reason="no cuda here, whose memory can be limited")
def test_a_gpu_without_memory_refuses_and_says_what_would_fit(monkeypatch):
    wide = dataclasses.replace(ENCODER, hidden_dim=1024, embedding_dim=1024)
    torch.cuda.set_per_process_memory_fraction(1e-3)
    try:
        result, _ = fit("cuda", wide)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    assert result.record["status"] == "refused"
    assert "cuda ran out of memory" in result.record["reason"]
    assert "set hgt.hidden_dim: " in result.record["remedy"]
    assert fit("cuda", options=dataclasses.replace(OPTIONS, epochs=2))[0].record["status"] == "completed"


@pytest.mark.skipif("cuda" not in GPUS, reason="no cuda here, whose own memory is counted")
def test_memory_held_on_a_gpu_is_counted_there():
    before = memory.peak("cuda", now=True)
    held = torch.zeros(1 << 20, device="cuda")
    assert memory.peak("cuda", now=True) - before >= held.numel() * 4
    assert memory.limit("cuda") > memory.peak("cuda", now=True)
