"""The config's sections: the one home of every key with its type, bounds, default and description.

config/config.yaml, config/schema.yaml and the config table of README.md are written from these classes
(scripts/write_config.py). A section has the same type from the YAML file to the code that reads it. A job
gets the values of its keys as parameters, so fields do not count in a digest of code; methods do.
"""

import json
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from repurpose.core.errors import InputError

section = dataclass(frozen=True, config=ConfigDict(extra="forbid"))

Relations = list[Annotated[str, Field(min_length=1, description="a relation")]]
NodeTypes = list[Annotated[str, Field(min_length=1, description="a node type")]]
Spellings = list[Annotated[str, Field(min_length=1, description="a spelling")]]
Labels = list[Annotated[str, Field(min_length=1, description="a label")]]
HeadNames = list[Annotated[str, Field(min_length=1, description="a head's id or name")]]
TailNames = list[Annotated[str, Field(min_length=1, description="a tail's id or name")]]


def key(default: Any, comment: str, description: str, *, unique: bool = False, **bounds: Any) -> Any:
    """A key with its default, its comment in config.yaml, its description in the documents, and its bounds.

    unique: whether the items of a list must differ.
    """
    extra = {"uniqueItems": True} if unique else None
    options = {"title": comment, "description": description, "json_schema_extra": extra, **bounds}
    if isinstance(default, list):
        return Field(default_factory=lambda: list(default), **options)
    return Field(default=default, **options)


def nested(kind: type, comment: str = "") -> Any:
    """A section in a section, with its defaults."""
    return Field(default_factory=kind, title=comment, description=kind.__doc__)


def shown(value: Any) -> str:
    """A value of a config as a sentence quotes it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _require_disjoint(first_key: str, first: Sequence[str], second_key: str, second: Sequence[str]) -> None:
    for name in first:
        if name in second:
            raise InputError(f"{shown(name)} is in {first_key} and in {second_key}; keep it in one of them")


@section
class DemoSettings:
    """The planted graph, used where edges is `demo`."""

    scale: float = key(
        0.02,
        "1.0 has PrimeKG's counts",
        ("Size of the planted graph; 1.0 has PrimeKG's counts (129,375 nodes, 8.1 million directed edges)."),
        le=10,
        gt=0,
    )
    seed: int = key(
        7,
        "the planted graph's own seed",
        "Seed of the planted graph alone, so that another `seed` trains on the same graph.",
        ge=0,
        le=2147483647,
    )


@section
class EdgeColumns:
    """Names of the columns in the edges table; PrimeKG's by default."""

    relation: str = key("relation", "the relation", "Column of the relation.", min_length=1)
    head_id: str = key(
        "x_id",
        "id of the head",
        "Column of the head's id, which need be unique only within its node type.",
        min_length=1,
    )
    head_type: str = key("x_type", "node type of the head", "Column of the head's node type.", min_length=1)
    head_name: str = key(
        "x_name", 'name of the head; "" shows ids', "Column of the head's name; empty to show ids."
    )
    tail_id: str = key("y_id", "id of the tail", "Column of the tail's id.", min_length=1)
    tail_type: str = key("y_type", "node type of the tail", "Column of the tail's node type.", min_length=1)
    tail_name: str = key(
        "y_name", 'name of the tail; "" shows ids', "Column of the tail's name; empty to show ids."
    )


@section
class NodeColumns:
    """Names of the columns in the nodes table."""

    type: str = key("node_type", "node type", "Column of the node type.", min_length=1)
    id: str = key("node_id", "id within the type", "Column of the id.", min_length=1)
    name: str = key("node_name", 'name; "" shows ids', "Column of the name; empty to show ids.")


