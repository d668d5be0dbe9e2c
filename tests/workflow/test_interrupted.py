"""A run that was killed or stopped resumes from its checkpoint, and its result is the same to the bit."""

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


def wait_for(condition, awaited, seconds=180):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"no {awaited} in {seconds} s"
        time.sleep(0.05)


def has_checkpoint(folder, step):
    """True if there is a checkpoint of this step or a later one."""
    names = (path.name for path in folder.path("checkpoints/cpu").glob("step-*.safetensors"))
    return any(int(re.search(r"\d+", name)[0]) >= step for name in names)


def training_processes(folder):
    """The processes that hold the lock of the checkpoint folder: the lock file contains the process id."""
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
        wait_for(
            lambda step=step: has_checkpoint(folder, step) and training_processes(folder),
            f"checkpoint of step {step}",
        )
        process.kill()
        process.wait()
        (orphan,) = training_processes(folder)
        orphan.suspend()  # else it may end during the checks
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


def test_ctrl_c_stops_within_seconds_and_the_same_command_resumes(whole, tmp_path):
    folder = project_runs.make(tmp_path)
    process = folder.start(EMBEDDINGS, config=LONG)
    # Wait only for the first checkpoint: on a slow disk the next one may be the last.
    wait_for(lambda: has_checkpoint(folder, 1), "checkpoint")
    interrupted_at = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) != 0
    assert time.monotonic() - interrupted_at < 30  # a few seconds on an idle machine
    assert "stopped at step" in folder.path(LOG).read_text()
    assert training_processes(folder) == []

    last = folder.run(EMBEDDINGS, config=LONG)
    assert last.code == 0, last.output
    assert "resumed at step" in folder.path(LOG).read_text()
    assert folder.path("embeddings/cpu/embeddings.parquet").read_bytes() == whole
