"""The history can be read at any moment, and the log shows the state of a training."""

import json
import logging

import pytest

from repurpose.core import files, logs
from repurpose.training import history


def row(step, auroc=None):
    figures = {"link": 1.2, "ranking": None, "contrastive": None, "total": 1.2, "valid_auroc": auroc}
    figures["seconds"] = 0.1 * step
    floors = {"link_floor": 1.3863, "ranking_floor": None, "contrastive_floor": None, "total_floor": 1.3863}
    return {"step": step, "epoch": step, "edges_seen": 10 * step, **figures, **floors}


def test_rows_are_in_both_files(tmp_path):
    writer = history.Writer(tmp_path / "history.parquet", tmp_path / "logs" / "cpu.jsonl")
    for step in (1, 2):
        writer.add(row(step))
    lines = (tmp_path / "logs" / "cpu.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    writer.close()
    table = files.read_table(tmp_path / "history.parquet")
    assert table.schema.names == history.SCHEMA.names
    assert table["contrastive"].null_count == 2


def test_the_parquet_file_is_rewritten_while_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "REWRITE_SECONDS", 0.0)
    writer = history.Writer(tmp_path / "history.parquet", tmp_path / "cpu.jsonl")
    writer.add(row(1))
    writer.add(row(2))
    assert files.read_table(tmp_path / "history.parquet")["step"].to_pylist() == [1, 2]


def test_an_empty_history_is_a_file_with_its_columns(tmp_path):
    history.Writer(tmp_path / "history.parquet", tmp_path / "cpu.jsonl").close()
    assert len(files.read_table(tmp_path / "history.parquet")) == 0


def test_the_terminal_shows_the_state_of_a_training_about_twenty_times(caplog):
    log = history.progress("cpu-sampled")
    with caplog.at_level(logging.INFO):
        for step in range(1, 101):
            log(row(step, auroc=0.75), 100)
    assert len(caplog.messages) == 20
    assert caplog.messages[-1] == (
        "cpu-sampled: step 100 of 100, epoch 100, link 1.200 (guessing 1.386), total 1.200 (guessing 1.386), "
        "validation AUROC 0.750, 0 s left"
    )
    assert "100%" in caplog.records[-1].detail


def test_a_slow_training_is_logged_every_interval(caplog, monkeypatch):
    monkeypatch.setattr(history, "INTERVAL_SECONDS", 0.0)
    log = history.progress("cpu")
    with caplog.at_level(logging.INFO):
        for step in (1, 2, 3):
            log(row(step), 100_000)
    assert len(caplog.messages) == 3
    # The first step would count what was prepared before it.
    assert [" left" in message for message in caplog.messages] == [False, True, True]


def test_the_bar_is_in_the_file_and_not_on_the_terminal(tmp_path, capsys):
    logs.configure(tmp_path / "log.txt")
    logging.info("cpu: step 1 of 2", extra={"detail": "50%|###"})
    assert "50%|###" in (tmp_path / "log.txt").read_text()
    shown = capsys.readouterr().err
    assert "step 1 of 2" in shown
    assert "50%" not in shown


@pytest.mark.parametrize(("seconds", "said"), [(7.4, "7 s"), (600, "10 min"), (9000, "2.5 h")])
def test_a_duration_is_written_as_people_say_it(seconds, said):
    assert history.duration(seconds) == said


def test_floors_are_for_the_screen_and_not_in_the_files(tmp_path):
    writer = history.Writer(tmp_path / "history.parquet", tmp_path / "cpu.jsonl")
    writer.start([row(1)])
    writer.add(row(2))
    writer.close()
    lines = [json.loads(line) for line in (tmp_path / "cpu.jsonl").read_text().splitlines()]
    assert [list(line) for line in lines] == [history.SCHEMA.names] * 2
    assert files.read_table(tmp_path / "history.parquet").schema.names == history.SCHEMA.names
