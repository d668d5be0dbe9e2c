"""One optimizer step, over the whole graph or over a sample of it.

Both kinds of step leave the edges that they predict out of the messages, and both compute the final
embeddings from all neighbours.
"""

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from repurpose.config.sections import TrainingSettings
from repurpose.core import streams
from repurpose.hgt import message_edges
from repurpose.hgt.hgt import HGT, Block
from repurpose.hgt.layer import Layer
from repurpose.hgt.sampling import Sampler
from repurpose.training.checkpoint import add_prefix, select_prefix
from repurpose.training.objective import Draw, Objective, Terms

PART_EDGES = 2_000_000  # messages that are computed at once when a sampled training embeds all nodes


class FullSteps:
    """A step is an epoch: it uses all messages except those of the edges that it predicts."""

    per_epoch = 1

    def __init__(self, model: HGT, objective: Objective, settings: TrainingSettings, seed: int) -> None:
        self.model, self.objective, self.settings, self.seed = model, objective, settings, seed
        self.edges = model.prepare(objective.held.train)
        # fused: one pass over each parameter, no temporary copies.
        self.optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)
        self.gradient_norm: Tensor | None = None  # of the last step

    def take(self, step: int) -> tuple[Terms, Draw]:
        """Update the model; returns the losses before the update, and the pairs that were predicted."""
        generator = _start(self.model, self.seed, step)
        hidden = [self._choose(edges.shape[1], generator) for edges in self.objective.held.train]
        draw = self.objective.draw(hidden, generator)
        # A name for the embeddings would keep their memory until after the backward pass.
        terms = self.objective.terms(self.model, self.model(self.edges.without(hidden)), draw)
        self.optimizer.zero_grad(set_to_none=True)
        terms.total.backward()
        self.gradient_norm = _norm(p.grad for p in self.model.parameters())
        self.optimizer.step()
        return terms.detached(), draw

    def tensors(self) -> dict[str, Tensor]:
        """All that the next step depends on, except its number, by name."""
        return {
            **add_prefix("model", self.model.state_dict()),
            **add_prefix("adam", _moments(self.optimizer)),
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the state that `tensors` returned."""
        self.model.load_state_dict(select_prefix("model", tensors))
        _set_moments(self.optimizer, select_prefix("adam", tensors))

    @torch.no_grad()
    def embed(self) -> Tensor:
        """Embeddings of all nodes, (nodes, d)."""
        self.model.eval()
        return self.model(self.edges.whole)

    def layer_output(self, layer: Layer, x: Tensor) -> Tensor:
        """A layer's output for all nodes, from all messages."""
        return self.model.apply_layer(layer, x, Block(self.edges.whole, self.model.bounds, None))

    def _choose(self, edges: int, generator: np.random.Generator) -> np.ndarray:
        """Draw positions of one relation to predict in a step: at least one, if it has two or more edges."""
        size = min(self.settings.edge_sample_size, int(self.settings.supervision_share * edges))
        size = max(size, 1) if edges > 1 else 0
        return generator.choice(edges, size, replace=False, shuffle=False)


class SampledSteps:
    """A step predicts `batch_size` edges from sampled neighbours; an epoch predicts every edge once."""

    def __init__(self, model: HGT, objective: Objective, settings: TrainingSettings, seed: int) -> None:
        self.model, self.objective, self.settings, self.seed = model, objective, settings, seed
        train = objective.held.train
        edges = message_edges.sort(train, model.edge_types, model.bounds)
        self.sampler = Sampler(edges.numbered, model.bounds, settings.fanout, seed)
        self.starts = np.array([*edges.starts, sum(each.shape[1] for each in train)])
        self.per_epoch = max(1, -(-int(self.starts[-1]) // settings.batch_size))
        self.table = RowAdam(model.inputs, settings.learning_rate)
        others = [p for p in model.parameters() if p is not model.inputs]
        self.optimizer = torch.optim.Adam(others, lr=settings.learning_rate, fused=True)
        self.order: tuple[int, np.ndarray] | None = None
        self.gradient_norm: Tensor | None = None  # of the last step

    def take(self, step: int) -> tuple[Terms, Draw]:
        """Update the model; returns the losses before the update, and the pairs that were predicted."""
        generator = _start(self.model, self.seed, step)
        numbers = self._numbers(step)
        cuts = np.searchsorted(numbers, self.starts)
        chosen = [
            numbers[first:last] - start
            for (first, last), start in zip(itertools.pairwise(cuts), self.starts[:-1], strict=True)
        ]
        draw = self.objective.draw(chosen, generator)
        batch = self.sampler.batch(draw.nodes, numbers, step)
        device = self.model.inputs.device
        rows = torch.from_numpy(batch.inputs).to(device)
        x = self.model.inputs.detach().index_select(0, rows).requires_grad_()
        z = self.model.encode(x, self.model.blocks(batch.levels), batch.bounds)
        terms = self.objective.terms(self.model, z, draw.renumbered(batch.positions))
        self.optimizer.zero_grad(set_to_none=True)
        terms.total.backward()
        self.gradient_norm = _norm([x.grad, *(p.grad for p in self.model.parameters())])
        self.optimizer.step()
        self.table.step(rows, x.grad)
        return terms.detached(), draw

    def tensors(self) -> dict[str, Tensor]:
        """All that the next step depends on, except its number, by name."""
        table = {
            "mean": self.table.mean,
            "square": self.table.square,
            "steps": torch.tensor(self.table.steps),
        }
        tensors = add_prefix("model", self.model.state_dict()), add_prefix("adam", _moments(self.optimizer))
        return {**tensors[0], **tensors[1], **add_prefix("table", table)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the state that `tensors` returned."""
        self.model.load_state_dict(select_prefix("model", tensors))
        _set_moments(self.optimizer, select_prefix("adam", tensors))
        table = select_prefix("table", tensors)
        self.table.mean.copy_(table["mean"])
        self.table.square.copy_(table["square"])
        self.table.steps = int(table["steps"])

    @torch.no_grad()
    def embed(self) -> Tensor:
        """Embeddings (nodes, d) of all nodes from all neighbours, layer by layer, some nodes at a time."""
        self.model.eval()
        x = self.model.inputs
        for layer in self.model.layers:
            x = self.layer_output(layer, x)
        return self.model.project(x, self.model.bounds)

    def layer_output(self, layer: Layer, x: Tensor) -> Tensor:
        """A layer's output for all nodes, some at a time."""
        outputs = []
        for nodes in self._parts():
            level = self.sampler.neighbourhood(nodes)
            (block,) = self.model.blocks([level])
            rows = torch.from_numpy(level.nodes).to(x.device)
            outputs.append(self.model.apply_layer(layer, x.index_select(0, rows), block))
        return torch.cat(outputs)

    def _parts(self) -> list[np.ndarray]:
        """Ranges of nodes that receive about `PART_EDGES` messages each."""
        received = self.sampler.numbered.whole.target_ptr
        steps = np.arange(PART_EDGES, received[-1], PART_EDGES)
        cuts = np.unique([0, *np.searchsorted(received, steps), len(received) - 1])
        return [np.arange(first, last, dtype=np.int32) for first, last in itertools.pairwise(cuts)]

    def _numbers(self, step: int) -> np.ndarray:
        """Numbers of the edges that a step predicts, ascending."""
        epoch, batch = divmod(step - 1, self.per_epoch)
        if self.order is None or self.order[0] != epoch:
            self.order = (
                epoch,
                spread(np.diff(self.starts), streams.generator(self.seed, "order of an epoch", epoch)),
            )
        size = self.settings.batch_size
        return np.sort(self.order[1][batch * size : (batch + 1) * size])


Steps = FullSteps | SampledSteps


@torch.no_grad()
def states(steps: Steps) -> list[Tensor]:
    """The inputs of each layer for all nodes, (nodes, hidden_dim) each."""
    steps.model.eval()
    inputs: list[Tensor] = [steps.model.inputs]
    for layer in steps.model.layers[:-1]:
        inputs.append(steps.layer_output(layer, inputs[-1]))
    return inputs


class RowAdam:
    """Adam (Kingma and Ba, ICLR 2015) on some rows of a table; other rows keep their moments (SparseAdam).

    It uses plain tensors, because not every device has sparse ones.
    """

    BETAS, EPSILON = (0.9, 0.999), 1e-8

    def __init__(self, table: nn.Parameter, rate: float) -> None:
        self.table, self.rate, self.steps = table, rate, 0
        self.mean, self.square = torch.zeros_like(table), torch.zeros_like(table)

    @torch.no_grad()
    def step(self, rows: Tensor, gradient: Tensor) -> None:
        """Update the distinct `rows` (n,) along their gradient (n, width)."""
        self.steps += 1
        first, second = self.BETAS
        mean = self.mean.index_select(0, rows).lerp_(gradient, 1 - first)
        square = self.square.index_select(0, rows).lerp_(gradient.square(), 1 - second)
        self.mean.index_copy_(0, rows, mean)
        self.square.index_copy_(0, rows, square)
        size = mean / (1 - first**self.steps)
        size /= (square / (1 - second**self.steps)).sqrt_().add_(self.EPSILON)
        self.table.index_add_(0, rows, size, alpha=-self.rate)


def spread(sizes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random order of sum(sizes) edges, numbered relation by relation, that spreads each relation evenly.

    Any stretch of it contains each relation's share of the edges, within one edge.
    """
    places = [
        (generator.permutation(size) + generator.random(size)) / size for size in sizes.tolist() if size
    ]
    return np.argsort(np.concatenate([np.zeros(0), *places]), kind="stable")


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as tensors named position.key."""
    state = optimizer.state_dict()["state"]
    return {f"{position}.{key}": value for position, values in state.items() for key, value in values.items()}


def _set_moments(optimizer: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in moments.items():
        position, _, key = name.partition(".")
        state.setdefault(int(position), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _norm(gradients: Iterable[Tensor | None]) -> Tensor:
    """The norm of all gradients as one vector, on their device."""
    return torch.nn.utils.get_total_norm([gradient for gradient in gradients if gradient is not None])


def _start(model: HGT, seed: int, step: int) -> np.random.Generator:
    """Set training mode and the seed; returns a generator that depends on the seed and the step alone."""
    model.train()
    torch.manual_seed(streams.seed_of(seed, "dropout of a step", step))
    return streams.generator(seed, "pairs of a step", step)
