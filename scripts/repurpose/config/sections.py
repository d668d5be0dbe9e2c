"""The config's sections: the one home of every key with its type, bounds, default and description.

config/config.yaml, config/schema.yaml and the table of config/README.md are written from these classes
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
ColumnNames = list[Annotated[str, Field(min_length=1, description="a column's name")]]
Conditions = list[
    Annotated[
        str,
        Field(
            pattern="^(head|tail)_[^=]+=.*[^ ].*$",
            description="a condition is column=value, such as head_status=approved or tail_rare=yes",
        ),
    ]
]
Verdicts = list[Annotated[str, Field(min_length=1, description="a verdict")]]
TablePath = Annotated[str, Field(min_length=1, description="a path or URL")]
TablePaths = Annotated[list[TablePath], Field(min_length=1, description="paths or URLs")]
# The name of a column, or its position in a table without a header; 1 is the first column.
Column = Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=1, le=10000)]
OptionalColumn = str | Annotated[int, Field(ge=1, le=10000)]


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


def _require_one_kind(section_name: str, columns: dict[str, str | int]) -> None:
    """Raise InputError if some columns have a name and others a number."""
    if len({type(column) for column in columns.values() if column != ""}) > 1:
        raise InputError(
            f"{section_name} has names and numbers: give names if the table has a header, numbers if it has "
            'none, and "" for what it lacks'
        )


@section
class DemoSettings:
    """The synthetic graph, used if edges is `demo`."""

    scale: float = key(
        0.02,
        "1.0 has PrimeKG's counts",
        (
            "Size of the synthetic graph; 1.0 has PrimeKG's counts (129,375 nodes, 8.1 million "
            "directed edges)."
        ),
        le=10,
        gt=0,
    )
    seed: int = key(
        7,
        "seed of the demo graph",
        ("Seed of the synthetic graph only, so that runs with another `seed` use the same graph."),
        ge=0,
        le=2147483647,
    )


@section
class EdgeColumns:
    """Columns of the edges table, by name, or by number in a table without a header; PrimeKG's by default."""

    relation: Column = key("relation", "the relation", "Column of the relation.")
    head_id: Column = key(
        "x_id", "id of the head", "Column of the head's id, which must be unique within its node type only."
    )
    head_type: OptionalColumn = key(
        "x_type",
        'node type of the head; "" takes it from the nodes table',
        "Column of the head's node type; empty to take it from the nodes table, by the id.",
    )
    head_name: OptionalColumn = key(
        "x_name", 'name of the head; "" shows ids', "Column of the head's name; empty to show ids."
    )
    tail_id: Column = key("y_id", "id of the tail", "Column of the tail's id.")
    tail_type: OptionalColumn = key(
        "y_type",
        'node type of the tail; "" takes it from the nodes table',
        "Column of the tail's node type; empty to take it from the nodes table, by the id.",
    )
    tail_name: OptionalColumn = key(
        "y_name", 'name of the tail; "" shows ids', "Column of the tail's name; empty to show ids."
    )
    source: OptionalColumn = key(
        "",
        "optional: source of the edge, such as a database; shown with paths",
        "Column that names the source of an edge, such as a database; dossiers show it. KGX has its own.",
    )
    publications: OptionalColumn = key(
        "",
        "optional: publications of the edge (PMID:1|PMID:2); shown with paths",
        "Column with the publications of an edge, ids with | or ; between them; dossiers link to them. KGX "
        "has its own.",
    )
    date: OptionalColumn = key(
        "",
        "optional: date of the edge (2019, 2019-04 or 2019-04-30); for the split scheme date",
        "Column with the date of an edge, such as 2019 or 2019-04-30, for the split scheme `date`.",
    )

    def __post_init__(self) -> None:
        _require_one_kind("graph.columns", vars(self))
        if (self.head_type == "") != (self.tail_type == ""):
            raise InputError(
                "only one of graph.columns.head_type and graph.columns.tail_type names a column; name both, "
                "or leave both empty"
            )

    @property
    def has_types(self) -> bool:
        """Whether the table has columns of node types; otherwise the nodes table has them."""
        return self.head_type != ""


