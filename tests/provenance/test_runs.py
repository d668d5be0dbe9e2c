"""Each file in results/ is what the present config, tables and code make, however a run ends."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_run

from repurpose.core import files
from repurpose.core.errors import InputError, StoppedError
from repurpose.provenance import jobs, records, runs, shelf


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory: a new folder with a user's table."""
    monkeypatch.chdir(tmp_path)
    # The watching thread of a job would end this process, if it first looked when the next test has begun.
    monkeypatch.setattr(jobs.Job, "_watch", lambda job: None)
    small_run.TABLE.write_text("ab\n")
    yield tmp_path
    small_run.forget_run()


def test_a_second_run_makes_nothing():
    assert small_run.run({}) == ["copy", "double", "join"]
    assert small_run.run({}) == []


def test_a_change_of_the_config_runs_its_job_and_the_jobs_that_follow():
    small_run.run({})
    assert small_run.run({"double": 2}) == ["double", "join"]
    assert Path("results/double/a.txt").read_text() == "ab\nab\n"


def test_results_that_no_longer_fit_are_in_previous_before_the_first_job_starts():
    small_run.run({})
    before = small_run.texts()
    runs.begin(small_run.judge({"double": 2}))
    assert sorted(small_run.texts()) == ["results/copy/a.txt", "results/copy/b.txt"]
    kept = small_run.texts("results/previous")
    assert {path.replace("previous/", ""): text for path, text in kept.items()} == {
        path: text for path, text in before.items() if "copy" not in path
    }


def test_after_a_failed_run_of_another_config_the_earlier_config_restores_all_results():
    """A failed job of another config costs no result."""
    small_run.run({})
    before = small_run.texts()
    runs.begin(small_run.judge({"copy": 3}))
    assert small_run.texts() == {}
    assert small_run.run({}) == []
    assert small_run.texts() == before


def end(config):
    """What the workflow does after the last job of a run."""
    runs.end(runs.judge(small_run.expected(config), small_run.is_result, records.Digests(), is_end=True))


def test_after_a_whole_run_of_another_config_the_earlier_config_restores_all_results():
    first, second = {"double": 1, "join": 1}, {"double": 3, "join": 2}
    texts_of = []
    for config in (first, second):
        assert "double" in small_run.run(config)
        end(config)
        texts_of.append(small_run.texts())
    for config, expected in ((first, texts_of[0]), (second, texts_of[1]), (first, texts_of[0])):
        assert small_run.run(config) == [] and small_run.texts() == expected
        end(config)
        assert not shelf.OLDER.exists()


def test_a_third_config_does_not_find_the_results_of_the_one_before_the_last():
    for factor in (2, 3, 4):
        assert "double" in small_run.run({"double": factor})
        end({"double": factor})
    assert "double" in small_run.run({"double": 2})


def test_a_job_whose_inputs_are_made_again_with_the_same_content_does_not_run():
    """Other code made the same content: the results that depend on it are restored."""
    small_run.run({}, code="1")
    before = small_run.judge({}, code="1")
    assert not before.reasons
    record = records.read(records.path_of("copy"))
    record = records.Record(**{**vars(record), "code": "0"})
    record.write(records.path_of("copy"))
    assert small_run.run({}, code="1") == ["copy"]


@pytest.mark.parametrize("date", [-86400, 86400])
def test_a_table_with_other_content_is_noticed_whatever_its_date(date):
    small_run.run({})
    small_run.TABLE.write_text("cd\n")
    new_time = time.time() + date
    os.utime(small_run.TABLE, (new_time, new_time))
    assert small_run.run({}) == ["copy", "double", "join"]
    assert Path("results/double/a.txt").read_text() == "cd\n"


