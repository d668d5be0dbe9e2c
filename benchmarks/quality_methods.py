"""The methods that the quality benchmark compares: each gives vectors of the target's heads and tails.

A method is an iterator of (variant, head vectors, tail vectors, has product): the benchmark chooses among
the variants of one training on validation pairs. PyKEEN and gensim are needed for the peers only:
pip install -c envs/requirements.txt -r envs/benchmarks.txt
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from quality_walks import walks

from repurpose.config import settings
from repurpose.config.device import Device
from repurpose.graph.graph import Graph
from repurpose.hgt import hgt
from repurpose.kernels.csr import csr
from repurpose.training import preparation, training
from repurpose.vectors import baselines

SVD_DIMS = (32, 64, 128, 256)
DIM = 128  # numbers in a vector of the peers
REPLACED_WIDTH = 64  # the replaced recipe's dot product hardly depends on it, its time does


class Variant(NamedTuple):
    """Vectors (heads, d) and (tails, e); product: whether head x tail belongs to the features.

    blocks: where the parts of a head's and of a tail's vector end, if there are parts.
    """

    name: str
    heads: np.ndarray
    tails: np.ndarray
    product: bool
    blocks: tuple[Sequence[int], ...] | None = None


@dataclasses.dataclass(frozen=True)
class Job:
    """A graph without its target pairs, config, seed, the seconds that a training may take, and where."""

    kg: Graph
    config: Mapping[str, Any]
    seed: int
    seconds: float
    device: str = "cpu"

    def chosen(self, name: str, of_type: Callable[[str], np.ndarray], product: bool = True) -> Variant:
        """A variant from what gives the vectors of a node type."""
        target = self.config["target"]
        return Variant(name, of_type(target["head_type"]), of_type(target["tail_type"]), product)

    def in_parts(self, variant: Variant, encoder: hgt.Settings) -> Variant:
        """A variant whose vectors are the first numbers of an encoder's, with where their parts end."""
        target, width = self.config["target"], variant.heads.shape[1]
        blocks = preparation.vector_blocks(self.kg, encoder)
        ends = (blocks[target[side]] for side in ("head_type", "tail_type"))
        return variant._replace(blocks=tuple([end for end in each if end <= width] for each in ends))

    def of_all(self, name: str, rows: np.ndarray) -> Variant:
        """A variant from one matrix (nodes, d) of all nodes."""
        rows = np.ascontiguousarray(rows, np.float32)
        return self.chosen(name, lambda node_type: rows[self.kg.span(node_type)])


def degree(job: Job) -> Iterator[Variant]:
    """Degrees per relation: what popularity alone tells."""
    yield job.chosen("log", lambda node_type: baselines.degree_features(job.kg, node_type), product=False)


def svd(job: Job) -> Iterator[Variant]:
    """Truncated SVD of the normalised adjacency, of several sizes."""
    for dim in SVD_DIMS:
        vectors = baselines.svd(job.kg, dim, job.seed)
        yield job.chosen(str(dim), vectors.__getitem__)


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
    # One walk of 40 nodes from each node a round; as many rounds as the time allows, 20 at most.
    while rounds < 20 and time.perf_counter() - began < job.seconds:
        steps = walks(indptr, indices, 40, job.seed * 1000 + rounds)
        corpus = [line[line >= 0].tolist() for line in steps]
        rate = 0.025 * (1 - rounds / 20), 0.025 * (1 - (rounds + 1) / 20)
        options = {"total_examples": nodes, "epochs": 1, "start_alpha": rate[0], "end_alpha": rate[1]}
        model.train(corpus, **options)
        rounds += 1
        if rounds in (5, 10):
            yield job.of_all(f"{rounds} walks", model.wv[range(nodes)])
    yield job.of_all(f"{rounds} walks", model.wv[range(nodes)])


def pykeen(name: str) -> Callable[[Job], Iterator[Variant]]:
    """A shallow model of PyKEEN: self-adversarial loss (Sun et al., ICLR 2019), 32 negatives, Adam."""

    def train(job: Job) -> Iterator[Variant]:
        from pykeen.losses import NSSALoss
        from pykeen.models import model_resolver
        from pykeen.training import SLCWATrainingLoop
        from pykeen.triples import CoreTriplesFactory

        triples, nodes, relations = _triples(job.kg)
        factory = CoreTriplesFactory(triples, nodes, relations)
        # A complex number counts as two.
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
                yield job.of_all(f"{epoch} epochs", _entities(model))
        yield job.of_all(f"{epoch} epochs", _entities(model))

    return train


def replaced(job: Job) -> Iterator[Variant]:
    """The replaced system's recipe: dot product, learning rate 0.001, uniform negatives, 100 steps.

    Its constant inputs are refused by the preflight; learned random ones are the nearest that trains. A
    verdict that it stalled is no obstacle here.
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
    yield _trained(job, "100 steps", encoder, options)


def ours(job: Job) -> Iterator[Variant]:
    """The HGT of the config."""
    yield _trained(job, "config", {}, {})


def no_layers(job: Job) -> Iterator[Variant]:
    """The config's vectors without the encoder output: profiles and SVD rows, which need no training."""
    encoder = hgt.Settings(**job.config["hgt"])
    _, composition = preparation.start(job.kg, job.kg.message_edges(), encoder, job.seed)
    if composition.columns is None:
        raise ValueError("vectors are the encoder output alone: hgt.svd_dim and hgt.profile_dim are 0")
    yield job.in_parts(job.of_all("config", composition.columns), encoder)


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


def _trained(job: Job, name: str, encoder: Mapping[str, Any], options: Mapping[str, Any]) -> Variant:
    section = settings.learned(job.config["training"])
    chosen = hgt.Settings(**{**job.config["hgt"], **encoder})
    fitted = training.Job(
        job.kg,
        chosen,
        training.Settings(**{**section, **options}),
        tail_type=job.config["target"]["tail_type"],
        device=job.device,
        batching=Device.parse(job.device, job.config["training"]["batching"]).batching,
        seed=job.seed,
    )
    result = training.fit(fitted, on_step=lambda row, steps: None)
    if result.record["status"] == "refused":
        raise RuntimeError(f"the training was refused: {result.record['reason']}")
    return job.in_parts(job.chosen(name, result.vectors.__getitem__), chosen)


def _triples(kg: Graph) -> tuple[torch.Tensor, int, int]:
    """All message edges (E, 3): head, relation, tail by number; the numbers of nodes and of relations."""
    parts = []
    for at, (index, offset) in enumerate(zip(kg.of_role("message"), kg.offsets(), strict=True)):
        head, tail = kg.heads[index] + offset[0], kg.tails[index] + offset[1]
        parts.append(np.stack([head, np.full(len(head), at), tail], axis=1))
    nodes = kg.nodes
    return torch.from_numpy(np.concatenate(parts).astype(np.int64)), nodes, len(parts)


def _neighbours(kg: Graph) -> tuple[np.ndarray, np.ndarray]:
    """All nodes' neighbours over message edges of any relation, both ways, as CSR."""
    triples, nodes, _ = _triples(kg)
    heads, tails = triples[:, 0].numpy(), triples[:, 2].numpy()
    return csr(np.concatenate([heads, tails]), np.concatenate([tails, heads]), nodes)


def _entities(model: Any) -> np.ndarray:
    """Entity vectors of a PyKEEN model (nodes, d); a complex number is two columns."""
    rows = model.entity_representations[0]().detach().cpu()
    return (torch.view_as_real(rows).flatten(1) if rows.is_complex() else rows).numpy()
