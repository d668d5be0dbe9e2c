"""Ranges cover each item once and are about equal; the number of threads does not change a loop's result."""

import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repurpose.core import threads
from repurpose.kernels import parallel


@pytest.fixture(name="use_threads")
def _use_threads(monkeypatch):
    return lambda count: monkeypatch.setattr(threads, "current", lambda: count)


def indptr_of(sizes):
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


sizes = st.lists(st.sampled_from([0, 0, 1, 5, 300, 9_000, 100_000]), max_size=60)


@given(items=st.integers(0, 10_000_000), work=st.sampled_from([1, 8, 4096, 100_000]))
def test_even_bounds_cover_all_items_in_pieces_of_equal_size(items, work):
    bounds = parallel.even(items, work)
    assert bounds[0] == 0
    assert bounds[-1] == items
    lengths = np.diff(bounds)
    assert lengths.min() >= 0
    assert lengths.max() - lengths.min() <= 1
    assert 1 <= len(lengths) <= parallel.PIECES


@given(sizes=sizes, work=st.sampled_from([1, 4, 1000]))
def test_balanced_bounds_cover_all_rows_in_ascending_pieces(sizes, work):
    bounds = parallel.balanced(indptr_of(sizes), work)
    assert bounds[0] == 0
    assert bounds[-1] == len(sizes)
    assert (np.diff(bounds) > 0).all()
    assert len(bounds) <= parallel.PIECES + 1


@given(sizes=sizes, work=st.sampled_from([1, 4, 1000]))
def test_no_balanced_piece_exceeds_its_share_by_more_than_one_row(sizes, work):
    costs = np.array(sizes, np.int64) + work
    bounds = parallel.balanced(indptr_of(sizes), work)
    share = costs.sum() / np.clip(costs.sum() // parallel.SMALL, 1, parallel.PIECES)
    for first, last in pairwise(bounds):
        assert costs[first:last].sum() <= share + costs.max()


def test_much_work_makes_many_pieces_and_little_work_one():
    assert len(parallel.even(parallel.SMALL - 1)) == 2
    assert len(parallel.even(3 * parallel.SMALL)) == 4
    assert len(parallel.even(3, parallel.SMALL)) == 4
    assert len(parallel.even(1000 * parallel.SMALL)) == parallel.PIECES + 1
    assert len(parallel.balanced(indptr_of([10] * 10))) == 2
    assert len(parallel.balanced(indptr_of([10] * 100_000))) == parallel.PIECES + 1


def test_a_row_with_most_of_the_entries_has_a_piece_almost_alone():
    bounds = parallel.balanced(indptr_of([1] * 20_000 + [1_000_000] + [1] * 20_000))
    first, last = bounds[np.searchsorted(bounds, 20_000, side="right") - 1 :][:2]
    assert first <= 20_000 < last
    assert last - first < 20_000


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("bounds", [[0], [0, 7], [0, 3, 3, 7], [0, *range(1, 100, 7)], [4, 6, 9]], ids=str)
def test_each_range_is_run_once_whatever_the_number_of_threads(use_threads, count, bounds):
    use_threads(count)
    runs, x = [], np.arange(100.0)
    y = np.zeros(100)

    def loop(first, last, source, result, by):
        runs.append((first, last))
        result[first:last] += by * source[first:last]

    parallel.run(loop, np.array(bounds), x, y, 3)
    assert sorted(runs) == list(pairwise(bounds))
    inside = (x >= bounds[0]) & (x < bounds[-1])
    assert np.array_equal(y, np.where(inside, 3 * x, 0))


def test_two_threads_work_at_the_same_time(use_threads):
    use_threads(2)
    barrier = threading.Barrier(2, timeout=30)
    parallel.run(lambda first, last: barrier.wait(), np.array([0, 1, 2]))


@pytest.mark.parametrize(
    ("count", "bounds"), [(1, [0, 1, 2, 3]), (3, [0, 3])], ids=["one thread", "one piece"]
)
def test_no_thread_is_started_if_it_would_not_help(use_threads, count, bounds):
    use_threads(count)
    seen = set()
    parallel.run(lambda first, last: seen.add(threading.current_thread()), np.array(bounds))
    assert seen == {threading.current_thread()}


@pytest.mark.parametrize("count", [1, 3])
def test_an_error_in_a_loop_reaches_the_caller(use_threads, count):
    use_threads(count)

    def loop(first, last):
        if first == 2:
            raise ZeroDivisionError(f"in {first} to {last}")

    with pytest.raises(ZeroDivisionError, match="in 2 to 3"):
        parallel.run(loop, np.arange(6))
    parallel.run(lambda first, last: None, np.arange(6))


def test_the_next_loop_uses_the_same_threads(use_threads):
    use_threads(3)
    seen = set()
    for _ in range(10):
        parallel.run(lambda first, last: seen.add(threading.current_thread()), np.arange(9))
    assert 1 <= len(seen) <= 3
    assert threading.current_thread() not in seen


@pytest.mark.parametrize("count", [1, 3])
def test_results_of_blocks_are_in_order_and_a_block_may_run_loops(use_threads, count):
    use_threads(count)

    def squares(block):
        found = np.zeros(len(block))

        def loop(first, last, values):
            found[first:last] = values[first:last] ** 2

        parallel.run(loop, np.array([0, len(block) // 2, len(block)]), block)
        return found

    blocks = [np.arange(n, n + 50.0) for n in range(20)]
    for found, block in zip(parallel.over_blocks(squares, blocks), blocks, strict=True):
        assert np.array_equal(found, block**2)


def test_an_error_in_a_block_is_raised(use_threads):
    use_threads(2)
    with pytest.raises(ZeroDivisionError):
        parallel.over_blocks(lambda block: 1 // block, [2, 1, 0, 1])