@section
class GraphSettings:
    """How the edges table becomes a graph."""

    columns: EdgeColumns = nested(EdgeColumns, "names of the columns in the edges table")
    node_columns: NodeColumns = nested(NodeColumns, "names of the columns in the nodes table")
    directed_relations: Relations = key(
        [],
        "all others are undirected: once or both ways in the file is the same graph",
        (
            "Relations that have a direction; any other is the same graph whether its edges "
            "stand once or both ways."
        ),
        unique=True,
    )
    exclude_relations: Relations = key(
        [],
        'left out of the graph; "treats (Drug, disease)" between these types only',
        (
            "Relations that no message and no pair is made of; a name means all of that name, "
            "`treats (Drug, disease)` those between these two types."
        ),
        unique=True,
    )
    keep_relations: Relations = key(
        [],
        "may stay though they repeat target pairs under other node types",
        (
            "Relations, written as in exclude_relations, that stay in the graph although they "
            "join, by id, the target's pairs under other node types. Any other that does so "
            "stops the run; results/pairs/certificate.json has the numbers."
        ),
        unique=True,
    )
    node_types: NodeTypes = key(
        [],
        "rows with any other node type are dropped and counted; empty: all types",
        "Node types of the graph; rows with another are dropped and counted. Empty for all.",
        unique=True,
    )
    missing: Spellings = key(
        ["nan", "NaN", "None", "null", "NULL", "<NA>"],
        "cells that count as empty, in columns of ids, types, relations, names",
        (
            "Spellings of a missing value, which count as an empty cell in the columns of ids, "
            "types, relations and names. What they drop is counted by column and type in "
            "results/graph/ledger.json and warned about, and so is NA and its like, which stay."
        ),
        unique=True,
    )
    features: str = key(
        "",
        "optional: the path of a parquet file of node vectors to start from",
        (
            "Path of a parquet file of node vectors (columns node_type, node_id, vector) from "
            "which the encoder's inputs start; empty, or a node without a vector: they start at"
            " random."
        ),
    )
    max_dropped_share: float = key(
        0.01,
        "a relation that loses more of its rows stops the run",
        ("A relation that loses a larger share of its rows (see results/graph/ledger.json) stops the run."),
        ge=0,
        le=1,
    )

    def __post_init__(self) -> None:
        kept, excluded = self.keep_relations, self.exclude_relations
        _require_disjoint("graph.keep_relations", kept, "graph.exclude_relations", excluded)


@section
class Target:
    """What is predicted."""

    head_type: str = key(
        "drug", "node type of the candidates", "Node type of the candidates, the drugs.", min_length=1
    )
    tail_type: str = key(
        "disease",
        "node type that candidates are ranked for",
        "Node type that candidates are ranked for, the diseases.",
        min_length=1,
    )
    positive: Relations = key(
        ["indication"],
        "relations that count as known treatments",
        "Relations between the two types that count as known treatments.",
        min_length=1,
        unique=True,
    )
    negative: Relations = key(
        ["contraindication"],
        "relations that count as known non-treatments; may be empty",
        "Relations between the two types that count as known non-treatments; may be empty.",
        unique=True,
    )
    hierarchy: str = key(
        "",
        "optional: a relation among tails, such as disease_disease, whose hubs make areas",
        (
            "A relation among tails, such as is-a, for the split scheme `area`; its tails with "
            "the most edges, the broad terms, stand for areas. Empty: none."
        ),
    )

    def __post_init__(self) -> None:
        if self.head_type == self.tail_type:
            raise InputError(
                f"target.head_type and target.tail_type are both {shown(self.head_type)}; name two node types"
            )
        _require_disjoint("target.positive", self.positive, "target.negative", self.negative)

    @property
    def types(self) -> tuple[str, str]:
        """The head type and the tail type."""
        return self.head_type, self.tail_type

    def joins(self, first: str, second: str) -> bool:
        """Whether the two node types are those of the target, in either order."""
        return {first, second} == {self.head_type, self.tail_type}


@section
class SplitSettings:
    """How known pairs are held out for the metrics."""

    schemes: list[Annotated[Literal["random", "disease", "drug", "area"], Field(description="a scheme")]] = (
        key(
            ["random", "disease", "drug"],
            "which pairs are held out: any, whole diseases, drugs, areas of diseases (area)",
            (
                "What is held out: `random` pairs, all pairs of a `disease` (tail), all pairs of a "
                "`drug` (head), all diseases of an `area`."
            ),
            min_length=1,
            unique=True,
        )
    )
    areas: str = key(
        "",
        "optional: the path of a table of areas (columns node_id, area), for the scheme area",
        (
            "Path of a table with the columns node_id and area, a tail's area each, for the "
            "scheme `area`; empty: target.hierarchy tells them."
        ),
    )
    valid_share: float = key(
        0.1,
        "for early stopping and the weight of the kernel",
        "Share of the pairs for early stopping and the weight of the kernel.",
        gt=0,
        lt=1,
    )
    test_share: float = key(0.2, "for the metrics", "Share of the pairs for the metrics.", gt=0, lt=1)

    def __post_init__(self) -> None:
        held_out = self.valid_share + self.test_share
        if held_out >= 1:
            raise InputError(
                f"split.valid_share and split.test_share add up to {held_out:g}, which leaves none to train "
                "on; keep their sum below 1"
            )


