"""Target pairs: labels, known pairs, and splits that keep their shares and leak nothing."""

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
    """Three drugs, three diseases, and all ways in which relations may connect them."""
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
    target = replace(TARGET, positive=["indication", "treated_by"])
    assert rows(pairs.label(small(), target)) == [
        (0, 0, 1, "indication; treated_by"),
        (1, 0, 1, "treated_by"),
        (2, 0, 0, "contraindication"),
        (1, 2, 1, "indication"),
    ]


def test_a_pair_both_positive_and_negative_is_positive():
    labelled = pairs.label(small(), TARGET)
    assert rows(labelled)[0] == (0, 0, 1, "indication")
    assert [row[:3] for row in rows(labelled)] == [(0, 0, 1), (2, 0, 0), (1, 2, 1)]


def test_a_target_without_negative_relations_is_accepted():
    assert pairs.label(small(), replace(TARGET, negative=[]))["label"].tolist() == [1, 1]


def test_known_pairs_are_those_of_any_role_in_either_direction():
    known = pairs.known(small(), "drug", "disease")
    assert list(zip(known.heads.tolist(), known.tails.tolist(), known.names, strict=True)) == [
        (0, 0, "contraindication; indication; treated_by"),
        (1, 0, "treated_by"),
        (2, 0, "contraindication"),
        (2, 1, "palliates"),
        (1, 2, "indication; palliates"),
    ]


def test_types_without_a_relation_between_them_have_no_known_pairs():
    assert [len(column) for column in pairs.known(small(), "gene", "disease")] == [0, 0, 0]


def test_the_error_for_a_missing_relation_names_it_and_the_relations_of_the_graph():
    with pytest.raises(InputError, match=r"the relation cures, .* it has: contraindication, indication"):
        pairs.label(small(), replace(TARGET, positive=["cures"]))


def test_a_relation_between_other_types_is_no_target():
    with pytest.raises(InputError, match=r"target\.negative names the relation binds"):
        pairs.label(small(), replace(TARGET, negative=["binds"]))


def test_target_types_must_differ():
    with pytest.raises(InputError, match='both "drug"'):
        pairs.label(small(), replace(TARGET, tail_type="drug"))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_held_out_disease_or_drug_lies_in_one_split(seed):
    pairs_with_splits = pairs.split(frame(), ["disease", "drug"], **SHARES, seed=seed)
    assert (pairs_with_splits.groupby("tail_index")["disease"].nunique() == 1).all()
    assert (pairs_with_splits.groupby("head_index")["drug"].nunique() == 1).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_splits_have_about_the_configured_shares(seed):
    pairs_with_splits = pairs.split(frame(), pairs.SCHEMES, **SHARES, seed=seed)
    positives = pairs_with_splits[pairs_with_splits["label"] == 1]
    for scheme, tolerance in (("random", 0.005), ("disease", 0.05), ("drug", 0.05)):
        shares = positives[scheme].value_counts(normalize=True)
        assert abs(shares["test"] - 0.2) < tolerance, scheme
        assert abs(shares["valid"] - 0.1) < tolerance, scheme


def test_the_random_split_is_stratified_by_label():
    pairs_with_splits = pairs.split(frame(), ["random"], **SHARES, seed=3)
    shares = pairs_with_splits.groupby("label")["random"].value_counts(normalize=True).unstack()
    assert np.allclose(shares.loc[0], shares.loc[1], atol=0.01)


def test_the_split_of_a_scheme_does_not_depend_on_other_schemes():
    alone = pairs.split(frame(), ["drug"], **SHARES, seed=5)["drug"]
    assert alone.equals(pairs.split(frame(), pairs.SCHEMES, **SHARES, seed=5)["drug"])
    assert not alone.equals(pairs.split(frame(), ["drug"], **SHARES, seed=6)["drug"])


