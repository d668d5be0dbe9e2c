"""The loops of `attention` over one head, compiled for the width D of the head.

The first two arguments of a loop are a range of items; it writes only the results of these items. `table`
(M, 2 D) has a row's key and value, `queries` (N, 2 D) a node's query and the gradient of its output, so that
numbers that are read together are adjacent in memory. In kvq (N, 3 F) the head's key, value and query start
at the columns at, at + D and at + 2 D.
"""

import math
from functools import cache
from types import SimpleNamespace

import numpy as np

from repurpose.kernels.compiled import inlined, loop
from repurpose.kernels.simd import exp, fetch, largest, load, splat, store, total

BLOCK = 32  # edges whose scores are in memory at a time
LANES = 8  # scores that are computed together, a divisor of BLOCK
# Entries that are prefetched ahead: a list's rows lie anywhere in memory, and no processor can predict where.
ROWS_AHEAD, EDGES_AHEAD = 8, 16
LOWEST = np.float32(-1e30)
ZERO, ONE = np.float32(0), np.float32(1)


@inlined
def _padded(count):
    """Round count up to whole lanes."""
    return (count + LANES - 1) // LANES * LANES


@inlined
def _ahead(entries, at, by):
    """The entry `by` places after `at`, or the last entry if the list ends before."""
    return entries[min(at + by, len(entries) - 1)]


