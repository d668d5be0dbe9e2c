"""Benchmarks without a module of tests of their own run as the documents say, on small graphs."""

import json
import subprocess
import sys
from pathlib import Path

import planted
import pytest

from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles

PROJECT = Path(__file__).resolve().parents[2]
FORMATS = ("csv", "kgx", "kgx.tar.gz", "kgx.jsonl", "triples", "numbered", "openke", "inspect")

QUICK = {
    "hgt": {"hidden_dim": 16, "embedding_dim": 24, "heads": 2, "svd_dim": 4, "profile_dim": 4},
    "training": {"contrastive": {"weight": 0}},
}


def rows_of(program: str, *arguments: object) -> list[dict]:
    """The JSON objects that a benchmark prints, one per line."""
    command = [sys.executable, PROJECT / "benchmarks" / program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_format_is_read_into_the_same_number_of_edges():
    rows = rows_of("ingest.py", "--json", "--rows", 3000, "--formats", *FORMATS)
    ours = {row["format"]: row for row in rows if row["reader"] == "repurpose"}
    assert tuple(ours) == FORMATS
    # Inspection keeps the direction of relations whose names say that they have one; here none does.
    assert {row["edges"] for row in rows} == {ours["csv"]["edges"]}
    assert ours["csv"]["edges"] > 500 and all(row["seconds"] > 0 for row in rows)


def test_the_watchdog_is_tried_on_a_graph_and_on_the_graph_with_shuffled_edges(tmp_path):
    files = GraphFiles.in_folder(tmp_path)
    graph.save(planted.repurposing()[0], files)
    (tmp_path / "small.yaml").write_text(json.dumps(QUICK))
    options = ("--graph", tmp_path, "--config", tmp_path / "small.yaml", "--json", "--seeds", 1)
    options += ("--full-steps", 40, "--sampled-steps", 40)
    for row in rows_of("watchdog.py", *options, "--shuffled"):
        assert row["shuffled"] and row["status"] == "stalled"
    rows = rows_of("watchdog.py", *options)
    assert [row["batching"] for row in rows] == ["full", "sampled"] and not rows[0]["shuffled"]


@pytest.mark.slow
def test_the_full_size_model_is_timed():
    (row,) = rows_of("full.py", "--json", "--scale", 0.01, "--epochs", 3, "--cores", 2)
    assert row["seconds"] > row["training_seconds"] > 0 and row["peak_rss_gb"] > 0


@pytest.mark.slow
def test_a_copy_of_the_treatments_raises_the_auroc_and_without_it_there_is_nothing_to_find():
    kept, excluded = rows_of("leaks.py", "--json")
    assert kept["auroc"]["hgt"] > 0.7 > 0.6 > excluded["auroc"]["hgt"]


@pytest.mark.slow
def test_full_and_sampled_trainings_agree_and_mixed_rows_do_not():
    (row,) = rows_of("agreement.py", "--json", "--seeds", 1)
    assert row["neighbour_overlap"] > 2 * row["mixed"]["neighbour_overlap"]
