"""The training script, killed at any moment and started again, gives the results of an undisturbed run."""

import functools
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import communities
import pytest

from repurpose.core import files
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.vectors import embeddings

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# A process that imports everything once, which takes longer than a training, and forks for each call of the
# rule's script. `die` says where a call kills itself: at which write of a checkpoint, leaving half of it, or
# at which output.
DRIVER = """
import json, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import train_embeddings
from repurpose.config.device import Device
from repurpose.config.sections import EncoderSettings, TrainingSettings
from repurpose.training import checkpoint
from repurpose.core import files
from repurpose.graph.graph import GraphFiles

from repurpose.core import logs
from repurpose.core import threads
from repurpose.training import training

for line in iter(sys.stdin.readline, ""):
    asked = json.loads(line)
    if "wait" in asked:
        print(os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1]), flush=True)
        continue
    child = os.fork()
    if child == 0:
        break
    print(child, flush=True)
else:
    sys.exit()

folder, die = Path(asked["folder"]), asked["die"]
os.dup2(os.open(asked["errors"], os.O_CREAT | os.O_WRONLY), 2)
save, writes, replacing = checkpoint.save_file, [], files.replacing

def save_or_die(tensors, path, metadata):
    writes.append(path)
    if die.get("checkpoint") == len(writes):
        Path(path).write_bytes(b"half a file")
        os.kill(os.getpid(), signal.SIGKILL)
    save(tensors, path, metadata)

def replace_or_die(path):
    if Path(path).name == die.get("output"):
        (Path(path).parent / ".half").write_bytes(b"half a file")
        os.kill(os.getpid(), signal.SIGKILL)
    return replacing(path)

checkpoint.save_file, files.replacing = save_or_die, replace_or_die
checkpoint.SHARE = float("inf")  # a checkpoint after each step, however slow the disk
logs.configure(folder / "log.txt")
threads.limit(2)
out = folder / "out"
train_embeddings.main(
    graph_files=GraphFiles.in_folder(folder),
    embeddings_out=out / "embeddings.parquet", encoder_out=out / "encoder.safetensors",
    history_out=out / "history.parquet", record_out=out / "training.json",
    lines=folder / "history.jsonl", checkpoints=folder / "checkpoints", checkpoint_seconds=0.0,
    code="c" * 64, features_in="",
    device=Device.parse("cpu", {"cpu": "full"}),
    encoder=EncoderSettings(hidden_dim=16, embedding_dim=16, layers=2, heads=4, attention="fused",
        dropout=0.1, decoder="distmult", inputs="learned", svd_dim=0, profile_dim=0),
    training_settings=TrainingSettings(epochs=asked["epochs"], learning_rate=0.02,
        edge_sample_size=500,
        supervision_share=0.3, valid_share=0.1, valid_every=10,
        degree_matched_share=0.5, ranking={"weight": 0.5, "edges": 64},
        contrastive={"weight": 0.5, "similarity_threshold": 0.1,
        "relations": ["disease_gene"], "temperature": 0.2, "batch_size": 64}),
    tail_type="disease", seed=1,
)
"""
EPOCHS, SHORT = 60, 8
EXCLUDED = "gene_gene"


