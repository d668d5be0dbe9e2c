"""External pairs are matched with the graph, counted and used as a test, never for training."""

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


def test_pairs_with_a_configured_label_are_matched_by_id_and_all_others_are_counted(tmp_path, caplog):
    rows = [
        "drug,disease,what,more",
        "drug:3,disease:4,treats,x",
        "drug:5,disease:0,not,x",
        "drug:1,disease:0,never,x",
        "drug:1,disease:0,never,y",  # a duplicate
        "drug:4,disease:4,perhaps,x",
        "drug:9,disease:4,treats,x",
        "drug:2,disease:2,not,x",  # the graph knows it
        "drug:4,disease:1,treats,x",
        "drug:4,disease:1,not,x",  # with both labels
    ]
    with caplog.at_level(logging.INFO):
        frame = read(tmp_path / "pairs.csv", "\n".join(rows) + "\n")
    assert frame.values.tolist() == [[1, 0, 0], [5, 0, 0], [3, 4, 1]]
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


def test_a_saved_table_comes_back_and_no_path_gives_an_empty_table(tmp_path):
    frame = read(tmp_path / "pairs.csv", "drug,disease,what\ndrug:3,disease:4,treats\n")
    external.save(frame, tmp_path / "external.parquet")
    pd.testing.assert_frame_equal(external.load(tmp_path / "external.parquet"), frame)
    assert len(external.load(None)) == 0


@pytest.fixture(name="task", scope="module")
def with_external_pairs():
    """The planted case; every fifth treatment is not in the graph but an external pair."""
    vectors, labelled, known = pair_models.make(shuffled=False)
    positive = labelled[labelled["label"] == 1]
    external_positives = positive.iloc[::5]
    remaining = labelled.drop(external_positives.index).reset_index(drop=True)
    codes = known.tails.astype(int) * 1000 + known.heads
    kept = ~np.isin(codes, external_positives["tail_index"] * 1000 + external_positives["head_index"])
    known_to_graph = pairs.Known(known.heads[kept], known.tails[kept], known.names[kept])
    rng = np.random.default_rng(0)
    unknown_codes = np.setdiff1d(np.arange(70 * 1000), codes)
    unknown_codes = unknown_codes[unknown_codes % 1000 < 90]
    tails, heads = np.divmod(rng.permutation(unknown_codes)[:40], 1000)
    external_negatives = pd.DataFrame({"head_index": heads, "tail_index": tails, "label": 0})
    external_pairs = pd.concat(
        [external_positives[["head_index", "tail_index", "label"]], external_negatives]
    ).astype(np.int32)
    split = pairs.split(
        remaining[["head_index", "tail_index", "label", "relation"]], **pair_models.SPLIT, seed=0
    )
    return classifier.Task(vectors, split, known_to_graph, pair_models.SETTINGS, 0, 1, external_pairs)


def test_external_treatments_are_a_test_of_the_final_model(task):
    fits = classifier.evaluate_all(task)
    metrics = fits[classifier.EXTERNAL].metrics
    assert metrics["positives"] == (task.external_pairs["label"] == 1).sum()
    assert metrics["known_negative_pairs"] == 40
    assert metrics["auroc"]["value"] > 0.75 and metrics["against"]["known"]["auroc"]["value"] > 0.75
    model, _ = classifier.refit(task, fits)
    assert model is fits[classifier.EXTERNAL].model
    # Without external pairs there is no such test.
    without_external = classifier.Task(task.vectors, task.pairs, task.known, task.settings, 0, 1)
    assert classifier.EXTERNAL not in classifier.evaluate_all(without_external)


def test_external_negatives_are_added_to_the_known_negatives_of_each_split_with_their_ends(task):
    fits = classifier.evaluate_all(task)
    known_negatives = {
        scheme: (task.pairs[scheme] == "test") & (task.pairs["label"] == 0) for scheme in pairs.SCHEMES
    }
    assert fits["random"].metrics["known_negative_pairs"] == known_negatives["random"].sum() + 40
    held_out = set(task.pairs.loc[task.pairs["disease"] == "test", "tail_index"])
    inside = task.external_pairs.loc[task.external_pairs["label"] == 0, "tail_index"].isin(held_out).sum()
    assert 0 < inside < 40
    assert fits["disease"].metrics["known_negative_pairs"] == known_negatives["disease"].sum() + inside


def test_external_pairs_are_to_training_what_other_unknown_pairs_are(task):
    """They have no label there, and are drawn as negatives as often as any others."""
    external_pairs = set(
        zip(task.external_pairs["head_index"], task.external_pairs["tail_index"], strict=True)
    )
    known = set(zip(task.known.heads, task.known.tails, strict=True))
    assert len(external_pairs) > 60 and not external_pairs & known
    drawn = [
        set(zip(train.heads[train.is_drawn], train.tails[train.is_drawn], strict=True))
        for seed in range(10)
        for train in classifier.split_examples(task.pairs, "random", task.known, 90, 70, task.settings, seed)[
            :1
        ]
    ]
    of_external = np.mean([len(each & external_pairs) for each in drawn]) / len(external_pairs)
    of_all = np.mean([len(each) for each in drawn]) / (90 * 70 - len(known))
    assert of_external == pytest.approx(of_all, rel=0.15)