@section
class ExternalColumns:
    """Names of its columns."""

    head: str = key("head_id", "", "Column of the head's id, as in the edges table.", min_length=1)
    tail: str = key("tail_id", "", "Column of the tail's id.", min_length=1)
    label: str = key("label", "", "Column that says what a pair is.", min_length=1)


@section
class ExternalSettings:
    """Pairs known from elsewhere, for the evaluation alone."""

    pairs: str = key(
        "",
        "optional: the path of a table of pairs from elsewhere, never learned from",
        (
            "Path of a table of pairs, .csv, .tsv or .parquet; empty for none. What the graph "
            "knows already is left out."
        ),
    )
    columns: ExternalColumns = nested(ExternalColumns, "names of its columns; the ids are the graph's")
    positive: Labels = key(
        ["positive"],
        "labels of its treatments: a test beside the splits",
        ("Labels of treatments. The final model is asked for them, a test named external beside the splits."),
        unique=True,
    )
    negative: Labels = key(
        ["negative"],
        "labels of its non-treatments: ranked beside the test of every split",
        ("Labels of known non-treatments. They are ranked with the known negatives of every split."),
        unique=True,
    )

    def __post_init__(self) -> None:
        if self.pairs and not self.positive + self.negative:
            raise InputError(
                "external.positive and external.negative are both empty, so no pair of external.pairs has a "
                "meaning; name the labels that stand in its label column"
            )
        _require_disjoint("external.positive", self.positive, "external.negative", self.negative)


@section
class EncoderSettings:
    """The encoder."""

    hidden_dim: int = key(
        64,
        "width of the layers; a multiple of heads",
        "Width of the layers; a multiple of `hgt.heads`.",
        ge=1,
        le=8192,
    )
    embedding_dim: int = key(
        256,
        "length of a node's vector: what the layers give, and the two below",
        "Length of a node's vector.",
        ge=2,
        le=8192,
    )
    layers: int = key(
        2, "message passing steps", "HGT layers, each one step of message passing.", ge=1, le=16
    )
    heads: int = key(4, "attention heads", "Attention heads of a layer.", ge=1, le=256)
    attention: Literal["fused", "pyg"] = key(
        "fused",
        "fused (the CPU's own kernels) or pyg; other devices always run pyg",
        (
            "Who computes a layer on the CPU: `fused`, the project's own kernels, or `pyg`, "
            "PyG's layer. Other devices run PyG's layer whatever stands here."
        ),
    )
    dropout: float = key(
        0.0,
        "share of a layer's output set to zero in training",
        "Share of a layer's output set to zero in training.",
        ge=0,
        lt=1,
    )
    inputs: Literal["learned", "spectral", "blocks"] = key(
        "blocks",
        "that training starts from: learned (random), spectral (an SVD), blocks (several)",
        (
            "What the inputs of the nodes are before training changes them: `learned`, random "
            "numbers; `spectral`, the truncated SVD of the graph's training edges; or `blocks`,"
            " per node type the principal components of that and of an SVD of each relation."
        ),
    )
    svd_dim: int = key(
        64,
        "numbers of a vector that are the graph's SVD, beside what the layers give",
        (
            "How many of the `hgt.embedding_dim` numbers of a node's vector are the SVD of the "
            "graph's training edges."
        ),
        ge=0,
        le=100000,
    )
    profile_dim: int = key(
        128,
        "and those that tell what a node is joined to, relation by relation",
        (
            "How many of the numbers of a node's vector tell what it is joined to, in equal "
            "shares for the relations of its type, each with principal axes of its own; these "
            "make the whole vector short where little is known of a node. The layers give what "
            "this and `hgt.svd_dim` leave of `hgt.embedding_dim`."
        ),
        ge=0,
        le=100000,
    )
    decoder: Literal["distmult", "dot"] = key(
        "distmult",
        "distmult (weights per relation) or dot",
        ("Score of an edge, `distmult` with weights of its own for each relation or a plain `dot` product."),
    )

    def __post_init__(self) -> None:
        if self.hidden_dim % self.heads:
            multiple = self.heads * math.ceil(self.hidden_dim / self.heads)
            raise InputError(
                f"hgt.hidden_dim is {self.hidden_dim}, which is not divisible by hgt.heads, {self.heads}; "
                f"use a multiple such as {multiple}"
            )
        if self.projected < 1:
            columns = self.svd_dim + self.profile_dim
            raise InputError(
                f"hgt.svd_dim and hgt.profile_dim, together {columns}, leave none of the "
                f"{self.embedding_dim} numbers of a vector (hgt.embedding_dim) to the layers; raise "
                f"hgt.embedding_dim, for instance to {columns + 128}, or lower those"
            )

    @property
    def projected(self) -> int:
        """Length of the encoder output; with svd_dim and profile_dim it makes embedding_dim."""
        return self.embedding_dim - self.svd_dim - self.profile_dim

    @property
    def svd_size(self) -> int:
        """Dimensions of the graph's SVD that inputs and vectors need; 0 for none."""
        return max(self.svd_dim, self.hidden_dim if self.inputs in ("spectral", "blocks") else 0)


