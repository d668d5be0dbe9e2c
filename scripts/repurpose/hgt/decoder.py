"""The score of a triple: how likely a relation connects two nodes, from their embeddings."""

import math

import torch
from torch import Tensor, nn


class Decoder(nn.Module):
    """Score of a (head, relation, tail) triple: DistMult (Yang et al., ICLR 2015) or the dot product."""

    def __init__(self, relations: int, dim: int, kind: str) -> None:
        super().__init__()
        # The dot product is DistMult with weights of one that are not trained.
        self.weight = nn.Parameter(torch.ones(relations, dim), requires_grad=kind == "distmult")
        self.bias = nn.Parameter(torch.zeros(relations))

    def forward(self, z: Tensor, relation: Tensor, head: Tensor, tail: Tensor) -> Tensor:
        """Logits (P,) of P triples of relation index and global node indices; z is (nodes, dim)."""
        weight = self.weight.index_select(0, relation)
        product = z.index_select(0, head) * weight * z.index_select(0, tail)
        return self.logits(product.sum(-1), relation)

    def logits(self, product: Tensor, relation: Tensor) -> Tensor:
        """Logits (P,) from the sums of products (P,)."""
        return product / math.sqrt(self.weight.size(1)) + self.bias.index_select(0, relation)
