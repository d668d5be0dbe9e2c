"""Shuffled treatments keep the degrees of the known ones, and nothing else of them."""

import numpy as np
import planted

from repurpose.pairs import pairs, permuted

KG, _ = planted.repurposing(60, 40)


def ends(kg, relation):
    index = next(i for i, kind in enumerate(kg.relations) if kind.relation == relation)
    return kg.heads[index], kg.tails[index]


def as_set(columns):
    return set(zip(*(column.tolist() for column in columns), strict=True))


def test_every_node_keeps_its_number_of_treatments_and_no_pair_is_one_twice():
    shuffled = permuted.shuffle_treatments(KG, planted.TARGET, 0)
    before, after = ends(KG, "indication"), ends(shuffled, "indication")
    for old, new, size in zip(before, after, (60, 40), strict=True):
        assert np.array_equal(np.bincount(old, minlength=size), np.bincount(new, minlength=size))
    assert len(as_set(after)) == len(after[0]) and after[0].dtype == np.int32
    order = np.lexsort(after)
    assert np.array_equal(order, np.arange(len(order)))
    # With so many treatments some are drawn again by chance.
    assert len(as_set(before) & as_set(after)) < 0.5 * len(before[0])


def test_known_negatives_and_all_other_edges_stay():
    shuffled = permuted.shuffle_treatments(KG, planted.TARGET, 0)
    negatives = as_set(ends(KG, "contraindication"))
    assert negatives and not negatives & as_set(ends(shuffled, "indication"))
    for kind, *columns in zip(KG.relations, KG.heads, KG.tails, shuffled.heads, shuffled.tails, strict=True):
        if kind.relation != "indication":
            assert np.array_equal(columns[0], columns[2]) and np.array_equal(columns[1], columns[3])
    labels = pairs.label(shuffled, planted.TARGET)
    assert (labels["label"] == 1).sum() == len(ends(KG, "indication")[0])


def test_the_seed_decides():
    first, same, other = (
        as_set(ends(permuted.shuffle_treatments(KG, planted.TARGET, seed), "indication"))
        for seed in (0, 0, 1)
    )
    assert first == same != other