@section
class NodeColumns:
    """Columns of the nodes table, by name or, in a table without a header, by number."""

    type: Column = key("node_type", "node type", "Column of the node type.")
    id: Column = key("node_id", "id within the type", "Column of the id.")
    name: OptionalColumn = key("node_name", 'name; "" shows ids', "Column of the name; empty to show ids.")

    def __post_init__(self) -> None:
        _require_one_kind("graph.node_columns", vars(self))


@section
class GraphSettings:
    """How the graph is built from the edges table."""

    format: Literal["auto", "table", "kgx", "triples", "openke", "ogb"] = key(
        "auto",
        "format of the tables: auto, table, kgx, triples, openke, ogb",
        (
            "Format of the tables: `table` (the columns of graph.columns), `kgx` (KGX or Biolink: tsv or "
            "JSON lines), `triples` (head, relation, tail; node types before `::` in the ids, as in DRKG and "
            "Hetionet's sif), `openke` (entity2id and so on) or `ogb` (a folder of OGB). `auto` sees which "
            "one it is."
        ),
    )
    columns: EdgeColumns = nested(EdgeColumns, "columns of the edges table: names, or numbers without header")
    node_columns: NodeColumns = nested(NodeColumns, "columns of the nodes table")
    categories: NodeTypes = key(
        [],
        "of a node with several types, the first of these counts",
        (
            "Node types in an order of preference, for nodes that have several (separated by `|`): the first "
            "one that a node has counts. If it has none of them, its rarest type counts, which is the most "
            "special one."
        ),
        unique=True,
    )
    directed_relations: Relations = key(
        [],
        "all others are undirected: the table may list their edges in one or both directions",
        (
            "Relations that have a direction. An edge of any other relation may be in the table"
            " in one or in both directions."
        ),
        unique=True,
    )
    exclude_relations: Relations = key(
        [],
        'left out of the graph; "treats (Drug, disease)": between these types only',
        (
            "Relations that are left out of the graph and of the pairs. A name means all "
            "relations of that name; `treats (Drug, disease)` means the one between these two "
            "node types."
        ),
        unique=True,
    )
    keep_relations: Relations = key(
        [],
        "stay in the graph although they connect target pairs under other node types",
        (
            "Relations, written as in exclude_relations, that stay in the graph although they "
            "connect target pairs (by id) under other node types. Any other such relation stops"
            " the run; results/pairs/certificate.json has the numbers."
        ),
        unique=True,
    )
    node_types: NodeTypes = key(
        [],
        "rows with any other node type are dropped and counted; empty: all types",
        ("Node types of the graph; rows with any other type are dropped and counted. Empty for all types."),
        unique=True,
    )
    missing: Spellings = key(
        ["nan", "NaN", "None", "null", "NULL", "<NA>"],
        "cells of ids, types, relations and names that count as empty",
        (
            "Spellings of a missing value; such a cell in a column of ids, types, relations or "
            "names counts as empty. Rows dropped for it are counted by column and type in "
            "results/graph/ledger.json, with a warning. Spellings that may mean a missing value"
            " but are kept, such as NA, are counted there too."
        ),
        unique=True,
    )
    identifiers: str = key(
        "",
        "optional: path of a table of other ids of nodes (columns id, same_as; type), which become one node",
        (
            "Path of a table of ids and the ids that replace them (columns id and same_as, optionally type, "
            "the node type), .csv, .tsv or .parquet; empty for none. It applies to the tables of edges and "
            "nodes and to all other tables that name nodes by id, except tables of vectors. Nodes that get "
            "the same id become one."
        ),
    )
    features: str = key(
        "",
        "optional: path of a parquet file of node vectors from which training starts",
        (
            "Path of a parquet file of node vectors (columns node_type, node_id, vector) from "
            "which the encoder's inputs start; empty for none. Nodes without a vector start as "
            "hgt.inputs says."
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
        "optional: a relation among tails, such as disease_disease, of parents and children",
        (
            "A relation among tails, such as is-a. For the split scheme `area`, its tails with the most "
            "edges, the broad terms, are the areas. A candidate that is a known treatment of a parent or "
            "child is marked in the column `repeats`. Empty for none."
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

    def connects(self, first: str, second: str) -> bool:
        """Whether the two node types are those of the target, in either order."""
        return {first, second} == {self.head_type, self.tail_type}


@section
class SplitSettings:
    """How known pairs are held out for validation and test."""

    schemes: list[
        Annotated[Literal["random", "disease", "drug", "area", "date"], Field(description="a scheme")]
    ] = key(
        ["random", "disease", "drug"],
        "what is held out: random pairs, whole diseases, drugs, areas of diseases, or the last pairs (date)",
        (
            "What is held out: `random` pairs, all pairs of a `disease` (tail), all pairs of a "
            "`drug` (head), all diseases of an `area`, or the treatments that were known last (`date`)."
        ),
        min_length=1,
        unique=True,
    )
    areas: str = key(
        "",
        "optional: path of a table of areas (columns node_id, area), for the scheme area",
        (
            "Path of a table with the area of each tail (columns node_id, area), for the scheme"
            " `area`. Empty: areas come from target.hierarchy."
        ),
    )
    dates: str = key(
        "",
        "optional: path of a table of dates (columns head_id, tail_id, date), for the scheme date",
        (
            "Path of a table with the dates of pairs (columns head_id, tail_id, date, such as 2019 or "
            "2019-04-30), for the scheme `date`; of several dates of a pair the first counts. Empty: dates "
            "come from graph.columns.date."
        ),
    )
    test_from: str = key(
        "",
        "optional: pairs from this date on are the test of the scheme date; empty: by test_share",
        (
            "Date from which on treatments are the test of the scheme `date`. Empty: the date that comes "
            "nearest to test_share. Treatments without a date are training pairs."
        ),
        pattern="^([0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?)?$",
    )
    valid_share: float = key(
        0.1,
        "share of the pairs for early stopping and the weights of the score's parts",
        (
            "Share of the pairs held out for validation, which chooses the number of trees and "
            "the weights of the score's parts."
        ),
        gt=0,
        lt=1,
    )
    test_share: float = key(
        0.2,
        "share of the pairs for the test metrics",
        "Share of the pairs held out for the test metrics.",
        gt=0,
        lt=1,
    )

    def __post_init__(self) -> None:
        held_out = self.valid_share + self.test_share
        if held_out >= 1:
            raise InputError(
                f"split.valid_share and split.test_share add up to {held_out:g}, which leaves none to train "
                "on; keep their sum below 1"
            )


@section
class ExternalColumns:
    """Names of the columns in this table."""

    head: str = key(
        "head_id", "id of the head", "Column of the head's id, as in the edges table.", min_length=1
    )
    tail: str = key("tail_id", "id of the tail", "Column of the tail's id.", min_length=1)
    label: str = key("label", "label of the pair", "Column of the pair's label.", min_length=1)


@section
class ExternalSettings:
    """External test pairs, for example approvals after the graph was built; never used for training."""

    pairs: str = key(
        "",
        "optional: path of a table of external test pairs; never used for training",
        (
            "Path of a table of pairs, .csv, .tsv or .parquet; empty for none. Pairs that the "
            "graph has already are left out."
        ),
    )
    columns: ExternalColumns = nested(ExternalColumns, "names of its columns; ids as in the edges table")
    positive: Labels = key(
        ["positive"],
        "labels that mean a treatment: a further test, named external",
        ("Labels that mean a treatment. They are a further test, named external, of the final model."),
        unique=True,
    )
    negative: Labels = key(
        ["negative"],
        "labels that mean a non-treatment: added to the test of every split",
        (
            "Labels that mean a known non-treatment. These pairs are ranked with the known "
            "negatives of every split."
        ),
        unique=True,
    )

    def __post_init__(self) -> None:
        if self.pairs and not self.positive + self.negative:
            raise InputError(
                "external.positive and external.negative are both empty, so no pair of external.pairs has a "
                "meaning; name the labels in its label column"
            )
        _require_disjoint("external.positive", self.positive, "external.negative", self.negative)


@section
class EncoderSettings:
    """The encoder, a Heterogeneous Graph Transformer (HGT)."""

    hidden_dim: int = key(
        64,
        "width of the layers; a multiple of heads",
        "Width of the layers; a multiple of `hgt.heads`.",
        ge=1,
        le=8192,
    )
    embedding_dim: int = key(
        256,
        "length of a node's vector: encoder output, svd_dim and profile_dim together",
        "Length of a node's vector, including `hgt.svd_dim` and `hgt.profile_dim`.",
        ge=2,
        le=8192,
    )
    layers: int = key(
        2, "message passing steps", "HGT layers, each one step of message passing.", ge=1, le=16
    )
    heads: int = key(4, "attention heads", "Attention heads of a layer.", ge=1, le=256)
    attention: Literal["fused", "pyg"] = key(
        "fused",
        "on the CPU: fused (the project's own kernels) or pyg; other devices run pyg",
        (
            "Code that computes a layer on the CPU: `fused` (the project's own kernels) or "
            "`pyg` (PyG's layer). Other devices always run PyG's layer."
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
        "start of training: learned (random), spectral (an SVD), blocks (an SVD per relation)",
        (
            "Start of the nodes' inputs, which training changes: `learned` (random numbers), "
            "`spectral` (the truncated SVD of the training edges), or `blocks` (for each node "
            "type, the principal components of this SVD and of an SVD of each relation)."
        ),
    )
    svd_dim: int = key(
        64,
        "columns of a vector that are the SVD of the training edges",
        (
            "Number of columns of a node's vector (of `hgt.embedding_dim`) that are the SVD of "
            "the training edges."
        ),
        ge=0,
        le=100000,
    )
    profile_dim: int = key(
        128,
        "columns of a vector that are the node's relation profile",
        (
            "Number of columns of a node's vector that are its relation profile: its "
            "TF-IDF-weighted neighbours, reduced to principal components relation by relation, "
            "with equal shares for the relations of its type. Nodes with few edges get a short "
            "vector. The other columns of `hgt.embedding_dim`, without `hgt.svd_dim`, are the "
            "encoder output."
        ),
        ge=0,
        le=100000,
    )
    decoder: Literal["distmult", "dot"] = key(
        "distmult",
        "distmult (weights per relation) or dot",
        "Score of an edge, `distmult` (with weights per relation) or `dot` (the dot product).",
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
    """The ranking loss: an edge's head and tail are to be found among those of its relation's other edges."""

    weight: float = key(
        4.0,
        "relative to the link loss; 0 switches it off",
        "Weight relative to the link loss; 0 switches it off.",
        ge=0,
        le=1000,
    )
    edges: int = key(
        512,
        "maximum number of edges per relation and step whose ends are compared",
        "Maximum number of edges of each relation that a step compares.",
        ge=2,
        le=100000,
    )


@section
class ContrastiveSettings:
    """The contrastive loss, which moves the vectors of tails with common neighbours together."""

    weight: float = key(
        0.0,
        "relative to the link loss; 0 switches it off",
        "Weight relative to the link loss; 0 switches it off.",
        ge=0,
        le=1000,
    )
    similarity_threshold: float = key(
        0.1,
        "Jaccard index of neighbours above which two tails are similar",
        "Jaccard index of two tails' neighbours above which they count as similar.",
        le=1,
        gt=0,
    )
    relations: Relations = key(
        ["disease_protein"],
        "relations whose neighbours are compared",
        ("Relations of the tail type whose neighbours are compared, for example the genes of a disease."),
        unique=True,
    )
    temperature: float = key(
        0.1, "temperature of the InfoNCE loss", "Temperature of the InfoNCE loss.", le=100, gt=0
    )
    batch_size: int = key(512, "tails per step", "Tails compared in one step.", ge=2, le=1000000)

    def __post_init__(self) -> None:
        if self.weight and not self.relations:
            raise InputError(
                f"training.contrastive.weight is {self.weight:g}, but training.contrastive.relations is "
                "empty; name the relations whose neighbours are compared, or set the weight to 0"
            )


@section
class BatchingSettings:
    """Whether a step uses the whole graph or a sample of it."""

    cpu: Literal["full", "sampled"] = key("full", "full or sampled", "Batching on the CPU.")
    mps: Literal["full", "sampled"] = key("full", "full or sampled", "Batching on Apple GPUs.")
    cuda: Literal["full", "sampled"] = key("full", "full or sampled", "Batching on NVIDIA GPUs.")


@section
class TrainingSettings:
    """How the encoder is trained."""

    epochs: int = key(
        40,
        "if batching is full: one step over the whole graph each",
        "Epochs if batching is `full`; an epoch is one step over the whole graph.",
        ge=1,
        le=1000000,
    )
    sampled_epochs: int = key(
        5,
        "if batching is sampled: each predicts every message edge once",
        (
            "Epochs if batching is `sampled`; an epoch predicts every message edge once, "
            "`batch_size` edges per step."
        ),
        ge=1,
        le=1000000,
    )
    learning_rate: float = key(0.01, "step size of Adam", "Step size of Adam.", le=1, gt=0)
    edge_sample_size: int = key(
        5000,
        "maximum number of positives per relation in a full step",
        "Maximum number of edges per relation that a full step predicts.",
        ge=1,
        le=1000000000,
    )
    supervision_share: float = key(
        0.5,
        "maximum share of a relation's edges that a full step predicts; they carry no messages",
        (
            "Maximum share of a relation's edges that a full step predicts; these edges carry "
            "no messages in that step."
        ),
        gt=0,
        lt=1,
    )
    batch_size: int = key(
        1024,
        "edges predicted in a sampled step",
        (
            "Edges that a sampled step predicts, in proportion over the relations; they carry "
            "no messages in that step."
        ),
        ge=1,
        le=100000000,
    )
    fanout: list[Annotated[int, Field(ge=1, le=100000000, description="neighbours of a node")]] = key(
        [16, 8],
        "neighbours drawn per node in a sampled step: one number per layer, the last layer first",
        (
            "Neighbours that a sampled step draws per node, one number per layer; the first "
            "number is for the last layer."
        ),
        min_length=1,
    )
    valid_share: float = key(
        0.05,
        "share of message edges held out to choose the best state; the same number for the gate",
        (
            "Share of the message edges held out to choose the best state; the same number is "
            "held out for the gate."
        ),
        gt=0,
        lt=0.5,
    )
    valid_every: int = key(
        5,
        "steps between validations; if batching is sampled, at least a tenth of an epoch",
        "Steps between validations; if batching is `sampled`, at least a tenth of an epoch.",
        ge=1,
        le=1000000,
    )
    degree_matched_share: float = key(
        1.0,
        "share of negatives drawn in proportion to degree",
        ("Share of the negatives that are drawn in proportion to degree; the others are drawn uniformly."),
        ge=0,
        le=1,
    )
    ranking: RankingSettings = nested(RankingSettings)
    contrastive: ContrastiveSettings = nested(ContrastiveSettings)
    checkpoint_seconds: float = key(
        60,
        "seconds between checkpoints, from which a killed training continues",
        "Seconds between checkpoints; more if writing them would take over 2 % of the time.",
        ge=0,
        le=1000000,
    )
    batching: BatchingSettings = nested(BatchingSettings)


@section
class GateSettings:
    """Thresholds that an embedding must reach before a classifier is trained on it."""

    min_distinct_share: float = key(
        0.95,
        "share of different neighbourhoods with vectors of their own",
        (
            "Minimum share of the different neighbourhoods of nodes that have vectors of their own, per "
            "node type. Nodes with the same neighbours in every relation may share a vector."
        ),
        ge=0,
        le=1,
    )
    min_effective_rank: float = key(
        3.0,
        "of the vectors, per node type",
        "Minimum effective rank of the centred vectors, per node type.",
        ge=1,
        le=8192,
    )
    min_auroc_margin: float = key(
        0.02,
        "AUROC on held-out edges, gain over an untrained encoder",
        (
            "Minimum gain in AUROC on held-out edges, against degree-matched negatives, over an"
            " untrained encoder."
        ),
        ge=-1,
        le=1,
    )
    min_gain_over_inputs: float = key(
        0.056,
        "AUROC on held-out edges by the encoder output, gain over the untrained layers",
        (
            "Minimum gain in the same AUROC by the encoder output over that of the untrained "
            "layers with the same inputs. Checked only if the inputs or a part of the vectors "
            "come from an SVD or from relation profiles."
        ),
        ge=-1,
        le=1,
    )
    min_enrichment: float = key(
        1.1,
        "shared genes of nearest neighbours, ratio to a rewired graph",
        (
            "Minimum ratio of the overlap of nearest tails' genes, and of their neighbours "
            "among tails, to the upper end of that in randomly rewired graphs."
        ),
        ge=0,
        le=1000,
    )
    min_nearer_share: float = key(
        0.7,
        "share of nodes that are nearest to nodes with common graph neighbours, per type",
        (
            "Minimum share of nodes that have more graph neighbours in common with their "
            "nearest nodes in the embedding than with nodes of similar degree; for every node "
            "type of at least 50 nodes."
        ),
        ge=0,
        le=1,
    )
    min_agreement_margin: float = key(
        0.0,
        "shared genes of nearest neighbours, gain over an untrained encoder",
        ("Minimum gain over an untrained encoder in how often a tail's nearest neighbours share its genes."),
        ge=-1,
        le=1,
    )


@section
class ClassifierSettings:
    """The parts of the score of a pair, and the baselines."""

    draws: int = key(
        3,
        "draws of random negatives; each trains an ensemble member",
        (
            "Draws of random negatives. Each draw trains one ensemble member on its own part of the "
            "embeddings' columns, and the members' margins are averaged."
        ),
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
        "maximum number of boosting rounds; early stopping usually ends sooner",
        "Maximum number of boosting rounds; early stopping usually ends sooner.",
        ge=1,
        le=100000,
    )
    depth: int = key(6, "depth of a tree", "Depth of a tree.", ge=1, le=32)
    learning_rate: float = key(0.1, "weight of a new tree", "Weight of each new tree.", le=1, gt=0)
    patience: int = key(
        30,
        "rounds without a better validation AUPRC before boosting stops",
        "Rounds without a better validation AUPRC before boosting stops.",
        ge=1,
        le=100000,
    )
    svd_dim: int = key(
        128, "dimensions of the SVD baseline", "Dimensions of the SVD baseline.", ge=1, le=8192
    )
    parts: list[
        Annotated[
            Literal["trees", "kernel", "metapaths", "specificity"], Field(description="a part of the score")
        ]
    ] = key(
        ["trees", "kernel", "metapaths", "specificity"],
        "parts of the score; [trees, kernel] reads the embeddings alone",
        (
            "Parts of the score: `trees` (XGBoost) and `kernel` (kernel ridge regression) read the "
            "embeddings; `metapaths` (XGBoost) and `specificity` (a linear model) read metapaths and "
            "neighbour votes. Their weights are chosen on validation pairs, for each kind of list. "
            "`trees` must be among them."
        ),
        min_length=1,
        unique=True,
    )
    question: Literal["each", "treated", "untreated"] = key(
        "each",
        "whose weights rank: those of each list's own kind, or of lists with (or without) known treatments",
        (
            "Which question the lists answer. `each`: a disease, or a drug, with known treatments has the "
            "weights that rank further treatments best, one without any those that rank first treatments "
            "best. `treated`, `untreated`: all lists have the weights of that kind."
        ),
    )
    metapath_steps: int = key(
        4,
        "longest metapath from a head to a tail",
        "Most steps of a metapath from a head to a tail.",
        ge=1,
        le=6,
    )
    metapaths_kept: int = key(
        24,
        "metapaths and kinds of votes that the parts metapaths and specificity read",
        (
            "Number of metapaths and kinds of votes that are kept, those that tell most about the training "
            "pairs. Very costly ones are left out."
        ),
        ge=1,
        le=1000,
    )
    evaluation_pairs: int = key(
        2000000,
        "maximum number of unknown pairs that the test pairs are ranked against",
        "Maximum number of unknown pairs that the test pairs are ranked against.",
        ge=1,
        le=10000000000,
    )

    def __post_init__(self) -> None:
        if "trees" not in self.parts:
            raise InputError("classifier.parts lacks trees, which read the embeddings; add trees to it")


@section
class CandidateSettings:
    """The ranking of heads for tails."""

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
    in_report: int = key(
        20,
        "best new pairs of each list that the report holds",
        "Best new pairs of each tail's and of each head's list that the report holds, with the known ones.",
        ge=1,
        le=1000,
    )
    correct_popularity: float = key(
        0.0,
        "share of a head's mean score subtracted before ranking (popularity bias)",
        (
            "Correction of popularity bias: share of a head's mean score over all tails that is"
            " subtracted from its scores before they are ranked, so that frequent flyers rank "
            "lower. Probabilities are calibrated on the corrected scores. If it is above 0, "
            "metrics.json and the report show the effect of the shares 0.5 and 1 on the test "
            "metrics."
        ),
        ge=0,
        le=1,
    )
    heads: HeadNames = key(
        [],
        "ids or names of the heads to rank; empty: all",
        "Ids or names of the heads to rank, among one another; empty for all.",
        unique=True,
    )
    tails: TailNames = key(
        [],
        "ids or names of the tails to rank them for; empty: all",
        "Ids or names of the tails to rank heads for; empty for all.",
        unique=True,
    )


@section
class DatasetSettings:
    """What the knowledge graph is called, for the methods paragraph and the dataset card alone."""

    name: str = key("", "optional: name of the graph, for results/methods.md", "Name of the graph.")
    version: str = key("", "its version or date", "Version or date of the graph.")
    licence: str = key("", "its licence, also for results/README.md", "Licence of the graph's data.")
    citation: str = key("", "how to cite it", "The reference to cite for the graph.")


@section
class AnnotationSettings:
    """A table about heads or tails whose columns the candidates and the report show; no model reads it."""

    table: str = key(
        "",
        "optional: path of a table about drugs or diseases, such as approval or route, to show and filter by",
        (
            "Path of a table about heads or tails, .csv, .tsv or .parquet, a row per node; empty for none. "
            "Its columns are shown with the candidates and never used for training."
        ),
    )
    id: str = key(
        "id", "its column of ids, as in the graph", "Column of the node's id, as in the graph.", min_length=1
    )
    of: Literal["head", "tail", "both"] = key(
        "both",
        "whose ids these are: head, tail or both",
        "Whether the table is about heads, tails or both. An id that both types have needs `head` or `tail`.",
    )
    columns: ColumnNames = key(
        [], "columns to show; empty: all", "Columns of the table to show; empty for all.", unique=True
    )
    separator: str = key(
        "|",
        "between several values in one cell",
        "What stands between several values in one cell; empty if a cell has one.",
        max_length=5,
    )
    only: Conditions = key(
        [],
        "rank only these, e.g. [head_status=approved, head_route=oral]; empty: all",
        (
            "Rank only heads or tails with these values, written as column=value; a column has `head_` or "
            "`tail_` in front, as in candidates.csv. Several values of one column are alternatives; "
            "conditions on different columns must all hold. Empty for all."
        ),
        unique=True,
    )

    def __post_init__(self) -> None:
        if self.only and not self.table:
            raise InputError(
                "annotations.only has conditions, but annotations.table names no table; name it or leave the "
                "conditions out"
            )


@section
class ReviewSettings:
    """Marks of reviewers on pairs, shown with the candidates; no model reads them."""

    table: str = key(
        "",
        "optional: path of a table of reviewed pairs (head_id, tail_id, verdict; why, who, when)",
        (
            "Path of a table of reviewed pairs, .csv, .tsv or .parquet, with the columns head_id, tail_id "
            "and verdict, and if you like why, who and when; empty for none. Shown with the candidates, "
            "never labels. Of several rows of a pair the last one counts."
        ),
    )
    exclude: Verdicts = key(
        [],
        "verdicts whose pairs are left out of the lists, e.g. [implausible]; empty: none",
        "Verdicts whose pairs are left out of the candidates; the ranks of others stay. Empty for none.",
        unique=True,
    )

    def __post_init__(self) -> None:
        if self.exclude and not self.table:
            raise InputError(
                "reviews.exclude has verdicts, but reviews.table names no table; name it or leave them out"
            )


@section
class RepeatSettings:
    """Candidates that repeat a known treatment: the same ingredient, or a parent or child of the disease."""

    ingredients: str = key(
        "",
        "optional: path of a table of drugs' ingredients (columns id, ingredient), such as salts",
        (
            "Path of a table of the heads' ingredients (columns id and ingredient), .csv, .tsv or .parquet, "
            "for example a row for each salt with its active ingredient; empty for none. A head without a "
            "row is its own ingredient. Candidates that share an ingredient with a known treatment are "
            "marked."
        ),
    )
    exclude: list[Annotated[Literal["ingredient", "hierarchy"], Field(description="a kind of repeat")]] = key(
        [],
        "repeats left out of the lists: ingredient, hierarchy (of target.hierarchy); empty: none",
        (
            "Repeats that are left out of the candidates: `ingredient`, `hierarchy` (known for a parent or "
            "child by target.hierarchy). With both, also those of the same ingredient for a parent or child. "
            "The ranks of others stay. Empty for none."
        ),
        unique=True,
    )

    def __post_init__(self) -> None:
        if "ingredient" in self.exclude and not self.ingredients:
            raise InputError(
                "repeats.exclude has ingredient, but repeats.ingredients names no table; name it or leave "
                "ingredient out"
            )


@section
class EvidenceSettings:
    """The explanations of candidates."""

    explained: int = key(
        200,
        "best new pairs that are explained",
        ("Number of best new pairs that are explained; scripts/query_candidates.py explains any pair."),
        ge=1,
        le=1000000,
    )
    per_tail: int = key(
        5,
        "best new pairs of each tail whose paths are in the report",
        (
            "Number of best new pairs of each tail whose paths and reasons are written for the report, "
            "without counterfactual scores; 0 for none."
        ),
        ge=0,
        le=1000,
    )
    paths_each: int = key(
        5,
        "paths from the head to the tail, per pair",
        "Best paths of an explanation, of two or three edges, none over a known pair.",
        ge=1,
        le=1000,
    )
    similar: int = key(
        3,
        "most similar known treatments of the tail, and of the head",
        (
            "Most similar heads that are known to treat the tail, and most similar tails that "
            "the head is known to treat."
        ),
        ge=0,
        le=1000,
    )


@section
class MapSettings:
    """The map of the embeddings in the report."""

    method: Literal["pca", "umap"] = key(
        "pca",
        "pca, or umap, which takes minutes for a hundred thousand nodes",
        (
            "How vectors become two coordinates: pca (the two directions of most variance) or umap, which "
            "keeps more of who is near to whom and takes minutes for a hundred thousand nodes."
        ),
    )
    nearest: int = key(
        5,
        "nearest heads of each head, and tails of each tail, that the map shows",
        "Nearest nodes that the map marks when a head or tail is chosen.",
        ge=1,
        le=50,
    )


@section
class AgreementSettings:
    """How far devices may differ before the report warns."""

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
        ("Minimum share of nearest nodes that two devices have in common, mean over node types."),
        ge=0,
        le=1,
    )
    min_cka: float = key(
        0.88,
        "linear alignment of two devices' embeddings, mean over node types",
        ("Minimum linear centred kernel alignment of two devices' embeddings, mean over node types."),
        ge=-1,
        le=1,
    )
    min_candidate_overlap: float = key(
        0.42,
        "share of a tail's top candidates that two devices have in common",
        "Minimum share of a tail's best candidates that two devices have in common.",
        ge=0,
        le=1,
    )
    max_loss_difference: float = key(
        0.02,
        "relative, between the first losses of two devices",
        "Largest relative difference between two devices' losses in the first steps.",
        ge=0,
        le=1,
    )
