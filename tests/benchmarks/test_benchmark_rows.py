"""Rows of measurements stay equal in a parquet file, have their origin, and documents name their files."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import row_files

KEPT = row_files.PROJECT / "benchmarks" / "rows"
ROWS = [
    {"kind": "task", "heads": [3, 1], "tails": [0, 2]},
    {"kind": "training", "method": "svd", "seconds": 1.5, "variants": [{"variant": "32", "product": True}]},
    {"kind": "test", "above": [[4, 0], []], "valid": {"32": 0.1, "64": None}, "healthy": False},
    {"kind": "test", "above": [[2]], "valid": None, "healthy": True},
]


def keep(*arguments):
    command = [sys.executable, row_files.__file__, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_kept_rows_equal_the_appended_rows(tmp_path):
    lines, kept = tmp_path / "rows.jsonl", tmp_path / "rows.parquet"
    for row in ROWS:
        row_files.append(lines, row)
    done = keep(lines, kept)
    assert done.stdout.startswith(f"{kept}: 4 rows, ") and done.returncode == 0, done.stderr
    assert row_files.read(kept) == row_files.read(lines) == [row | row_files.origin() for row in ROWS]
    # Kept rows and new rows in one file.
    assert keep(kept, lines, kept).returncode == 0
    assert row_files.read(kept) == 2 * row_files.read(lines)


def test_the_columns_of_the_origin_exist_even_if_no_row_has_it(tmp_path):
    row_files.keep([{"seed": 0}], tmp_path / "old.parquet")
    assert pq.read_schema(tmp_path / "old.parquet").names == ["seed", *row_files.ORIGIN]
    assert row_files.read(tmp_path / "old.parquet") == [{"seed": 0}]


def test_an_incomplete_last_line_is_removed(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"seed": 0}\n{"seed": 1')
    assert row_files.read(path, tmp_path / "absent.jsonl") == [{"seed": 0}]
    assert path.read_text() == '{"seed": 0}\n'


def test_no_row_is_added_to_a_parquet_file():
    assert row_files.new_rows_file([Path("a.parquet"), Path("b.jsonl")]) == Path("b.jsonl")
    with pytest.raises(SystemExit, match=r"added to a\.parquet: name a \.jsonl file behind it"):
        row_files.new_rows_file([Path("b.jsonl"), Path("a.parquet")])


def test_a_missing_source_and_a_target_without_parquet_suffix_are_named(tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}\n")
    assert "absent.jsonl does not exist" in keep(tmp_path / "absent.jsonl", tmp_path / "a.parquet").stderr
    assert "a name that ends with .parquet" in keep(tmp_path / "rows.jsonl", tmp_path / "a.txt").stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_row_has_its_origin_without_folders_of_the_user(tmp_path):
    code = "import json, row_files; print(json.dumps(row_files.origin()))"
    arguments = ["/home/me/kg.csv", "--rows=/home/me/rows.jsonl", "--config", "benchmarks/recipe.yaml"]
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=row_files.PROJECT / "benchmarks", capture_output=True, check=True)
    origin = json.loads(done.stdout)
    assert tuple(origin) == row_files.ORIGIN
    assert origin["command"] == "python -c kg.csv --rows=rows.jsonl --config benchmarks/recipe.yaml"
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=row_files.PROJECT, capture_output=True, text=True).stdout.strip()
    assert origin["commit"].removesuffix("-dirty") == commit
    assert origin["date"].count("-") == 2 and " x " in origin["cpu"]


@pytest.mark.parametrize("name", ["demo", "gate", "hetionet"])
def test_the_rows_of_a_table_have_an_origin_and_a_document_names_their_file(name):
    path = KEPT / f"{name}.parquet"
    assert set(row_files.ORIGIN) <= set(pq.read_schema(path).names)
    for row in row_files.read(path):
        assert row["command"] and len(row["commit"]) == 40 and row["date"]
    documents = (row_files.PROJECT / "docs").glob("*.md")
    assert any(f"benchmarks/rows/{path.name}" in document.read_text() for document in documents)
