"""Frequent flyers are listed, and subtracting their mean score lets other heads rank above them."""

import candidate_lists
import numpy as np
import planted
import pytest
import ranked_matrices

from repurpose.candidates import by_head
from repurpose.evaluation import popularity

SCORES = np.random.default_rng(0).normal(size=(30, 12)).astype(np.float32)
SCORES[5] += 9  # a frequent flyer: among the best for every tail


@pytest.fixture(name="kg", scope="module")
def planted_graph():
    return planted.repurposing(30, 12)[0]


def test_the_mean_score_of_a_head_is_exact_over_all_tails_and_close_over_a_sample(monkeypatch):
    exact = popularity.means(lambda tails: SCORES.T[tails], 12, 0)
    assert exact == pytest.approx(SCORES.mean(axis=1), abs=1e-5)
    monkeypatch.setattr(popularity, "SAMPLE", 4)
    sampled = popularity.means(lambda tails: SCORES.T[tails], 12, 0)
    assert np.abs(sampled - exact).max() > 0.1 and np.corrcoef(sampled, exact)[0, 1] > 0.8


def test_a_head_is_counted_for_each_tail_that_lists_it_as_new(kg):
    counts_by_head = by_head.HeadCollector(30, 3)
    frame = candidate_lists.ranked(kg, SCORES, per_tail=4, collectors=[counts_by_head], chunk=60).to_pandas()
    listed = counts_by_head.popularity(candidate_lists.annotator(kg)).to_pandas()
    new = frame[frame["known"] == ""].groupby("head_id").size()
    assert dict(zip(listed["head_id"], listed["listed"], strict=True)) == {
        node: int(new.get(node, 0)) for node in kg.node_ids["drug"]
    }
    known = candidate_lists.annotator(kg).known
    assert listed["head_id"][0] == "drug:5" and listed["listed"][0] == 12 - (known.heads == 5).sum()
    assert (
        listed["share"][0] == listed["listed"][0] / 12
        and listed["known_tails"][0] == (known.heads == 5).sum()
    )
    assert listed["mean_score"][0] == pytest.approx(SCORES[5].mean(), abs=1e-5)


def test_corrected_ranks_are_those_of_the_scores_minus_the_mean_scores(kg):
    mean = SCORES.mean(axis=1)
    plain = candidate_lists.ranked(kg, SCORES, per_tail=0).to_pandas()
    corrected = candidate_lists.ranked(kg, SCORES, per_tail=0, penalties=mean).to_pandas()
    expected = candidate_lists.ranked(kg, SCORES - mean[:, None], per_tail=0).to_pandas()
    assert corrected["head_id"].tolist() == expected["head_id"].tolist()
    assert corrected["rank_low"].tolist() == expected["rank_low"].tolist()
    # The score column is unchanged; probabilities follow the corrected scores.
    keys = ["tail_id", "head_id"]
    kept = corrected.sort_values(keys)[[*keys, "score"]].reset_index(drop=True)
    assert kept.equals(plain.sort_values(keys)[[*keys, "score"]].reset_index(drop=True))
    assert corrected["probability"].tolist() == expected["probability"].tolist()
    assert (plain.loc[plain["head_id"] == "drug:5", "rank_of_drug_for_disease"] == 1).all()
    assert (corrected.loc[corrected["head_id"] == "drug:5", "rank_of_drug_for_disease"] > 1).any()


def test_correction_helps_if_popular_heads_are_no_positives_and_harms_if_they_are():
    scores, heads, tails, known = ranked_matrices.matrix(0, n_heads=60, n_tails=40, n_test=300, n_levels=1000)
    is_treated_head = heads < 10
    heads, tails, rng = heads[is_treated_head], tails[is_treated_head], np.random.default_rng(0)
    fit = rng.normal(size=scores.shape)
    fit[heads, tails] += 3
    false_popularity, true_popularity = (
        np.where((np.arange(60) < 10) == is_treated, 5.0, 0.0) for is_treated in (False, True)
    )

    def effect_with(popular):
        scores_with_bias = (fit + popular[:, None]).astype(np.float32)

        def rank(score):
            return ranked_matrices.ranked(score, heads, tails, known, shape=scores_with_bias.shape)

        def score(h, t):
            return scores_with_bias[h, t]

        return popularity.effect(rank, score, scores_with_bias.mean(axis=1), rank(score), None, 0)

    gain, loss = effect_with(false_popularity), effect_with(true_popularity)
    assert set(gain) == {"0.5", "1"} and set(gain["1"]) == set(popularity.REPORTED)
    assert (
        gain["1"]["mrr_of_first"]["low"] > 0
        and gain["1"]["mrr_of_first"]["value"] > gain["0.5"]["mrr_of_first"]["value"]
    )
    assert loss["1"]["mrr_of_first"]["high"] < 0
