"""Each planted failure ends with its status and the key to change; healthy trainings go on."""

import dataclasses
import errno
import json
import re
import shutil
from types import SimpleNamespace

import communities
import numpy as np
import pyarrow.parquet as pq
import pytest
import sampler_faults
import small_trainings
import torch
from small_trainings import ENCODER

from repurpose.graph import negatives, subgraph
from repurpose.hgt import hgt, sampling
from repurpose.training import (
    diagnosis,
    losses,
    memory,
    preflight,
    preparation,
    selftest,
    steps,
    training,
    watchdog,
)
from repurpose.training.watchdog import Level
from repurpose.vectors import features

SETTINGS = dataclasses.replace(small_trainings.SETTINGS, epochs=60, sampled_epochs=6)
BATCHINGS = ("full", "sampled")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def job(**changes):
    return small_trainings.job(**{"settings": SETTINGS, **changes})


def fit(batching="full", kg=None, seed=0, vectors=None, **changes):
    trained = job(batching=batching, kg=kg, seed=seed, features=vectors, **changes)
    return training.fit(trained, on_step=lambda row, total: None)


def ended(result, status, *words, by_machine=False):
    """Check the record: its status, the words in its reason and remedy, and `depends_on_machine`."""
    record = result.record
    assert record["status"] == status, record
    assert record["depends_on_machine"] is by_machine, record
    sentence = f"{record['reason']}; {record['remedy']}"
    assert [word for word in words if word not in sentence] == []
    assert record["reason"] and record["remedy"]
    return True


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("batching", BATCHINGS)
def test_a_healthy_training_goes_on(batching, seed):
    assert fit(batching, seed=seed).record["status"] == "completed"


@pytest.mark.parametrize("rate", [1e-30, 1e-12])
@pytest.mark.parametrize("batching", BATCHINGS)
def test_a_training_that_does_not_move_is_stalled(batching, rate):
    result = fit(batching, learning_rate=rate)
    assert ended(result, "stalled", "have not moved", "raise training.learning_rate")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("batching", BATCHINGS)
def test_shuffled_edges_are_stalled(batching, seed):
    """Here the loss falls far below that of random guesses; the loss alone would call this learning."""
    result = fit(batching, kg=subgraph.shuffle_edges(communities.build(), 5), seed=seed)
    assert ended(result, "stalled", "no structure", "graph.columns")


@pytest.mark.parametrize("batching", BATCHINGS)
def test_negatives_that_are_edges_are_stalled(batching, monkeypatch):
    monkeypatch.setattr(negatives, "corrupt", lambda source, positives, *_: positives.copy())
    assert ended(fit(batching), "stalled", "100% of the negatives are edges")


@pytest.mark.parametrize("batching", BATCHINGS)
def test_a_decoder_of_zeros_is_stalled(batching, monkeypatch):
    def frozen(*arguments, **named):
        model = build(*arguments, **named)
        torch.nn.init.zeros_(model.decoder.weight)
        model.decoder.weight.requires_grad_(False)
        return model

    build = hgt.build
    monkeypatch.setattr(hgt, "build", frozen)
    assert ended(fit(batching), "stalled", "decoder's weights are all zero")


@pytest.mark.parametrize("batching", BATCHINGS)
def test_a_learning_rate_of_ten_thousand_is_diverged(batching):
    result = fit(batching, settings=small_trainings.out_of_bounds(SETTINGS, learning_rate=1e4))
    assert ended(result, "diverged", "lower training.learning_rate")
    assert result.record["steps"] <= 30


@pytest.mark.parametrize("batching", BATCHINGS)
def test_inputs_a_million_times_too_large_are_diverged(batching, monkeypatch):
    monkeypatch.setattr(hgt, "INPUT_SCALE", hgt.INPUT_SCALE * 1e6)
    assert ended(fit(batching), "diverged", "inputs")


@pytest.mark.parametrize("batching", BATCHINGS)
def test_vectors_that_become_alike_are_collapsed(batching, monkeypatch):
    """An output layer of rank 1 puts all vectors of a type on a line."""

    def flat(self, x, bounds):
        z = project(self, x, bounds)
        return z * 1e-9 + torch.sign(z[:, :1])

    project = hgt.HGT.project
    monkeypatch.setattr(hgt.HGT, "project", flat)
    result = fit(batching)
    assert ended(result, "collapsed", "effective rank", "training.learning_rate")
    assert result.record["steps"] <= 30


