"""Training learns planted structure, hides what it predicts, keeps its best state, is reproducible."""

import contextlib
import dataclasses
import shutil
import subprocess
from pathlib import Path

import communities
import numpy as np
import pytest
import small_trainings
import torch
from small_trainings import CONTRASTIVE, DROPOUT, ENCODER, PYG, fit

from repurpose.core.errors import InputError, StoppedError
from repurpose.training import checkpoint, devices, losses, memory, preparation, steps, training


def prepare(encoder, batching="full"):
    return preparation.prepare(small_trainings.job(encoder=encoder, batching=batching)).steps


@pytest.fixture(name="trained", scope="module")
def one_training():
    torch.set_num_threads(1)
    return fit()


def test_it_learns_planted_structure(trained):
    result, rows = trained
    assert result.record["status"] == "completed"
    assert result.record["depends_on_machine"] is False
    assert rows[-1]["link"] < 0.85 * losses.LINK_FLOOR
    assert result.record["best_valid_auroc"] > 0.75
    assert rows[-1]["contrastive"] < 0.8 * result.record["contrastive_floor"]


def test_it_learns_nothing_without_a_learning_rate():
    result, rows = fit(learning_rate=1e-30)
    assert abs(rows[-1]["link"] - rows[0]["link"]) < 0.1
    assert result.record["best_valid_auroc"] < 0.65


def test_the_history_counts_steps_epochs_and_edges(trained):
    result, rows = trained
    assert [row["step"] for row in rows] == list(range(1, 41))
    assert rows[-1]["edges_seen"] == result.record["edges_seen"] > 40 * 100
    assert [row["step"] for row in rows if row["valid_auroc"] is not None] == list(range(5, 41, 5))
    others = 0.5 * rows[-1]["ranking"] + 0.5 * rows[-1]["contrastive"]
    assert rows[-1]["total"] == pytest.approx(rows[-1]["link"] + others)


@pytest.mark.parametrize("batching", ["full", "sampled"])
def test_the_norm_of_the_gradient_is_that_of_the_loss_before_the_update(batching, monkeypatch):
    taken = prepare(ENCODER, batching)
    kept = []
    monkeypatch.setattr(
        taken.optimizer, "step", lambda: kept.extend(p.grad for p in taken.model.parameters())
    )
    if batching == "sampled":
        monkeypatch.setattr(taken.table, "step", lambda rows, gradient: kept.append(gradient))
    taken.take(1)
    total = sum(gradient.square().sum() for gradient in kept if gradient is not None).sqrt()
    assert taken.gradient_norm.item() == pytest.approx(total.item(), rel=1e-5) and total > 0


def test_each_step_records_the_norm_of_its_gradient(trained):
    assert all(row["gradient_norm"] > 0 for row in trained[1])


def test_the_vectors_are_those_of_the_best_state(trained):
    result, rows = trained
    best = max((row for row in rows if row["valid_auroc"] is not None), key=lambda row: row["valid_auroc"])
    assert result.record["best_step"] == best["step"]
    assert {t: v.shape for t, v in result.vectors.items()} == {
        "disease": (60, 16),
        "drug": (50, 16),
        "gene": (150, 16),
    }


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(threads):
    torch.set_num_threads(threads)
    (first, _), (again, _), (other, _) = (fit(seed=seed, epochs=6) for seed in (3, 3, 4))
    assert first.vectors["gene"].tobytes() == again.vectors["gene"].tobytes()
    assert first.vectors["gene"].tobytes() != other.vectors["gene"].tobytes()