@section
class RankingSettings:
    """The loss that asks for an edge's ends among those of other edges of its relation."""

    weight: float = key(
        4.0,
        "beside the link loss; 0 switches it off",
        "Weight beside the link loss; 0 switches it off.",
        ge=0,
        le=1000,
    )
    edges: int = key(
        512,
        "of each relation and step, among which an edge's ends are to be found",
        "Edges of each relation that a step compares, at most.",
        ge=2,
        le=100000,
    )


@section
class ContrastiveSettings:
    """The loss that draws tails with common neighbours together."""

    weight: float = key(
        0.0,
        "beside the link loss; 0 switches it off",
        "Weight beside the link loss; 0 switches it off.",
        ge=0,
        le=1000,
    )
    similarity_threshold: float = key(
        0.1,
        "Jaccard overlap from which two tails are alike",
        "Jaccard overlap of the neighbours from which two tails count as alike.",
        le=1,
        gt=0,
    )
    relations: Relations = key(
        ["disease_protein"],
        "relations whose neighbours are compared",
        ("Relations of the tail type whose neighbours are compared, for instance the genes of a disease."),
        unique=True,
    )
    temperature: float = key(0.1, "of the InfoNCE loss", "Temperature of the InfoNCE loss.", le=100, gt=0)
    batch_size: int = key(512, "tails per step", "Tails compared in one step.", ge=2, le=1000000)

    def __post_init__(self) -> None:
        if self.weight and not self.relations:
            raise InputError(
                f"training.contrastive.weight is {self.weight:g}, but training.contrastive.relations is "
                "empty; name the relations whose neighbours are compared, or set the weight to 0"
            )


@section
class BatchingSettings:
    """Whether a step sees the whole graph or a sample of it."""

    cpu: Literal["full", "sampled"] = key("full", "full or sampled", "Batching on the CPU.")
    mps: Literal["full", "sampled"] = key("full", "full or sampled", "Batching on Apple GPUs.")
    cuda: Literal["full", "sampled"] = key("full", "full or sampled", "Batching on NVIDIA GPUs.")


@section
class TrainingSettings:
    """How the encoder is trained."""

    epochs: int = key(
        40,
        "where batching is full: one step over the whole graph each",
        "Epochs where batching is `full`, one step over the whole graph each.",
        ge=1,
        le=1000000,
    )
    sampled_epochs: int = key(
        5,
        "where batching is sampled: every message edge is predicted once in each",
        (
            "Epochs where batching is `sampled`; each predicts every message edge once, "
            "`batch_size` of them a step."
        ),
        ge=1,
        le=1000000,
    )
    learning_rate: float = key(0.01, "step size of Adam", "Step size of Adam.", le=1, gt=0)
    edge_sample_size: int = key(
        5000,
        "positives per relation and full step",
        "Edges per relation that a full step predicts, at most.",
        ge=1,
        le=1000000000,
    )
    supervision_share: float = key(
        0.5,
        "of a relation's edges at most: predicted, and hidden from the messages, in a full step",
        (
            "Share of a relation's edges, at most, that a full step predicts and therefore "
            "hides from its messages."
        ),
        gt=0,
        lt=1,
    )
    batch_size: int = key(
        1024,
        "edges that a sampled step predicts",
        (
            "Edges that a sampled step predicts and therefore hides from its messages, of each "
            "relation its share."
        ),
        ge=1,
        le=100000000,
    )
    fanout: list[Annotated[int, Field(ge=1, le=100000000, description="neighbours of a node")]] = key(
        [16, 8],
        "neighbours drawn per node in a sampled step, one number per layer; the last layer's first",
        ("Neighbours that a sampled step draws for each node, one number per layer, the last layer's first."),
        min_length=1,
    )
    valid_share: float = key(
        0.05,
        "message edges to choose the best state; as many again for the gate",
        (
            "Share of the message edges held out to choose the best state; as many again are "
            "held out for the gate."
        ),
        gt=0,
        lt=0.5,
    )
    valid_every: int = key(
        5,
        "steps from one validation to the next; sampled: a tenth of an epoch if that is more",
        (
            "Steps from one validation to the next; where batching is `sampled`, a tenth of an "
            "epoch if that is more."
        ),
        ge=1,
        le=1000000,
    )
    degree_matched_share: float = key(
        0.5,
        "share of negatives drawn in proportion to degree",
        "Share of the negatives that is drawn in proportion to degree, the rest uniformly.",
        ge=0,
        le=1,
    )
    ranking: RankingSettings = nested(RankingSettings)
    contrastive: ContrastiveSettings = nested(ContrastiveSettings)
    checkpoint_seconds: float = key(
        60,
        "from one checkpoint to the next, from which a killed training goes on",
        ("Seconds from one checkpoint to the next; more where writing one takes over 2 % of the time."),
        ge=0,
        le=1000000,
    )
    batching: BatchingSettings = nested(BatchingSettings)


