"""The methods that the quality benchmark compares; each makes vectors of the target's heads and tails.

A method is a generator of `Variant`s of one training; the benchmark chooses among them on validation pairs.
Only the peers need PyKEEN and gensim: pip install -c envs/requirements.txt -r envs/benchmarks.txt
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from quality_walks import walks

from repurpose.config.device import Device
from repurpose.config.sections import EncoderSettings, TrainingSettings
from repurpose.graph.graph import Graph
from repurpose.kernels.csr import csr
from repurpose.training import preparation, training
from repurpose.vectors import baselines

SVD_DIMS = (32, 64, 128, 256)
DIM = 128  # dimension of the peers' vectors
REPLACED_WIDTH = 64  # of the method `replaced`: its quality hardly depends on the width, its time does


class Variant(NamedTuple):
    """Vectors (heads, d) and (tails, e) of one variant of a method.

    product: True if head x tail is one of the features. blocks: the last columns of the blocks of head and of
    tail vectors, None if they have no blocks.
    """

    name: str
    heads: np.ndarray
    tails: np.ndarray
    product: bool
    blocks: tuple[Sequence[int], ...] | None = None


@dataclasses.dataclass(frozen=True)
class Job:
    """The inputs of a training: a graph without target pairs, config, seed, time limit in seconds, device."""

    kg: Graph
    config: Mapping[str, Any]
    seed: int
    seconds: float
    device: str = "cpu"

    def of_target(self, name: str, of_type: Callable[[str], np.ndarray], product: bool = True) -> Variant:
        """A variant from a function that returns the vectors of a node type."""
        target = self.config["target"]
        return Variant(name, of_type(target["head_type"]), of_type(target["tail_type"]), product)

    def with_blocks(self, variant: Variant, encoder: EncoderSettings) -> Variant:
        """The variant with the ends of its blocks; its vectors are the first columns of the encoder's."""
        target, width = self.config["target"], variant.heads.shape[1]
        blocks = preparation.vector_blocks(self.kg, encoder)
        ends = (blocks[target[side]] for side in ("head_type", "tail_type"))
        return variant._replace(
            blocks=tuple([end for end in ends_of_side if end <= width] for ends_of_side in ends)
        )

    def of_all_nodes(self, name: str, rows: np.ndarray) -> Variant:
        """A variant from one matrix (nodes, d) of all nodes."""
        rows = np.ascontiguousarray(rows, np.float32)
        return self.of_target(name, lambda node_type: rows[self.kg.span(node_type)])


def degree(job: Job) -> Iterator[Variant]:
    """Degrees per relation: the popularity baseline."""
    yield job.of_target("log", lambda node_type: baselines.degree_features(job.kg, node_type), product=False)


def svd(job: Job) -> Iterator[Variant]:
    """Truncated SVD of the normalised adjacency, with several numbers of dimensions."""
    for dim in SVD_DIMS:
        vectors = baselines.svd(job.kg, dim, job.seed)
        yield job.of_target(str(dim), vectors.__getitem__)


def deepwalk(job: Job) -> Iterator[Variant]:
    """DeepWalk (Perozzi et al., KDD 2014): skip-gram with negative sampling over uniform random walks."""
    from gensim.models import Word2Vec

    indptr, indices = _neighbours(job.kg)
    nodes = len(indptr) - 1
    model = Word2Vec(
        vector_size=DIM, window=5, negative=5, sg=1, min_count=1, sample=0, workers=torch.get_num_threads()
    )
    model.build_vocab_from_freq({node: 1 for node in range(nodes)})
    began, rounds = time.perf_counter(), 0
    # A round has one walk of 40 nodes from each node. There are at most 20 rounds, fewer if the time is over.
    while rounds < 20 and time.perf_counter() - began < job.seconds:
        steps = walks(indptr, indices, 40, job.seed * 1000 + rounds)
        corpus = [line[line >= 0].tolist() for line in steps]
        rate = 0.025 * (1 - rounds / 20), 0.025 * (1 - (rounds + 1) / 20)
        options = {"total_examples": nodes, "epochs": 1, "start_alpha": rate[0], "end_alpha": rate[1]}
        model.train(corpus, **options)
        rounds += 1
        if rounds in (5, 10):
            yield job.of_all_nodes(f"{rounds} walks", model.wv[range(nodes)])
    yield job.of_all_nodes(f"{rounds} walks", model.wv[range(nodes)])