def message_pairs(run, edges):
    """Per relation, the (head, tail) node numbers of a step's messages; both directions must agree."""
    if isinstance(edges, dict):
        lists = [edges[types[0]] for types in run.model.edge_types]
        return [
            {tuple(pair) for pair in (part.numpy() + offsets).T.tolist()}
            for part, offsets in zip(lists, run.objective.offsets, strict=True)
        ]
    rows = np.repeat(np.arange(len(edges.rows)), np.diff(edges.row_ptr))
    targets = np.repeat(np.arange(edges.nodes), np.diff(edges.target_ptr))
    by_row = zip(edges.rows.edge_type[rows], edges.rows.node[rows], edges.row_targets, strict=True)
    senders = edges.target_rows
    by_target = zip(edges.rows.edge_type[senders], edges.rows.node[senders], targets, strict=True)
    messages = {tuple(map(int, each)) for each in by_row}
    assert messages == {tuple(map(int, each)) for each in by_target}
    edge_type, relations = 0, []
    for types in run.model.edge_types:
        forward = {(s, t) for k, s, t in messages if k == edge_type}
        backward = {(t, s) for k, s, t in messages if k == edge_type + len(types) - 1}
        assert forward == backward
        relations.append(forward)
        edge_type += len(types)
    return relations


@pytest.mark.parametrize("encoder", [ENCODER, PYG], ids=["fused", "pyg"])
def test_predicted_and_held_out_edges_are_hidden_from_the_messages(encoder, monkeypatch):
    """No message edge that the model reads in a step is among the step's positives or the held-out edges."""
    run = prepare(encoder)
    messages, predicted = [], []
    forward, read = run.model.forward, run.model.read
    monkeypatch.setattr(run.model, "forward", lambda edges: messages.append(edges) or forward(edges))
    monkeypatch.setattr(run.model, "read", lambda z, *each: predicted.append(each) or read(z, *each))
    run.take(1)
    relation, head, tail, _ = predicted[0]
    held = run.objective.held
    for index, (edges, offsets) in enumerate(
        zip(message_pairs(run, messages[0]), run.objective.offsets, strict=True)
    ):
        in_relation = relation == index
        predicted_pairs = set(zip(head[in_relation].tolist(), tail[in_relation].tolist(), strict=True))
        train, *left_out = (
            {tuple(pair) for pair in (part[index] + offsets).T.tolist()}
            for part in (held.train, held.valid, held.check)
        )
        assert len(predicted_pairs & train) > 0.2 * len(train)
        assert edges & train
        for hidden in (predicted_pairs, *left_out):
            assert not edges & hidden


