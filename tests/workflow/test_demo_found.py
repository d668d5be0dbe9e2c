"""The default config predicts the planted indications of the demo graph, and not shuffled ones."""

import dataclasses
import json

import numpy as np
import project_runs
import pytest
import yaml

from repurpose.classifier import classifier
from repurpose.config.sections import ClassifierSettings, Target
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.pairs import pairs
from repurpose.vectors import embeddings

CONFIG = yaml.safe_load((project_runs.PROJECT / "config" / "config.yaml").read_text())


@pytest.fixture(name="demo", scope="module")
def default_run(tmp_path_factory):
    """The demo graph with the default config, as `make run` runs it."""
    folder = project_runs.make(tmp_path_factory.mktemp("demo"))
    run = folder.run(small=False, cores=8)
    assert run.code == 0, run.output
    return folder


def test_held_out_indications_have_three_times_the_auprc_of_the_degree_baseline(demo):
    metrics = json.loads(demo.path("classifier/cpu/metrics.json").read_text())["schemes"]["random"]
    assert metrics["hgt"]["auprc"]["value"] >= 3 * metrics["degree"]["auprc"]["value"]
    assert metrics["hgt"]["auprc"]["low"] > metrics["hgt"]["prevalence"]


def test_shuffled_indications_are_predicted_no_better_than_chance(demo):
    """With indications moved to random pairs, the AUROC is 0.5; the embeddings are the same.

    A single shuffle has about thirty test pairs, so its AUROC varies much. The mean of five shuffles is
    within three standard errors of 0.5; the true indications are more than six above it.
    """
    kg = graph.load(GraphFiles.in_folder(demo.path("graph")))
    path = demo.path("embeddings/cpu/embeddings.parquet")
    rows = embeddings.aligned(embeddings.read(path), kg, path)
    vectors = classifier.Vectors(rows["drug"], rows["disease"], product=True)

    aurocs = [_auroc_of_random_split(_with_random_indications(kg, seed), vectors) for seed in range(5)]
    error = np.mean([auroc["high"] - auroc["low"] for auroc in aurocs]) / (2 * 1.96) / np.sqrt(len(aurocs))
    assert abs(np.mean([auroc["value"] for auroc in aurocs]) - 0.5) < 3 * error
    assert _auroc_of_random_split(kg, vectors)["value"] > 0.5 + 6 * error


def _with_random_indications(kg, seed):
    """The graph with as many indications, but between random pairs."""
    relation_index = next(i for i in kg.of_role("target") if kg.relations[i].relation == "indication")
    drugs, diseases = kg.count("drug"), kg.count("disease")
    cells = np.random.default_rng(seed).choice(
        drugs * diseases, kg.relations[relation_index].edges, replace=False
    )
    cells.sort()
    heads, tails = list(kg.heads), list(kg.tails)
    heads[relation_index], tails[relation_index] = (
        (cells // diseases).astype(np.int32),
        (cells % diseases).astype(np.int32),
    )
    return dataclasses.replace(kg, heads=tuple(heads), tails=tuple(tails))


def _auroc_of_random_split(kg, vectors):
    split = {key: CONFIG["split"][key] for key in ("schemes", "valid_share", "test_share")}
    labelled = pairs.split(pairs.label(kg, Target(**CONFIG["target"])), **split, seed=CONFIG["seed"])
    # One draw of negatives in place of five: the AUROC of each shuffle varies more than by the draw.
    settings = dataclasses.replace(ClassifierSettings(**CONFIG["classifier"]), draws=1)
    known = pairs.known(kg, "drug", "disease")
    task = classifier.Task(vectors, labelled[[*labelled.columns[:5]]], known, settings, CONFIG["seed"], 2)
    return classifier.evaluate_all(task)["random"].metrics["auroc"]


def test_the_command_passes_the_embedding_file_and_fails_a_shuffled_one(demo, tmp_path):
    path = demo.path("embeddings/cpu/embeddings.parquet")
    done = demo.command("validate_embeddings.py", path, "--graph", demo.path("graph"))
    assert done.code == 0, done.output
    assert done.output.splitlines()[-1].endswith("embeddings.parquet: passed")

    kg = graph.load(GraphFiles.in_folder(demo.path("graph")))
    rows = embeddings.aligned(embeddings.read(path), kg, path)
    generator = np.random.default_rng(0)
    shuffled = {t: v[generator.permutation(len(v))] for t, v in rows.items()}
    embeddings.write(tmp_path / "mixed.parquet", kg, shuffled, {})
    done = demo.command("validate_embeddings.py", tmp_path / "mixed.parquet", "--graph", demo.path("graph"))
    assert done.code == 1
    assert "link_auroc_degree_matched" in done.output
    assert done.output.splitlines()[-1].endswith("mixed.parquet: FAILED")
