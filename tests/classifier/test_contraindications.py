"""The contraindication model finds planted known negatives, and nothing in shuffled labels."""

from dataclasses import replace

import candidate_lists
import numpy as np
import planted
import pytest
from pair_models import SETTINGS, make

from repurpose.candidates import candidates
from repurpose.classifier import classifier, contraindications, pair_model
from repurpose.core import files
from repurpose.core.errors import InputError


def task(**changes):
    return classifier.Task(*make(**{"shuffled": False, **changes}), SETTINGS, 0, 1)


def chance(content, vectors, folder):
    files.write_json(folder / "negatives.json", content)
    return pair_model.known_negative(folder / "negatives.json", vectors, 1)


@pytest.fixture(name="planted", scope="module")
def one_task():
    return task()


@pytest.fixture(name="content", scope="module")
def one_model(planted):
    return contraindications.train(planted)


def test_held_out_known_negatives_are_distinguished_from_unknown_pairs_and_treatments(content):
    """Known negatives are planted where drug and disease are least similar, treatments where most."""
    assert content["scheme"] == "disease" and content["reason"] == ""
    assert content["auroc"]["unknown"]["low"] > 0.7
    assert content["auroc"]["treatments"]["low"] > 0.9


def test_shuffled_labels_are_not_found():
    for measured in contraindications.train(task(shuffled=True))["auroc"].values():
        assert measured["low"] < 0.6


def test_its_probabilities_are_high_for_known_negatives_and_low_for_treatments(content, planted, tmp_path):
    score = chance(content, planted.vectors, tmp_path)
    pairs = planted.pairs
    found = score(pairs["head_index"].to_numpy(), pairs["tail_index"].to_numpy())
    assert found.dtype == np.float32 and ((found > 0) & (found < 1)).all()
    means = [found[pairs["label"] == label].mean() for label in (0, 1)]
    assert means[0] > 5 * means[1]


def test_with_too_few_known_negatives_there_is_a_reason_instead_of_a_model(planted, tmp_path):
    few = planted.pairs[(planted.pairs["label"] == 1) | (planted.pairs["disease"] == "train")]
    content = contraindications.train(replace(planted, pairs=few))
    assert content["model"] is None and content["known_negatives"]["test"] == 0
    assert content["reason"] == "fewer than 5 known negatives in a part of the split disease"
    assert chance(content, planted.vectors, tmp_path) is None


def test_without_the_disease_split_the_first_split_is_used(planted):
    content = contraindications.train(replace(planted, pairs=planted.pairs.drop(columns="disease")))
    assert content["scheme"] == "random" and content["auroc"]["unknown"]["low"] > 0.7


def test_damaged_trees_are_refused(content, planted, tmp_path):
    damaged = content | {"model": content["model"].replace("1", "2", 1)}
    with pytest.raises(InputError, match=r"negatives\.json is damaged; make it again with"):
        chance(damaged, planted.vectors, tmp_path)


def test_a_candidate_more_like_a_known_negative_gets_a_caution():
    kg = planted.repurposing(30, 12)[0]
    annotator = candidate_lists.annotator(kg)
    heads, tails, scores = np.array([0, 1]), np.array([2, 2]), np.zeros(2, np.float32)
    bare = annotator.columns(heads, tails, scores)
    assert bare["negative_probability"].to_pylist() == [None, None] and list(bare["caution"]) == ["", ""]
    level = float(bare["probability"][0])
    told = replace(
        annotator, negative=lambda heads, tails: np.float32(level) + np.array([0.1, -0.1], np.float32)
    )
    columns = told.columns(heads, tails, scores)
    assert columns["negative_probability"].to_pylist() == pytest.approx([level + 0.1, level - 0.1], abs=1e-6)
    assert list(columns["caution"]) == ["more like a known negative than like a treatment", ""]
    assert {"negative_probability"} <= set(candidates.SCHEMA.names)


def test_its_curve_is_that_of_the_margins_of_its_trees(planted, content, tmp_path):
    """The score has no offsets: probabilities are computed from the trees alone."""
    exchanged = contraindications._exchange_labels(planted, "disease")
    fits = classifier.evaluate_all(exchanged)
    model, _ = classifier.refit(exchanged, fits)
    heads, tails = planted.pairs["head_index"].to_numpy(), planted.pairs["tail_index"].to_numpy()
    margins = pair_model.tree_scorer(model.booster, planted.vectors, 1)(heads, tails)
    assert np.array_equal(pair_model.scorer(model, planted.vectors, 1)(heads, tails)[0], margins)