def test_sampled_steps_learn_planted_structure_and_count_epochs_by_edges():
    result, rows = fit(batching="sampled", sampled_epochs=4)
    train = sum(edges.shape[1] for edges in prepare(ENCODER).objective.held.train)
    per_epoch = -(-train // 64)
    assert [row["epoch"] for row in rows] == [1 + step // per_epoch for step in range(4 * per_epoch)]
    assert result.record["edges_seen"] == 4 * train
    assert np.mean([row["link"] for row in rows[-9:]]) < 0.85 * losses.LINK_FLOOR
    assert result.record["best_valid_auroc"] > 0.75


@pytest.mark.parametrize("encoder", [ENCODER, PYG], ids=["fused", "pyg"])
def test_sampled_training_is_reproducible(encoder):
    torch.set_num_threads(2)
    first, again = (fit(encoder=encoder, batching="sampled", sampled_epochs=1)[0] for _ in range(2))
    assert first.vectors["gene"].tobytes() == again.vectors["gene"].tobytes()


@pytest.mark.parametrize("encoder", [ENCODER, PYG], ids=["fused", "pyg"])
def test_sampled_and_full_steps_give_the_same_embeddings(encoder, monkeypatch):
    """The same weights give the same vectors, also where nodes are embedded in several parts."""
    sampled, full = prepare(encoder, "sampled"), prepare(encoder)
    monkeypatch.setattr(steps, "PART_EDGES", 300)
    assert len(sampled._parts()) > 5
    assert torch.allclose(sampled.embed(), full.embed(), atol=1e-5)


def test_a_sampled_step_changes_only_the_inputs_of_its_batch():
    run = prepare(ENCODER, "sampled")
    before, batches = run.model.inputs.detach().clone(), []
    batch = run.sampler.batch
    run.sampler.batch = lambda *arguments: batches.append(batch(*arguments)) or batches[0]
    run.take(1)
    changed = (run.model.inputs.detach() != before).any(dim=1).nonzero()[:, 0]
    assert set(changed.tolist()) <= set(batches[0].inputs.tolist())
    assert len(changed) > 0.9 * len(batches[0].inputs)


def test_an_epoch_of_samples_predicts_every_edge_once_and_spreads_relations():
    run = prepare(ENCODER, "sampled")
    batches = [run._numbers(step) for step in range(1, run.per_epoch + 1)]
    assert sorted(np.concatenate(batches).tolist()) == list(range(run.starts[-1]))
    assert not np.array_equal(batches[0], run._numbers(run.per_epoch + 1))
    for first, last in zip(run.starts[:-1], run.starts[1:], strict=True):
        share = (last - first) / run.starts[-1]
        counts = [np.sum((batch >= first) & (batch < last)) for batch in batches[:-1]]
        assert max(abs(n - 64 * share) for n in counts) <= 2


def test_row_adam_updates_rows_as_adam_does():
    """If every row is in every step, RowAdam equals Adam."""
    torch.manual_seed(0)
    table, other = (torch.nn.Parameter(torch.ones(5, 3)) for _ in range(2))
    ours, adam = steps.RowAdam(table, 0.1), torch.optim.Adam([other], lr=0.1)
    for _ in range(20):
        other.grad = torch.randn(5, 3)
        ours.step(torch.arange(5), other.grad)
        adam.step()
    assert torch.allclose(table, other, atol=1e-6)


def test_a_sampler_that_fails_its_self_test_is_refused_before_the_first_step(monkeypatch):
    monkeypatch.setattr(steps.Sampler, "batch", planted_off_by_one(steps.Sampler.batch))
    result, rows = fit(batching="sampled")
    assert rows == []
    assert result.record["status"] == "refused"
    assert "self-test, check 'edges'" in result.record["reason"]
    assert result.record["remedy"]
    assert result.record["depends_on_machine"] is False
    assert {len(vectors) for vectors in result.vectors.values()} == {0}


def planted_off_by_one(batch):
    def shifted(self, *arguments):
        drawn = batch(self, *arguments)
        levels = tuple(dataclasses.replace(level, nodes=level.nodes + 1) for level in drawn.levels)
        return dataclasses.replace(drawn, levels=levels)

    return shifted


@pytest.mark.parametrize("threads", [1, 2])
def test_both_attentions_have_the_same_losses(threads):
    """Up to rounding, for some steps; so their draws and weights are the same too."""
    torch.set_num_threads(threads)
    losses_of = [[row["total"] for row in fit(encoder=each, epochs=5)[1]] for each in (ENCODER, PYG)]
    assert losses_of[0] == pytest.approx(losses_of[1], rel=1e-4)


def test_a_loss_that_is_no_number_ends_the_training_with_reason_and_remedy(monkeypatch):
    take = steps.FullSteps.take

    def broken(self, step):
        terms, predicted = take(self, step)
        return (terms._replace(total=terms.total * float("nan")) if step == 7 else terms), predicted

    monkeypatch.setattr(steps.FullSteps, "take", broken)
    result, rows = fit()
    assert result.record["status"] == "diverged"
    assert result.record["reason"] == "the loss was no number at step 7"
    assert result.record["remedy"] == "lower training.learning_rate"
    assert rows[-1]["total"] is None
    assert len(rows) == 7


def test_no_similar_diseases_is_a_warning_and_no_contrastive_term(caplog):
    result, rows = fit(epochs=2, contrastive={**CONTRASTIVE, "similarity_threshold": 1.0})
    assert "the contrastive term is skipped" in result.record["notes"][0]
    assert "the contrastive term is skipped" in caplog.text
    assert rows[-1]["contrastive"] is None
    assert rows[-1]["total"] == pytest.approx(rows[-1]["link"] + 0.5 * rows[-1]["ranking"])


def test_the_ranking_term_can_be_switched_off_and_is_learned_if_it_is_on(trained):
    rows = trained[1]
    assert rows[0]["ranking"] == pytest.approx(rows[0]["ranking_floor"], rel=0.3)
    assert rows[-1]["ranking"] < 0.9 * rows[-1]["ranking_floor"]
    _, without = fit(epochs=2, ranking={"weight": 0, "edges": 64})
    assert without[-1]["ranking"] is None and without[-1]["ranking_floor"] is None


def test_a_missing_device_is_refused_with_the_available_ones():
    missing = next(name for name in ("mps", "cuda:7") if name not in devices.available())
    with pytest.raises(
        InputError, match=f"device {missing} is not available on this machine; available: cpu"
    ):
        devices.require(missing)
    devices.require("cpu")


def test_a_relation_with_one_edge_is_never_predicted():
    run = prepare(ENCODER)
    generator = np.random.default_rng(0)
    assert len(run._choose(1, generator)) == 0
    assert len(run._choose(2, generator)) == 1
    assert len(np.unique(run._choose(1000, generator))) == 300


class StopAt:
    """Asks a training to stop when it is called for the n-th time."""

    def __init__(self, calls):
        self.left = calls

    def __call__(self):
        self.left -= 1
        return self.left <= 0


def resumable(folder, stop_at=None, key="same", **changes):
    """A training with checkpoints in `folder`: its result, the rows read back on resuming, the new rows."""
    rows, resumed = [], []
    checkpoints = checkpoint.Folder(folder, {"key": key}, seconds=1e9)
    batching = changes.pop("batching", "full")
    encoder = changes.pop("encoder", ENCODER)
    if "settings" not in changes:
        changes.setdefault("valid_every", 3)
    result = training.fit(
        small_trainings.job(encoder=encoder, batching=batching, **changes),
        on_step=lambda row, _: rows.append(row),
        on_resume=lambda earlier: resumed.extend(earlier),
        checkpoints=checkpoints,
        is_stopping=StopAt(stop_at) if stop_at else bool,
    )
    return result, resumed, rows


@pytest.mark.parametrize("case", ["full", "sampled", "pyg", "dropout"])
def test_stopped_and_resumed_is_the_same_as_never_stopped(case, tmp_path, caplog):
    """After two stops, results and history are the same bit by bit."""
    torch.set_num_threads(2)
    caplog.set_level("INFO")
    changes = {
        "full": {"epochs": 14},
        "sampled": {"batching": "sampled", "sampled_epochs": 1},
        "pyg": {"epochs": 14, "encoder": PYG},
        "dropout": {"epochs": 14, "encoder": DROPOUT},
    }[case]
    whole, _, rows = resumable(tmp_path / "whole", **changes)
    for stop_at in (4, 5):
        with pytest.raises(StoppedError, match=r"stopped at step .* the same command continues"):
            resumable(tmp_path / "parts", stop_at, **changes)
    again, earlier, later = resumable(tmp_path / "parts", **changes)
    assert "resumed at step 9 of" in caplog.text
    for node_type, vectors in whole.vectors.items():
        assert vectors.tobytes() == again.vectors[node_type].tobytes()
    names = [name for name in rows[0] if name != "seconds"]
    joined = [{name: row[name] for name in names} for row in earlier + later]
    assert joined == [{name: row[name] for name in names} for row in rows]
    for name in ("best_step", "best_valid_auroc", "edges_seen", "final_link", "contrastive_floor"):
        assert whole.record[name] == again.record[name]


def test_more_epochs_resume_and_equal_one_long_training(tmp_path, caplog):
    caplog.set_level("INFO")
    resumable(tmp_path / "a", epochs=10)
    longer, _, later = resumable(tmp_path / "a", epochs=17)
    assert "resumed at step 10 of 17" in caplog.text
    assert [row["step"] for row in later] == list(range(11, 18))
    at_once, _, _ = resumable(tmp_path / "b", epochs=17)
    assert longer.vectors["gene"].tobytes() == at_once.vectors["gene"].tobytes()


def test_fewer_epochs_and_another_key_start_afresh_and_say_so(tmp_path, caplog):
    caplog.set_level("INFO")
    resumable(tmp_path, epochs=6)
    _, earlier, rows = resumable(tmp_path, epochs=4)
    assert "starting from the first step: the checkpoint has 6 steps, more than the 4 asked" in caplog.text
    assert (len(earlier), len(rows)) == (0, 4)
    _, earlier, rows = resumable(tmp_path, key="other", epochs=8)
    assert "starting from the first step: key changed from same to other" in caplog.text
    assert (len(earlier), len(rows)) == (0, 8)


def test_a_diverged_training_is_not_resumed(tmp_path):
    resumable(tmp_path, epochs=2)
    too_fast = small_trainings.out_of_bounds(
        small_trainings.SETTINGS, epochs=9, valid_every=3, learning_rate=1e30
    )
    resumable(tmp_path, settings=too_fast)
    assert checkpoint.Folder(tmp_path, {"key": "same"}, 0).latest() is None


@pytest.fixture(name="small_disk")
def small_tmpfs(tmp_path, monkeypatch):
    """A folder on a disk of 4 MB. A checkpoint is written after each step, however long that takes."""
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder]
    if (
        not Path("/proc/mounts").exists()
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("this process may not mount a small tmpfs: that takes root on Linux")
    yield folder
    subprocess.run(["umount", folder], check=True)


def on_disk(folder, filler=0, results=None, **changes):
    """A training with a checkpoint after each step; after step 5, `filler` bytes are written to the disk."""

    def on_step(row, _):
        if row["step"] == 5 and filler:
            with (folder / "filler").open("wb") as file, contextlib.suppress(OSError):
                file.write(bytes(filler))

    return training.fit(
        small_trainings.job(**{"epochs": 12, **changes}),
        on_step=on_step,
        checkpoints=checkpoint.Folder(folder / "checkpoints", {"key": "same"}, seconds=0.0),
        results=results,
    )


def test_a_disk_that_is_too_small_from_the_start_is_refused_and_nothing_is_written(small_disk):
    (small_disk / "filler").write_bytes(bytes(4_000_000))
    result = on_disk(small_disk)
    assert result.record["status"] == "refused"
    assert result.record["depends_on_machine"] is True
    assert f"on the disk of {small_disk}/checkpoints, which has" in result.record["reason"]
    assert "make room there" in result.record["remedy"]
    assert list(small_disk.iterdir()) == [small_disk / "filler"]
    (small_disk / "filler").unlink()
    assert on_disk(small_disk).record["status"] == "completed"


def test_the_disk_of_the_results_is_checked_if_it_is_another_one(small_disk, tmp_path):
    (small_disk / "filler").write_bytes(bytes(4_150_000))
    result = on_disk(tmp_path, results=small_disk / "cpu")
    assert result.record["status"] == "refused"
    assert f"on the disk of {small_disk}/cpu, which has" in result.record["reason"]


def test_existing_checkpoints_need_no_room_again(small_disk):
    on_disk(small_disk)
    needed = memory.of_checkpoint(communities.build(), ENCODER)
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filler").write_bytes(bytes(free - int(1.5 * needed) - 4096))
    assert on_disk(small_disk, epochs=14).record["status"] == "completed"


def test_a_disk_that_becomes_full_is_one_sentence_and_the_same_call_resumes_from_the_last_state(
    small_disk, caplog
):
    with pytest.raises(InputError, match=r"cannot be written .*make room there.* step-0000000\d.* is intact"):
        on_disk(small_disk, filler=1 << 24)
    kept = sorted(path.name for path in (small_disk / "checkpoints").glob("*step*"))
    assert len(kept) == 2 and all(name.startswith("step-") for name in kept)
    assert checkpoint.Folder(small_disk / "checkpoints", {"key": "same"}, 0.0).latest().step == 5
    (small_disk / "filler").unlink()
    caplog.set_level("INFO")
    again = on_disk(small_disk)
    assert "resumed at step 5 of 12" in caplog.text
    assert again.record["status"] == "completed"
