"""Heads that rank high everywhere are told, and less of their mean puts others before them."""

import candidate_lists
import numpy as np
import planted
import pytest
import ranked_matrices

from repurpose.candidates import by_head
from repurpose.evaluation import popularity

SCORES = np.random.default_rng(0).normal(size=(30, 12)).astype(np.float32)
SCORES[5] += 9  # among the best for every tail


@pytest.fixture(name="kg", scope="module")
def planted_graph():
    return planted.repurposing(30, 12)[0]


def test_the_mean_of_a_head_is_that_over_all_tails_or_about_that_of_a_sample(monkeypatch):
    whole = popularity.means(lambda tails: SCORES.T[tails], 12, 0)
    assert whole == pytest.approx(SCORES.mean(axis=1), abs=1e-5)
    monkeypatch.setattr(popularity, "SAMPLE", 4)
    some = popularity.means(lambda tails: SCORES.T[tails], 12, 0)
    assert np.abs(some - whole).max() > 0.1 and np.corrcoef(some, whole)[0, 1] > 0.8


def test_a_head_is_counted_for_each_tail_that_lists_it_as_new(kg):
    of_heads = by_head.HeadCollector(30, 3)
    frame = candidate_lists.ranked(kg, SCORES, per_tail=4, collectors=[of_heads], chunk=60).to_pandas()
    found = of_heads.popularity(candidate_lists.annotator(kg)).to_pandas()
    new = frame[frame["known"] == ""].groupby("head_id").size()
    assert dict(zip(found["head_id"], found["listed"], strict=True)) == {
        node: int(new.get(node, 0)) for node in kg.node_ids["drug"]
    }
    known = candidate_lists.annotator(kg).known
    assert found["head_id"][0] == "drug:5" and found["listed"][0] == 12 - (known.heads == 5).sum()
    assert (
        found["share"][0] == found["listed"][0] / 12 and found["known_tails"][0] == (known.heads == 5).sum()
    )
    assert found["mean_score"][0] == pytest.approx(SCORES[5].mean(), abs=1e-5)


def test_corrected_ranks_are_those_of_the_scores_less_the_means(kg):
    mean = SCORES.mean(axis=1)
    plain = candidate_lists.ranked(kg, SCORES, per_tail=0).to_pandas()
    found = candidate_lists.ranked(kg, SCORES, per_tail=0, penalties=mean).to_pandas()
    expected = candidate_lists.ranked(kg, SCORES - mean[:, None], per_tail=0).to_pandas()
    assert found["head_id"].tolist() == expected["head_id"].tolist()
    assert found["rank_low"].tolist() == expected["rank_low"].tolist()
    # Scores stay the model's; probabilities are of what ranks.
    keys = ["tail_id", "head_id"]
    kept = found.sort_values(keys)[[*keys, "score"]].reset_index(drop=True)
    assert kept.equals(plain.sort_values(keys)[[*keys, "score"]].reset_index(drop=True))
    assert found["probability"].tolist() == expected["probability"].tolist()
    assert (plain.loc[plain["head_id"] == "drug:5", "rank"] == 1).all()
    assert (found.loc[found["head_id"] == "drug:5", "rank"] > 1).any()


def test_the_effect_is_a_gain_where_popular_heads_stand_in_the_way_and_a_loss_where_they_are_right():
    scores, heads, tails, known = ranked_matrices.matrix(0, n_heads=60, n_tails=40, n_test=300, n_levels=1000)
    few = heads < 10
    heads, tails, rng = heads[few], tails[few], np.random.default_rng(0)
    fit = rng.normal(size=scores.shape)
    fit[heads, tails] += 3
    wrong, right = (np.where((np.arange(60) < 10) == is_treated, 5.0, 0.0) for is_treated in (False, True))

    def measured(popular):
        both = (fit + popular[:, None]).astype(np.float32)

        def rank(score):
            return ranked_matrices.ranked(score, heads, tails, known, shape=both.shape)

        def score(h, t):
            return both[h, t]

        return popularity.effect(rank, score, both.mean(axis=1), rank(score), None, 0)

    gain, loss = measured(wrong), measured(right)
    assert set(gain) == {"0.5", "1"} and set(gain["1"]) == set(popularity.REPORTED)
    assert gain["1"]["mrr"]["low"] > 0 and gain["1"]["mrr"]["value"] > gain["0.5"]["mrr"]["value"]
    assert loss["1"]["mrr"]["high"] < 0
