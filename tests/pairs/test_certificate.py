"""The certificate lists what was removed from the graph and finds each kind of leak."""

import dataclasses

import pandas as pd
import planted
import pytest
from planted import TARGET

from repurpose.pairs import certificate, pairs

SHARES = {"valid_share": 0.1, "test_share": 0.2}


@pytest.fixture(scope="module")
def kg():
    return planted.repurposing()[0]


@pytest.fixture(scope="module")
def labelled(kg):
    return pairs.split(pairs.label(kg, TARGET), pairs.SCHEMES, **SHARES, seed=0)


def test_pairs_without_leaks_are_certified_with_the_removed_relations(kg, labelled):
    certified = certificate.certify(kg, labelled, TARGET)
    assert all(check["passed"] and check["count"] == 0 for check in certified["checks"])
    removed = [(entry["relation"], entry["role"], entry["edges"]) for entry in certified["removed"]]
    assert removed == [
        ("indication", "target", 150),
        ("contraindication", "target", 75),
        ("palliates", "excluded", 30),
    ]
    assert certified["pairs"] == {"positives": 150, "negatives": 75, "conflicts": 0}
    assert sum(counts["positives"] for counts in certified["splits"]["disease"].values()) == 150


def test_pairs_that_are_positive_and_negative_are_counted():
    kg = planted.graph(
        {"drug": 2, "disease": 2},
        [
            ("drug", "indication", "disease", "target", [(0, 0), (1, 1)]),
            ("disease", "contraindication", "drug", "target", [(0, 0), (1, 0)]),
        ],
    )
    certified = certificate.certify(kg, pairs.label(kg, TARGET), TARGET)
    assert certified["pairs"] == {"positives": 2, "negatives": 1, "conflicts": 1}
    assert certified["cautions"] == [
        "1 of 2 treatments are known negatives too (target.negative): they count as treatments"
    ]


def test_a_split_whose_test_treatments_are_of_few_tails_has_a_caution(kg, labelled):
    assert not any("random" in text for text in certificate.certify(kg, labelled, TARGET)["cautions"])
    is_test = labelled["random"] == "test"
    tails = labelled.loc[is_test & (labelled["label"] == 1), "tail_index"].unique()
    for count, noun in ((1, "disease"), (certificate.FEW_TAILS - 1, "diseases")):
        is_kept = ~is_test | labelled["tail_index"].isin(tails[:count])
        moved = labelled.assign(random=labelled["random"].where(is_kept, "train"))
        cautions = " ".join(certificate.certify(kg, moved, TARGET)["cautions"])
        assert f"test treatments of the split random are of {count} {noun}: its numbers" in cautions


@pytest.mark.parametrize("ends", [("drug", "disease"), ("disease", "drug")])
def test_a_message_relation_between_the_target_types_is_a_leak(kg, labelled, ends):
    leaking = planted.graph(
        {node_type: kg.count(node_type) for node_type in kg.node_types},
        [(*_message_relation(ends), [(3, 4)])],
    )
    leaking = dataclasses.replace(
        kg,
        relations=kg.relations + leaking.relations,
        heads=kg.heads + leaking.heads,
        tails=kg.tails + leaking.tails,
    )
    with pytest.raises(RuntimeError, match="no message relation connects drug and disease"):
        certificate.certify(leaking, labelled, TARGET)


def test_a_target_relation_left_among_the_messages_is_a_leak(kg, labelled):
    relations = [dataclasses.replace(kg.relations[0], role="message"), *kg.relations[1:]]
    with pytest.raises(RuntimeError, match="no message relation connects drug and disease"):
        certificate.certify(dataclasses.replace(kg, relations=tuple(relations)), labelled, TARGET)


@pytest.mark.parametrize("scheme", ["disease", "drug"])
def test_a_group_in_two_splits_is_a_leak(kg, labelled, scheme):
    groups = labelled[pairs.GROUPED_BY[scheme]]
    row = groups.index[groups.duplicated()][0]
    broken = labelled.copy()
    broken.loc[row, scheme] = "valid" if broken.loc[row, scheme] == "test" else "test"
    with pytest.raises(
        RuntimeError, match=rf"{scheme}: all pairs of one {scheme} are in one split \(1 violations\)"
    ):
        certificate.certify(kg, broken, TARGET)


def test_a_pair_in_two_splits_is_a_leak(kg, labelled):
    twin = labelled.iloc[[0]].assign(random="test" if labelled["random"][0] == "train" else "train")
    with pytest.raises(RuntimeError, match="no pair occurs twice"):
        certificate.certify(kg, pd.concat([labelled, twin]), TARGET)


def test_a_pair_in_no_split_is_found(kg, labelled):
    broken = labelled.copy()
    broken.loc[7, "random"] = "holdout"
    with pytest.raises(RuntimeError, match="random: each pair is in train, valid or test"):
        certificate.certify(kg, broken, TARGET)


@pytest.mark.parametrize(("label", "message"), [(1, "the positives are"), (0, "the negatives are")])
def test_a_lost_pair_is_found(kg, labelled, label, message):
    row = labelled.index[labelled["label"] == label][0]
    with pytest.raises(RuntimeError, match=message):
        certificate.certify(kg, labelled.drop(index=row), TARGET)


def test_a_flipped_label_is_found(kg, labelled):
    broken = labelled.copy()
    broken.loc[0, "label"] = 1 - broken.loc[0, "label"]
    with pytest.raises(RuntimeError, match=r"the positives are .* the negatives are"):
        certificate.certify(kg, broken, TARGET)


def _message_relation(ends):
    return ends[0], "leak", ends[1], "message"
