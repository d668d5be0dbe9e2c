"""The history can be read at any moment, and the log shows where a training stands."""

import json
import logging

from repurpose import files, history


def row(step, auroc=None):
    figures = {"link": 1.2, "contrastive": None, "total": 1.2, "valid_auroc": auroc, "seconds": 0.1 * step}
    return {"step": step, "epoch": step, "edges_seen": 10 * step, **figures}


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


def test_the_log_shows_a_bar_and_the_losses_about_twenty_times(caplog):
    log = history.progress("cpu")
    with caplog.at_level(logging.INFO):
        for step in range(1, 101):
            log(row(step, auroc=0.75), 100)
    assert len(caplog.messages) == 20
    assert "100%" in caplog.messages[-1]
    assert "link 1.2000 total 1.2000 valid_auroc 0.7500" in caplog.messages[-1]
    assert "contrastive" not in caplog.messages[-1]
