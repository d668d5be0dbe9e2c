"""What the recipe is made of, one change at a time: each idea is a method of the quality benchmark.

    python benchmarks/quality.py --development --seeds 3 --methods idea:none idea:no-contrast ...

An idea changes one thing of the reference (`idea:none`: inputs from an SVD, hidden 128, vectors of 128, 40
steps at 0.003) and nothing of the library: what is no gain leaves no trace there. Effects: docs/recipe.md.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from repurpose.config.settings import learned
from repurpose.graph.graph import Graph
from repurpose.hgt import hgt
from repurpose.hgt.hgt import HGT, Block
from repurpose.training import losses, starts
from repurpose.training.objective import Draw, Objective, Settings, Terms
from repurpose.training.steps import FullSteps, SampledSteps

ENCODER = {"hidden_dim": 128, "embedding_dim": 128, "inputs": "spectral", "svd_dim": 0, "profile_dim": 0}
TRAINING = {"epochs": 40, "learning_rate": 0.003, "ranking": {"weight": 0.0, "edges": 512}}
CONTRAST = 0.5  # weight of the contrastive term
SAMPLED_SECONDS = 60.0  # about what the reference takes on Hetionet


def near(kg: Graph) -> list[bool]:
    """Whether each message relation has drugs or diseases at an end."""
    relations = kg.message_relations
    return [bool({"compound", "drug", "disease"} & {r.head_type, r.tail_type}) for r in relations]


class Goal(Objective):
    """The objective, its link loss and its logits open to change."""

    def terms(self, model: HGT, z: Tensor, draw: Draw) -> Terms:
        """The losses of a draw, from `logits` and `link`."""
        relation, head, tail, rows = (
            torch.from_numpy(each) for each in (draw.relation, draw.head, draw.tail, draw.rows)
        )
        logits, vectors = self.logits(model, z, relation, head, tail, rows)
        link = self.link(logits, relation, draw.positives)
        if draw.contrast is None:
            return Terms(link, link, None, None)
        options = self.settings.contrastive
        masked = torch.from_numpy(draw.contrast.masked)
        contrastive = losses.info_nce(*vectors.chunk(2), masked, options["temperature"])
        return Terms(link + options["weight"] * contrastive, link, None, contrastive)

    def logits(
        self, model: HGT, z: Tensor, relation: Tensor, head: Tensor, tail: Tensor, rows: Tensor
    ) -> Any:
        """Logits of triples, and vectors of rows."""
        return model.read(z, relation, head, tail, rows)

    def link(self, logits: Tensor, relation: Tensor, at: int) -> Tensor:
        """The link loss of logits of which the first `at` are edges'."""
        return losses.link_loss(logits[:at], logits[at:], relation[:at], relation[at:], self.relations)


class Weighted(Goal):
    """Relations of drugs and diseases count four times."""

    def weights(self) -> Tensor:
        """(relations,) weights."""
        return torch.tensor([4.0 if near else 1.0 for near in self.near])

    def __init__(self, kg: Graph, settings: Settings, tail_type: str, seed: int) -> None:
        super().__init__(kg, settings, tail_type, seed)
        self.near = near(kg)
        self.sizes = [edges.shape[1] for edges in self.held.train]

    def link(self, logits: Tensor, relation: Tensor, at: int) -> Tensor:
        """The mean of the relations' losses by `weights`."""
        mean, counts = losses.link_losses(
            logits[:at], logits[at:], relation[:at], relation[at:], self.relations
        )
        share = counts * self.weights()
        return (mean * share).sum() / share.sum()


class Near(Weighted):
    """Relations of drugs and diseases alone."""

    def weights(self) -> Tensor:
        """(relations,) weights."""
        return torch.tensor([1.0 if near else 0.0 for near in self.near])


class BySize(Weighted):
    """Relations count by the root of their number of edges."""

    def weights(self) -> Tensor:
        """(relations,) weights."""
        return torch.tensor(self.sizes).sqrt()


class Smoothed(Goal):
    """Labels 0.95 and 0.05."""

    def link(self, logits: Tensor, relation: Tensor, at: int) -> Tensor:
        """The loss with both labels, by their shares."""
        mean, counts = losses.link_losses(
            logits[:at], logits[at:], relation[:at], relation[at:], self.relations
        )
        wrong, _ = losses.link_losses(
            -logits[:at], -logits[at:], relation[:at], relation[at:], self.relations
        )
        return ((0.95 * mean + 0.05 * wrong) * counts).sum() / counts.sum()


