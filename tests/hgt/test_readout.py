"""Scores of pairs and their gradients equal those of plain indexing, with the same bits every time."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from repurpose.core import threads
from repurpose.hgt import readout
from repurpose.kernels import parallel


def case(nodes, pairs, dim, relations, rows, seed):
    """z, weights, and pairs in two halves, as in training; each half is sorted by relation."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(nodes, dim, generator=generator).requires_grad_()
    weight = torch.randn(relations, dim, generator=generator).requires_grad_()
    relation = torch.randint(0, relations, (pairs,), generator=generator)
    relation = torch.cat([relation[: pairs // 2].sort()[0], relation[pairs // 2 :].sort()[0]])
    head, tail = torch.randint(0, nodes, (2, pairs), generator=generator)
    return z, weight, relation, head, tail, torch.randint(0, nodes, (rows,), generator=generator)


def naive(z, weight, relation, head, tail, rows):
    return (z[head] * weight[relation] * z[tail]).sum(-1), z[rows]


def run(function, z, weight, *indices, dtype=torch.float32, sign=lambda values: values):
    """Scores, vectors and both gradients; `sign` is applied to all factors, those of the gradients too."""
    z, weight = (sign(each.detach().to(dtype)).requires_grad_(each.requires_grad) for each in (z, weight))
    scores, vectors = function(z, weight, *indices)
    generator = torch.Generator().manual_seed(1)
    upstream = [sign(torch.randn(each.shape, generator=generator).to(dtype)) for each in (scores, vectors)]
    torch.autograd.backward([scores, vectors], upstream)
    return scores.detach(), vectors.detach(), z.grad, weight.grad


@given(
    nodes=st.sampled_from([1, 2, 30, 200]),
    pairs=st.sampled_from([0, 1, 2, 7, 300, 1200]),
    dim=st.sampled_from([1, 3, 16, 33]),
    relations=st.integers(1, 5),
    rows=st.sampled_from([0, 1, 50]),
    seed=st.integers(0, 1000),
)
@example(nodes=1, pairs=1, dim=1, relations=1, rows=50, seed=36)  # 51 terms that nearly cancel
@settings(max_examples=60, deadline=None)
def test_scores_and_gradients_are_those_of_indexing(nodes, pairs, dim, relations, rows, seed):
    arguments = case(nodes, pairs, dim, relations, rows, seed)
    exact = run(naive, *arguments, dtype=torch.float64)
    # The sums of the terms' sizes: large terms that cancel leave their rounding.
    sizes = run(naive, *arguments, dtype=torch.float64, sign=torch.abs)
    for result, truth, size in zip(run(readout.score, *arguments), exact, sizes, strict=True):
        assert result.shape == truth.shape
        if truth.numel():
            rounding = torch.finfo(torch.float32).eps * size.max()
            scale = max(truth.abs().max(), exact[2].abs().max())
            assert (result - truth).abs().max() <= 1e-5 * scale + rounding


def test_weights_that_are_not_trained_get_no_gradient():
    z, weight, *indices = case(20, 50, 8, 3, 4, seed=0)
    frozen = weight.detach()
    result, expected = (run(each, z, frozen, *indices) for each in (readout.score, naive))
    assert result[3] is expected[3] is None
    assert (result[2] - expected[2]).abs().max() < 1e-5


def test_a_relation_without_pairs_has_a_gradient_of_zero():
    z, weight, relation, *indices = case(20, 50, 8, 3, 4, seed=0)
    result = run(readout.score, z, weight, relation * 0 + 1, *indices)[3]
    assert not result[[0, 2]].any()
    assert result[1].any()


def test_bits_are_the_same_for_any_number_of_threads_and_ranges(monkeypatch):
    arguments = case(500, 20_000, 32, 4, 100, seed=0)
    results = set()
    for count, small, pieces in ((1, 4096, 16), (2, 4096, 16), (3, 64, 40), (1, 1 << 40, 1)):
        monkeypatch.setattr(threads, "current", lambda count=count: count)
        monkeypatch.setattr(parallel, "SMALL", small)
        monkeypatch.setattr(parallel, "PIECES", pieces)
        for _ in range(2):
            result = run(readout.score, *arguments)
            results.add(b"".join(each.numpy().tobytes() for each in result))
    assert len(results) == 1


def test_a_wrong_pair_changes_the_gradient():
    z, weight, relation, head, tail, rows = case(500, 2000, 8, 2, 10, seed=0)
    other = tail.clone()
    other[1000] = (other[1000] + 1) % 500
    first, second = (run(readout.score, z, weight, relation, head, t, rows)[2] for t in (tail, other))
    changed = np.flatnonzero((first != second).any(dim=1).numpy())
    assert set(changed) == {int(head[1000]), int(tail[1000]), int(other[1000])}


@pytest.mark.parametrize("pairs", [0, 1])
def test_zero_or_one_pair_works_too(pairs):
    scores, vectors, dz, dweight = run(readout.score, *case(5, pairs, 4, 2, 0, seed=0))
    assert (len(scores), len(vectors), dz.shape, dweight.shape) == (pairs, 0, (5, 4), (2, 4))
    assert bool(dz.any()) == bool(pairs)