@section
class GateSettings:
    """What an embedding must reach before anything is built on it."""

    min_distinct_share: float = key(
        0.95,
        "share of nodes with edges whose vector is their own",
        "Least share of the nodes with edges, per node type, whose vector is their own.",
        ge=0,
        le=1,
    )
    min_effective_rank: float = key(
        3.0, "per node type", "Least effective rank of the centred vectors, per node type.", ge=1, le=8192
    )
    min_auroc_margin: float = key(
        0.02,
        "held-out links, above an untrained model",
        ("Least lead in held-out link AUROC, against degree-matched negatives, over an untrained model."),
        ge=-1,
        le=1,
    )
    min_gain_over_inputs: float = key(
        0.064,
        "held-out links by the layers alone, above these before training",
        (
            "Least lead in the same AUROC, by the layers' own numbers, over the same layers "
            "before training, where linear algebra gave the inputs or a part of the vectors."
        ),
        ge=-1,
        le=1,
    )
    min_enrichment: float = key(
        1.1,
        "nearest neighbours' shared genes, beside those in a rewired graph",
        (
            "Least overlap of nearest tails' genes, and of their neighbours among tails, beside"
            " that of a graph rewired at random."
        ),
        ge=0,
        le=1000,
    )
    min_nearer_share: float = key(
        0.7,
        "nodes near those that share their neighbours, in every type",
        (
            "Least share of a node type's nodes, in every type of at least 50, whose nearest "
            "rows share more of their neighbours in the graph than nodes of like degree."
        ),
        ge=0,
        le=1,
    )
    min_agreement_margin: float = key(
        0.0,
        "nearest neighbours' shared genes, above an untrained model",
        ("Least lead over an untrained model in how often a tail's nearest neighbours share its genes."),
        ge=-1,
        le=1,
    )


@section
class ClassifierSettings:
    """XGBoost and kernel ridge regression on the embeddings, and the baselines."""

    draws: int = key(
        3,
        "draws of random negatives; each trains a model, and these are averaged",
        ("Draws of random negatives. Each trains a model of its own, and their margins are averaged."),
        ge=1,
        le=1000,
    )
    negatives_per_positive: int = key(
        20,
        "random negatives in each draw",
        "Random negatives for each known treatment in each draw.",
        ge=1,
        le=10000,
    )
    trees: int = key(
        300,
        "at most; early stopping usually ends sooner",
        "Boosting rounds at most; early stopping usually ends sooner.",
        ge=1,
        le=100000,
    )
    depth: int = key(6, "of a tree", "Depth of a tree.", ge=1, le=32)
    learning_rate: float = key(0.1, "weight of a new tree", "Weight of each new tree.", le=1, gt=0)
    patience: int = key(
        30,
        "rounds without a better validation AUPRC before it stops",
        "Rounds without a better validation AUPRC before boosting stops.",
        ge=1,
        le=100000,
    )
    svd_dim: int = key(
        128, "dimensions of the SVD baseline", "Dimensions of the SVD baseline.", ge=1, le=8192
    )
    kernel_weights: list[Annotated[float, Field(ge=0, le=1000)]] = key(
        [0, 2, 6],
        "of kernel ridge regression beside the trees: the best on validation is kept",
        (
            "How often the logarithm of the kernel ridge regression's score is added to the "
            "trees' log-odds: of these weights the one with the best validation AUPRC is kept; "
            "with `[0]` the trees are alone. How much each part of a vector counts in it is "
            "chosen by the training pairs."
        ),
        min_length=1,
    )
    evaluation_pairs: int = key(
        2000000,
        "unknown pairs that the test pairs are ranked against, at most",
        "Unknown pairs, at most, that the test pairs are ranked against.",
        ge=1,
        le=10000000000,
    )
    search_trials: int = key(
        0,
        "of depth, learning_rate and negatives on validation pairs, those above first; 0: none",
        (
            "How many settings of depth, learning_rate and negatives_per_positive are compared "
            "on validation pairs, for each embedding and each baseline: first those given here,"
            " then others drawn at random by the seed. Each trial trains one model; the best "
            "settings are taken. 0 takes those given. metrics.json lists what was tried."
        ),
        ge=0,
        le=10000,
    )


