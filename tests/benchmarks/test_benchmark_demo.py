"""The benchmark of whole runs times each project with its own environment, in turns, and prints ratios."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from repurpose.config import settings

PROJECT = Path(__file__).resolve().parents[2]
# In place of Python with Snakemake: it notes its arguments, takes some time, and writes what a run leaves.
STAND_IN = """#!/usr/bin/env bash
echo "$PWD $*" >>{log}
while [ "$1" != --directory ]; do shift; done
sleep {seconds}
[ {fails} = 0 ] || {{ echo "the run stopped"; exit 1; }}
mkdir -p "$2/results/benchmarks/rank_candidates" "$2/results/classifier/cpu"
printf 's\\tmem\\n{seconds}\\t9\\n' >"$2/results/benchmarks/rank_candidates/cpu.tsv"
echo '{metrics}' >"$2/results/classifier/cpu/metrics.json"
"""
METRICS = {"schemes": {"random": {name: {"auprc": {"value": 0.5}} for name in ("hgt", "degree", "svd")}}}


@pytest.fixture(name="project")
def make_project(tmp_path):
    """A function that makes a project whose runs take so many seconds."""

    def make(name, seconds, fails=0):
        python = tmp_path / name / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        log = tmp_path / "log"
        python.write_text(STAND_IN.format(log=log, seconds=seconds, fails=fails, metrics=json.dumps(METRICS)))
        python.chmod(0o755)
        return tmp_path / name

    return make


def run(*arguments):
    command = [sys.executable, PROJECT / "benchmarks" / "demo.py", "--json", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_overlays_are_each_projects_own_and_runs_can_be_kept(project, tmp_path):
    first, second = project("first", 0), project("second", 0)
    (first / "own.yaml").write_text("demo: {scale: 1.0}\n")
    (tmp_path / "other.yaml").write_text("")
    kept = tmp_path / "kept"
    options = ["--cores", 2, "--config", "own.yaml", tmp_path / "other.yaml", "--projects", first, second]
    assert run(*options, "--keep", kept).returncode == 0
    calls = (tmp_path / "log").read_text().splitlines()
    assert f"--configfile {first / 'own.yaml'} {tmp_path / 'other.yaml'}" in calls[0]
    assert f"--configfile {Path('own.yaml').resolve()} {tmp_path / 'other.yaml'}" in calls[1]
    assert sorted(folder.name.split("-")[0] for folder in kept.iterdir()) == ["first", "second"]
    assert all((folder / "results" / "classifier").is_dir() for folder in kept.iterdir())


def test_projects_take_turns_and_are_compared_with_the_last(project, tmp_path):
    slow, fast = project("slow", 0.6), project("fast", 0.2)
    (tmp_path / "own.yaml").write_text("demo: {scale: 1.0}\n")
    options = ["--cores", 2, "--rounds", 2, "--config", tmp_path / "own.yaml", "--projects", slow, fast]
    done = run(*options)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["project"] for row in rows] == [str(slow), str(fast)]
    assert rows[0]["ratio"] > 1.5 and rows[1]["ratio"] == 1.0
    assert [row["rules"] for row in rows] == [{"rank_candidates": 0.6}, {"rank_candidates": 0.2}]
    assert rows[0]["auprc"] == {"hgt": 0.5, "degree": 0.5, "svd": 0.5} and rows[0]["rounds"] == 2
    calls = (tmp_path / "log").read_text().splitlines()
    assert [call.split()[0] for call in calls] == [str(slow), str(fast)] * 2
    assert all(f"--configfile {tmp_path / 'own.yaml'}" in call and "--cores 2" in call for call in calls)


def test_a_failed_run_ends_the_benchmark_with_its_output(project):
    done = run("--projects", project("broken", 0.0, fails=1))
    assert done.returncode == 1 and "the run stopped" in done.stderr


def test_the_overlay_of_the_large_graph_is_valid():
    config = settings.load([PROJECT / "config" / "config.yaml", PROJECT / "benchmarks" / "scale.yaml"])
    assert config["demo"]["scale"] == 1.0
