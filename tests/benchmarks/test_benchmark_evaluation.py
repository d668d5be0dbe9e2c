"""The evaluation table has every split and method, and dashes for undefined metrics."""

import argparse
from pathlib import Path

import evaluation
import yaml

from repurpose.config import settings

PROJECT = Path(__file__).resolve().parents[2]


def interval(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def measures(auprc):
    names = ("mrr_of_first", "recall_at_10", "recall_at_50", "ndcg_at_10")
    estimates = {name: interval(0.5) for name in names} | {"ap": interval(0.4)}
    against = {"matched": {"auroc": interval(0.7)}, "known": {"auroc": None}}
    return {**estimates, "auprc": interval(auprc), "against": against}


def test_the_table_has_a_line_per_split_and_method_in_the_order_of_the_report():
    methods = {"degree": measures(0.1), "svd": measures(0.2), "hgt": measures(0.3)}
    leads = {"svd": {"ap": interval(0.2), "auprc": interval(0.1)}}
    metrics = {"schemes": {"random": methods, "drug": methods}, "differences": {"random": leads}}
    lines = list(evaluation.table(metrics))
    of_lists = "0.400 (0.300 to 0.500) | 0.500 | 0.500 | 0.500 | 0.500"
    assert lines[2] == f"| random | hgt | {of_lists} | 0.300 (0.200 to 0.400) | 0.700 | - |"
    assert [line.split(" | ")[:2] for line in lines[3:6]] == [
        ["| random", "svd"],
        ["| random", "degree"],
        ["| drug", "hgt"],
    ]
    assert len({line.count("|") for line in lines}) == 1
    assert list(evaluation.difference_lines(metrics)) == [
        "",
        "random: AP less the SVD's 0.200 (0.100 to 0.300); AUPRC less the SVD's 0.100 (0.000 to 0.200)",
    ]


def test_pairs_whose_first_path_is_the_most_important_are_counted():
    first, second = ([{"change": low}, {"change": high}] for low, high in ((-0.5, -0.1), (-0.1, -0.5)))
    single = [{"change": -0.2}]
    line = evaluation.count_leading_paths([first, second, first, single, []])
    assert line == "\n2 of 3 scores rest most on the path of the highest score"


def test_the_overlay_is_a_valid_config_with_full_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = argparse.Namespace(edges="kg.csv", nodes=None, pairs="pairs.csv")
    content = evaluation.overlay_of(options)
    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(content))
    loaded = settings.load([PROJECT / "config" / "config.yaml", tmp_path / "overlay.yaml"])
    assert loaded["edges"] == str(tmp_path / "kg.csv") and loaded["nodes"] == ""
    assert loaded["external"]["pairs"] == str(tmp_path / "pairs.csv")
    assert loaded["external"]["negative"] == ["NOT"] and loaded["external"]["positive"] == []
