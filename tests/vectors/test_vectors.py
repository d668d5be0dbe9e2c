"""Features of pairs from vectors, and the vectors without the encoder output."""

import numpy as np
import pytest

from repurpose.vectors.vectors import Vectors

RNG = np.random.default_rng(0)


def vectors(blocks, product=True):
    rows = (RNG.normal(size=(count, 9)).astype(np.float32) for count in (5, 4))
    return Vectors(*rows, product, blocks)


@pytest.mark.parametrize("product", [True, False])
def test_the_width_is_that_of_the_features(product):
    made = vectors(None, product)
    rows = made.features(np.arange(4), np.arange(4))
    assert rows.shape == (4, made.width) and made.width == (27 if product else 18)


@pytest.mark.parametrize("product", [True, False])
def test_some_features_are_the_columns_of_all(product):
    made, (heads, tails) = vectors(None, product), RNG.integers(0, 4, (2, 20))
    rows = made.features(heads, tails)
    expected = np.concatenate([made.heads[heads], made.tails[tails]], axis=1)
    assert np.array_equal(rows[:, :18], expected)
    if product:
        assert np.array_equal(rows[:, 18:], made.heads[heads] * made.tails[tails])
    for columns in ([0, 8, 9, 17], [3], list(range(made.width))[::2], [made.width - 1], []):
        some = made.features(heads, tails, np.array(columns, np.int64))
        assert np.array_equal(some, rows[:, columns])


def test_without_layers_the_profile_and_the_svd_are_left_with_their_blocks():
    made = vectors(([2, 4, 6, 9], [3, 6, 9]))
    left = made.without_layers()
    assert np.array_equal(left.heads, made.heads[:, :6]) and np.array_equal(left.tails, made.tails[:, :6])
    assert left.blocks == ([2, 4, 6], [3, 6]) and left.product


@pytest.mark.parametrize("blocks", [None, ([9], [9])])
def test_vectors_that_are_the_encoder_output_alone_have_nothing_left(blocks):
    assert vectors(blocks).without_layers() is None