@functools.cache
def driver():
    command = [sys.executable, "-c", DRIVER, str(SCRIPTS)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module", autouse=True)
def one_driver():
    yield
    driver().communicate(timeout=60)
    driver.cache_clear()


def ask(**words):
    """The driver's answer, a number."""
    process = driver()
    process.stdin.write(json.dumps(words) + "\n")
    process.stdin.flush()
    assert select.select([process.stdout], [], [], 300)[0], "no answer in 300 s"
    return int(process.stdout.readline())


class Training:
    """A call of the script after all imports; its errors are in a file."""

    def __init__(self, folder, die, epochs):
        number, path = tempfile.mkstemp()
        os.close(number)
        self.errors, self.returncode = Path(path), None
        self.pid = ask(folder=str(folder), die=die, epochs=epochs, errors=path)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def wait(self):
        """Wait for its end; returns what it wrote as errors."""
        self.returncode = ask(wait=self.pid)
        text = self.errors.read_text()
        self.errors.unlink()
        return text


def start(folder, die=None, epochs=EPOCHS):
    return Training(folder, die or {}, epochs)


def prepare(folder):
    folder.mkdir()
    graph.save(communities.build(), GraphFiles.in_folder(folder))
    return folder


def finish(folder, **options):
    process = start(folder, **options)
    errors = process.wait()
    assert process.returncode == 0, errors
    return errors


def vectors(folder):
    """The results of a training, as bytes: its vectors and its encoder."""
    trained = embeddings.read(folder / "out" / "embeddings.parquet").vectors
    encoder = files.digest(folder / "out" / "encoder.safetensors")
    return {"encoder": encoder, **{node_type: rows.tobytes() for node_type, rows in trained.items()}}


@pytest.fixture(name="undisturbed", scope="module")
def one_run(tmp_path_factory):
    folder = prepare(tmp_path_factory.mktemp("resume") / "undisturbed")
    finish(folder)
    return folder


@pytest.fixture(name="seconds", scope="module")
def time_of_one_run(tmp_path_factory):
    folder, began = prepare(tmp_path_factory.mktemp("resume") / "timed"), time.monotonic()
    finish(folder)
    return time.monotonic() - began


def rows_of(folder):
    return files.read_table(folder / "out" / "history.parquet").drop_columns(["seconds"]).to_pylist()


def test_twenty_kills_change_nothing(undisturbed, seconds, tmp_path):
    """Twelve at random times, five while a checkpoint is written, three while an output is."""
    folder, chance = prepare(tmp_path / "killed"), random.Random(5)
    deaths = [{"checkpoint": n} for n in (1, 2, 1, 3, 2)] + [None] * 12
    chance.shuffle(deaths)
    steps = [0]
    for die in deaths:
        process = start(folder, die)
        if die is None:
            time.sleep(chance.uniform(0.0, seconds / 10))  # all together about 0.6 of a run
            process.kill()
        process.wait()
        assert process.returncode == -signal.SIGKILL
        kept = sorted((folder / "checkpoints").glob("step-*.safetensors"))
        steps.append(int(kept[-1].stem.partition("-")[2]) if kept else 0)
    assert steps == sorted(steps)
    assert steps[-1] > 0
    for name in ("embeddings.parquet", "encoder.safetensors", "training.json", "history.parquet"):
        process = start(folder, {"output": name})
        process.wait()
        assert process.returncode == -signal.SIGKILL
    assert f"resumed at step {EPOCHS} of {EPOCHS}" in finish(folder)
    assert [each.name for each in (folder / "checkpoints").iterdir() if each.name.startswith(".")] == []
    assert vectors(folder) == vectors(undisturbed)
    assert rows_of(folder) == rows_of(undisturbed)


def test_a_checkpoint_of_a_graph_with_other_messages_is_not_resumed(tmp_path):
    """Excluding other relations changes only their roles in relations.json, in no other file of the graph."""
    folder = prepare(tmp_path / "roles")
    finish(folder, epochs=SHORT)
    relations = files.read_json(folder / "relations.json")
    (left_out,) = (relation for relation in relations if relation["relation"] == EXCLUDED)
    left_out["role"] = "excluded"
    files.write_json(folder / "relations.json", relations)
    errors = finish(folder, epochs=SHORT)
    assert "starting from the first step: relations" in errors and "resumed" not in errors
    fresh = prepare(tmp_path / "fresh")
    files.write_json(fresh / "relations.json", relations)
    finish(fresh, epochs=SHORT)
    assert vectors(folder) == vectors(fresh)


def wait_for_steps(folder):
    """The history of a training that has begun, after three rows."""
    history = folder / "history.jsonl"
    deadline = time.monotonic() + 60
    while not history.exists() or history.read_text().count("\n") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return history.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_writes_a_checkpoint_within_seconds_and_resumes(undisturbed, tmp_path, number):
    folder = prepare(tmp_path / "stopped")
    process = start(folder)
    wait_for_steps(folder)
    os.kill(process.pid, number)
    asked = time.monotonic()
    errors = process.wait()
    assert time.monotonic() - asked < 20  # 0.3 s where nothing else runs
    assert process.returncode == 1
    assert f"asked to stop ({signal.Signals(number).name})" in errors
    assert f"of {EPOCHS} as asked; the same command continues from there" in errors
    assert "Traceback" not in errors
    assert "resumed at step" in finish(folder)
    assert vectors(folder) == vectors(undisturbed)


def test_two_at_once_in_one_folder_are_refused(tmp_path):
    folder = prepare(tmp_path / "shared")
    first = start(folder, epochs=100_000)
    try:
        begun = wait_for_steps(folder)
        second = start(folder)
        errors = second.wait()
        assert second.returncode == 1
        # The second has not overwritten the file.
        assert (folder / "history.jsonl").read_text().startswith(begun)
        assert f"process {first.pid}, left behind by a run that was killed, still trains" in errors
        assert "Traceback" not in errors
    finally:
        first.kill()
        first.wait()


@pytest.fixture(name="disk")
def small_disk(tmp_path):
    """A function that mounts a disk of 3 MB at a folder, because root can write to any other folder."""
    mounted = []

    def mount(path):
        path.mkdir(parents=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "none", path], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("a small tmpfs is mounted as root on Linux; this process may not")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", path], check=True)


def fill(path):
    """Write until the disk is full."""
    with (path / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def wait_for_a_checkpoint(folder):
    until = time.monotonic() + 60
    while not list((folder / "checkpoints").glob("step-*.safetensors")):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_disk_that_fills_up_is_one_sentence_and_the_last_checkpoint_is_resumed(undisturbed, tmp_path, disk):
    folder = prepare(tmp_path / "full")
    path = disk(folder / "checkpoints")
    process = start(folder)
    wait_for_a_checkpoint(folder)
    fill(path)
    errors = process.wait()
    assert process.returncode == 1
    assert "cannot be written" in errors and "No space left on device" in errors
    assert "make room there or make it writable, then run the same command again; the checkpoint" in errors
    assert "Traceback" not in errors
    (path / "filler").unlink()
    assert "resumed at step" in finish(folder)
    assert vectors(folder) == vectors(undisturbed)


def test_a_read_only_folder_is_one_sentence_before_the_first_step(undisturbed, tmp_path, disk):
    folder = prepare(tmp_path / "locked")
    path = disk(folder / "checkpoints")
    process = start(folder)
    wait_for_a_checkpoint(folder)
    process.kill()
    process.wait()
    subprocess.run(["mount", "-o", "remount,ro", path], check=True)
    process = start(folder)
    errors = process.wait()
    assert process.returncode == 1
    assert f"{path} cannot be written (Read-only file system); make room there or make it writable" in errors
    assert "Traceback" not in errors and "step" not in errors.rpartition("cannot be written")[0]
    subprocess.run(["mount", "-o", "remount,rw", path], check=True)
    assert "resumed at step" in finish(folder)
    assert vectors(folder) == vectors(undisturbed)


def test_results_without_room_on_the_disk_are_one_sentence_too(undisturbed, tmp_path, disk):
    folder = prepare(tmp_path / "results")
    path = disk(folder / "out")
    process = start(folder)
    wait_for_a_checkpoint(folder)
    fill(path)
    errors = process.wait()
    assert process.returncode == 1
    assert f"{path}/" in errors and "cannot be written (No space left on device)" in errors
    assert "Traceback" not in errors
    (path / "filler").unlink()
    assert "resumed at step" in finish(folder)
    assert vectors(folder) == vectors(undisturbed)
