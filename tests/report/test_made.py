"""The page says how its results were made, from what lies in the folder."""

import subprocess

from repurpose.core import files
from repurpose.report import made


def test_an_empty_folder_has_versions_alone(tmp_path):
    described = made.describe(tmp_path)
    assert described["versions"]["snakemake"] and described["versions"]["torch"]
    empty = {"overlays": [], "tables": [], "config": "", "stages": [], "previous": {}}
    assert {key: described[key] for key in empty} == empty


def test_tables_config_seconds_and_memory_are_read(tmp_path):
    run = {"overlays": ["my.yaml"], "tables": {"nodes": ["n.csv", "22"], "edges": ["e.csv", "11"]}}
    files.write_json(tmp_path / "records" / "run.json", run)
    (tmp_path / "config.yaml").write_text("seed: 7\n")
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    for path, row in (
        (
            "train_embeddings/cpu.tsv",
            "9\t0\t0\t0\t0\t0\t0\t0\t0\t0\n12.5\t0:12\t1.5\t0\t0\t0\t0\t0\t180\t20\n",
        ),
        ("answer_question/cpu/DOID:1.tsv", "0.1\t0\tNA\tNA\tNA\tNA\tNA\tNA\t-\tNA\n"),
        ("empty/all.tsv", ""),
    ):
        (tmp_path / "benchmarks" / path).parent.mkdir(parents=True)
        (tmp_path / "benchmarks" / path).write_text(header + row)
    earlier = tmp_path / "previous" / "candidates" / "cpu" / "candidates.csv"
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    described = made.describe(tmp_path)
    assert described["previous"] == {"cpu": earlier.as_posix()}
    assert described["overlays"] == ["my.yaml"] and described["config"] == "seed: 7\n"
    assert described["tables"] == [
        {"key": "edges", "file": "e.csv", "digest": "11"},
        {"key": "nodes", "file": "n.csv", "digest": "22"},
    ]
    none = {"memory": None, "load": None}
    assert described["stages"] == [
        {"rule": "answer_question", "of": "cpu/DOID:1", "seconds": 0.1, **none},
        {"rule": "train_embeddings", "of": "cpu", "seconds": 12.5, "memory": 1.5 * 2**20, "load": 180.0},
    ]


def test_the_commit_says_if_files_have_changed(tmp_path):
    assert made.commit(tmp_path) == ""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "a").write_text("1")
    for command in (["init", "-q"], ["add", "a"], ["commit", "-qm", "a"]):
        subprocess.run([*git, *command], check=True)
    clean = made.commit(tmp_path)
    assert len(clean) == 12
    (tmp_path / "a").write_text("2")
    assert made.commit(tmp_path) == f"{clean}-changed"