@cache
def of_width(width):
    """All loops, compiled for heads of one width."""
    pair_width = 2 * width

    @loop()
    def project(first, last, blocks, row_node, kvq, at, keys, values, table):
        """table[row] = [key of its node @ keys[type] | value of its node @ values[type]].

        Two rows at a time, so that a matrix is read once for both.
        """
        for block in range(first, last):
            begin, end, edge_type = blocks[block]
            for j in range(begin, end, 2):
                k = min(j + 1, end - 1)
                a, b = row_node[j], row_node[k]
                fetch(pair_width, kvq, _ahead(row_node, j, ROWS_AHEAD), at)
                fetch(pair_width, kvq, _ahead(row_node, k, ROWS_AHEAD), at)
                for half, matrices in ((0, keys), (width, values)):
                    sum_a, sum_b = splat(width, ZERO), splat(width, ZERO)
                    for i in range(width):
                        line = load(width, matrices, edge_type * width + i, 0)
                        sum_a += kvq[a, at + half + i] * line
                        sum_b += kvq[b, at + half + i] * line
                    store(table, j, half, sum_a)
                    store(table, k, half, sum_b)

    @loop()
    def forward(first, last, target_ptr, target_rows, kvq, at, table, out, out_at, log_sum):
        """out[i] = softmax-weighted mean of the values i receives, log_sum[i] = log of the softmax's sum."""
        scores = np.empty(BLOCK, np.float32)
        for i in range(first, last):
            start, stop = target_ptr[i], target_ptr[i + 1]
            peak, mass = LOWEST, ZERO
            query, mean = load(width, kvq, i, at + pair_width), splat(width, ZERO)
            for begin in range(start, stop, BLOCK):
                count = min(BLOCK, stop - begin)
                for t in range(count):
                    fetch(pair_width, table, _ahead(target_rows, begin + t, EDGES_AHEAD), 0)
                    scores[t] = total(query * load(width, table, target_rows[begin + t], 0))
                for t in range(count, _padded(count)):
                    scores[t] = LOWEST
                highest = peak
                for t in range(0, count, LANES):
                    highest = max(highest, largest(load(LANES, scores, 0, t)))
                if highest > peak:
                    shrink = np.float32(math.exp(peak - highest))
                    peak, mass, mean = highest, mass * shrink, shrink * mean
                for t in range(0, count, LANES):
                    weights = exp(load(LANES, scores, 0, t) - splat(LANES, peak))
                    mass += total(weights)
                    store(scores, 0, t, weights)
                for t in range(count):
                    mean += scores[t] * load(width, table, target_rows[begin + t], width)
            store(out, i, out_at, (ONE / mass if stop > start else ZERO) * mean)
            log_sum[i] = peak + np.float32(math.log(mass)) if stop > start else ZERO

    @loop()
    def pair(first, last, kvq, at, gradient, out, out_at, queries, inner):
        """queries[i] = [query | gradient of the output], inner[i] = gradient . output."""
        for i in range(first, last):
            upstream = load(width, gradient, i, out_at)
            ahead = min(i + ROWS_AHEAD, last - 1)
            fetch(width, kvq, ahead, at + pair_width)
            fetch(width, gradient, ahead, out_at)
            fetch(width, out, ahead, out_at)
            store(queries, i, 0, load(width, kvq, i, at + pair_width))
            store(queries, i, width, upstream)
            inner[i] = total(upstream * load(width, out, i, out_at))

    @loop()
    def backward_target(first, last, target_ptr, target_rows, table, queries, log_sum, inner, dkvq, at):
        """Gradient of i's query: the sum over its edges of p (gradient . value - inner) key, p the weight."""
        scores, slopes = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
        for i in range(first, last):
            start, stop = target_ptr[i], target_ptr[i + 1]
            query, gradient = load(width, queries, i, 0), load(width, queries, i, width)
            dquery = splat(width, ZERO)
            for begin in range(start, stop, BLOCK):
                count = min(BLOCK, stop - begin)
                for t in range(count):
                    row = target_rows[begin + t]
                    fetch(pair_width, table, _ahead(target_rows, begin + t, EDGES_AHEAD), 0)
                    scores[t] = total(query * load(width, table, row, 0))
                    slopes[t] = total(gradient * load(width, table, row, width))
                for t in range(0, count, LANES):
                    weights = exp(load(LANES, scores, 0, t) - splat(LANES, log_sum[i]))
                    store(slopes, 0, t, weights * (load(LANES, slopes, 0, t) - splat(LANES, inner[i])))
                for t in range(count):
                    dquery += slopes[t] * load(width, table, target_rows[begin + t], 0)
            store(dkvq, i, at + pair_width, dquery)

    @loop()
    def backward_row(first, last, row_ptr, row_targets, table, queries, log_sum, inner, dtable):
        """dtable[j] = [gradient of the row's key | of its value]: the same terms, summed by row."""
        scores, slopes = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
        shift, offset = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
        for j in range(first, last):
            key, value = load(width, table, j, 0), load(width, table, j, width)
            dkey, dvalue = splat(width, ZERO), splat(width, ZERO)
            for begin in range(row_ptr[j], row_ptr[j + 1], BLOCK):
                count = min(BLOCK, row_ptr[j + 1] - begin)
                for t in range(count):
                    i = row_targets[begin + t]
                    fetch(pair_width, queries, _ahead(row_targets, begin + t, EDGES_AHEAD), 0)
                    scores[t] = total(key * load(width, queries, i, 0))
                    slopes[t] = total(value * load(width, queries, i, width))
                    shift[t], offset[t] = log_sum[i], inner[i]
                for t in range(0, count, LANES):
                    weights = exp(load(LANES, scores, 0, t) - load(LANES, shift, 0, t))
                    store(scores, 0, t, weights)
                    store(slopes, 0, t, weights * (load(LANES, slopes, 0, t) - load(LANES, offset, 0, t)))
                for t in range(count):
                    i = row_targets[begin + t]
                    dkey += slopes[t] * load(width, queries, i, 0)
                    dvalue += scores[t] * load(width, queries, i, width)
            store(dtable, j, 0, dkey)
            store(dtable, j, width, dvalue)

    @loop()
    def differentiate(first, last, blocks, row_node, kvq, at, dtable, parts):
        """parts[block] = gradients of the type's two matrices from the block's rows, (2 D, D).

        Two lines of a matrix at a time, so that a row's gradient is read once for both.
        """
        for block in range(first, last):
            begin, end, _ = blocks[block]
            for half in (0, width):
                for i in range(0, width, 2):
                    k = min(i + 1, width - 1)
                    line_i, line_k = splat(width, ZERO), splat(width, ZERO)
                    for j in range(begin, end):
                        gradient = load(width, dtable, j, half)
                        line_i += kvq[row_node[j], at + half + i] * gradient
                        line_k += kvq[row_node[j], at + half + k] * gradient
                    store(parts, block * pair_width + half + i, 0, line_i)
                    store(parts, block * pair_width + half + k, 0, line_k)

    @loop()
    def collect(first, last, node_ptr, node_rows, row_type, keys, values, dtable, dkvq, at):
        """Gradients of i's key and value: sums over i's rows, each times the transposed matrix of its type.

        `keys` and `values` are transposed already.
        """
        for i in range(first, last):
            dkey, dvalue = splat(width, ZERO), splat(width, ZERO)
            for entry in range(node_ptr[i], node_ptr[i + 1]):
                j = node_rows[entry]
                fetch(pair_width, dtable, _ahead(node_rows, entry, ROWS_AHEAD), 0)
                edge_type = row_type[j]
                for d in range(width):
                    dkey += dtable[j, d] * load(width, keys, edge_type * width + d, 0)
                    dvalue += dtable[j, width + d] * load(width, values, edge_type * width + d, 0)
            store(dkvq, i, at, dkey)
            store(dkvq, i, at + width, dvalue)

    loops = (project, forward, pair, backward_target, backward_row, differentiate, collect)
    return SimpleNamespace(**{each.__name__: each for each in loops})
