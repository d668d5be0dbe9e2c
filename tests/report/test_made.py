"""The page says how its results were made, from what lies in the folder."""

import subprocess

from repurpose.core import files
from repurpose.provenance import records
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


def benchmark(folder, name, seconds):
    path = folder / "benchmarks" / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\tmean_load\n{seconds}\t0\t100\t90\n")


def record(folder, rule, **wildcards):
    made_by = records.Record(rule, wildcards, {}, "", {}, {}, {f"results/{rule}.json": "11"})
    made_by.write(records.path_of(made_by.name, folder / "records"))
    return made_by


def test_a_job_that_took_its_files_back_has_the_seconds_of_making_them(tmp_path):
    benchmark(tmp_path, "train_baselines/baselines", 2.1)
    benchmark(tmp_path, "train_embeddings/cpu", 50)
    benchmark(tmp_path, "build_demo/demo", 1)  # of a run before, whose files are no longer here
    made_by = record(tmp_path, "train_baselines")
    record(tmp_path, "train_embeddings", device="cpu")
    cost = records.cost_path(made_by, tmp_path / ".run")
    files.write_json(cost, {"seconds": 180.0, "memory": 7})
    trained = {"rule": "train_embeddings", "of": "cpu", "seconds": 50.0, "memory": 100 * 2**20, "load": 90.0}
    back = {"rule": "train_baselines", "of": "baselines", "seconds": 180.0, "memory": 7, "load": None}
    assert made.describe(tmp_path)["stages"] == [back, trained]
    for damaged in ("", "[1]", '{"seconds": "x"}'):
        cost.write_text(damaged)
        assert made.describe(tmp_path)["stages"][0]["seconds"] == 2.1
