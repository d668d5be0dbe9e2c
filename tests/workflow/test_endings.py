"""After any ending of a run, the next command gives the results of a run without an interruption.

These are some of the cases; benchmarks/endings.py runs all of them.
"""

import os
import re
import shutil
import subprocess
import sys
import time

import endings
import project_runs
import pytest

NOTHING = "Nothing to be done"


@pytest.fixture(name="bench", scope="module")
def everything_made(tmp_path_factory):
    """Folders with all results, made by a copy of the project."""
    folder = project_runs.make(tmp_path_factory.mktemp("endings"))
    bench = endings.Bench(folder.directory, folder.project)
    bench.prepare()
    return bench


@pytest.fixture(name="folder")
def copied_folder(bench, tmp_path):
    """A copy of the folder of a plain run, without Snakemake's metadata."""
    shutil.copytree(bench.made("plain", {}), tmp_path / "run", ignore=shutil.ignore_patterns(".snakemake"))
    return tmp_path / "run"


def run(bench, folder, *arguments, change=None):
    done = bench.run(folder, bench.config("plain", change or {}), list(arguments))
    assert "Traceback" not in done.stdout, done.stdout
    return done


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(endings.Cell("find_chosen", "failed", "changed"), marks=pytest.mark.slow),
        endings.Cell("rank_candidates", "killed_between_files", "back"),
        endings.Cell("validate_embeddings", "left_behind", "back"),
        pytest.param(endings.Cell("explain_candidates", "out_of_memory", "same"), marks=pytest.mark.slow),
        pytest.param(endings.Cell("write_summary", "killed_after", "same"), marks=pytest.mark.slow),
    ],
    ids=lambda cell: cell.name,
)
def test_the_next_run_gives_the_results_of_a_run_without_interruption(bench, cell):
    row = bench.cell(cell)
    assert row["ok"], row


def test_without_the_comparison_of_records_the_cells_fail(bench, tmp_path):
    """A broken workflow takes every record for current and keeps a list of another config: the cell fails."""
    project = tmp_path / "project"
    shutil.copytree(bench.project, project)
    path = project / "scripts" / "repurpose" / "provenance" / "runs.py"
    text = path.read_text()
    changed = text.replace(
        '    if now is None:\n        return "no rule',
        '    return ""\n    if now is None:\n        return "no rule',
    )
    assert changed != text
    path.write_text(changed)
    broken = endings.Bench(bench.work, project)
    broken.names, broken.address = bench.names, bench.address
    row = broken.cell(endings.Cell("find_chosen", "failed", "changed"))
    assert not row["ok"]


def test_a_copied_folder_without_snakemakes_metadata_is_up_to_date(bench, folder):
    for path in folder.rglob("*.parquet"):
        os.utime(path, (1, 1))
    assert NOTHING in run(bench, folder).stdout


def test_results_with_dates_in_the_future_are_stale_after_a_config_change(bench, folder):
    late = time.time() + 86400
    for path in folder.rglob("*"):
        os.utime(path, (late, late))
    assert NOTHING in run(bench, folder).stdout
    done = run(bench, folder, change={"evidence": {"similar": 2}})
    assert done.returncode == 0, done.stdout
    assert "explain_candidates/cpu: evidence.similar changed from 3 to 2" in done.stdout


def test_results_without_records_are_set_aside_with_a_message(bench, folder):
    shutil.rmtree(folder / "results" / "records")
    dry = run(bench, folder, "--dry-run")
    assert "there is no record of what made it" in dry.stdout and NOTHING not in dry.stdout
    before = (folder / "results" / "graph" / "nodes.parquet").read_bytes()
    assert run(bench, folder, "results/graph/nodes.parquet").returncode == 0
    assert (folder / "results" / "graph" / "nodes.parquet").read_bytes() == before
    assert (folder / "results" / "previous" / "report.html").exists()
    assert not (folder / "results" / "report.html").exists()


def test_a_second_run_in_the_folder_is_refused_and_the_first_goes_on(bench, folder, tmp_path):
    fault_folder = tmp_path / "mark"
    fault_folder.mkdir()
    config = bench.config("plain", {"evidence": {"similar": 2}})
    command = bench.command(folder, config, [])
    environment = endings.environment(f"explain_candidates:left_behind:{fault_folder}")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as first:
        until = time.monotonic() + 120
        while not (fault_folder / "waiting").exists():
            assert time.monotonic() < until and first.poll() is None
            time.sleep(0.1)
        second = run(bench, folder, change={"evidence": {"similar": 1}})
        assert second.returncode != 0
        assert f"another run (process {first.pid}) makes results in " in second.stdout
        (fault_folder / "go").touch()
        assert first.wait(120) == 0
    assert NOTHING in run(bench, folder, change={"evidence": {"similar": 2}}).stdout


def test_a_command_without_the_overlay_replaces_nothing(bench, folder):
    before = project_runs.contents(folder / "results")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "results/graph/ledger.json"]
    command += ["--snakefile", bench.project / "Snakefile", "--directory", folder]
    done = subprocess.run(command, capture_output=True, text=True, env=endings.environment(""), check=False)
    assert done.returncode == 1
    assert re.search(
        r"Error: the results here were made with --configfile .*overlay\.yaml \(now ", done.stderr
    )
    assert project_runs.contents(folder / "results").keys() == before.keys()
    named = [*command, "--dry-run", "--configfile", bench.project / "config" / "config.yaml"]
    done = subprocess.run(named, capture_output=True, text=True, env=endings.environment(""), check=False)
    assert done.returncode == 0 and "refused" not in done.stderr


def test_a_deleted_file_is_made_again_if_another_file_of_its_job_is_requested(bench, folder):
    path = folder / "results" / "graph" / "nodes.parquet"
    before = path.read_bytes()
    path.unlink()
    assert run(bench, folder, "results/graph/ledger.json").returncode == 0
    assert path.read_bytes() == before


def test_a_forced_job_runs_although_its_result_is_current(bench, folder):
    done = run(bench, folder, "--forcerun", "write_summary")
    assert done.returncode == 0 and "write_summary: asked for again" in done.stdout
    assert (
        "Job 1: Writing results/summary.json" in done.stdout or "Writing results/summary.json" in done.stdout
    )