def test_nothing_is_judged_in_too_few_steps():
    record = fit(learning_rate=1e-30, epochs=watchdog.LEAST_STEPS - 1).record
    assert record["status"] == "completed"
    assert "too few to judge" in record["notes"][-1]


def test_constant_inputs_are_refused(monkeypatch):
    build = hgt.build

    def constant(*arguments, **named):
        model = build(*arguments, **named)
        with torch.no_grad():
            model.inputs[model.bounds[1] : model.bounds[2]].fill_(0.3)
        return model

    monkeypatch.setattr(hgt, "build", constant)
    result = fit()
    assert ended(result, "refused", "the inputs of drug nodes have rank 1")
    assert result.record["steps"] == 0


def given_to_drugs(vectors):
    return {"drug": features.NodeFeatures(np.arange(len(vectors)), vectors.astype(np.float32))}


@pytest.mark.parametrize("fault", ["constant", "multiples", "nan", "infinite"])
def test_given_vectors_that_no_model_can_use_are_refused(fault):
    vectors = np.random.default_rng(0).standard_normal((50, 8))
    if fault == "constant":
        vectors[:] = vectors[0]
    elif fault == "multiples":
        vectors = np.outer(vectors[:, 0], vectors[0])
    else:
        vectors[7, 3] = np.nan if fault == "nan" else np.inf
    words = "1 of 50 have a NaN or an infinite value" if fault in ("nan", "infinite") else "rank 1"
    result = fit(vectors=given_to_drugs(vectors))
    assert ended(result, "refused", "the given vectors of drug nodes", words, "graph.features")
    assert {len(rows) for rows in result.vectors.values()} == {0}


def test_good_given_vectors_are_accepted_and_a_training_from_them_that_does_not_move_is_stalled():
    """Vectors that are the communities give a good start; only an improvement counts as learning."""
    kg = communities.build()
    good = {
        t: features.NodeFeatures(
            np.arange(n), np.eye(5, dtype=np.float32)[np.arange(n) % communities.COMMUNITIES]
        )
        for t, n in communities.COUNTS.items()
    }
    begin, _ = preparation.prepare(job(kg=kg, features=good))
    assert watchdog.level(begin.objective, begin.model, begin.embed()).value > 0.6
    assert ended(fit(vectors=good, learning_rate=1e-12), "stalled", "have not moved")
    assert fit(vectors=good).record["status"] == "completed"


def test_the_failure_is_described(tmp_path):
    result = fit(learning_rate=1e-30)
    diagnosis.keep(tmp_path / "failure", result.failure)
    facts = json.loads((tmp_path / "failure" / "facts.json").read_text())
    relations = {
        "disease - disease_gene - gene",
        "drug - drug_gene - gene",
        "gene - gene_gene - gene",
        "gene - regulates - gene",
    }
    assert facts["loss_per_relation"].keys() == facts["gradient_norm_per_relation"].keys() == relations
    assert all(1 < loss < 3 for loss in facts["loss_per_relation"].values())
    assert all(norm > 0 for norm in facts["gradient_norm_per_relation"].values())
    assert facts["vectors"]["gene"]["distinct_share"] == 1.0
    assert facts["known_share_of_negatives"] == 0.0
    batch = pq.read_table(tmp_path / "failure" / "last_batch.parquet").to_pandas()
    kg = communities.build()
    names = [r.relation for r in kg.relations]
    for row in batch[batch["is_edge"]].head(20).itertuples():
        index = names.index(row.relation)
        head = list(kg.node_ids[row.head_type]).index(row.head_id)
        tail = list(kg.node_ids[row.tail_type]).index(row.tail_id)
        assert ((kg.heads[index] == head) & (kg.tails[index] == tail)).any()
    diagnosis.keep(tmp_path / "failure", None)
    assert not (tmp_path / "failure").exists()


def test_a_healthy_training_leaves_no_failure():
    assert fit().failure is None


def test_degrees_in_vectors_are_detected():
    generator = np.random.default_rng(0)
    rows, degree = generator.standard_normal((300, 8)), generator.integers(1, 100, 300)
    assert diagnosis.degree_correlation(rows, degree) < 0.3
    rows[:, 2] += np.log(degree) * 5
    assert diagnosis.degree_correlation(rows, degree) > 0.9
    assert diagnosis.degree_correlation(rows * np.nan, degree) is None