class SelfAdversarial(Goal):
    """Negatives weigh by the softmax of their own logits within a relation (Sun et al., ICLR 2019)."""

    def link(self, logits: Tensor, relation: Tensor, at: int) -> Tensor:
        """Mean over relations of positives' mean and negatives' weighted mean."""
        parts = []
        for index in range(self.relations):
            found = [
                part[of == index] for part, of in ((logits[:at], relation[:at]), (logits[at:], relation[at:]))
            ]
            if len(found[0]) and len(found[1]):
                share = torch.softmax(found[1].detach(), 0)
                parts.append(
                    functional.softplus(-found[0]).mean() + (share * functional.softplus(found[1])).sum()
                )
        return torch.stack(parts).mean()


class InBatch(Goal):
    """Softmax over the tails, and over the heads, of at most 512 edges of a relation."""

    sharpness = 1.0
    beside_link = 0.0  # weight of the pairwise link loss

    def terms(self, model: HGT, z: Tensor, draw: Draw) -> Terms:
        """The mean of both cross entropies takes the place of the link loss."""
        terms = super().terms(model, z, draw)
        at = draw.positives
        relation, head, tail = (torch.from_numpy(e[:at]) for e in (draw.relation, draw.head, draw.tail))
        parts = []
        for index in range(self.relations):
            own = torch.nonzero(relation == index).flatten()
            own = own[torch.randperm(len(own))[:512]]
            if len(own) < 2 or not self.counts(index):
                continue
            left, right = z[head[own]] * model.decoder.weight[index], z[tail[own]]
            logits = self.sharpness * (left @ right.T) / math.sqrt(z.shape[1])
            same = head[own][:, None].eq(head[own]) | tail[own][:, None].eq(tail[own])
            logits = logits.masked_fill(same & ~torch.eye(len(own), dtype=torch.bool), -math.inf)
            target = torch.arange(len(own))
            both = functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
            parts.append(both / (2 * math.log(len(own))))
        link = torch.stack(parts).mean() * 2 + self.beside_link * terms.link
        weight = self.settings.contrastive["weight"] if terms.contrastive is not None else 0
        return Terms(link + weight * (terms.contrastive if weight else 0), link, None, terms.contrastive)

    def counts(self, index: int) -> bool:
        """Whether a relation has a part in the loss."""
        return True


class NearInBatch(InBatch):
    """The softmax over relations of drugs and diseases alone."""

    def __init__(self, kg: Graph, settings: Settings, tail_type: str, seed: int) -> None:
        super().__init__(kg, settings, tail_type, seed)
        self.near = near(kg)

    def counts(self, index: int) -> bool:
        """Whether a relation has a part in the loss."""
        return self.near[index]


class BothLosses(InBatch):
    """The softmax and the pairwise loss."""

    beside_link = 1.0


class SharpInBatch(InBatch):
    """The softmax at a third of the temperature."""

    sharpness = 3.0


class Sharp(Goal):
    """Logits three times as large."""

    def logits(self, model: HGT, z: Tensor, *where: Tensor) -> Any:
        """Logits x 3, and vectors."""
        logits, vectors = model.read(z, *where)
        return 3 * logits, vectors


class Bilinear(Goal):
    """A matrix per relation (RESCAL), from the identity."""

    def logits(
        self, model: HGT, z: Tensor, relation: Tensor, head: Tensor, tail: Tensor, rows: Tensor
    ) -> Any:
        """Logits and vectors."""
        result = z.new_zeros(len(head))
        for index in range(self.relations):
            own = torch.nonzero(relation == index).flatten()
            left = z[head[own]] @ model.extra[index]
            result = result.index_add(0, own, (left * z[tail[own]]).sum(1) / math.sqrt(z.shape[1]))
        return result + model.decoder.bias[relation], z.index_select(0, rows)


