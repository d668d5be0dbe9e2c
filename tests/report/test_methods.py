"""The methods paragraph says what was done, with the data, the numbers and the versions of the run."""

import copy
import re
from pathlib import Path

import pytest
import report_examples

from repurpose.config import settings
from repurpose.config.sections import DatasetSettings
from repurpose.report import methods, page

PROJECT = Path(__file__).resolve().parents[2]
CONFIG = settings.load([PROJECT / "config" / "config.yaml"])
GRAPH = DatasetSettings(name="PrimeKG", version="2.1", licence="CC0 1.0.", citation="Chandak et al. 2023.")
MADE = {
    **page.NOTHING_MADE,
    "tables": [
        {"key": "edges", "file": "kg.csv", "digest": "ab12"},
        {"key": "nodes", "file": "", "digest": None},
    ],
    "versions": {"torch": "2.13.0", "xgboost": "3.2"},
    "commit": "0123abc",
}


def written(passed=None, config=CONFIG, dataset=GRAPH, made=MADE):
    summary, *_ = report_examples.example(passed or {"cpu": True})
    return methods.text(summary, config, ("biolink:Drug", "disease"), dataset, made), summary


def test_it_has_the_data_with_licence_citation_and_digests():
    text, summary = written()
    graph, pairs = summary["graph"], summary["pairs"]
    for words in (
        f"The knowledge graph PrimeKG 2.1 [1] was read as {graph['nodes']:,} nodes and {graph['edges']:,}",
        "Its licence: CC0 1.0.",
        f"{pairs['positives']:,} known treatments and {pairs['negatives']:,} known negatives (pairs",
        "SHA-256 of the tables: edges ab12.",
        "(commit 0123abc), with torch 2.13.0, xgboost 3.2.",
    ):
        assert words in text
    assert "1. Chandak et al. 2023." in text and ".." not in text


def test_it_has_the_settings_and_the_measured_values_of_the_run():
    config = copy.deepcopy(CONFIG)
    config["hgt"] |= {"layers": 3, "embedding_dim": 200, "profile_dim": 90, "svd_dim": 30}
    config["classifier"] |= {"draws": 4, "trees": 123}
    text, summary = written(config=config)
    scheme = summary["devices"][0]["metrics"]["schemes"]
    ap = scheme["disease" if "disease" in scheme else "random"]["hgt"]["ap"]
    for words in (
        "with 3 layers",
        "A node's vector has 200 numbers: 90 columns of relation profiles, 30 columns of truncated SVD, 80",
        "(4 sets of at most 123 trees",
        "which 1 of 1 did",
        f"was {ap['value']:.3f} (95 % interval {ap['low']:.3f} to {ap['high']:.3f})",
    ):
        assert words in text


def test_references_are_those_of_what_was_used_in_the_order_of_their_numbers():
    text, _ = written()
    cited = [int(number) for number in re.findall(r"\[(\d)\]", text)]
    listed = re.findall(r"^(\d)\. (.*)$", text, re.MULTILINE)
    assert cited == sorted(cited) == [int(number) for number, _ in listed] and len(listed) == 4
    config = copy.deepcopy(CONFIG)
    config["classifier"]["parts"] = ["kernel"]
    fewer, _ = written(config=config, dataset=DatasetSettings())
    assert "XGBoost" not in fewer and "metapath" not in fewer and "The knowledge graph was read" in fewer
    assert len(re.findall(r"^\d\. ", fewer, re.MULTILINE)) == 1


@pytest.mark.parametrize(
    ("passed", "words"), [({"cpu": False}, "which 0 of 1 did"), ({"given": True}, "another method")]
)
def test_it_claims_nothing_that_was_not_done(passed, words):
    text, _ = written(passed)
    assert words in text
    assert ("scored by" in text) == passed.get("given", False)
    assert ("Graph Transformer" in text) == ("cpu" in passed)


def test_without_a_config_only_what_is_known_is_said():
    text, _ = written(config={}, made=page.NOTHING_MADE)
    assert "Transformer" not in text and "scored by" not in text and "SHA-256" not in text and "known" in text
