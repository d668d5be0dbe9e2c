"""The history of a training is read back from TensorBoard's event file, value by value."""

import math
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.training import tensorboard

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "export_history.py"
HISTORY = pa.table(
    {
        "step": [1, 2, 3],
        "epoch": [1, 1, 2],
        "link": [1.25, 0.5, float("nan")],
        "total": [2.0, 1.0, 0.75],
        "valid_auroc": [None, None, 0.875],
    }
)


@pytest.fixture(name="accumulator")
def reader_of_tensorboard():
    """TensorBoard's own reader of event files."""
    pytest.importorskip("tensorboard", reason="needs envs/tensorboard.txt")
    from tensorboard.backend.event_processing import event_accumulator

    return event_accumulator.EventAccumulator


def test_every_number_of_the_history_is_in_the_event_file(accumulator, tmp_path):
    assert tensorboard.write(tmp_path / "cpu", HISTORY) == 9
    events = accumulator(str(tmp_path / "cpu"))
    events.Reload()
    found = {
        name: {event.step: event.value for event in events.Scalars(name)} for name in events.Tags()["scalars"]
    }
    assert found == {
        "training/epoch": {1: 1.0, 2: 1.0, 3: 2.0},
        "loss/link": {1: 1.25, 2: 0.5},
        "loss/total": {1: 2.0, 2: 1.0, 3: 0.75},
        "validation/valid_auroc": {3: 0.875},
    }
    assert not any(math.isnan(value) for values in found.values() for value in values.values())


def ask(results, out):
    command = [sys.executable, str(SCRIPT), str(results), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_script_writes_a_run_for_each_device_and_none_twice(accumulator, tmp_path):
    for device in ("cpu", "cpu-seed2"):
        files.write_table(tmp_path / "results" / "embeddings" / device / "history.parquet", HISTORY)
    done = ask(tmp_path / "results", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert {path.parent.name for path in (tmp_path / "runs").glob("*/events.out.*")} == {"cpu", "cpu-seed2"}
    again = ask(tmp_path / "results", tmp_path / "runs")
    assert again.returncode == 1 and "is there already: remove it, or give another --out" in again.stderr


def test_without_a_run_or_without_tensorboard_there_is_one_sentence(tmp_path, monkeypatch):
    done = ask(tmp_path, tmp_path / "runs")
    assert (
        done.returncode == 1 and done.stderr.startswith("Error: ") and "run the workflow first" in done.stderr
    )
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"TensorBoard is not installed: pip install .*tensorboard\.txt"):
        tensorboard.write(tmp_path / "cpu", HISTORY)
