"""What is planted is found, by the default config as it ships; what is not there is not found."""

import dataclasses
import json

import numpy as np
import project_runs
import pytest
import yaml

from repurpose.classifier import classifier, examples
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.graph.target import Target
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


def test_held_out_indications_are_found_three_times_better_than_from_degrees(demo):
    metrics = json.loads(demo.path("classifier/cpu/metrics.json").read_text())["schemes"]["random"]
    assert metrics["hgt"]["auprc"]["value"] >= 3 * metrics["degree"]["auprc"]["value"]
    assert metrics["hgt"]["auprc"]["low"] > metrics["hgt"]["prevalence"]


def test_indications_between_shuffled_pairs_are_not_found(demo):
    """The same embeddings and classifier, the indications moved to random pairs: nothing is to be found.

    One shuffle of some thirty test pairs strays far from 0.5, so five are averaged: their mean stays
    within three of its standard errors, where the indications as they are stand far above.
    """
    kg = graph.load(GraphFiles.in_folder(demo.path("graph")))
    path = demo.path("embeddings/cpu/embeddings.parquet")
    rows = embeddings.aligned(embeddings.read(path), kg, path)
    vectors = classifier.Vectors(rows["drug"], rows["disease"], product=True)

    found = [_random_auroc(_moved(kg, seed), vectors) for seed in range(5)]
    error = np.mean([one["high"] - one["low"] for one in found]) / (2 * 1.96) / np.sqrt(len(found))
    assert abs(np.mean([one["value"] for one in found]) - 0.5) < 3 * error
    assert _random_auroc(kg, vectors)["value"] > 0.5 + 6 * error


def _moved(kg, seed):
    """The graph with its indications between random pairs, as many as before."""
    index = next(i for i in kg.of_role("target") if kg.relations[i].relation == "indication")
    drugs, diseases = kg.count("drug"), kg.count("disease")
    cells = np.random.default_rng(seed).choice(drugs * diseases, kg.relations[index].edges, replace=False)
    cells.sort()
    heads, tails = list(kg.heads), list(kg.tails)
    heads[index], tails[index] = (cells // diseases).astype(np.int32), (cells % diseases).astype(np.int32)
    return dataclasses.replace(kg, heads=tuple(heads), tails=tuple(tails))


def _random_auroc(kg, vectors):
    split = {key: CONFIG["split"][key] for key in ("schemes", "valid_share", "test_share")}
    labelled = pairs.split(pairs.label(kg, Target(**CONFIG["target"])), **split, seed=CONFIG["seed"])
    settings = examples.Settings(**CONFIG["classifier"])
    known = pairs.known(kg, "drug", "disease")
    task = classifier.Task(vectors, labelled[[*labelled.columns[:5]]], known, settings, CONFIG["seed"], 2)
    return classifier.evaluate_all(task)["random"].metrics["auroc"]


def test_the_embedding_file_passes_as_a_command_and_a_shuffled_one_does_not(demo, tmp_path):
    path = demo.path("embeddings/cpu/embeddings.parquet")
    done = demo.command("validate_embeddings.py", path, "--graph", demo.path("graph"))
    assert done.code == 0, done.output
    assert done.output.splitlines()[-1].endswith("embeddings.parquet: passed")

    kg = graph.load(GraphFiles.in_folder(demo.path("graph")))
    rows = embeddings.aligned(embeddings.read(path), kg, path)
    generator = np.random.default_rng(0)
    mixed = {t: v[generator.permutation(len(v))] for t, v in rows.items()}
    embeddings.write(tmp_path / "mixed.parquet", kg, mixed, {})
    done = demo.command("validate_embeddings.py", tmp_path / "mixed.parquet", "--graph", demo.path("graph"))
    assert done.code == 1
    assert "link_auroc_degree_matched" in done.output
    assert done.output.splitlines()[-1].endswith("mixed.parquet: FAILED")
