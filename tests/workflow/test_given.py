"""Vectors of drugs and diseases only, from another tool, go through the whole workflow and all commands."""

import json

import numpy as np
import project_runs
import pyarrow.parquet as pq
import pytest

from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.vectors import exports, profiles, spectral

# The gate as it is by default, for vectors from linear algebra, which are good without a training.
CONFIG = {
    "devices": ["given"],
    "given": "embeddings.txt",
    "gate": {"min_auroc_margin": 0.02, "min_agreement_margin": 0.0},
}
TYPES = ("drug", "disease")


def vectors_of(kg):
    """SVD and relation profiles of drugs and diseases."""
    edges = kg.message_edges()
    svd = spectral.rows(kg, edges, 16, 0)
    return {
        t: np.concatenate([svd[kg.span(t)], profiles.rows(kg, edges, t, 32, 0).rows], axis=1).astype(
            np.float32
        )
        for t in TYPES
    }


@pytest.fixture(name="done", scope="module")
def finished(tmp_path_factory):
    """A folder with the results of a run whose only device is given, and the run."""
    folder = project_runs.make(tmp_path_factory.mktemp("given"))
    run = folder.run("results/graph/nodes.parquet")
    assert run.code == 0, run.output
    kg = graph.load(GraphFiles.in_folder(folder.path("graph")))
    exports.write_word2vec(folder.directory, exports.Export(kg, vectors_of(kg)))
    run = folder.run(config=CONFIG)
    assert run.code == 0, run.output
    return folder, run


def test_the_verdict_the_log_and_the_report_say_what_was_left_out(done):
    folder, run = done
    verdict = json.loads(folder.path("validation/given/verdict.json").read_text())
    assert verdict["passed"]
    left_out = {check["name"]: check["reason"] for check in verdict["left_out"]}
    assert "gene/protein" in left_out["type_neighbourhoods"] and "relations" in left_out["link_auroc_uniform"]
    made = {check["name"] for check in verdict["checks"]}
    assert {
        "compared_types",
        "link_auroc_degree_matched",
        "neighbour_enrichment",
        "type_neighbourhoods",
    } <= made
    assert "left out of type_neighbourhoods: anatomy, " in run.output
    assert "embeddings.txt has no vectors of anatomy, " in run.output
    assert "Some node types have no vectors. Left out:" in folder.path("report.html").read_text()


def test_candidates_are_ranked_and_explained(done):
    folder, run = done
    assert not [job for job in run.rules if job.startswith("train_embeddings")]
    assert pq.read_table(folder.path("embeddings/given/embeddings.parquet"))[
        "node_type"
    ].unique().to_pylist() == [
        "disease",
        "drug",
    ]
    assert pq.read_table(folder.path("candidates/given/candidates.parquet")).num_rows > 0
    evidence = pq.read_table(folder.path("candidates/given/evidence.parquet"))
    assert any(paths for paths in evidence["paths"].to_pylist())
    metrics = json.loads(folder.path("classifier/given/metrics.json").read_text())
    assert metrics["schemes"]["random"]["hgt"]["auroc"]["value"] > 0.5


def test_the_commands_take_such_a_file(done):
    folder, _ = done
    tail = pq.read_table(folder.path("candidates/given/candidates.parquet"))["tail_id"][0].as_py()
    asked = folder.command("query_candidates.py", "--disease", tail, "--results", folder.path("."))
    assert asked.code == 0 and "drug" in asked.output, asked.output
    judged = folder.command(
        "validate_embeddings.py", folder.directory / "embeddings.txt", "--graph", folder.path("graph")
    )
    assert judged.code == 0 and "left out of link_auroc_uniform: " in judged.output, judged.output
    written = folder.command(
        "export_embeddings.py", folder.path("."), "--as", *exports.WRITERS, "--out", folder.directory / "out"
    )
    assert written.code == 0, written.output
    again = folder.directory / "out" / "given" / "embeddings.txt"
    assert sorted(again.read_text().splitlines()) == sorted(
        (folder.directory / "embeddings.txt").read_text().splitlines()
    )


@pytest.mark.parametrize("node_type", TYPES)
def test_rows_in_the_wrong_order_still_fail(done, tmp_path, node_type):
    folder, _ = done
    kg = graph.load(GraphFiles.in_folder(folder.path("graph")))
    vectors = vectors_of(kg)
    vectors[node_type] = np.random.default_rng(0).permutation(vectors[node_type])
    (path,) = exports.write_npz(tmp_path, exports.Export(kg, vectors))
    judged = folder.command("validate_embeddings.py", path, "--graph", folder.path("graph"))
    assert judged.code == 1 and f"of {node_type} nodes is" in judged.output, judged.output


def test_a_file_without_the_drugs_is_refused_with_one_sentence(done, tmp_path):
    folder, _ = done
    kg = graph.load(GraphFiles.in_folder(folder.path("graph")))
    (path,) = exports.write_csv(tmp_path, exports.Export(kg, {"disease": vectors_of(kg)["disease"]}))
    judged = folder.command("validate_embeddings.py", path, "--graph", folder.path("graph"))
    assert judged.code == 1 and "nodes of type drug" in judged.output and "Traceback" not in judged.output


def test_other_vectors_are_imported_again_and_no_training_follows(done):
    folder, _ = done
    path = folder.directory / "embeddings.txt"
    text = path.read_text()
    try:
        path.write_text(text.replace(" 0.", " 0.9", 1))
        assert "import_embeddings" in folder.dry_run(config=CONFIG)
    finally:
        path.write_text(text)
    assert folder.dry_run(config=CONFIG) == []