class Perceptron(Goal):
    """A small network of head, tail and relation, beside DistMult's product."""

    def logits(
        self, model: HGT, z: Tensor, relation: Tensor, head: Tensor, tail: Tensor, rows: Tensor
    ) -> Any:
        """Logits and vectors."""
        logits, vectors = model.read(z, relation, head, tail, rows)
        weights, bias, out = model.extra
        # First layer of head and tail apart, once per node.
        left, right = z @ weights[: z.shape[1]], z @ weights[z.shape[1] :]
        hidden = functional.relu(left[head] + right[tail] + bias[relation])
        return logits + (hidden * out[relation]).sum(1), vectors


class Walk(FullSteps):
    """Full steps whose parts are open to change."""

    rate: Callable[[int, int], float] | None = None
    average: float | None = None
    hide = 0.0
    drop_nodes = 0.0
    predicted_are_messages = False
    summed = False

    def take(self, step: int) -> tuple[Terms, int]:
        """One step."""
        self.model.train()
        torch.manual_seed(self.seed * 1_000_003 + step)
        generator = np.random.default_rng([self.seed, 1, step])
        chosen = [self._choose(edges.shape[1], generator) for edges in self.objective.held.train]
        hidden = [
            self._hidden(rows, edges.shape[1], generator)
            for rows, edges in zip(chosen, self.objective.held.train, strict=True)
        ]
        draw = self.objective.draw(chosen, generator)
        terms = self.objective.terms(self.model, self.encode(self.edges.without(hidden)), draw)
        if self.rate is not None:
            for group in self.optimizer.param_groups:
                group.setdefault("first", group["lr"])
                group["lr"] = group["first"] * self.rate(step, self.settings.epochs)
        self.optimizer.zero_grad(set_to_none=True)
        terms.total.backward()
        self.optimizer.step()
        if self.average is not None:
            with torch.no_grad():
                if not hasattr(self, "means"):
                    self.means = [p.detach().clone() for p in self.model.parameters()]
                for mean, p in zip(self.means, self.model.parameters(), strict=True):
                    mean.lerp_(p, 1 - self.average)
        return terms.detached(), draw.positives

    def encode(self, edges: Any) -> Tensor:
        """Embeddings of all nodes."""
        model = self.model
        x = model.inputs
        if self.drop_nodes and model.training:
            x = x * (torch.rand(len(x), 1) >= self.drop_nodes) / (1 - self.drop_nodes)
        if not self.summed:
            return model.encode(x, [Block(edges, model.bounds, None)] * len(model.layers), model.bounds)
        states = [x]
        for layer in model.layers:
            states.append(model.apply_layer(layer, states[-1], Block(edges, model.bounds, None)))
        return model.project(sum(states), model.bounds)

    @torch.no_grad()
    def embed(self) -> Tensor:
        """Embeddings of all nodes, of the averaged weights where there are any."""
        self.model.eval()
        own = [p.detach().clone() for p in self.model.parameters()]
        for p, mean in zip(self.model.parameters(), getattr(self, "means", own), strict=True):
            p.copy_(mean)
        z = self.encode(self.edges.whole)
        for p, before in zip(self.model.parameters(), own, strict=True):
            p.copy_(before)
        return z

    def _hidden(self, chosen: np.ndarray, edges: int, generator: np.random.Generator) -> np.ndarray:
        if self.predicted_are_messages:
            return chosen[:0]
        if not self.hide:
            return chosen
        return np.union1d(chosen, np.flatnonzero(generator.random(edges) < self.hide))


@dataclass(frozen=True)
class Idea:
    """One change of the reference, and the sentence that says what it is."""

    says: str
    encoder: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    goal: type[Goal] = Goal
    walk: Mapping[str, Any] = field(default_factory=dict)  # attributes of the steps
    start: Callable[[HGT, Goal, Graph, int], None] = lambda model, goal, kg, seed: None
    optimizer: Callable[[HGT, float], torch.optim.Optimizer] | None = None
    marks: Sequence[int] = ()  # steps whose vectors are variants too
    sampled: bool = False