def test_shuffling_keeps_degrees_and_nothing_else():
    kg = communities.build()
    mixed = subgraph.shuffle_edges(kg, 1)
    for index in kg.of_role("message"):
        relation, before, after = kg.relations[index], kg.heads[index], mixed.heads[index]
        assert 0.9 * len(before) < len(after) <= len(before)
        inside = np.mean(mixed.heads[index] % 5 == mixed.tails[index] % 5)
        assert np.mean(kg.heads[index] % 5 == kg.tails[index] % 5) > 0.8 > 0.35 > inside
        degrees = [np.bincount(part, minlength=kg.count(relation.head_type)) for part in (before, after)]
        if relation.head_type != relation.tail_type:
            assert np.corrcoef(*degrees)[0, 1] > 0.95
        assert len(np.unique(np.stack([after, mixed.tails[index]]), axis=1).T) == len(after)


def watch(total=1000, **known):
    new_watch = watchdog.Watchdog(None, [0], np.ones(3, bool), total, lambda: None)
    for name, value in known.items():
        setattr(new_watch, name, value)
    return new_watch


def test_the_deadline_is_the_latest_of_steps_share_and_seconds():
    assert watch().is_due(50, 120.0)
    assert not watch().is_due(49, 1e9)
    assert not watch().is_due(50, 119.0)
    assert not watch(total=100).is_due(29, 1e9)
    assert watch(total=100).is_due(30, 120.0)
    assert watch(total=100).is_due(100, 1.0)
    assert not watch(total=29).is_due(29, 1e9)
    assert not watch(is_learning=True).is_due(50, 120.0)


def test_an_exploding_loss_is_diverged_and_a_spike_is_not():
    assert watch().loss(7.9, 3) is None
    assert watch().loss(EXPLODING, 3).status == "diverged"
    assert watch().loss(None, 3).status == "diverged"


EXPLODING = watchdog.EXPLODED * losses.LINK_FLOOR * 1.01


def test_a_gain_within_noise_does_not_count():
    start = Level(0.5, 0.01)
    assert not watchdog.is_above(Level(0.54, 0.01), start)
    assert watchdog.is_above(Level(0.55, 0.01), start)
    assert not watchdog.is_above(Level(0.55, 0.02), start)


@pytest.mark.parametrize("are_twins", [True, False])
def test_twins_may_share_a_vector_and_other_nodes_may_not(are_twins):
    """60 of 100 nodes have one vector; twins are nodes with the same neighbours."""
    z = torch.from_numpy(np.random.default_rng(0).standard_normal((100, 8)).astype(np.float32))
    z[40:] = z[40]
    is_different = np.ones(100, bool)
    is_different[41:] = not are_twins
    checked = watch(bounds=[0, 100], is_different=is_different)
    outcomes = [checked.vectors(z, ["gene"], step) for step in (10, 20)]
    assert outcomes[0] is None
    if are_twins:
        assert outcomes[1] is None
    else:
        assert outcomes[1].status == "collapsed" and "only 41% of the vectors" in outcomes[1].reason


@pytest.mark.parametrize(
    ("reached", "words"),
    [
        (0.93, ("hardly better than before the first step; with 60 held-out edges, a gain below 0.22",)),
        (0.55, ("hold no structure", "graph.columns")),
    ],
)
def test_a_gain_that_few_held_out_edges_cannot_show_is_called_so(reached, words):
    pairs = np.zeros((2, 60), int)
    objective = SimpleNamespace(matched=[(0, pairs, pairs)], aurocs=lambda *_: np.array([reached]))
    model = SimpleNamespace(decoder=SimpleNamespace(weight=torch.ones(1)))
    small = watch(objective=objective, start=Level(min(reached, 0.8), 0.053))
    outcome = small.stalled(model, torch.zeros(3, 2), None, 60, 0.4)
    assert outcome.status == "stalled"
    assert [word for word in words if word not in f"{outcome.reason}; {outcome.remedy}"] == []