@section
class CandidateSettings:
    """The ranking."""

    per_tail: int = key(
        100,
        "best heads kept for each tail; 0 keeps every pair",
        "Best heads kept for each tail; 0 keeps every pair.",
        ge=0,
        le=1000000000,
    )
    per_head: int = key(
        50,
        "best tails kept for each head, in by_head.parquet",
        "Best tails kept for each head, in a file of their own.",
        ge=1,
        le=1000000,
    )
    correct_popularity: float = key(
        0.0,
        "share of a head's mean score taken off its scores before they are ranked",
        (
            "Which share of a head's mean score over all tails is taken off its scores before "
            "they are ranked, so that a head that ranks high everywhere does so less; the "
            "probability is that of what is left. Where it is above 0, metrics.json and the "
            "report say what 0.5 and 1 do to the test pairs."
        ),
        ge=0,
        le=1,
    )
    heads: HeadNames = key(
        [],
        "ids or names of the heads that are ranked; empty: all",
        "Ids or names of the heads that are ranked, among themselves; empty for all.",
        unique=True,
    )
    tails: TailNames = key(
        [],
        "ids or names of the tails that they are ranked for; empty: all",
        "Ids or names of the tails that heads are ranked for; empty for all.",
        unique=True,
    )


@section
class EvidenceSettings:
    """The reasons given for candidates."""

    explained: int = key(
        200,
        "best new pairs of all whose reasons are written down",
        ("How many of the best new pairs get a dossier; scripts/query_candidates.py makes one for any pair."),
        ge=1,
        le=1000000,
    )
    paths_each: int = key(
        5,
        "paths from the head to the tail",
        "Best paths of a dossier, of two or three edges, none over a known pair.",
        ge=1,
        le=1000,
    )
    similar: int = key(
        3,
        "nearest heads with the same tail, and nearest tails of the same head",
        (
            "Nearest heads that the tail is known to be treated by, and nearest tails that the "
            "head is known to treat."
        ),
        ge=0,
        le=1000,
    )


@section
class AgreementSettings:
    """How far several devices may differ before the report says so."""

    neighbours: int = key(
        10,
        "nearest nodes of each node that are compared",
        "Nearest nodes of each node that are compared.",
        ge=1,
        le=1000,
    )
    top: int = key(
        20,
        "candidates of each tail that are compared",
        "Best candidates of each tail, without the known pairs, that are compared.",
        ge=1,
        le=100000,
    )
    first_steps: int = key(
        5,
        "steps whose losses are compared, between devices of the same batching",
        "Steps whose losses are compared, between devices of the same batching.",
        ge=1,
        le=1000,
    )
    min_neighbour_overlap: float = key(
        0.75,
        "share of nearest nodes that two devices have in common, mean over node types",
        "Least share of nearest nodes that two devices have in common, mean over node types.",
        ge=0,
        le=1,
    )
    min_cka: float = key(
        0.88,
        "linear alignment of two devices' embeddings, mean over node types",
        ("Least linear centred kernel alignment of two devices' embeddings, mean over node types."),
        ge=-1,
        le=1,
    )
    min_candidate_overlap: float = key(
        0.42,
        "share of a tail's top candidates that two devices have in common",
        "Least share of a tail's best candidates that two devices have in common.",
        ge=0,
        le=1,
    )
    max_loss_difference: float = key(
        0.02,
        "relative, between the first losses of two devices",
        "Largest relative difference between the losses of two devices' first steps.",
        ge=0,
        le=1,
    )