def train(idea: Idea, job: Any) -> Iterator[tuple[str, np.ndarray]]:
    """(variant, vectors of all nodes) of one training."""
    section = learned(job.config["training"])
    options = {**section, **TRAINING, **idea.training}
    contrast = options.pop("contrast", {})
    options["contrastive"] = {**job.config["training"]["contrastive"], "weight": CONTRAST, **contrast}
    options = Settings(**options)
    encoder = hgt.Settings(**{**job.config["hgt"], **ENCODER, **idea.encoder})
    goal = idea.goal(job.kg, options, job.config["target"]["tail_type"], job.seed)
    model = hgt.build(job.kg, encoder, job.seed)
    starts.give(model, job.kg, goal.held.train, job.seed)
    idea.start(model, goal, job.kg, job.seed)
    if idea.sampled:
        steps = SampledSteps(model, goal, options, job.seed)
        began, step = time.perf_counter(), 0
        while time.perf_counter() - began < SAMPLED_SECONDS:
            step += 1
            steps.take(step)
        yield f"{step} steps", model.vectors(steps.embed()).numpy()
        return
    steps = Walk(model, goal, options, job.seed)
    for name, value in idea.walk.items():
        setattr(steps, name, value)
    if idea.optimizer:
        steps.optimizer = idea.optimizer(model, options.learning_rate)
    for step in range(1, options.epochs + 1):
        steps.take(step)
        if step in idea.marks or step == options.epochs:
            z = steps.embed()
            name = f"{step} steps, held-out links {goal.auroc(model, z):.4f}" if idea.marks else "last"
            yield name, model.vectors(z).numpy()


def matrices(model: HGT, goal: Goal, kg: Graph, seed: int) -> None:
    """Decoder matrices from the identity."""
    width = model.settings.projected
    model.extra = nn.Parameter(torch.eye(width).repeat(goal.relations, 1, 1))


def perceptron(model: HGT, goal: Goal, kg: Graph, seed: int) -> None:
    """A decoder's network of 64 hidden units; its output starts at zero."""
    width, hidden = model.settings.projected, 64
    first = torch.randn(2 * width, hidden) / math.sqrt(2 * width)
    model.extra = nn.ParameterList(
        [first, torch.zeros(goal.relations, hidden), torch.zeros(goal.relations, hidden)]
    )


def identity(skip: float) -> Callable[[HGT, Goal, Graph, int], None]:
    """Output maps that start from the identity, and gates that start at `skip`."""

    @torch.no_grad()
    def start(model: HGT, goal: Goal, kg: Graph, seed: int) -> None:
        for output in model.outputs:
            output.weight.copy_(torch.eye(*output.weight.shape))
        for layer in model.layers:
            for gate in layer.skip.values():
                gate.fill_(skip)

    return start


def apart(share: float) -> Callable[[HGT, float], torch.optim.Optimizer]:
    """Adam whose rate for the inputs is `share` of that of the layers."""

    def make(model: HGT, rate: float) -> torch.optim.Optimizer:
        others = [p for p in model.parameters() if p is not model.inputs]
        groups = [{"params": others}, {"params": [model.inputs], "lr": share * rate}]
        return torch.optim.Adam(groups, lr=rate, fused=True)

    return make


def decayed(model: HGT, rate: float) -> torch.optim.Optimizer:
    """AdamW with decay 0.1."""
    return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.1)


