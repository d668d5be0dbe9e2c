"""What a run will cost: the fit finds planted coefficients, and the plan counts the jobs of a config."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

import build_graph
import plan_run
from repurpose.config import settings
from repurpose.config.config import Config
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.ingest import demo
from repurpose.results import costs
from repurpose.results.costs import Size

PROJECT = Path(__file__).resolve().parents[2]
CONFIG = settings.load([PROJECT / "config" / "config.yaml"])
SMALLEST = Size(10_000, 1_000, 8_000, 12, 60, 90, 100, 180)


def sizes(count, seed=0):
    rng = np.random.default_rng(seed)
    fields = dataclasses.asdict(SMALLEST)
    return [
        Size(**{name: int(value * rng.uniform(1, 50)) for name, value in fields.items()})
        for _ in range(count)
    ]


@pytest.mark.parametrize("rule", costs.TERMS)
def test_planted_coefficients_are_found_and_predict_other_sizes(rule):
    rng = np.random.default_rng(1)
    planted = [2.0, *(rng.uniform(0.1, 1) / term(SMALLEST, CONFIG) for term in costs.TERMS[rule])]

    def cost(size):
        return float(np.dot(planted, [1.0, *(term(size, CONFIG) for term in costs.TERMS[rule])]))

    known, others = sizes(12), sizes(5, seed=3)
    found = costs.fit(rule, known, [CONFIG] * 12, [cost(size) for size in known])
    assert min(found) >= 0
    coefficients = {"rules": {rule: dict.fromkeys(costs.MEASURES, found)}}
    for size in others:
        predicted = costs.predict(rule, size, CONFIG, coefficients, speed=2.0)
        assert predicted.memory == pytest.approx(cost(size)) and predicted.seconds == pytest.approx(
            cost(size) / 2
        )


def test_the_kept_coefficients_are_of_all_rules_of_the_plan_and_these_are_rules_of_the_workflow():
    coefficients = costs.load()
    assert set(coefficients["rules"]) == set(costs.TERMS)
    text = "\n".join(path.read_text() for path in (PROJECT / "rules").glob("*.smk"))
    rules = set(re.findall(r"^(?:rule|checkpoint) (\w+):", text, re.MULTILINE))
    assert set(costs.TERMS) <= rules and set(costs.PER_RUN) <= set(costs.TERMS)
    for rule, by_measure in coefficients["rules"].items():
        assert set(by_measure) == set(costs.MEASURES)
        assert all(len(found) == 1 + len(costs.TERMS[rule]) for found in by_measure.values())


def test_the_plan_has_the_jobs_that_the_config_asks_for():
    coefficients = costs.load()

    def jobs(**keys):
        planned = costs.plan(SMALLEST, {**CONFIG, **keys}, coefficients, 1.0)
        return {rule: count for rule, (count, _) in planned.items()}

    assert jobs()["build_demo"] == jobs()["train_embeddings"] == jobs()["train_baselines"] == 1
    assert "build_demo" not in jobs(edges="kg.csv")
    several = jobs(devices=["cpu", "given"], seeds=[1, 2])
    assert (several["train_embeddings"], several["train_classifier"], several["build_graph"]) == (2, 3, 1)
    assert "train_embeddings" not in jobs(devices=["given"])
    classifier = {**CONFIG["classifier"], "parts": ["trees", "kernel"]}
    assert "train_metapaths" not in jobs(classifier=classifier)


def test_larger_graphs_and_settings_cost_more():
    coefficients = costs.load()

    def total(size=SMALLEST, **keys):
        config = settings.merged(CONFIG, keys)
        return np.array([cost for _, cost in costs.plan(size, config, coefficients, 1.0).values()]).sum(
            axis=0
        )

    larger = Size(**{name: 20 * value for name, value in dataclasses.asdict(SMALLEST).items()})
    assert (total(larger) > total()).all()
    assert total(training={"epochs": 400})[0] > total()[0]
    assert total(candidates={"per_tail": 5})[2] < total(candidates={"per_tail": 60})[2]


@pytest.mark.parametrize("scale", [0.004, 0.01])
def test_the_size_of_the_demo_is_known_before_it_is_drawn(tmp_path, scale):
    config = settings.merged(CONFIG, {"demo": {"scale": scale}})
    path = tmp_path / "demo.parquet"
    files.write_table(path, demo.plant_table(scale, 7))
    kg, ledger, _ = build_graph.read(str(path), "", Config().graph, Config().target)
    assert plan_run.demo_size(config) == costs.size_of(kg, Config().target, ledger["rows"])
    own = {**config, "edges": str(path)}
    assert plan_run.size_of(own, tmp_path / "none") == plan_run.demo_size(config)


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        InputError, match=r"kg.csv does not exist: put it there or, for a web address, run snakemake"
    ):
        plan_run.size_of({**CONFIG, "edges": "kg.csv"}, tmp_path)
