"""A run that is killed or stopped goes on from its checkpoint, as the README says, to the same bits."""

import os
import re
import signal
import time

import project_runs
import psutil
import pytest

LONG = {"training": {"epochs": 120, "checkpoint_seconds": 0.0}}
EMBEDDINGS = "results/embeddings/cpu/embeddings.parquet"
LOG = "logs/train_embeddings/cpu.log"


def wait_for(condition, what, seconds=180):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"no {what} in {seconds} s"
        time.sleep(0.05)


def reached(folder, step):
    """Whether there is a checkpoint of this step or a later one."""
    names = (path.name for path in folder.path("checkpoints/cpu").glob("step-*.safetensors"))
    return any(int(re.search(r"\d+", name)[0]) >= step for name in names)


def trainers(folder):
    """The processes that hold the lock of the training's folder, by its number in it."""
    lock = folder.path("checkpoints/cpu/lock")
    number = lock.read_text() if lock.exists() else ""
    return [psutil.Process(int(number))] if number and psutil.pid_exists(int(number)) else []


@pytest.fixture(name="whole", scope="module")
def never_interrupted(tmp_path_factory):
    folder = project_runs.make(tmp_path_factory.mktemp("whole"))
    run = folder.run(EMBEDDINGS, config=LONG)
    assert run.code == 0, run.output
    return folder.path("embeddings/cpu/embeddings.parquet").read_bytes()


def test_snakemake_killed_three_times_gives_the_same_embeddings(whole, tmp_path):
    folder = project_runs.make(tmp_path)
    for step in (10, 40, 70):
        process = folder.start(EMBEDDINGS, config=LONG)
        wait_for(lambda step=step: reached(folder, step) and trainers(folder), f"checkpoint of step {step}")
        process.kill()
        process.wait()
        (orphan,) = trainers(folder)
        orphan.suspend()  # it would end while we look
        if step == 10:
            refused = folder.run(EMBEDDINGS, "--retries", "0", config=LONG)
            assert refused.code != 0
            assert f"process {orphan.pid}, left behind by a run that was killed" in refused.output
            assert f"kill {orphan.pid}" in refused.output
        orphan.kill()
        orphan.wait()
    last = folder.run(EMBEDDINGS, config=LONG)
    assert last.code == 0, last.output
    assert "resumed at step" in folder.path(LOG).read_text()
    assert folder.path("embeddings/cpu/embeddings.parquet").read_bytes() == whole


def test_ctrl_c_stops_within_seconds_and_the_same_command_goes_on(whole, tmp_path):
    folder = project_runs.make(tmp_path)
    process = folder.start(EMBEDDINGS, config=LONG)
    # The first: where a disk is slow the next one may be the last.
    wait_for(lambda: reached(folder, 1), "checkpoint")
    asked = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) != 0
    assert time.monotonic() - asked < 30  # some seconds where nothing else runs
    assert "stopped at step" in folder.path(LOG).read_text()
    assert trainers(folder) == []

    last = folder.run(EMBEDDINGS, config=LONG)
    assert last.code == 0, last.output
    assert "resumed at step" in folder.path(LOG).read_text()
    assert folder.path("embeddings/cpu/embeddings.parquet").read_bytes() == whole
