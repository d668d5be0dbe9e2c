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


def test_without_layers_the_svd_and_the_profile_are_left_with_their_blocks():
    made = vectors(([2, 5, 9], [3, 5, 9]), product=False)
    left = made.without_layers()
    assert np.array_equal(left.heads, made.heads[:, 2:]) and np.array_equal(left.tails, made.tails[:, 3:])
    assert left.blocks == ([3, 7], [2, 6]) and left.product is False


@pytest.mark.parametrize("blocks", [None, ([9], [9])])
def test_vectors_that_are_the_encoder_output_alone_have_nothing_left(blocks):
    assert vectors(blocks).without_layers() is None
