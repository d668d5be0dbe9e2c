"""All compiled loops of a training step, compiled before any training waits for them."""

import numpy as np
import torch

from repurpose import hgt
from repurpose.graph import Relation

WIDTHS = (8, 16, 32, 64)  # of heads: those of the presets and the usual ones
RELATIONS = [Relation("a", "to", "b", 3, "message", False)]


def step(width: int) -> None:
    """Run the loops for heads of one width once, on a graph of three edges; numba keeps the machine code."""
    settings = hgt.Settings(
        hidden_dim=width,
        embedding_dim=8,
        layers=1,
        heads=1,
        attention="fused",
        dropout=0.0,
        decoder="distmult",
    )
    model = hgt.HGT([2, 2], ["a", "b"], RELATIONS, settings, fused=True)
    edges = model.prepare([np.array([[0, 1, 1], [0, 0, 1]])]).without([np.array([0])])
    zero = torch.zeros(1, dtype=torch.int64)
    scores, vectors = model.read(model(edges), zero, zero, zero + 2, zero)
    (scores.sum() + vectors.sum()).backward()
