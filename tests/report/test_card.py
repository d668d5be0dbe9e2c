"""The dataset card has front matter that YAML reads, names the run's files, and shows names as they are."""

import re

import pytest
import yaml
from report_examples import example

from repurpose.report import card

TYPES = ("compound", "disease")


def parts(text):
    """The front matter, read as YAML, and the rest of a card."""
    _, front, body = re.fullmatch(r"(---\n)(.+?)\n---\n(.*)", text, re.DOTALL).groups()
    return yaml.safe_load(front), body


def test_the_front_matter_names_one_table_for_each_passed_device():
    content, *_ = example({"cuda:1-full": True, "mps": False})
    front, body = parts(card.render(content, TYPES))
    assert front["pretty_name"] == "Ranked candidates: compound for disease"
    assert front["configs"] == [
        {
            "config_name": "candidates-cuda-1-full",
            "data_files": "candidates/cuda:1-full/candidates.parquet",
        },
        {
            "config_name": "embeddings-cuda-1-full",
            "data_files": "embeddings/cuda:1-full/embeddings.parquet",
        },
    ]
    assert front["license"] == "other" and "drug-repurposing" in front["tags"]
    assert "mps" not in body


def test_the_card_has_the_numbers_of_the_run_and_its_metrics():
    content, *_ = example({"cpu": True})
    _, body = parts(card.render(content, TYPES))
    assert "1,239 nodes and 20 edges" in body and "15 known treatments and 5 known negatives" in body
    assert "3 of 50 rows of the edges table were dropped" in body
    value = content["devices"][0]["metrics"]["schemes"]["disease"]["hgt"]["ap"]
    cell = f"| cpu | disease | {value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f}) |"
    assert cell in body
    assert "Research use only, not medical advice." in body


def test_a_metric_that_is_not_defined_is_a_dash():
    content, *_ = example({"cpu": True})
    content["devices"][0]["metrics"]["schemes"]["disease"]["hgt"]["ap"] = None
    assert "| cpu | disease | - |" in card.render(content, TYPES)


def test_if_no_device_passed_the_card_says_so_and_names_no_table():
    content, *_ = example({"cpu": False})
    front, body = parts(card.render(content, TYPES))
    assert front["configs"] == [] and "there are no candidates" in body
    assert "candidates.parquet" not in body and "How good it is" not in body


@pytest.mark.parametrize(
    "name", ['a: "b" # c', "two\nlines\n---\nevil: 1", "- x", "{x}", "*bold* <b> | [l](u)", "ü"]
)
def test_names_of_the_data_are_no_markup(name):
    content, *_ = example({"cpu": True})
    text = card.render(content, (name, "disease"))
    front, body = parts(text)
    assert front["pretty_name"] == f"Ranked candidates: {name} for disease" and "evil" not in front
    assert sorted(front) == ["configs", "license", "license_name", "pretty_name", "tags"]
    assert not re.search(r"(?<!\\)[<*\[]", body.replace("**Research use only, not medical advice.**", ""))


def test_every_table_of_the_card_has_as_many_cells_in_each_row():
    content, *_ = example({"cpu": True})
    for table in re.findall(r"(?:^\|.*\n)+", card.render(content, TYPES), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
