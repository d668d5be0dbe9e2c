"""The whole workflow on a real knowledge graph of 2.1 million edges, with a small model."""

import json

import project_runs
import pyarrow.parquet as pq
import pytest

HETIONET = project_runs.PROJECT.parent / "shared" / "hetionet"

pytestmark = pytest.mark.skipif(
    not (HETIONET / "edges.csv.gz").exists(), reason=f"{HETIONET} is absent: no real graph to run on"
)


def overlay() -> dict:
    """The overlay of a user of Hetionet, with a model that is small enough for a test."""
    return {
        "edges": str(HETIONET / "edges.csv.gz"),
        "nodes": str(HETIONET / "nodes.csv.gz"),
        "graph": {"directed_relations": ["gene_regulates_gene"]},
        "target": {
            "head_type": "compound",
            "tail_type": "disease",
            "positive": ["compound_treats_disease"],
            "negative": [],
        },
        "hgt": {"hidden_dim": 16, "embedding_dim": 32, "heads": 2, "svd_dim": 8, "profile_dim": 8},
        "training": {
            "epochs": 25,  # with 15, its gain over its inputs is hardly what the gate asks for
            "learning_rate": 0.03,
            "contrastive": {"relations": ["disease_associates_gene"], "weight": 0.1},
        },
        "gate": {"min_auroc_margin": 0.0, "min_agreement_margin": -1.0},
        "classifier": {
            "draws": 1,
            "trees": 15,
            "svd_dim": 16,
            "parts": ["trees", "kernel"],
            "evaluation_pairs": 50_000,
        },
        "candidates": {"per_tail": 20},
    }


@pytest.fixture(name="done", scope="module")
def finished(tmp_path_factory):
    folder = project_runs.make(tmp_path_factory.mktemp("hetionet"))
    run = folder.run(config=overlay(), small=False, cores=8)
    assert run.code == 0, run.output
    return folder


def test_the_graph_has_all_edges_and_no_drug_disease_relation_is_a_message(done):
    relations = json.loads(done.path("graph/relations.json").read_text())
    assert sum(relation["edges"] for relation in relations) == 2_119_282
    roles = {
        relation["relation"]: relation["role"] for relation in relations if relation["role"] != "message"
    }
    assert roles == {"compound_treats_disease": "target", "compound_palliates_disease": "excluded"}
    certificate = json.loads(done.path("pairs/certificate.json").read_text())
    assert all(check["passed"] for check in certificate["checks"])


def test_every_step_has_a_contrastive_loss_of_diseases_that_share_genes(done):
    history = pq.read_table(done.path("embeddings/cpu/history.parquet"))
    assert history["contrastive"].null_count == 0


def test_palliated_pairs_are_flagged_among_the_candidates(done):
    known = pq.read_table(done.path("candidates/cpu/candidates.parquet"))["known"].to_pylist()
    assert {"compound_treats_disease", "compound_palliates_disease", ""} <= set(known)


def test_every_split_has_the_metrics_of_hgt_and_of_all_baselines(done):
    schemes = json.loads(done.path("classifier/cpu/metrics.json").read_text())["schemes"]
    assert set(schemes) == {"random", "disease", "drug"}
    baselines = {"degree", "svd", "untrained", "no_layers", "popularity"}
    assert all(set(methods) == {"hgt", *baselines} for methods in schemes.values())
    assert schemes["random"]["svd"]["auroc"]["value"] > 0.9
