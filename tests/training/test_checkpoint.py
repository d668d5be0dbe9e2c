"""Checkpoints are complete or absent, belong to one key, and keep other processes out."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from repurpose.core.errors import InputError
from repurpose.training import checkpoint

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
KEY = {"training": {"learning_rate": 0.01}, "graph": "a" * 64}
HOLD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from repurpose.training import checkpoint
with checkpoint.Folder(sys.argv[2], {}, 60).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def state(step):
    return checkpoint.State(
        step, {"x": torch.full((3,), float(step)), "n": torch.tensor(step)}, {"rows": [step]}
    )


def folder(path, key=KEY, seconds=0.0):
    return checkpoint.Folder(path, key, seconds)


def names(path):
    return sorted(each.name for each in path.iterdir())


def test_a_state_is_read_back(tmp_path):
    assert folder(tmp_path / "new").latest() is None
    folder(tmp_path / "new").write(state(7))
    latest = folder(tmp_path / "new").latest()
    assert latest.step == 7
    assert latest.facts["rows"] == [7]
    assert latest.tensors["x"].tolist() == [7.0, 7.0, 7.0]
    assert int(latest.tensors["n"]) == 7


def test_the_last_two_are_kept(tmp_path):
    one = folder(tmp_path)
    for step in (5, 40, 300):
        one.write(state(step))
    assert names(tmp_path) == ["step-00000040.safetensors", "step-00000300.safetensors"]
    assert one.latest().step == 300


@pytest.mark.parametrize("content", [b"", b"half a fi", None])
def test_if_the_newest_cannot_be_read_the_one_before_is_taken(tmp_path, caplog, content):
    one = folder(tmp_path)
    one.write(state(1))
    one.write(state(2))
    newest = tmp_path / "step-00000002.safetensors"
    newest.write_bytes(newest.read_bytes()[:-4] if content is None else content)
    assert one.latest().step == 1
    assert "step-00000002.safetensors cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ({**KEY, "training": {"learning_rate": 0.1}}, "training.learning_rate changed from 0.01 to 0.1"),
        ({**KEY, "graph": "b" * 64}, "graph changed since the checkpoint of step 9"),
        ({**KEY, "seed": 1}, "seed changed from None to 1"),
    ],
)
def test_another_key_starts_afresh_and_says_what_changed(tmp_path, caplog, key, sentence):
    caplog.set_level("INFO")
    folder(tmp_path).write(state(9))
    other = folder(tmp_path, key)
    assert other.latest() is None
    assert f"starting from the first step: {sentence}" in caplog.text
    other.write(state(2))
    assert names(tmp_path) == ["step-00000002.safetensors"]
    assert other.latest().step == 2


def test_writing_that_fails_leaves_what_was_there_and_says_what_to_do(tmp_path, monkeypatch):
    one = folder(tmp_path)
    one.write(state(1))

    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(InputError, match=r"No space left.*make room.*step-00000001.safetensors is intact"):
        one.write(state(2))
    assert names(tmp_path) == ["step-00000001.safetensors"]
    assert one.latest().step == 1


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="a disk is filled through a small tmpfs, as root on Linux"
)
def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_stays(tmp_path):
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "none", tmp_path], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("this process may not mount a small tmpfs")
    try:
        one = folder(tmp_path)
        one.write(state(1))
        large = checkpoint.State(2, {"x": torch.ones(200_000)}, {"rows": []})
        with pytest.raises(InputError, match=r"cannot be written .*step-00000001.safetensors is intact"):
            one.write(large)
        assert names(tmp_path) == ["step-00000001.safetensors"]
        assert one.latest().step == 1
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_cleared_folder_is_empty(tmp_path):
    folder(tmp_path).write(state(1))
    folder(tmp_path).clear()
    assert folder(tmp_path).latest() is None


def test_it_is_due_after_its_seconds_and_later_if_writing_takes_long(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    one = folder(tmp_path, seconds=60)
    now[0] += 59
    assert not one.is_due()
    now[0] += 1
    assert one.is_due()
    one.written, one.cost = now[0], 3.0
    now[0] += 149
    assert not one.is_due()
    now[0] += 1
    assert one.is_due()


def test_a_second_process_is_refused_while_the_first_lives_and_the_first_is_named(tmp_path):
    command = [sys.executable, "-c", HOLD, str(SCRIPTS), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout.readline() == "held\n"
            with (
                pytest.raises(InputError, match=rf"process {first.pid}, left behind .* kill {first.pid}"),
                folder(tmp_path).locked(),
            ):
                pass
        finally:
            first.kill()
    with folder(tmp_path).locked():
        assert (tmp_path / "lock").read_text() == str(os.getpid())
