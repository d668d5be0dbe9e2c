from dataclasses import replace

import numpy as np
import pandas as pd
import planted
import pytest
from planted import TARGET

from repurpose.classifier.examples import make_examples, reserved, split_examples
from repurpose.config.sections import ClassifierSettings
from repurpose.core.errors import InputError
from repurpose.pairs import pairs

SETTINGS = ClassifierSettings(
    draws=3,
    negatives_per_positive=4,
    trees=10,
    depth=2,
    learning_rate=0.3,
    patience=5,
    svd_dim=8,
    parts=["trees", "kernel"],
    question="each",
    metapath_steps=3,
    metapaths_kept=24,
    evaluation_pairs=10**6,
)
SIZES = 60, 50


@pytest.fixture(scope="module")
def case():
    kg, _ = planted.repurposing()
    shares = {"valid_share": 0.1, "test_share": 0.2}
    return pairs.split(pairs.label(kg, TARGET), pairs.SCHEMES, **shares, seed=0), pairs.known(
        kg, "drug", "disease"
    )


def drawn(examples):
    return set(zip(*(side[examples.is_drawn].tolist() for side in examples[:2]), strict=True))


def as_set(rows):
    """The pairs of a table, or of known pairs."""
    ends = (rows["head_index"], rows["tail_index"]) if isinstance(rows, pd.DataFrame) else rows[:2]
    return set(zip(*(end.tolist() for end in ends), strict=True))


@pytest.mark.parametrize("scheme", pairs.SCHEMES)
def test_known_pairs_of_any_role_are_never_drawn_as_negatives_unless_they_are_held_out(case, scheme):
    labelled, known = case
    held = {"train": ("valid", "test"), "valid": ("test",)}
    parts = split_examples(labelled, scheme, known, *SIZES, SETTINGS, seed=0)
    for hidden, part in zip(held.values(), parts, strict=True):
        assert part.is_drawn.any()
        assert not drawn(part) & (as_set(known) - as_set(labelled[labelled[scheme].isin(hidden)]))


def test_held_out_pairs_are_drawn_as_often_as_other_unknown_pairs(case):
    """If they never were, the model would learn which unknown pairs are treatments."""
    labelled, known = case
    held = as_set(labelled[labelled["random"] != "train"])
    others = {divmod(place, SIZES[1]) for place in range(SIZES[0] * SIZES[1])} - as_set(known)
    seeds = range(20)
    trains = [drawn(split_examples(labelled, "random", known, *SIZES, SETTINGS, seed)[0]) for seed in seeds]
    shares = [np.mean([len(train & group) / len(group) for train in trains]) for group in (held, others)]
    assert shares[1] > 0.2 and abs(shares[0] / shares[1] - 1) < 0.1


@pytest.mark.parametrize("scheme", ["disease", "drug"])
def test_negatives_are_never_drawn_from_groups_of_another_split(case, scheme):
    labelled, known = case
    column = pairs.GROUPED_BY[scheme]
    side = 1 if scheme == "disease" else 0
    held = {name: set(labelled.loc[labelled[scheme] == name, column]) for name in pairs.SPLITS}
    train, valid = split_examples(labelled, scheme, known, *SIZES, SETTINGS, seed=0)
    assert not {pair[side] for pair in drawn(train)} & (held["valid"] | held["test"])
    assert {pair[side] for pair in drawn(valid)} <= held["valid"]


def test_groups_without_pairs_are_drawn_for_training():
    kg, _ = planted.repurposing(n_diseases=90)
    few = pairs.label(kg, TARGET)
    few = few[few["tail_index"] < 30]
    few = pairs.split(few, ["disease"], 0.1, 0.2, seed=0)
    known = pairs.known(kg, "drug", "disease")
    train, _ = split_examples(few, "disease", known, 60, 90, SETTINGS, seed=0)
    assert {tail for _, tail in drawn(train)} >= set(range(60, 90))


@pytest.mark.parametrize("scheme", pairs.SCHEMES)
def test_training_and_validation_share_no_example_but_treatments_that_training_does_not_know(case, scheme):
    labelled, known = case
    train, valid = split_examples(labelled, scheme, known, *SIZES, SETTINGS, seed=0)
    shared = as_set(train) & as_set(valid)
    assert shared <= as_set(labelled[labelled[scheme] == "valid"])
    assert not shared & drawn(valid) and shared <= drawn(train)


@pytest.mark.parametrize("scheme", pairs.SCHEMES)
def test_labelled_examples_are_the_pairs_of_their_split(case, scheme):
    labelled, known = case
    for name, part in zip(
        ("train", "valid"), split_examples(labelled, scheme, known, *SIZES, SETTINGS, seed=0), strict=True
    ):
        own = labelled[labelled[scheme] == name]
        assert part.heads[~part.is_drawn].tolist() == own["head_index"].tolist()
        assert part.labels[~part.is_drawn].tolist() == own["label"].tolist()
        assert not part.labels[part.is_drawn].any()


def test_the_weights_of_all_draws_add_up_to_one_draw(case):
    labelled, known = case
    train, _ = split_examples(labelled, "random", known, *SIZES, SETTINGS, seed=0)
    positives = int(train.labels.sum())
    assert train.is_drawn.sum() == 3 * 4 * positives
    assert train.weights[train.is_drawn].sum() == pytest.approx(4 * positives, rel=1e-5)
    assert (train.weights[~train.is_drawn] == 1).all()


def test_a_seed_gives_the_same_examples_and_another_seed_others(case):
    labelled, known = case
    first, again, other = (
        split_examples(labelled, "random", known, *SIZES, SETTINGS, seed=seed)[0].heads for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_unknown_pairs_and_known_negatives_there_is_an_error():
    heads, tails = (grid.ravel().astype(np.int32) for grid in np.indices((3, 4)))
    whole = pairs.Known(heads, tails, np.full(12, "indication", object))
    frame = pd.DataFrame({"head_index": heads, "tail_index": tails, "label": np.ones(12, np.int8)})
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="no negatives"):
        make_examples(frame, whole, np.arange(3), np.arange(4), SETTINGS, rng)
    frame.loc[0, "label"] = 0
    assert len(make_examples(frame, whole, np.arange(3), np.arange(4), SETTINGS, rng).heads) == 12


def test_in_a_small_matrix_validation_keeps_negatives_although_training_could_take_all(case):
    labelled, known = case
    greedy = replace(SETTINGS, negatives_per_positive=1000)
    for scheme in pairs.SCHEMES:
        train, valid = split_examples(labelled, scheme, known, *SIZES, greedy, seed=0)
        assert train.is_drawn.sum() > 100 and valid.is_drawn.sum() > 100
        assert not drawn(train) & drawn(valid)
        is_test = labelled[scheme] == "test"
        assert not drawn(train) & (as_set(known) - as_set(labelled[labelled[scheme] != "train"]))
        assert not drawn(valid) & (as_set(known) - as_set(labelled[is_test]))


def test_in_a_large_matrix_nothing_is_kept_aside(case):
    labelled, known = case
    pools = np.arange(SIZES[0]), np.arange(SIZES[1])
    part = labelled[labelled["random"] == "train"]
    rng = np.random.default_rng(0)
    assert reserved(known, known, pools, pools, part, SETTINGS, rng) is known
    greedy = replace(SETTINGS, negatives_per_positive=1000)
    assert len(reserved(known, known, pools, pools, part, greedy, rng).heads) > len(known.heads)
