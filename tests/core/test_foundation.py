"""Result files, logs and threads, which every script uses."""

import hashlib
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from repurpose.core import files, threads
from repurpose.core.errors import InputError
from repurpose.ingest import tables

SCRIPTS = Path(__file__).parents[2] / "scripts"
TABLE = pa.table({"node": ["a", "b"], "index": pa.array([0, 1], pa.int32())})


def run(code, *arguments):
    """Run `code` in a fresh Python that finds the library."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with files.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folders_of_a_result_are_created(tmp_path):
    files.write_json(tmp_path / "a" / "b" / "c.json", [1])
    assert files.read_json(tmp_path / "a" / "b" / "c.json") == [1]


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_a_result_has_the_permissions_that_the_umask_gives(tmp_path, mask):
    before = os.umask(mask)
    try:
        files.write_json(tmp_path / "result.json", {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "result.json").stat().st_mode) == 0o666 & ~mask


def test_json_comes_back_as_it_was_written(tmp_path):
    content = {"passed": True, "value": 0.1, "null": None, "name": "Sjögren syndrome"}
    files.write_json(tmp_path / "result.json", content)
    assert files.read_json(tmp_path / "result.json") == content


def test_nan_is_refused_in_json_and_the_old_file_stays(tmp_path):
    files.write_json(tmp_path / "result.json", {"value": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "result.json", {"value": float("nan")})
    assert files.read_json(tmp_path / "result.json") == {"value": 1}


def test_a_table_comes_back_with_its_types_and_metadata(tmp_path):
    files.write_table(tmp_path / "table.parquet", TABLE, {"device": "cpu"})
    table = files.read_table(tmp_path / "table.parquet")
    assert table.equals(TABLE)
    assert table.schema.metadata[b"device"] == b"cpu"
    assert files.read_table(tmp_path / "table.parquet", ["index"]).column_names == ["index"]


def test_new_metadata_is_added_to_the_metadata_of_the_table(tmp_path):
    table = TABLE.replace_schema_metadata({"origin": "demo"})
    files.write_table(tmp_path / "table.parquet", table, {"device": "cpu"})
    metadata = files.read_table(tmp_path / "table.parquet").schema.metadata
    assert metadata == {b"origin": b"demo", b"device": b"cpu"}


def test_tables_are_compressed_with_zstd(tmp_path):
    files.write_table(tmp_path / "table.parquet", TABLE)
    assert pq.ParquetFile(tmp_path / "table.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_folder_names_add_no_columns_to_a_table(tmp_path):
    files.write_table(tmp_path / "device=cpu" / "table.parquet", TABLE)
    assert files.read_table(tmp_path / "device=cpu" / "table.parquet").column_names == ["node", "index"]


def in_batches(path):
    return list(files.batches(path, ["index"]))


def test_batches_hold_the_rows_of_the_table(tmp_path):
    files.write_table(tmp_path / "table.parquet", TABLE)
    assert pa.Table.from_batches(in_batches(tmp_path / "table.parquet")).equals(TABLE.select(["index"]))


def write_both_formats(folder):
    files.write_table(folder / "result.parquet", TABLE)
    files.write_json(folder / "result.json", {"a": [1, 2, 3]})


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("result.parquet", files.read_table),
        ("result.parquet", in_batches),
        ("result.json", files.read_json),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "binary"])
def test_the_error_names_an_unreadable_result_and_the_command_that_rebuilds_it(tmp_path, name, read, damage):
    write_both_formats(tmp_path)
    path = tmp_path / name
    read(path)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "truncated": content[:-6], "binary": b"\xff\xfe\x00PAR"}[damage])
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path} is not a readable ")
    assert str(caught.value).endswith(files.rebuild_hint(path))
    assert files.rebuild_hint(path).endswith(f"--forcerun {path}")
    assert "\n" not in str(caught.value)


def test_the_digest_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    assert files.digest(tmp_path / "a") == hashlib.sha256(b"content").hexdigest()


RAISES = """
import sys
from repurpose.core import errors
from repurpose.core import logs
logs.configure(sys.argv[1])
raise {}
"""


def test_an_input_error_prints_only_its_sentence_to_the_terminal_and_the_log(tmp_path):
    log = tmp_path / "logs" / "rule.log"
    done = run(RAISES.format("errors.InputError('edges.csv is empty')"), log)
    assert done.returncode == 1
    assert done.stderr.endswith("ERROR edges.csv is empty\n")
    assert done.stderr == log.read_text()
    assert "Traceback" not in done.stderr


def test_a_defect_prints_its_traceback_to_the_terminal_and_the_log(tmp_path):
    log = tmp_path / "rule.log"
    done = run(RAISES.format("KeyError('x')"), log)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "KeyError: 'x'" in log.read_text()


@pytest.mark.parametrize(
    "error",
    [
        "MemoryError('Unable to allocate 9 GiB for an array')",
        "MemoryError()",
        "RuntimeError('DefaultCPUAllocator: not enough memory:\\n you tried to allocate 9 bytes')",
        "ValueError('[10:00:00] std::bad_alloc')",
        "OSError(12, 'Cannot allocate memory')",
    ],
)
def test_a_lack_of_memory_prints_one_sentence_with_the_job_and_what_to_do(tmp_path, error):
    log = tmp_path / "results" / "logs" / "train_classifier" / "cpu.log"
    done = run(RAISES.format(error), log)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "ERROR train_classifier/cpu ran out of memory (" in line
    assert "--cores 1" in line
    assert done.stderr == log.read_text()


def test_a_real_lack_of_memory_prints_the_same_sentence(tmp_path):
    """numpy and PyTorch allocate more memory than any machine has."""
    for allocate in ("import numpy; numpy.ones(1 << 55)", "import torch; torch.ones(1 << 55)"):
        code = f"import sys; from repurpose.core import logs; logs.configure(sys.argv[1]); {allocate}"
        done = run(code, tmp_path / "rule.log")
        assert "ERROR rule ran out of memory (" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_table_that_is_too_large_for_the_memory_is_not_called_damaged(tmp_path, monkeypatch):
    """Arrow's memory error is simulated. Its class is also one of Arrow's errors about damaged files."""

    def fails(*arguments, **options):
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    files.write_table(tmp_path / "t.parquet", pa.table({"a": ["1"]}))
    monkeypatch.setattr(pq, "ParquetFile", fails)
    monkeypatch.setattr(pq, "read_table", fails)
    for read in (files.read_table, in_batches, lambda path: tables.read(path, ["a"])):
        with pytest.raises(MemoryError):
            read(tmp_path / "t.parquet")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
def test_a_log_on_a_full_disk_gives_one_line_and_no_traceback():
    code = "import sys; from repurpose.core import logs; logs.configure(sys.argv[1]); import logging\n"
    done = run(code + "logging.info('one'); logging.info('two')", "/dev/full")
    assert done.returncode == 0
    assert done.stderr.count("cannot be written (No space left on device)") == 1
    assert "INFO two" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interruption_has_no_traceback(tmp_path):
    done = run(RAISES.format("KeyboardInterrupt"), tmp_path / "rule.log")
    assert done.returncode != 0
    assert "ERROR interrupted" in done.stderr
    assert "Traceback" not in done.stderr


def test_records_of_the_library_reach_the_log(tmp_path):
    code = (
        "import logging, sys; from repurpose.core import logs; logs.configure(sys.argv[1]); "
        "logging.info('one')"
    )
    assert run(code, tmp_path / "rule.log").returncode == 0
    assert (tmp_path / "rule.log").read_text().endswith("INFO one\n")
    assert logging.getLogger().level != logging.NOTSET


@pytest.mark.parametrize(("silent", "is_shown"), [(0.0, True), (60.0, False)])
def test_the_terminal_shows_lines_of_progress_only_after_silence(tmp_path, silent, is_shown):
    """The log file has them all, and lines for the log alone are never on the terminal."""
    code = (
        "import logging, sys; from repurpose.core import logs; logs.configure(sys.argv[1]); "
        f"logs.SILENT = {silent}; logging.info('half done', extra=logs.IF_SLOW); "
        "logging.info('figures', extra=logs.LOG_ONLY); logging.info('done')"
    )
    done = run(code, tmp_path / "rule.log")
    assert ("half done" in done.stderr) == is_shown
    assert "figures" not in done.stderr and "done" in done.stderr
    assert [line.split("INFO ")[1] for line in (tmp_path / "rule.log").read_text().splitlines()] == [
        "half done",
        "figures",
        "done",
    ]


def test_the_usable_threads_are_at_least_one_and_never_more_than_given():
    assert threads.usable(1) == threads.usable(0) == 1
    assert 1 <= threads.usable(2) <= 2
    assert threads.usable(10_000) < 10_000


def test_idle_threads_sleep_in_started_processes_unless_the_user_wants_otherwise(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setenv("OPENBLAS_THREAD_TIMEOUT", "28")
    threads.let_idle_threads_sleep()
    assert {name: os.environ[name] for name in threads.SLEEP} == {
        "OMP_WAIT_POLICY": "PASSIVE",
        "OPENBLAS_THREAD_TIMEOUT": "28",
    }


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to a CPU")
def test_the_usable_threads_are_no_more_than_the_cpus_of_the_process():
    code = (
        "import os; from repurpose.core import threads; "
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(threads.usable(8))"
    )
    assert run(code).stdout == "1\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [("max 100000\n", sys.maxsize), ("200000 100000\n", 2), ("150000 100000\n", 2), ("1000 100000\n", 1)],
)
def test_the_quota_of_a_container_is_rounded_up_to_whole_cpus(tmp_path, content, expected):
    (tmp_path / "cpu.max").write_text(content)
    assert threads.cpu_quota(tmp_path) == expected


def test_a_system_without_cgroups_sets_no_quota(tmp_path):
    assert threads.cpu_quota(tmp_path / "missing") == sys.maxsize


@pytest.mark.parametrize("first_use", ["", "torch.ones(64, 64) @ torch.ones(64, 64)"])
def test_the_limit_of_threads_applies_to_pytorch_and_blas(first_use):
    code = (
        f"import numpy, torch\n{first_use}\nfrom threadpoolctl import threadpool_info\n"
        "from repurpose.core import threads\nlimited = threads.limit(1)\n"
        "torch.ones(64, 64) @ torch.ones(64, 64)\n"
        "print(limited, torch.get_num_threads(), {pool['num_threads'] for pool in threadpool_info()})"
    )
    assert run(code).stdout == "1 1 {1}\n"
