from dataclasses import replace

import numpy as np
import pandas as pd
import planted
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import TARGET

from repurpose.core.errors import InputError
from repurpose.pairs import pairs

SHARES = {"valid_share": 0.1, "test_share": 0.2}


def small():
    """Three drugs, three diseases and all the ways in which relations may join them."""
    return planted.graph(
        {"drug": 3, "disease": 3, "gene": 2},
        [
            ("drug", "indication", "disease", "target", [(0, 0), (1, 2)]),
            ("disease", "treated_by", "drug", "target", [(0, 0), (0, 1)]),
            ("drug", "contraindication", "disease", "target", [(0, 0), (2, 0)]),
            ("drug", "palliates", "disease", "excluded", [(2, 1), (1, 2)]),
            ("drug", "binds", "gene", "message", [(0, 0), (1, 1)]),
        ],
    )


def rows(frame):
    return list(frame[["head_index", "tail_index", "label", "relation"]].itertuples(index=False, name=None))


def test_a_pair_has_one_row_that_names_all_relations_of_its_label():
    both = replace(TARGET, positive=["indication", "treated_by"])
    assert rows(pairs.label(small(), both)) == [
        (0, 0, 1, "indication; treated_by"),
        (1, 0, 1, "treated_by"),
        (2, 0, 0, "contraindication"),
        (1, 2, 1, "indication"),
    ]


def test_a_pair_both_positive_and_negative_is_positive():
    labelled = pairs.label(small(), TARGET)
    assert rows(labelled)[0] == (0, 0, 1, "indication")
    assert [row[:3] for row in rows(labelled)] == [(0, 0, 1), (2, 0, 0), (1, 2, 1)]


def test_negatives_may_be_none():
    assert pairs.label(small(), replace(TARGET, negative=[]))["label"].tolist() == [1, 1]


def test_known_pairs_are_those_of_any_role_in_either_orientation():
    found = pairs.known(small(), "drug", "disease")
    assert list(zip(found.heads.tolist(), found.tails.tolist(), found.names, strict=True)) == [
        (0, 0, "contraindication; indication; treated_by"),
        (1, 0, "treated_by"),
        (2, 0, "contraindication"),
        (2, 1, "palliates"),
        (1, 2, "indication; palliates"),
    ]


def test_types_that_no_relation_joins_have_no_known_pairs():
    assert [len(column) for column in pairs.known(small(), "gene", "disease")] == [0, 0, 0]


def test_a_missing_relation_is_named_with_those_there_are():
    with pytest.raises(InputError, match=r"the relation cures, .* it has: contraindication, indication"):
        pairs.label(small(), replace(TARGET, positive=["cures"]))


def test_a_relation_between_other_types_is_no_target():
    with pytest.raises(InputError, match=r"target\.negative names the relation binds"):
        pairs.label(small(), replace(TARGET, negative=["binds"]))


def test_target_types_must_differ():
    with pytest.raises(InputError, match="both drug"):
        pairs.label(small(), replace(TARGET, tail_type="drug"))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_held_out_disease_or_drug_lies_in_one_split(seed):
    found = pairs.split(frame(), ["disease", "drug"], **SHARES, seed=seed)
    assert (found.groupby("tail_index")["disease"].nunique() == 1).all()
    assert (found.groupby("head_index")["drug"].nunique() == 1).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_splits_have_about_the_shares_asked_for(seed):
    found = pairs.split(frame(), pairs.SCHEMES, **SHARES, seed=seed)
    positives = found[found["label"] == 1]
    for scheme, tolerance in (("random", 0.005), ("disease", 0.05), ("drug", 0.05)):
        shares = positives[scheme].value_counts(normalize=True)
        assert abs(shares["test"] - 0.2) < tolerance, scheme
        assert abs(shares["valid"] - 0.1) < tolerance, scheme


def test_the_random_split_is_stratified_by_label():
    found = pairs.split(frame(), ["random"], **SHARES, seed=3)
    shares = found.groupby("label")["random"].value_counts(normalize=True).unstack()
    assert np.allclose(shares.loc[0], shares.loc[1], atol=0.01)


def test_a_scheme_is_split_alike_whatever_other_schemes_there_are():
    alone = pairs.split(frame(), ["drug"], **SHARES, seed=5)["drug"]
    assert alone.equals(pairs.split(frame(), pairs.SCHEMES, **SHARES, seed=5)["drug"])
    assert not alone.equals(pairs.split(frame(), ["drug"], **SHARES, seed=6)["drug"])


def test_too_few_positives_are_refused_with_the_scheme_and_the_counts():
    few = frame().iloc[:30]
    with pytest.raises(InputError, match=r"scheme random has too few positive pairs .*valid [0-4], test \d+"):
        pairs.split(few, ["random"], **SHARES, seed=0)


def test_shares_must_leave_training_pairs():
    with pytest.raises(InputError, match="sum is below 1"):
        pairs.split(frame(), ["random"], 0.5, 0.5, seed=0)


def test_pairs_come_back_from_their_file(tmp_path):
    found = pairs.split(frame(), ["random", "drug"], **SHARES, seed=0)
    pairs.save(found, tmp_path / "pairs.parquet")
    back = pairs.load(tmp_path / "pairs.parquet")
    assert list(back) == ["head_index", "tail_index", "label", "relation", "random", "drug"]
    pd.testing.assert_frame_equal(back, found, check_dtype=False)
    assert (back.dtypes["head_index"], back.dtypes["label"]) == (np.int32, np.int8)


def frame():
    """400 pairs of 80 drugs and 60 diseases, degrees skewed, two thirds of them positive."""
    rng = np.random.default_rng(1)
    chances = [1 / (1 + np.arange(n)) ** 0.6 for n in (80, 60)]
    ends = [rng.choice(len(chance), 3000, p=chance / chance.sum()) for chance in chances]
    found = (
        pd.DataFrame({"head_index": ends[0], "tail_index": ends[1]}, dtype=np.int32)
        .drop_duplicates()
        .iloc[:400]
    )
    found["label"] = (rng.random(len(found)) < 2 / 3).astype(np.int8)
    found["relation"] = np.where(found["label"] == 1, "indication", "contraindication")
    return found.reset_index(drop=True)
