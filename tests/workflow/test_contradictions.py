"""A config that contradicts the graph stops the run before any training; a correction retrains nothing."""

import re

import pandas as pd
import project_runs
import pytest

NO_CONTRAST = {"training": {"contrastive": {"weight": 0.0}}}
EXTERNAL = {"external": {"pairs": "external.csv"}}


@pytest.fixture(name="folder", scope="module")
def graph_pairs_and_embeddings(tmp_path_factory):
    folder = project_runs.make(tmp_path_factory.mktemp("contradictions"))
    run = folder.run("results/validation/cpu/measures.json", config=NO_CONTRAST)
    assert run.code == 0, run.output
    (folder.directory / "external.csv").write_text("head_id,tail_id,label\nx,y,positive\n")
    return folder


def with_keys(config):
    merged = {**NO_CONTRAST, **config}
    if "training" in config:
        merged["training"] = {"contrastive": {"weight": 0.0, **config["training"]["contrastive"]}}
    return merged


CONTRADICTIONS = [
    (
        {"training": {"contrastive": {"relations": ["disease_gene"]}}},
        "training.contrastive.relations names disease_gene, which disease nodes do not have: name some of ",
    ),
    ({"candidates": {"tails": ["nobody knows"]}}, "the graph has no disease called nobody knows"),
    (EXTERNAL, "external.csv"),
    (
        {"target": {"hierarchy": "is_a"}},
        "target.hierarchy names the relation is_a, but the graph has none of that name among nodes of type",
    ),
]


def test_contrastive_relations_retrain_nothing_if_the_contrastive_weight_is_0(folder):
    target = "results/validation/cpu/measures.json"
    wrong = with_keys({"training": {"contrastive": {"relations": ["disease_gene"]}}})
    assert folder.run(target, config=wrong).code != 0
    corrected = with_keys(
        {"training": {"contrastive": {"relations": ["disease_disease"], "temperature": 0.2}}}
    )
    run = folder.run(target, config=corrected)
    assert run.code == 0, run.output
    assert run.made == ["check_names", "measure_embeddings[cpu]"]
    longer = {**corrected, "training": {**corrected["training"], "valid_every": 15}}
    longer["training"]["contrastive"] = {"weight": 0.0, "relations": []}
    run = folder.run(target, config=longer)
    assert run.made == ["check_names", "measure_embeddings[cpu]", "train_embeddings[cpu]"], run.output
    weighted = {**longer, "training": {"contrastive": {"weight": 0.5, "relations": ["disease_disease"]}}}
    assert "train_embeddings[cpu]" in folder.dry_run(target, config=weighted)


@pytest.mark.parametrize(
    ("config", "sentence"), CONTRADICTIONS, ids=["compared", "tails", "pairs", "hierarchy"]
)
def test_a_name_that_is_not_in_the_graph_stops_the_run_before_any_training(folder, config, sentence):
    run = folder.run("results/report.html", "--forcerun", "train_embeddings", config=with_keys(config))
    assert run.code != 0 and "Traceback" not in run.output
    assert sentence in re.sub(r"\s+", " ", run.output)
    assert "train_embeddings[cpu]" not in run.rules


def test_target_relations_of_two_types_stop_the_run_and_the_proposed_line_solves_it(folder):
    rows = pd.read_parquet(folder.path("demo/edges.parquet")).astype(str)
    other_type = rows[rows["relation"] == "indication"].replace("drug", "Drug")
    pd.concat([rows, other_type]).to_csv(folder.directory / "twice.csv", index=False)
    config = with_keys({"edges": "twice.csv"})
    run = folder.run("results/report.html", config=config)
    assert run.code != 0 and "train_embeddings[cpu]" not in run.rules
    line = re.search(r"graph: \{exclude_relations: \[.*?\]\}", run.output)[0]
    assert line == 'graph: {exclude_relations: ["indication (Drug, disease)"]}'
    proposed = {"graph": {"exclude_relations": ["indication (Drug, disease)"]}}
    assert folder.run("results/pairs/pairs.parquet", config={**config, **proposed}).code == 0
