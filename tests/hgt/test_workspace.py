"""Memory of the workspace is reused, but never while a tensor still needs it."""

import gc

import pytest
import torch

from repurpose.hgt import workspace

LARGE = workspace.HUGE // 4  # floats


@pytest.fixture(autouse=True)
def empty_pool():
    gc.collect()
    workspace.clear()
    yield
    workspace.clear()


def free():
    return [len(block) for block in workspace._free]


def test_a_large_tensor_takes_the_memory_of_one_that_is_gone():
    first = workspace.empty(4, LARGE)
    address = first.data_ptr()
    assert free() == []
    del first
    assert free() == [4 * workspace.HUGE]
    assert workspace.empty(4 * LARGE).data_ptr() == address
    assert workspace.empty(4, LARGE).shape == (4, LARGE)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[1:2],
        lambda x: x.T,
        lambda x: x.detach(),
        lambda x: x[0].numpy(),
        lambda x: x.view(-1)[LARGE:],
        lambda x: x.untyped_storage(),
    ],
    ids=["part", "transpose", "detached", "numpy", "flat", "storage"],
)
def test_a_view_keeps_the_memory(view):
    tensor = workspace.empty(2, LARGE)
    kept = view(tensor)
    del tensor
    gc.collect()
    assert free() == []
    del kept
    gc.collect()
    assert free() == [2 * workspace.HUGE]


def test_what_autograd_saves_keeps_its_memory_until_the_backward_pass():
    leaf = torch.ones(LARGE, requires_grad=True)
    factor = workspace.empty(LARGE).fill_(3)
    product = (leaf * factor).sum()
    del factor
    assert free() == []
    product.backward()
    assert free() == [workspace.HUGE]
    assert (leaf.grad == 3).all()


def test_a_result_may_be_changed_in_place_inside_autograd():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return torch.mul(x, 2, out=workspace.empty(*x.shape))

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 2

    leaf = torch.ones(2, LARGE, requires_grad=True)
    Double.apply(leaf).mul_(5).sum().backward()
    assert (leaf.grad == 10).all()


def test_small_tensors_are_torchs_own():
    tensor = workspace.empty(LARGE - 1)
    assert (tensor.dtype, len(tensor)) == (torch.float32, LARGE - 1)
    del tensor
    assert free() == []
    assert workspace.empty(0, 7).shape == (0, 7)


def test_the_smallest_block_that_fits_is_taken_and_none_that_is_far_too_large():
    sizes = (2, 3, 40)
    held = [workspace.empty(size, LARGE) for size in sizes]
    addresses = {size: tensor.data_ptr() for size, tensor in zip(sizes, held, strict=True)}
    del held
    middle = workspace.empty(3, LARGE)
    assert middle.data_ptr() == addresses[3]
    other = workspace.empty(3, LARGE)
    assert other.data_ptr() not in addresses.values()
    assert sorted(free()) == [2 * workspace.HUGE, 40 * workspace.HUGE]


def test_clear_gives_free_blocks_back_and_leaves_used_ones():
    used, gone = workspace.empty(LARGE).fill_(7), workspace.empty(LARGE)
    del gone
    workspace.clear()
    assert free() == []
    assert (used == 7).all()
