"""How alike lists are: by hand, by a plain loop, and for lists that are all alike or all unlike."""

from collections import Counter
from itertools import combinations

import numpy as np
import planted
import pytest
from candidate_lists import annotator, ranked

from repurpose.candidates import likeness

KG, VECTORS = planted.repurposing(30, 12)
TREATED = np.array([0, 2, 3, 5])


def collected(scores, penalties=None, unlike=None, **options):
    collector = likeness.LikenessCollector(annotator(KG, penalties=penalties))
    ranked(KG, scores, penalties=penalties, per_tail=1, collectors=[collector], **options)
    unlike = np.zeros(12, bool) if unlike is None else unlike
    return collector.summary(VECTORS["disease"], TREATED, unlike, 0)


def matrix(seed=0, levels=1000):
    return np.random.default_rng(seed).integers(0, levels, (30, 12)).astype(np.float32)


@pytest.mark.parametrize("levels", [4, 1000])
@pytest.mark.parametrize("with_penalties", [False, True])
def test_the_measures_equal_those_of_the_full_lists(levels, with_penalties):
    scores = matrix(levels=levels)
    penalties = 300 * np.random.default_rng(1).random(30).astype(np.float32) if with_penalties else None
    frame = ranked(KG, scores, penalties=penalties, per_tail=0).to_pandas()
    unlike = np.arange(12) % 4 == 1
    summary = collected(scores, penalties, unlike, chunk=70)
    new = frame[frame["known"] == ""]
    top_by_tail = {
        int(tail.split(":")[1]): rows.sort_values("rank_of_drug_for_disease")["head_id"].head(10).tolist()
        for tail, rows in new.groupby("tail_id")
    }
    for name, is_treated in (("treated", True), ("untreated", False)):
        tails = [tail for tail in range(12) if (tail in TREATED) == is_treated]
        counts = Counter(head for tail in tails for head in top_by_tail[tail])
        measures = summary[name]
        assert (measures["lists"], measures["places"]) == (len(tails), 10 * len(tails))
        assert measures["heads"] == len(counts)
        assert counts[measures["most_common"]["id"]] == max(counts.values())
        assert measures["share"] == max(counts.values()) / len(tails)
        assert measures["unlike"] == sum(unlike[tails])
        shared = [len({*top_by_tail[a]} & {*top_by_tail[b]}) / 10 for a, b in combinations(tails, 2)]
        assert measures["overlap"]["overlap"] == pytest.approx(np.mean(shared))
        assert measures["overlap"]["pairs"] == len(shared)
    assert summary["places_per_list"] == 10


def test_the_measures_do_not_depend_on_chunks():
    found = [collected(matrix(), chunk=chunk) for chunk in (31, 90, 10_000)]
    assert found[0] == found[1] == found[2]


def test_a_known_pair_takes_no_place_even_if_it_scores_best():
    known = annotator(KG).known
    scores = matrix()
    plain = collected(scores)
    scores[known.heads, known.tails] += 1e6
    assert collected(scores) == plain
    # Negative control: another head that scores best everywhere is in all lists where it is new.
    scores[7] += 1e7
    measures = collected(scores)
    is_new = ~np.isin(np.arange(12), known.tails[known.heads == 7])
    assert measures["untreated"]["most_common"] == {"id": "drug:7", "name": "drug number 7"}
    is_untreated = ~np.isin(np.arange(12), TREATED)
    assert measures["untreated"]["share"] == is_new[is_untreated].sum() / is_untreated.sum()


def test_only_chosen_heads_and_tails_are_in_the_lists():
    heads, tails = np.array([1, 4, 5, 9]), np.array([0, 1, 2, 7, 8, 9])
    summary = collected(matrix(), heads=heads, tails=tails)
    known = annotator(KG).known
    for name, group in (("treated", [0, 2]), ("untreated", [1, 7, 8, 9])):
        is_inside = np.isin(known.tails, group) & np.isin(known.heads, heads)
        # A list of four heads less the known pairs: all the others are in it.
        assert summary[name]["lists"] == len(group)
        assert summary[name]["places"] == 4 * len(group) - is_inside.sum()
        assert summary[name]["heads"] == 4


def test_lists_and_overlaps_computed_by_hand():
    lists = np.array([[4, 1, 2], [4, 2, 7], [4, 8, -1], [5, 6, -1], [-1, -1, -1]])
    # Tails 0 and 1 have the same direction; 2 is at 60 degrees to them, 3 opposite.
    vectors = np.array([[1, 0], [2, 0], [0.5, 3**0.5 / 2], [-1, 0], [0, 1]])
    measures = likeness.describe(lists, vectors, 0)
    assert (measures["lists"], measures["places"], measures["heads"]) == (5, 10, 7)
    assert (measures["most_common"], measures["share"]) == (4, 3 / 5)
    overlap = measures["overlap"]
    # Six pairs of tails with a list: 2 of 3 shared, then 1 of 2 twice, then none.
    assert overlap["pairs"] == 6 and overlap["overlap"] == pytest.approx((2 / 3 + 1 / 2 + 1 / 2) / 6)
    assert overlap["most_similar"] == pytest.approx({"similarity": 1, "overlap": 2 / 3})
    assert overlap["least_similar"] == pytest.approx({"similarity": -1, "overlap": 0})


def test_no_list_has_no_most_common_head_and_few_lists_no_overlap():
    none = likeness.describe(np.zeros((0, 10), np.int32), np.zeros((0, 2)), 0)
    expected = {"lists": 0, "places": 0, "heads": 0, "most_common": None, "share": None, "overlap": None}
    assert none == expected
    empty = likeness.describe(np.full((3, 10), -1), np.eye(3), 0)
    assert empty == expected | {"lists": 3}
    assert likeness.describe(np.arange(30).reshape(3, 10), np.eye(3), 0)["overlap"] is None


def test_equal_lists_overlap_whatever_the_tails_and_lists_of_neighbours_only_where_tails_are_similar():
    rng = np.random.default_rng(0)
    angles = np.linspace(0, np.pi, 400)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    equal = likeness.overlaps(np.tile(np.arange(10), (400, 1)), vectors, 0)
    assert equal["least_similar"]["overlap"] == equal["most_similar"]["overlap"] == 1
    neighbours = likeness.overlaps(np.arange(400)[:, None] + np.arange(10), vectors, 0)
    assert neighbours["least_similar"]["overlap"] == 0 < neighbours["most_similar"]["overlap"]
    random = likeness.overlaps(np.argsort(rng.random((400, 100)), axis=1)[:, :10], vectors, 0)
    assert random["least_similar"]["overlap"] == pytest.approx(0.1, abs=0.02)
    assert random["most_similar"]["overlap"] == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 101, 110, 20_000, 100_000])
def test_all_pairs_of_few_tails_and_a_bounded_number_of_distinct_pairs_of_many_are_compared(count):
    first, second = likeness._pairs(count, 0)
    assert (first >= 0).all() and (first < second).all() and second.max(initial=0) < max(count, 1)
    distinct = {*zip(first.tolist(), second.tolist(), strict=True)}
    assert len(distinct) == len(first) == min(likeness.PAIRS, count * (count - 1) // 2)
    assert (likeness._pairs(count, 0)[0] == first).all()


def test_every_tail_is_as_likely_to_be_compared_and_another_seed_draws_other_pairs():
    first, second = likeness._pairs(1000, 0)
    counts = np.bincount(np.append(first, second), minlength=1000)
    assert abs(counts[:500].sum() - counts[500:].sum()) < 400 and counts.max() < 30
    assert not (likeness._pairs(1000, 1)[0] == first).all()
