"""Pairs from elsewhere are matched, counted, asked about, and never learned from."""

import logging

import numpy as np
import pair_models
import pandas as pd
import planted
import pytest

from repurpose.classifier import classifier
from repurpose.core.errors import InputError
from repurpose.pairs import external, pairs

TYPES = "drug", "disease"
COLUMNS = {"head": "drug", "tail": "disease", "label": "what"}
KG = planted.graph(
    {"drug": 6, "gene": 2, "disease": 5},
    [
        ("drug", "binds", "gene", "message", [(0, 0)]),
        ("drug", "indication", "disease", "target", [(0, 0), (1, 1)]),
        ("drug", "palliates", "disease", "excluded", [(2, 2)]),
    ],
)
KNOWN = pairs.known(KG, *TYPES)


def read(path, text, **changes):
    path.write_text(text)
    options = {"columns": COLUMNS, "positive": ["treats"], "negative": ["not", "never"], **changes}
    return external.read(path, KG, TYPES, KNOWN, **options)


def test_wanted_labels_are_matched_by_id_and_all_else_is_counted(tmp_path, caplog):
    rows = [
        "drug,disease,what,more",
        "drug:3,disease:4,treats,x",
        "drug:5,disease:0,not,x",
        "drug:1,disease:0,never,x",
        "drug:1,disease:0,never,y",  # the same once more
        "drug:4,disease:4,perhaps,x",
        "drug:9,disease:4,treats,x",
        "drug:2,disease:2,not,x",  # the graph knows it
        "drug:4,disease:1,treats,x",
        "drug:4,disease:1,not,x",  # with both labels
    ]
    with caplog.at_level(logging.INFO):
        found = read(tmp_path / "pairs.csv", "\n".join(rows) + "\n")
    assert found.values.tolist() == [[1, 0, 0], [5, 0, 0], [3, 4, 1]]
    for words in (
        "9 rows",
        "1 with another label",
        "1 of nodes that",
        "2 with both",
        "1 known",
        "3 pairs are left",
    ):
        assert words in caplog.text


@pytest.mark.parametrize(
    ("text", "changes", "sentence"),
    [
        ("drug,disease\na,b\n", {}, "external.columns"),
        (
            "drug,disease,what\ndrug:3,disease:4,other\n",
            {},
            "has no pair to evaluate: 1 rows, 1 with another label",
        ),
        ("drug,disease,what\nDB1,disease:4,treats\n", {}, "1 of nodes that the graph lacks"),
        ("drug,disease,what\ndrug:0,disease:0,treats\n", {}, "1 known in the graph"),
    ],
)
def test_a_table_without_a_usable_pair_gets_one_sentence(tmp_path, text, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        read(tmp_path / "pairs.csv", text, **changes)


def test_a_saved_table_comes_back_and_none_is_empty(tmp_path):
    frame = read(tmp_path / "pairs.csv", "drug,disease,what\ndrug:3,disease:4,treats\n")
    external.save(frame, tmp_path / "external.parquet")
    pd.testing.assert_frame_equal(external.load(tmp_path / "external.parquet"), frame)
    assert len(external.load(None)) == 0


@pytest.fixture(name="task", scope="module")
def with_pairs_from_elsewhere():
    """The planted case; every fifth treatment is unknown to the graph and known from elsewhere."""
    vectors, labelled, known = pair_models.make(shuffled=False)
    positive = labelled[labelled["label"] == 1]
    moved = positive.iloc[::5]
    rest = labelled.drop(moved.index).reset_index(drop=True)
    codes = known.tails.astype(int) * 1000 + known.heads
    kept = ~np.isin(codes, moved["tail_index"] * 1000 + moved["head_index"])
    left = pairs.Known(known.heads[kept], known.tails[kept], known.names[kept])
    rng = np.random.default_rng(0)
    free = np.setdiff1d(np.arange(70 * 1000), codes)
    free = free[free % 1000 < 90]
    tails, heads = np.divmod(rng.permutation(free)[:40], 1000)
    negative = pd.DataFrame({"head_index": heads, "tail_index": tails, "label": 0})
    elsewhere = pd.concat([moved[["head_index", "tail_index", "label"]], negative]).astype(np.int32)
    split = pairs.split(rest[["head_index", "tail_index", "label", "relation"]], **pair_models.SPLIT, seed=0)
    return classifier.Task(vectors, split, left, pair_models.SETTINGS, 0, 1, elsewhere)


def test_treatments_from_elsewhere_are_a_test_of_the_final_model(task):
    fits = classifier.evaluate_all(task)
    found = fits[classifier.EXTERNAL].metrics
    assert found["positives"] == (task.elsewhere["label"] == 1).sum()
    assert found["known_negative_pairs"] == 40
    assert found["auroc"]["value"] > 0.75 and found["against"]["known"]["auroc"]["value"] > 0.75
    model, _ = classifier.refit(task, fits)
    assert model is fits[classifier.EXTERNAL].model
    # Where nothing is known from elsewhere there is no such test.
    alone = classifier.Task(task.vectors, task.pairs, task.known, task.settings, 0, 1)
    assert classifier.EXTERNAL not in classifier.evaluate_all(alone)


def test_non_treatments_stand_beside_every_split_that_asks_for_their_ends(task):
    fits = classifier.evaluate_all(task)
    own = {scheme: (task.pairs[scheme] == "test") & (task.pairs["label"] == 0) for scheme in pairs.SCHEMES}
    assert fits["random"].metrics["known_negative_pairs"] == own["random"].sum() + 40
    held = set(task.pairs.loc[task.pairs["disease"] == "test", "tail_index"])
    inside = task.elsewhere.loc[task.elsewhere["label"] == 0, "tail_index"].isin(held).sum()
    assert 0 < inside < 40
    assert fits["disease"].metrics["known_negative_pairs"] == own["disease"].sum() + inside


def test_nothing_learns_from_pairs_from_elsewhere_nor_takes_them_for_negatives(task):
    drawn = set()
    for scheme in pairs.SCHEMES:
        for part in classifier.split_examples(task.pairs, scheme, task.taken, 90, 70, task.settings, 0):
            drawn |= set(zip(part.heads.tolist(), part.tails.tolist(), strict=True))
    elsewhere = set(zip(task.elsewhere["head_index"], task.elsewhere["tail_index"], strict=True))
    assert len(elsewhere) > 60 and not drawn & elsewhere
