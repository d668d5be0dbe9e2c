"""Heterogeneous attention over all message edges on the CPU, as one autograd function.

The attention of Hu et al. (WWW 2020) as PyG's `HGTConv` computes it: per head, the key and the value of
a source node go through a matrix of their edge type; a node's incoming edges, of all types together,
share one softmax. No array of size edges x channels is ever allocated. Heads are computed one by one, so
that their tables stay near the cache. Softmax and weighted sum run over blocks of edges with a running
maximum (Milakov and Gimelshein, 2018). The backward pass computes the weights again from the log of the
softmax's sum (Dao et al., FlashAttention, 2022). Each output is summed by one thread in a fixed order, so
results do not depend on the number of threads.

Sizes: N nodes, M rows (see `messages`), E edges, R edge types, H heads, D width of a head, F = H * D.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repurpose.hgt import attention_kernels, workspace
from repurpose.hgt.messages import Messages
from repurpose.kernels import parallel


def attend(kvq: Tensor, weights: Tensor, messages: Messages) -> Tensor:
    """Attention output of all heads, (N, F); zero for nodes that receive no messages.

    kvq (N, 3 F): for each head the node's key, value and query side by side. weights (2, H, R, D, D): the
    matrices for keys, already multiplied by the edge type's prior / sqrt(D), and the matrices for values.
    """
    return _Attention.apply(kvq, weights, messages)


class _Attention(torch.autograd.Function):
    """See `attend`. It keeps for the backward pass the inputs, the output and one float per node and head."""

    @staticmethod
    def forward(ctx: Any, kvq: Tensor, weights: Tensor, messages: Messages) -> Tensor:
        _, heads, _, _, width = weights.shape
        out, log_sum = workspace.empty(messages.nodes, heads * width), workspace.empty(heads, messages.nodes)
        table = workspace.empty(len(messages.rows), 2 * width)
        for index in range(heads):
            head = _Head(index, width, messages)
            head.project(kvq, weights, table)
            head.forward(kvq, table, out, log_sum)
        ctx.save_for_backward(kvq, weights, out, log_sum)
        ctx.messages = messages
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        kvq, weights, out, log_sum = ctx.saved_tensors
        messages, (_, heads, _, _, width) = ctx.messages, weights.shape
        gradient, transposed = gradient.contiguous(), weights.transpose(-1, -2).contiguous()
        table = workspace.empty(len(messages.rows), 2 * width)
        dtable, queries = workspace.empty(*table.shape), workspace.empty(messages.nodes, 2 * width)
        inner = workspace.empty(messages.nodes)
        dkvq, dweights = workspace.empty(*kvq.shape), torch.zeros_like(weights)
        for index in range(heads):
            head = _Head(index, width, messages)
            head.project(kvq, weights, table)
            head.backward(kvq, gradient, out, log_sum, table, queries, inner, dtable, dkvq)
            head.project_back(kvq, transposed, dtable, dkvq, dweights)
        return dkvq, dweights, None


@dataclass(frozen=True)
class _Head:
    """The forward and backward passes of one head. Shapes as in `attention_kernels`."""

    index: int
    width: int
    messages: Messages

    def project(self, kvq: Tensor, weights: Tensor, table: Tensor) -> None:
        """Fill `table` with the keys and values of all rows."""
        m = self.messages
        matrices = self._matrices(weights)
        arguments = m.rows.blocks, m.rows.node, _array(kvq), self._column, *matrices, _array(table)
        parallel.run(self._loops.project, m.rows.block_pieces, *arguments)

    def forward(self, kvq: Tensor, table: Tensor, out: Tensor, log_sum: Tensor) -> None:
        """Write the head's columns of `out` and its line of `log_sum`."""
        m = self.messages
        results = _array(out), self._out_column, _array(log_sum[self.index])
        arguments = m.target_ptr, m.target_rows, _array(kvq), self._column, _array(table), *results
        parallel.run(self._loops.forward, m.target_pieces, *arguments)

    def backward(
        self,
        kvq: Tensor,
        gradient: Tensor,
        out: Tensor,
        log_sum: Tensor,
        table: Tensor,
        queries: Tensor,
        inner: Tensor,
        dtable: Tensor,
        dkvq: Tensor,
    ) -> None:
        """Write the gradients of the queries into `dkvq` and those of the rows into `dtable`."""
        m, loops, node_pieces = self.messages, self._loops, parallel.even(self.messages.nodes, 4)
        saved = _array(table), _array(queries), _array(log_sum[self.index]), _array(inner)
        upstream = _array(gradient), _array(out), self._out_column
        parallel.run(
            loops.pair, node_pieces, _array(kvq), self._column, *upstream, _array(queries), _array(inner)
        )
        target = m.target_ptr, m.target_rows, *saved, _array(dkvq), self._column
        parallel.run(loops.backward_target, m.target_pieces, *target)
        parallel.run(loops.backward_row, m.row_pieces, m.row_ptr, m.row_targets, *saved, _array(dtable))

    def project_back(
        self, kvq: Tensor, transposed: Tensor, dtable: Tensor, dkvq: Tensor, dweights: Tensor
    ) -> None:
        """Turn the rows' gradients into those of the matrices and of the nodes' keys and values."""
        rows, gradient = self.messages.rows, _array(dtable)
        block_gradients = np.empty((len(rows.blocks) * 2 * self.width, self.width), np.float32)
        arguments = rows.blocks, rows.node, _array(kvq), self._column, gradient, block_gradients
        parallel.run(self._loops.differentiate, rows.block_pieces, *arguments)
        node_side = *self._matrices(transposed), gradient, _array(dkvq), self._column
        parallel.run(
            self._loops.collect, rows.node_pieces, rows.of_ptr, rows.of_node, rows.edge_type, *node_side
        )
        type_of_block = rows.blocks[:, 2]
        starts = np.flatnonzero(np.diff(type_of_block, prepend=-1))
        if len(starts):  # blocks of one type are adjacent, so the order of the sum is fixed
            sums = np.add.reduceat(block_gradients.reshape(-1, 2, self.width, self.width), starts)
            _array(dweights)[:, self.index, type_of_block[starts]] = sums.swapaxes(0, 1)

    @property
    def _loops(self) -> Any:
        return attention_kernels.of_width(self.width)

    @property
    def _column(self) -> int:
        return 3 * self.index * self.width

    @property
    def _out_column(self) -> int:
        return self.index * self.width

    def _matrices(self, weights: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The head's matrices for keys and for values, (R D, D) each."""
        keys, values = _array(weights)[:, self.index].reshape(2, -1, self.width)
        return keys, values


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()
