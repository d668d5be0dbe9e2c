"""The layer's parameters are those of PyG's `HGTConv`, which importing the encoder does not import."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch_geometric.nn import HGTConv
from typed_graphs import varied

from repurpose.hgt.layer import Layer

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
METADATA = varied().metadata


@pytest.mark.parametrize(("width", "heads"), [(8, 1), (12, 3), (64, 4)])
def test_the_same_seed_draws_the_parameters_of_pygs_layer(width, heads):
    torch.manual_seed(3)
    layer, next_draw = Layer(width, METADATA, heads), torch.rand(1)
    torch.manual_seed(3)
    conv, pygs_next_draw = HGTConv(width, width, METADATA, heads=heads), torch.rand(1)
    ours, pygs = layer.state_dict(), conv.state_dict()
    assert list(ours) == list(pygs)
    assert all(torch.equal(ours[name], pygs[name]) for name in ours)
    assert torch.equal(next_draw, pygs_next_draw)
    assert not torch.equal(ours["k_rel.weight"], ours["v_rel.weight"])


def test_training_on_the_cpu_does_not_import_pyg():
    code = (
        "import sys, repurpose.training.training;"
        "print('torch' in sys.modules, 'torch_geometric' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["True", "False"]
