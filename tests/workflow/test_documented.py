"""Commands of the README and of docs/, in their order, on a small demo graph."""

import json

import project_runs
import pyarrow.parquet as pq
import pytest


@pytest.fixture(name="folder", scope="module")
def demo_folder(tmp_path_factory):
    return project_runs.make(tmp_path_factory.mktemp("documented"))


def test_vectors_of_names_become_inputs_of_the_encoder(folder):
    """docs/features.md: build the graph, embed the names, train with them."""
    done = folder.run("results/graph/nodes.parquet")
    assert done.code == 0, done.output
    names = folder.directory / "names.parquet"
    done = folder.command("embed_names.py", folder.path(""), names, "--types", "drug", "disease")
    assert done.code == 0, done.output
    assert set(pq.read_table(names)["node_type"].to_pylist()) == {"drug", "disease"}
    target = "results/embeddings/cpu/embeddings.parquet"
    done = folder.run(target, config={"graph": {"features": str(names)}})
    assert done.code == 0, done.output
    assert "train_embeddings[cpu]" in done.rules
    record = json.loads(folder.path("embeddings/cpu/training.json").read_text())
    assert record["status"] == "completed"


def test_a_training_that_learns_nothing_stops_with_the_sentence_of_the_readme(folder):
    done = folder.run(config={"training": {"learning_rate": 1.0e-12}})
    assert done.code == 1
    screen = done.output.split("The run stopped:")[1]
    for words in (
        "no device passed the gate: cpu: stalled",
        "the vectors have not moved since the start; raise training.learning_rate",
    ):
        assert words in " ".join(screen.split())
    assert folder.path("report.html").exists() and not folder.path("candidates/cpu").exists()


@pytest.mark.parametrize("preset", ["primekg", "hetionet", "drkg", "monarch"])
def test_a_dry_run_with_a_preset_begins_with_its_download(preset, tmp_path):
    """The runs themselves download 12 to 982 MB."""
    made = project_runs.make(tmp_path)
    path = made.project / "config" / "presets" / f"{preset}.yaml"
    done = made.run("--dry-run", "--configfile", path, small=False)
    assert done.code == 0, done.output
    assert {"download_table", "build_graph", "train_embeddings[cpu]"} <= set(done.rules)
    assert not made.path("").exists()