def test_too_few_positives_for_any_split_are_refused_once_for_all_schemes():
    few = frame().iloc[:30]
    count = int((few["label"] == 1).sum())
    with pytest.raises(
        InputError, match=rf"^{count} known treatments are too few for any split: about 50 are"
    ):
        pairs.split(few, pairs.SCHEMES, **SHARES, seed=0)


def test_too_few_positives_of_a_scheme_are_refused_with_the_scheme_and_the_counts():
    of_one_tail = frame().assign(tail_index=0)
    count = int((of_one_tail["label"] == 1).sum())
    pairs.split(of_one_tail, ["random", "drug"], **SHARES, seed=0)
    with pytest.raises(InputError) as raised:
        pairs.split(of_one_tail, pairs.SCHEMES, **SHARES, seed=0)
    text = str(raised.value)
    assert text.startswith(
        f"the scheme disease has too few positive pairs in a split (train {count}, valid 0, "
    )
    assert f"because the {count} treatments are of 1 disease)" in text
    assert text.endswith("leave the scheme out (split: {schemes: [random, drug]})")


def test_all_schemes_with_too_few_positives_are_named_at_once():
    of_one_pair = frame().assign(tail_index=0, head_index=lambda pairs: pairs["head_index"] % 2)
    with pytest.raises(
        InputError, match=r"the scheme disease has .* of 1 disease.*; the scheme drug .* of 2 drugs"
    ):
        pairs.split(of_one_pair, pairs.SCHEMES, **SHARES, seed=0)
    with pytest.raises(InputError, match=r"use a graph with more treatments$"):
        pairs.split(of_one_pair, ["disease", "drug"], **SHARES, seed=0)


def test_treatments_that_can_be_compared_with_nothing_are_refused():
    every = [(head, tail) for head in range(3) for tail in range(4)]

    def require(*relations):
        kg = planted.graph({"drug": 3, "disease": 4}, [("drug", *relation) for relation in relations])
        named = {relation[0] for relation in relations}
        target = replace(TARGET, negative=[name for name in TARGET.negative if name in named])
        pairs.require_others(kg, pairs.label(kg, target), target)

    treated = ("indication", "disease", "target", every[:6])
    require(treated)
    require(treated, ("contraindication", "disease", "target", every[5:]))
    with pytest.raises(InputError, match=r"each drug of the graph \(3\) is connected to each disease \(4\)"):
        require(treated, ("palliates", "disease", "excluded", every[5:]))


def test_shares_must_leave_training_pairs():
    with pytest.raises(InputError, match="sum is below 1"):
        pairs.split(frame(), ["random"], 0.5, 0.5, seed=0)


def test_pairs_come_back_from_their_file(tmp_path):
    pairs_with_splits = pairs.split(frame(), ["random", "drug"], **SHARES, seed=0)
    pairs.save(pairs_with_splits, tmp_path / "pairs.parquet")
    loaded = pairs.load(tmp_path / "pairs.parquet")
    assert list(loaded) == ["head_index", "tail_index", "label", "relation", "random", "drug"]
    pd.testing.assert_frame_equal(loaded, pairs_with_splits, check_dtype=False)
    assert (loaded.dtypes["head_index"], loaded.dtypes["label"]) == (np.int32, np.int8)


def frame():
    """400 pairs of 80 drugs and 60 diseases with skewed degrees; two thirds of the pairs are positive."""
    rng = np.random.default_rng(1)
    chances = [1 / (1 + np.arange(n)) ** 0.6 for n in (80, 60)]
    ends = [rng.choice(len(chance), 3000, p=chance / chance.sum()) for chance in chances]
    labelled = (
        pd.DataFrame({"head_index": ends[0], "tail_index": ends[1]}, dtype=np.int32)
        .drop_duplicates()
        .iloc[:400]
    )
    labelled["label"] = (rng.random(len(labelled)) < 2 / 3).astype(np.int8)
    labelled["relation"] = np.where(labelled["label"] == 1, "indication", "contraindication")
    return labelled.reset_index(drop=True)