def pykeen(name: str) -> Callable[[Job], Iterator[Variant]]:
    """A method that trains a shallow model of PyKEEN: self-adversarial loss, 32 negatives, Adam.

    The loss is that of Sun et al. (ICLR 2019).
    """

    def train(job: Job) -> Iterator[Variant]:
        from pykeen.losses import NSSALoss
        from pykeen.models import model_resolver
        from pykeen.training import SLCWATrainingLoop
        from pykeen.triples import CoreTriplesFactory

        triples, nodes, relations = _triples(job.kg)
        factory = CoreTriplesFactory(triples, nodes, relations)
        # A complex number counts as two dimensions.
        dim = DIM if name == "DistMult" else DIM // 2
        model = model_resolver.make(
            name,
            triples_factory=factory,
            embedding_dim=dim,
            loss=NSSALoss(margin=9.0 if name == "RotatE" else 0.0),
            random_seed=job.seed,
        ).to(job.device)
        optimizer = torch.optim.Adam(model.get_grad_params(), lr=0.005)
        loop = SLCWATrainingLoop(
            model=model,
            triples_factory=factory,
            optimizer=optimizer,
            negative_sampler_kwargs={"num_negs_per_pos": 32},
        )
        began, epoch = time.perf_counter(), 0
        marks = [job.seconds / 6, job.seconds / 2]
        while time.perf_counter() - began < job.seconds:
            epoch += 1
            loop.train(
                factory, num_epochs=epoch, batch_size=4096, continue_training=epoch > 1, use_tqdm=False
            )
            if marks and time.perf_counter() - began > marks[0]:
                marks.pop(0)
                yield job.of_all_nodes(f"{epoch} epochs", _entities(model))
        yield job.of_all_nodes(f"{epoch} epochs", _entities(model))

    return train


def replaced(job: Job) -> Iterator[Variant]:
    """The recipe of the replaced system: dot product, learning rate 0.001, uniform negatives, 100 steps.

    It had constant inputs, which the preflight refuses; learned random inputs are the most similar ones that
    can be trained. The vectors are used even if the training is judged as stalled.
    """
    encoder = {
        "hidden_dim": REPLACED_WIDTH,
        "embedding_dim": DIM,
        "inputs": "learned",
        "decoder": "dot",
        "svd_dim": 0,
        "profile_dim": 0,
    }
    options = {"epochs": 100, "learning_rate": 0.001, "degree_matched_share": 0.0}
    options |= {"ranking": {"weight": 0, "edges": 2}}
    options |= {"contrastive": {**job.config["training"]["contrastive"], "weight": 0.5}}
    yield _train_hgt(job, "100 steps", encoder, options)


def ours(job: Job) -> Iterator[Variant]:
    """The HGT with the settings of the config."""
    yield _train_hgt(job, "config", {}, {})


def no_layers(job: Job) -> Iterator[Variant]:
    """An ablation: only the SVD and profile columns of the config's vectors, without the encoder output."""
    encoder = EncoderSettings(**job.config["hgt"])
    _, composition = preparation.start(job.kg, job.kg.message_edges(), encoder, job.seed)
    if composition.columns is None:
        raise ValueError("vectors are the encoder output alone: hgt.svd_dim and hgt.profile_dim are 0")
    yield job.with_blocks(job.of_all_nodes("config", composition.columns), encoder)


METHODS: dict[str, Callable[[Job], Iterator[Variant]]] = {
    "degree": degree,
    "svd": svd,
    "deepwalk": deepwalk,
    "distmult": pykeen("DistMult"),
    "complex": pykeen("ComplEx"),
    "rotate": pykeen("RotatE"),
    "replaced": replaced,
    "hgt": ours,
    "no-layers": no_layers,
}


def _train_hgt(job: Job, name: str, encoder: Mapping[str, Any], options: Mapping[str, Any]) -> Variant:
    section = job.config["training"]
    encoder_settings = EncoderSettings(**{**job.config["hgt"], **encoder})
    fitted = training.Job(
        job.kg,
        encoder_settings,
        TrainingSettings(**{**section, **options}),
        tail_type=job.config["target"]["tail_type"],
        device=job.device,
        batching=Device.parse(job.device, job.config["training"]["batching"]).batching,
        seed=job.seed,
    )
    result = training.fit(fitted, on_step=lambda row, steps: None)
    if result.record["status"] == "refused":
        raise RuntimeError(f"the training was refused: {result.record['reason']}")
    return job.with_blocks(job.of_target(name, result.vectors.__getitem__), encoder_settings)


def _triples(kg: Graph) -> tuple[torch.Tensor, int, int]:
    """All message edges (E, 3) as head, relation and tail numbers; the counts of nodes and of relations."""
    triples_by_relation = []
    for number, (relation_index, offset) in enumerate(zip(kg.of_role("message"), kg.offsets(), strict=True)):
        head, tail = kg.heads[relation_index] + offset[0], kg.tails[relation_index] + offset[1]
        triples_by_relation.append(np.stack([head, np.full(len(head), number), tail], axis=1))
    nodes = kg.nodes
    triples = np.concatenate(triples_by_relation).astype(np.int64)
    return torch.from_numpy(triples), nodes, len(triples_by_relation)


def _neighbours(kg: Graph) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of all nodes over message edges of all relations, in both directions, as CSR."""
    triples, nodes, _ = _triples(kg)
    heads, tails = triples[:, 0].numpy(), triples[:, 2].numpy()
    return csr(np.concatenate([heads, tails]), np.concatenate([tails, heads]), nodes)


def _entities(model: Any) -> np.ndarray:
    """Entity vectors of a PyKEEN model (nodes, d); a complex number becomes two columns."""
    rows = model.entity_representations[0]().detach().cpu()
    return (torch.view_as_real(rows).flatten(1) if rows.is_complex() else rows).numpy()