def cosine(step: int, total: int) -> float:
    """Warm-up over a tenth, then half a cosine."""
    warm = max(1, total // 10)
    return (
        step / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
    )


IDEAS: dict[str, Idea] = {
    "none": Idea("the reference"),
    "random-inputs": Idea("random inputs in place of the SVD's", encoder={"inputs": "learned"}),
    "blocks": Idea("inputs: components of the SVD and of an SVD per relation", encoder={"inputs": "blocks"}),
    "identity": Idea("output maps start from the identity, gates at -1", start=identity(-1.0)),
    "dot": Idea("decoder: dot product", encoder={"decoder": "dot"}),
    "bilinear": Idea("decoder: a matrix per relation", goal=Bilinear, start=matrices),
    "mlp": Idea("decoder: a network beside DistMult", goal=Perceptron, start=perceptron),
    "uniform": Idea("negatives: uniform only", training={"degree_matched_share": 0.0}),
    "matched": Idea("negatives: degree-matched only", training={"degree_matched_share": 1.0}),
    "self-adversarial": Idea("negatives weigh by their own score", goal=SelfAdversarial),
    "in-batch": Idea("loss: softmax over in-batch heads and tails", goal=InBatch),
    "smoothing": Idea("label smoothing 0.05", goal=Smoothed),
    "sharp": Idea("temperature: logits x 3", goal=Sharp),
    "weights": Idea("relations of drugs and diseases count four times", goal=Weighted),
    "near": Idea("relations of drugs and diseases alone are predicted", goal=Near),
    "by-size": Idea("relations count by the root of their size", goal=BySize),
    "no-contrast": Idea("without the contrastive term", training={"contrast": {"weight": 0}}),
    "contrast": Idea("the contrastive term four times", training={"contrast": {"weight": 2.0}}),
    "warm": Idea("contrastive temperature 0.3", training={"contrast": {"temperature": 0.3}}),
    "drop-edges": Idea("30 % more edges hidden from the messages", walk={"hide": 0.3}),
    "drop-nodes": Idea("inputs of 15 % of the nodes dropped", walk={"drop_nodes": 0.15}),
    "dropout": Idea("dropout 0.2", encoder={"dropout": 0.2}),
    "not-disjoint": Idea("predicted edges stay among the messages", walk={"predicted_are_messages": True}),
    "few-predicted": Idea("a tenth of the edges predicted and hidden", training={"supervision_share": 0.1}),
    "jumping": Idea("jumping knowledge: the sum of all layers is projected", walk={"summed": True}),
    "one-layer": Idea("1 layer", encoder={"layers": 1}),
    "three-layers": Idea("3 layers", encoder={"layers": 3}),
    "narrow": Idea("hidden 64, vectors of 64", encoder={"hidden_dim": 64, "embedding_dim": 64}),
    "wide": Idea("hidden 256, vectors of 256", encoder={"hidden_dim": 256, "embedding_dim": 256}),
    "cosine": Idea("warm-up and cosine", walk={"rate": cosine}),
    "frozen": Idea("inputs fixed", optimizer=apart(0.0)),
    "slow-inputs": Idea("inputs at a tenth of the rate", optimizer=apart(0.1)),
    "fast-inputs": Idea("inputs at three times the rate", optimizer=apart(3.0)),
    "decay": Idea("weight decay 0.1", optimizer=decayed),
    "ema": Idea("weights averaged (0.9)", walk={"average": 0.9}),
    "slow": Idea("learning rate 0.001", training={"learning_rate": 0.001}),
    "fast": Idea("learning rate 0.01", training={"learning_rate": 0.01}),
    "sampled": Idea("sampled steps for as long", sampled=True),
    "svd": Idea("an SVD of 128 beside the layers' output", encoder={"svd_dim": 128, "embedding_dim": 256}),
}
BESIDE = {"svd_dim": 256, "embedding_dim": 384}
MIXES: dict[str, Idea] = {
    "blocks-in-batch": Idea("blocks, in-batch", goal=InBatch, encoder={"inputs": "blocks"}),
    "blocks-in-batch-svd": Idea(
        "blocks, in-batch, SVD of 256 beside", goal=InBatch, encoder={"inputs": "blocks", **BESIDE}
    ),
    "blocks-svd": Idea("blocks, SVD of 256 beside", encoder={"inputs": "blocks", **BESIDE}),
    "in-batch-svd": Idea("in-batch, SVD of 256 beside", goal=InBatch, encoder=BESIDE),
}
IDEAS |= MIXES
for _name, _changes in {
    "both": {"goal": BothLosses},
    "sharp": {"goal": SharpInBatch},
    "no-contrast": {"training": {"contrast": {"weight": 0}}},
    "jumping": {"walk": {"summed": True}},
    "long": {"training": {"epochs": 80}},
    "wide": {"encoder": {"inputs": "blocks", "hidden_dim": 256, "embedding_dim": 256}},
    "near": {"goal": NearInBatch},
    "one-layer": {"encoder": {"inputs": "blocks", "layers": 1}},
    "frozen": {"optimizer": apart(0.0)},
    "dropout": {"encoder": {"inputs": "blocks", "dropout": 0.2}},
    "fast": {"training": {"learning_rate": 0.01}},
}.items():
    IDEAS[f"mix-{_name}"] = replace(MIXES["blocks-in-batch"], says=f"blocks, in-batch, {_name}", **_changes)
STEPS = Idea("steps", training={"epochs": 160}, marks=(5, 10, 20, 40, 80))
