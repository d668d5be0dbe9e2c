"""Vectors in compiled loops compute the same as numpy, at any width and any place in memory."""

from functools import cache

import numpy as np
import pytest
from numba import njit

from repurpose.kernels import simd
from repurpose.kernels.simd import exp, fetch, largest, load, splat, store, total

WIDTHS = [1, 3, 8, 32]


@cache
def loops(width):
    """Loops that apply the operations to rows 0 and 1 of x, from a column on, and write to the rows of y."""

    @njit(fastmath=True)
    def arithmetic(x, column, factor, y):
        a, b = load(width, x, 0, column), load(width, x, 1, column)
        store(y, 0, 0, a + b)
        store(y, 1, 0, a - b)
        store(y, 2, 0, a * b)
        store(y, 3, 0, factor * a)
        a += b
        a *= b
        a -= splat(width, factor)
        store(y, 4, 0, a)

    @njit(fastmath=True)
    def reduce(x, column):
        a = load(width, x, 0, column)
        return total(a), largest(a)

    @njit(fastmath=True)
    def exponential(x, y):
        for i in range(len(x)):
            store(y, i, 0, exp(load(width, x, i, 0)))

    @njit(fastmath=True)
    def copy_with_prefetch(x, y):
        for i in range(len(x)):
            fetch(width, x, min(i + 4, len(x) - 1), 0)
            store(y, i, 0, load(width, x, i, 0))

    return arithmetic, reduce, exponential, copy_with_prefetch


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("column", [0, 1, 5])
@pytest.mark.parametrize("width", WIDTHS)
def test_arithmetic_equals_that_of_numpy(width, column):
    x, y = numbers(2, width + 7), np.full((5, width + 1), 9, np.float32)
    factor = np.float32(1.7)
    loops(width)[0](x, column, factor, y)
    a, b = x[:, column : column + width]
    expected = [a + b, a - b, a * b, factor * a, (a + b) * b - factor]
    np.testing.assert_allclose(y[:, :width], expected, rtol=1e-6, atol=1e-6)
    assert (y[:, width] == 9).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_sum_and_maximum_equal_those_of_numpy(width):
    x = numbers(1, width + 2)
    total_, largest_ = loops(width)[1](x, 2)
    assert total_ == pytest.approx(x[0, 2:].sum(), abs=1e-5)
    assert largest_ == x[0, 2:].max()
    assert loops(width)[1](-np.abs(x), 2)[1] == -np.abs(x[0, 2:]).min()


@pytest.mark.parametrize("width", WIDTHS)
def test_exp_is_exact_to_one_unit_in_the_last_place(width):
    x = np.linspace(-87, 88, 3 * 8 * 32 * 50, dtype=np.float32).reshape(-1, width)
    y = np.empty_like(x)
    loops(width)[2](x, y)
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(y - exact) / np.spacing(exact.astype(np.float32))).max() <= 1


def test_exp_is_clamped_outside_of_its_range():
    x = np.array([[-1e30, -100, 100, 1e30, -np.inf, np.inf, 0, -87]], np.float32)
    y = np.empty_like(x)
    loops(8)[2](x, y)
    low, high = np.exp(-87.0), np.exp(88.0)
    np.testing.assert_allclose(y[0], [low, low, high, high, low, high, 1, low], rtol=1e-6)


@pytest.mark.parametrize("width", WIDTHS)
def test_prefetching_changes_no_result(width):
    x = numbers(20, width)
    y = np.empty_like(x)
    loops(width)[3](x, y)
    assert np.array_equal(x, y)


def test_a_flat_array_counts_as_one_row():
    @njit
    def second_four(x):
        return total(load(4, x, 0, 4))

    assert second_four(np.arange(8, dtype=np.float32)) == 4 + 5 + 6 + 7


def test_vectors_of_different_widths_do_not_mix():
    @njit
    def mixed(x):
        return total(load(4, x, 0, 0) + load(8, x, 0, 0))

    with pytest.raises(Exception, match="Vector4"):
        mixed(np.zeros(8, np.float32))


def test_vector_types_of_the_same_width_are_equal():
    assert simd.Vector(8) == simd.Vector(8)
    assert simd.Vector(8) != simd.Vector(4)