def test_a_table_with_other_content_but_the_same_size_and_time_is_noticed():
    small_run.run({})
    time.sleep(records.TICK + 0.1)
    small_run.judge({})  # stores its digest
    status = small_run.TABLE.stat()
    small_run.TABLE.write_text("cd\n")
    os.utime(small_run.TABLE, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "copy" in small_run.judge({}).reasons


def test_a_table_that_was_only_touched_or_moved_makes_nothing_stale():
    small_run.run({})
    small_run.TABLE.rename("other.csv")
    shutil.copy("other.csv", small_run.TABLE)
    assert small_run.run({}) == []


def test_digests_are_stored_and_unchanged_files_are_not_read_again(monkeypatch):
    small_run.run({})
    time.sleep(records.TICK + 0.1)
    small_run.judge({})
    monkeypatch.setattr(files, "digest", lambda path: pytest.fail(f"{path} was read again"))
    assert not small_run.judge({}).reasons


def test_the_digest_of_a_file_that_has_just_changed_is_not_stored():
    """A second change within one tick of the file system's clock would leave the same times."""
    small_run.TABLE.write_text("ef\n")
    digests = records.Digests()
    digests.of(small_run.TABLE)
    assert digests.fresh == {}


@pytest.mark.parametrize("damage", ["deleted", "edited", "cut"])
@pytest.mark.parametrize("name", ["a", "b"])
def test_a_result_that_was_changed_after_it_was_made_is_made_again(damage, name):
    small_run.run({})
    before = small_run.texts()
    path = Path(f"results/double/{name}.txt")
    if damage == "deleted":
        path.unlink()
    else:
        path.write_text("edited\n" if damage == "edited" else "a")
    assert small_run.run({}) == ["double"]
    assert small_run.texts() == before


def test_results_in_a_copy_of_the_folder_are_up_to_date(tmp_path, monkeypatch):
    small_run.run({})
    shutil.copytree(".", tmp_path / "other")
    monkeypatch.chdir(tmp_path / "other")
    assert small_run.run({}) == []
    assert small_run.run({"join": 2}) == ["join"]


def test_files_without_a_record_are_set_aside_and_made_again():
    small_run.run({})
    shutil.rmtree("results/records")
    judged = small_run.judge({})
    assert sorted(judged.unrecorded) == sorted(small_run.texts())
    assert "there is no record of what made it" in judged.lines()[0]
    assert small_run.run({}) == ["copy", "double", "join"]
    assert len(small_run.texts("results/previous")) == 6


def test_files_that_no_rule_makes_are_left_alone():
    small_run.run({})
    Path("results/notes.txt").write_text("mine")
    shutil.rmtree("results/records")
    small_run.run({})
    assert Path("results/notes.txt").read_text() == "mine"


def test_half_written_files_of_a_killed_process_are_removed():
    small_run.run({})
    Path("results/double/.a.txt.abcd1234").write_text("half")
    Path("results/double/.mine").write_text("mine")
    small_run.run({})
    assert not Path("results/double/.a.txt.abcd1234").exists()
    assert Path("results/double/.mine").exists()


def test_a_provisional_result_is_made_again_by_every_run():
    job = jobs.Job(small_run.given({}, "copy"))
    with job.replacing() as output:
        small_run.write({}, "copy", output)
        job.provisional = "0.00 GB free"
    assert small_run.judge({}).reasons == {"copy": "it was true at that moment only: 0.00 GB free"}
    runs.end(runs.judge(small_run.expected({}), small_run.is_result, records.Digests(), is_end=True))
    assert Path("results/copy/a.txt").exists()
    assert small_run.run({}) == ["copy", "double", "join"]
    assert small_run.run({}) == []


def test_a_reason_names_the_key_that_changed():
    small_run.run({})
    assert small_run.judge({"join": 2}).lines() == ["join: factor changed from 1 to 2"]
    small_run.TABLE.write_text("cd\n")
    assert small_run.judge({}).lines() == [
        "copy: table.csv (edges) has other content",
        "and what was made from these: double, join",
    ]


def test_files_with_an_unreadable_record_are_made_again():
    small_run.run({})
    path = records.path_of("double")
    for text in ("", "{", "[]", '{"format": 1}', '{"format": 99}', json.dumps({"format": 1, "rule": "x"})):
        path.write_text(text)
        assert "results/double/a.txt" in small_run.judge({}).unrecorded
    assert small_run.run({}) == ["double"]


@pytest.mark.parametrize("target", ["../mine.txt", "/tmp/mine.txt", "results/../../mine.txt"])
def test_a_record_with_paths_outside_the_folder_is_not_read(target):
    small_run.run({})
    path = records.path_of("double")
    content = json.loads(path.read_text())
    content["outputs"][target] = "0" * 64
    path.write_text(json.dumps(content))
    assert records.read(path) is None
    content["outputs"].pop(target)
    content["wildcards"] = {"device": "../../.."}
    path.write_text(json.dumps(content))
    assert records.read(path) is None


class Killed(BaseException):
    """Represents the end of the process: the library does not catch it."""


@contextlib.contextmanager
def dying(monkeypatch, after):
    """The process ends at the move after `after` moves, without cleaning up.

    Yields the list of moved files.
    """
    moved, move = [], shelf.move

    def move_or_die(source, target):
        if len(moved) == after:
            raise Killed
        moved.append(target)
        move(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(shelf, "move", move_or_die)
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        with contextlib.suppress(Killed):
            yield moved


@pytest.mark.parametrize("after", range(5))
def test_a_job_that_is_killed_between_moves_leaves_all_of_its_files_or_none(after, monkeypatch):
    """A move is the only visible step; a process may end after any of them."""
    small_run.run({})
    first, config = small_run.texts(), {"double": 2}
    runs.begin(small_run.judge(config))
    with dying(monkeypatch, after) as moved:
        small_run.do(config, "double")
    assert len(moved) == min(after, 3)  # two files and their record
    small_run.run(config)
    second = small_run.texts()
    assert second["results/double/a.txt"] == "ab\nab\n" and second["results/double/b.txt"] == "AB\nAB\n"
    assert not list(shelf.STAGING.glob("*"))
    small_run.run({})
    assert small_run.texts() == first


def test_a_job_that_is_killed_after_its_files_were_complete_does_not_run_again(monkeypatch):
    small_run.run({})
    runs.begin(small_run.judge({"double": 2}))
    with monkeypatch.context() as patched:
        patched.setattr(shelf, "place", lambda folder: (_ for _ in ()).throw(Killed))
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            small_run.do({"double": 2}, "double")
    assert small_run.run({"double": 2}) == ["join"]


def test_an_exception_in_a_job_changes_nothing():
    small_run.run({})
    before = small_run.texts()
    with pytest.raises(ZeroDivisionError):
        small_run.do({"double": 2}, "double", before_end=lambda: 1 / 0)
    assert small_run.texts() == before and not list(shelf.STAGING.glob("*"))
    assert not small_run.judge({}).reasons


def test_a_job_that_does_not_write_all_outputs_raises_an_error():
    job = jobs.Job(small_run.given({}, "copy"))
    with (
        pytest.raises(FileNotFoundError, match=r"copy did not write results/copy/b\.txt"),
        job.replacing() as output,
    ):
        output.a.write_text("")
    assert small_run.texts() == {}


def test_a_table_that_changes_while_it_is_read_raises_an_error():
    with pytest.raises(InputError, match=r"table\.csv changed while it was read"):
        small_run.do({}, "copy", before_end=lambda: small_run.TABLE.write_text("other\n"))
    assert small_run.texts() == {}


def test_an_input_that_is_only_touched_while_the_job_runs_is_no_change():
    assert small_run.do({}, "copy", before_end=lambda: os.utime(small_run.TABLE, (1, 1)))


def test_a_job_refuses_an_input_that_was_changed_after_it_was_made():
    small_run.run({})
    Path("results/copy/a.txt").write_text("by hand\n")
    with pytest.raises(InputError, match=r"results/copy/a\.txt was changed after its job had made it"):
        jobs.Job(small_run.given({"double": 2}, "double"))


def test_a_job_of_an_earlier_run_moves_no_files_to_results():
    small_run.run({})
    before = small_run.texts()
    token = os.environ[jobs.VARIABLE]

    def another_run():
        runs.begin(small_run.judge({}))
        os.environ[jobs.VARIABLE] = token

    with pytest.raises((StoppedError, FileNotFoundError)):
        small_run.do({"double": 2}, "double", before_end=another_run)
    assert small_run.texts() == before and not small_run.judge({}).reasons


ORPHAN = """
import sys, time
sys.path[:0] = [{scripts!r}, {tests!r}]
import small_run
from repurpose.provenance import jobs
jobs.WATCH_SECONDS = 0.05
job = jobs.Job(small_run.given({{}}, "join"))
print("ready", flush=True)
time.sleep(60)
"""


def test_a_job_that_outlives_its_run_ends_when_the_next_run_begins():
    small_run.run({})
    tests = Path(__file__).resolve().parents[1]
    code = ORPHAN.format(scripts=str(tests.parent / "scripts"), tests=str(tests))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as orphan:
        assert orphan.stdout.readline() == "ready\n"
        assert orphan.poll() is None
        runs.begin(small_run.judge({}))
        assert orphan.wait(20) == -15


def test_a_second_run_in_the_folder_is_refused_and_the_error_names_the_first_process():
    lock = runs.hold()
    with pytest.raises(InputError, match=rf"another run \(process {os.getpid()}\) makes results in "):
        runs.hold()
    lock.close()
    runs.hold().close()


def test_a_run_stops_if_results_changed_while_it_was_planned():
    small_run.run({})
    planned = small_run.judge({})
    small_run.do({"double": 2}, "double")
    with pytest.raises(InputError, match="results changed while this run was prepared"):
        runs.begin(planned)


def test_times_of_a_copied_folder_and_times_in_the_future_are_corrected():
    small_run.run({})
    late = time.time() + 86400
    os.utime("results/copy/a.txt", (late, late))
    os.utime("results/join/a.txt", (1, 1))
    runs.settle_times(small_run.judge({}))
    copy, double, join = (
        [os.stat(path).st_mtime for path in outputs.values()] for outputs in small_run.OUTPUTS.values()
    )
    assert max(copy) <= min(double) <= max(double) <= min(join) <= time.time()


def test_correct_times_are_not_changed():
    small_run.run({})
    before = {path: os.stat(path).st_mtime_ns for path in small_run.texts()}
    runs.settle_times(small_run.judge({}))
    assert {path: os.stat(path).st_mtime_ns for path in small_run.texts()} == before


def remember(config, overlays=("my.yaml",)):
    request = runs.Request(config, overlays, bool(overlays), {"edges": "table.csv", "nodes": ""})
    runs.remember(request, records.Digests())


def test_a_command_without_the_earlier_overlay_is_refused_and_the_error_names_the_overlay():
    remember({"edges": "table.csv", "seed": 7})
    refusal = runs.refusal(runs.Request({"edges": "demo", "seed": 7}, (), False))
    assert "were made with --configfile my.yaml (now edges changed from table.csv to demo)" in refusal


@pytest.mark.parametrize(
    ("config", "overlays", "has_options"),
    [
        ({"edges": "demo", "seed": 7}, ("config/config.yaml",), True),
        ({"edges": "table.csv", "seed": 8}, ("my.yaml",), True),
        ({"edges": "table.csv", "seed": 7}, (), False),
    ],
)
def test_a_command_with_an_overlay_or_the_same_config_is_accepted(config, overlays, has_options):
    remember({"edges": "table.csv", "seed": 7})
    assert runs.refusal(runs.Request(config, overlays, has_options)) == ""


def test_an_edited_config_is_accepted_if_the_folder_had_no_overlay():
    remember({"edges": "demo", "seed": 7}, ())
    assert runs.refusal(runs.Request({"edges": "demo", "seed": 8}, (), False)) == ""


def test_results_of_a_version_that_stored_no_config_are_not_replaced_by_the_demo():
    files.write_json("results/graph/ledger.json", {"file": "table.csv"})
    assert "made from table.csv" in runs.refusal(runs.Request({"edges": "demo"}, (), False))
    files.write_json("results/graph/ledger.json", {"file": "results/demo/edges.parquet"})
    assert runs.refusal(runs.Request({"edges": "demo"}, (), False)) == ""


def test_the_whole_config_of_a_run_is_stored_with_the_digests_of_its_tables():
    remember({"edges": "table.csv", "seed": 7, "nodes": ""})
    text = Path("results/config.yaml").read_text()
    assert f"# edges: table.csv, SHA-256 {files.digest('table.csv')}" in text
    assert "edges: table.csv\nnodes: ''\nseed: 7\n" in text


def refused_run(config, checks=(), job=None):
    """A run of another config that is refused after `job`; returns whether everything is as it was before."""
    memory = runs.memory_files()
    judged = small_run.judge(config)
    runs.begin(judged)
    remember({"edges": "table.csv", **config})
    if job:
        small_run.do(config, job)
    return runs.undo(judged, checks, memory)


def everything():
    """The content of all files in results, except those of the machine."""
    return {
        path: path.read_bytes()
        for path in Path("results").rglob("*")
        if path.is_file() and ".run" not in path.parts
    }


@pytest.mark.parametrize("job", [None, "copy"])
def test_a_refused_run_changes_nothing_not_even_what_is_in_previous(job):
    for factor in (1, 2):
        small_run.run({"copy": factor})
        end({"copy": factor})
    remember({"edges": "table.csv", "copy": 2})
    before = everything()
    assert refused_run({"copy": 3}, ("copy",), job)
    assert everything() == before
    assert small_run.run({"copy": 2}) == [] and small_run.run({"copy": 1}) == []


def test_a_refused_run_that_has_made_more_than_checks_keeps_it():
    small_run.run({})
    remember({"edges": "table.csv"})
    assert not refused_run({"copy": 3}, ("double",), "copy")
    assert small_run.texts()["results/copy/a.txt"] == "ab\n" * 3
    assert small_run.run({}) == []


def test_without_results_that_were_set_aside_there_is_nothing_to_undo():
    small_run.do({}, "copy")
    assert not refused_run({}, ("copy", "double"), "double")
    assert Path("results/double/a.txt").exists() and Path("results/config.yaml").exists()


def test_results_that_were_asked_for_again_are_not_restored():
    small_run.run({})
    reasons = {"join": runs.FORCED}
    judged = dataclasses.replace(small_run.judge({}), reasons=reasons)
    runs.begin(judged)
    assert not runs.undo(judged, (), {})


@pytest.mark.parametrize("after", range(4))
def test_after_a_kill_during_the_undoing_the_next_run_has_all_results(after, monkeypatch):
    small_run.run({})
    before = small_run.texts()
    judged = small_run.judge({"double": 2})
    runs.begin(judged)
    with dying(monkeypatch, after):
        runs.undo(judged, (), {})
    assert small_run.run({}) == [] and small_run.texts() == before


@pytest.mark.parametrize("after", range(7))
def test_a_run_that_is_killed_while_setting_results_aside_loses_nothing_and_leaves_nothing_stale(
    after, monkeypatch
):
    small_run.run({})
    first = small_run.texts()
    with dying(monkeypatch, after) as moved:
        runs.begin(small_run.judge({"double": 2}))
    assert len(moved) == min(after, 6)
    small_run.run({})
    assert small_run.texts() == first
    small_run.run({"double": 2})
    assert small_run.texts()["results/join/a.txt"] == "ab\n" + "ab\nab\n" + "AB\nAB\n"


@pytest.mark.parametrize("after", range(4))
def test_after_a_kill_during_restoring_the_next_run_has_all_results(after, monkeypatch):
    small_run.run({})
    first = small_run.texts()
    runs.begin(small_run.judge({"copy": 2}))
    with dying(monkeypatch, after):
        small_run.run({})
    small_run.run({})
    assert small_run.texts() == first


def test_a_reader_gets_an_error_for_results_that_do_not_belong_together():
    small_run.run({})
    results = Path("results")
    records.require_whole(results, "cpu")
    Path("results/double/b.txt").write_text("by hand")
    with pytest.raises(InputError, match=r"double in results is not as it was made: results/double/b\.txt"):
        records.require_whole(results, "cpu")
    small_run.run({})
    small_run.do({"copy": 2}, "copy")
    with pytest.raises(
        InputError, match=r"(double|join) in results was made from another results/copy/a\.txt"
    ):
        records.require_whole(results, "cpu")


def test_a_reader_gets_an_error_for_results_without_records():
    small_run.run({})
    shutil.rmtree("results/records")
    with pytest.raises(InputError, match="results has no records of what made it"):
        records.require_whole(Path("results"), "cpu")


def test_on_a_full_disk_a_run_is_planned_and_digests_are_not_stored(monkeypatch):
    """A run must be planned, and say what is wrong, even if nothing can be written."""
    small_run.run({})
    time.sleep(records.TICK + 0.1)
    monkeypatch.setattr(files, "write_json", lambda *_: (_ for _ in ()).throw(InputError("no space")))
    assert not small_run.judge({}).reasons


@pytest.mark.parametrize("name", ["DOID:9352", "MONDO_1_2.x-3", "a" * 200])
def test_an_answer_whose_name_can_be_that_of_a_file_is_not_refused(name):
    assert runs.refused_answer(["--cores", "8", f"results/answers/cpu/{name}.json"]) == ""


@pytest.mark.parametrize(
    "name", ["id with blank", "a,b", "x={y}", "a/b", "\N{GREEK SMALL LETTER ALPHA}", "a" * 201]
)
def test_an_answer_whose_name_cannot_be_that_of_a_file_is_refused_with_what_to_do(name):
    sentence = runs.refused_answer(["--cores", "8", f"results/answers/cpu/{name}.json"])
    assert "scripts/query_candidates.py --disease" in sentence and len(sentence) < 400


def test_what_a_job_cost_is_kept_and_its_record_holds_no_times():
    small_run.run({})
    (record,) = (each for each in records.read_all().values() if each.rule == "copy")
    cost = json.loads(records.cost_path(record).read_text())
    assert cost["seconds"] >= 0 and cost["memory"] > 1_000_000
    assert "seconds" not in records.path_of(record.name).read_text()