def test_the_level_and_its_noise_are_those_of_random_scores():
    """Over seeds of an untrained decoder, the level varies around 0.5 as much as its error says."""
    levels = []
    for seed in range(40):
        run, _ = preparation.prepare(job(seed=seed))
        z = torch.from_numpy(np.random.default_rng(seed).standard_normal((260, 16)).astype(np.float32))
        levels.append(watchdog.level(run.objective, run.model, z))
    values, errors = zip(*[(each.value, each.error) for each in levels], strict=True)
    assert abs(np.mean(values) - 0.5) < 3 * np.mean(errors) / np.sqrt(40)
    assert 0.7 < np.std(values) / np.mean(errors) < 1.6


def test_a_machine_too_small_is_refused_with_settings_that_fit(monkeypatch):
    kg = communities.build()
    has = memory.predicted(kg, dataclasses.replace(ENCODER, hidden_dim=512, embedding_dim=512), "cpu", "full")
    big = dataclasses.replace(ENCODER, hidden_dim=4096, embedding_dim=4096)
    monkeypatch.setattr(memory, "limit", lambda device: has + 30_000_000)
    outcome = preflight.room(kg, big, "cpu", "full")
    assert outcome.status == "refused"
    assert "of memory, and cpu has" in outcome.reason
    assert "hgt.hidden_dim: 512, hgt.embedding_dim: 512" in outcome.remedy
    assert preflight.room(kg, ENCODER, "cpu", "full") is None


def test_a_machine_that_turns_out_too_small_is_refused_after_three_steps(monkeypatch):
    needs = preflight.after(communities.build(), ENCODER, "cpu", "full")[0]
    asked = iter([1 << 50, needs // 2, needs // 2])
    monkeypatch.setattr(memory, "limit", lambda device: next(asked))
    result = fit()
    assert ended(result, "refused", "of memory, and cpu has", by_machine=True)
    assert result.record["steps"] == preflight.MEASURED_STEPS
    assert {len(rows) for rows in result.vectors.values()} == {0}


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9 GiB"),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("MPS backend out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] not enough memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("Storage size calculation overflowed with sizes=[9, 9]"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ValueError("array is too big; `arr.size * arr.dtype.itemsize` is larger than the maximum size."),
    ],
    ids=repr,
)
def test_a_device_that_runs_out_of_memory_is_refused(error, monkeypatch):
    def fails(self, step):
        raise error

    monkeypatch.setattr(steps.FullSteps, "take", fails)
    assert ended(fit(), "refused", "ran out of memory", "hgt.hidden_dim", by_machine=True)


def test_any_other_error_is_raised(monkeypatch):
    for error in (RuntimeError("a defect"), OSError(errno.EIO, "a defect"), ValueError("a defect")):

        def fails(self, step, error=error):
            raise error

        monkeypatch.setattr(steps.FullSteps, "take", fails)
        with pytest.raises(type(error), match="a defect"):
            fit()


def test_a_disk_too_small_is_refused(tmp_path):
    folder = tmp_path / "not" / "there"
    assert preflight.disk({folder: 1000}) is None
    outcome = preflight.disk({folder: 1 << 60})
    assert outcome.status == "refused"
    assert outcome.depends_on_machine
    assert re.search(rf"need \d+\.\d\d GB on the disk of {folder}, which has .* free", outcome.reason)


def test_folders_of_one_disk_share_its_room(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    sizes = {tmp_path / name: int(0.7 * free) for name in ("checkpoints", "results")}
    assert all(preflight.disk({folder: size}) is None for folder, size in sizes.items())
    assert f"{tmp_path}/checkpoints and {tmp_path}/results" in preflight.disk(sizes).reason


@pytest.mark.parametrize("change", ["of_one_table", "off_by_one", "without_a_relation", "reversed_edges"])
def test_a_faulty_sampler_is_caught_without_its_self_test(change, monkeypatch):
    monkeypatch.setattr(selftest, "run", lambda *arguments: None)
    sampler_faults.plant(monkeypatch, getattr(sampler_faults, change))
    result = fit("sampled")
    assert ended(result, "diverged", "embeddings from samples differ", "report it")
    assert result.record["steps"] <= 30


def test_pairs_read_at_the_rows_of_other_nodes_are_caught_without_the_self_test(monkeypatch):
    positions = sampling.Batch.positions
    monkeypatch.setattr(selftest, "run", lambda *arguments: None)
    monkeypatch.setattr(sampling.Batch, "positions", lambda self, nodes: positions(self, nodes)[::-1].copy())
    assert ended(fit("sampled"), "diverged", "embeddings from samples differ")
