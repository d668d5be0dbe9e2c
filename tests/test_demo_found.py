"""What is planted is found, by the default config as it ships; what is not there is not found."""

import dataclasses
import json

import numpy as np
import pytest
import workflow
import yaml

from repurpose import classifier, embeddings, examples, graph, pairs

CONFIG = yaml.safe_load((workflow.PROJECT / "config" / "config.yaml").read_text())


@pytest.fixture(name="demo", scope="module")
def default_run(tmp_path_factory):
    """The demo graph with the default config, as `make run` runs it."""
    folder = workflow.make(tmp_path_factory.mktemp("demo"))
    run = folder.run(small=False, cores=8)
    assert run.code == 0, run.output
    return folder


def test_held_out_indications_are_found_three_times_better_than_from_degrees(demo):
    metrics = json.loads(demo.path("classifier/cpu/metrics.json").read_text())["schemes"]["random"]
    assert metrics["hgt"]["auprc"]["value"] >= 3 * metrics["degree"]["auprc"]["value"]
    assert metrics["hgt"]["auprc"]["low"] > metrics["hgt"]["prevalence"]


def test_indications_between_shuffled_pairs_are_not_found(demo):
    """The same embeddings and classifier, the indications moved to random pairs: nothing is to be found."""
    target = CONFIG["target"]
    kg = graph.load(
        *(demo.path(f"graph/{name}") for name in ("nodes.parquet", "edges.parquet", "relations.json"))
    )
    index = next(i for i in kg.of_role("target") if kg.relations[i].relation == "indication")
    drugs, diseases = kg.count("drug"), kg.count("disease")
    cells = np.random.default_rng(0).choice(drugs * diseases, kg.relations[index].edges, replace=False)
    cells.sort()
    heads, tails = list(kg.heads), list(kg.tails)
    heads[index], tails[index] = (cells % drugs).astype(np.int32), (cells // drugs).astype(np.int32)
    shuffled = dataclasses.replace(kg, heads=tuple(heads), tails=tuple(tails))

    path = demo.path("embeddings/cpu/embeddings.parquet")
    rows = embeddings.aligned(embeddings.read(path), kg, path)
    vectors = classifier.Vectors(rows["drug"], rows["disease"], product=True)
    labelled = pairs.split(pairs.label(shuffled, target), **CONFIG["split"], seed=CONFIG["seed"])
    known = pairs.known(shuffled, "drug", "disease")
    settings = examples.Settings(**CONFIG["classifier"])
    fits = classifier.evaluate_all(
        vectors, labelled[[*labelled.columns[:5]]], known, settings, CONFIG["seed"], 2
    )
    metrics = fits["random"].metrics
    assert metrics["auprc"]["low"] <= metrics["prevalence"] <= metrics["auprc"]["high"]


def test_the_embedding_file_passes_as_a_command_and_a_shuffled_one_does_not(demo, tmp_path):
    path = demo.path("embeddings/cpu/embeddings.parquet")
    done = demo.command("validate_embeddings.py", path, "--graph", demo.path("graph"))
    assert done.code == 0, done.output
    assert done.output.splitlines()[-1].endswith("embeddings.parquet: passed")

    kg = graph.load(
        *(demo.path(f"graph/{name}") for name in ("nodes.parquet", "edges.parquet", "relations.json"))
    )
    rows = embeddings.aligned(embeddings.read(path), kg, path)
    generator = np.random.default_rng(0)
    mixed = {t: v[generator.permutation(len(v))] for t, v in rows.items()}
    embeddings.write(tmp_path / "mixed.parquet", kg, mixed, {})
    done = demo.command("validate_embeddings.py", tmp_path / "mixed.parquet", "--graph", demo.path("graph"))
    assert done.code == 1
    assert "link_auroc_degree_matched" in done.output
    assert done.output.splitlines()[-1].endswith("mixed.parquet: FAILED")
