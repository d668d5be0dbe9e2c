"""The whole config: all sections together, checked against one another."""

from typing import Annotated

from pydantic import Field

from repurpose.config.device import GIVEN, Device
from repurpose.config.sections import (
    AgreementSettings,
    AnnotationSettings,
    CandidateSettings,
    ClassifierSettings,
    DatasetSettings,
    DemoSettings,
    EncoderSettings,
    EvidenceSettings,
    ExternalSettings,
    GateSettings,
    GraphSettings,
    MapSettings,
    RepeatSettings,
    ReviewSettings,
    SplitSettings,
    TablePath,
    TablePaths,
    Target,
    TrainingSettings,
    key,
    nested,
    section,
    shown,
)
from repurpose.core.errors import InputError


@section
class Config:
    """The settings of one run."""

    seed: int = key(
        7,
        "seed of all random draws except the demo graph's",
        "Seed of all random draws except those of the demo graph.",
        ge=0,
        le=2147483647,
    )
    seeds: list[Annotated[int, Field(ge=0, le=2147483647, description="a seed")]] = key(
        [],
        "optional: seeds of several runs per device, such as [1, 2, 3]",
        (
            "Seeds for several runs: every device trains once for each, with its own embedding file and "
            "results, for example `cpu-seed2`, and the candidates of all runs are pooled. The split of the "
            "pairs and the baselines keep `seed`, so all runs are judged on the same pairs. Empty: each "
            "device is one run, with `seed`."
        ),
        unique=True,
    )
    edges: TablePath | TablePaths = key(
        "demo",
        "demo, or path or URL of an edges table, or a list of them",
        (
            "`demo` for the synthetic graph, or the path or URL of an edges table: .csv or .tsv "
            "(also compressed: .gz, .zst), .parquet, JSON lines of KGX, an archive (.tar.gz, .zip) or a "
            "folder that holds the tables. A list gives several tables of the same format."
        ),
    )
    nodes: str | TablePaths = key(
        "",
        "optional: path or URL of a table of nodes, or a list of them",
        (
            "Path or URL of an optional table of nodes, which adds nodes without edges, better names and, if "
            "the edges table has none, node types; empty for none. A list gives several."
        ),
    )
    devices: list[
        Annotated[
            str,
            Field(
                pattern="^((cpu|mps|cuda(:[0-9]+)?)(-full|-sampled)?|given)$",
                description=(
                    "a device is cpu, mps, cuda or cuda:1, optionally with the suffix -full or -sampled, or "
                    "given; seeds are listed in the key seeds"
                ),
            ),
        ]
    ] = key(
        ["cpu"],
        "cpu, mps, cuda, cuda:1; the suffix -full or -sampled overrides training.batching",
        (
            "Devices to train on, each with its own results: `cpu`, `mps`, `cuda` or `cuda:1`. "
            "The suffix `-full` or `-sampled` overrides training.batching. `given` trains "
            "nothing and uses the vectors of the key `given`."
        ),
        min_length=1,
        unique=True,
    )
    given: str = key(
        "",
        "optional: file of another tool's embeddings, for the device given",
        (
            "Path of another tool's vectors for the device `given`, of all nodes or of heads and tails only: "
            ".parquet or .csv (columns node_type, node_id, embedding), .npz, word2vec's text format (.txt, "
            ".vec, .emb) or vectors.tsv with metadata.tsv (docs/exports.md); empty for none."
        ),
    )
    demo: DemoSettings = nested(DemoSettings)
    graph: GraphSettings = nested(GraphSettings)
    target: Target = nested(Target)
    split: SplitSettings = nested(SplitSettings)
    external: ExternalSettings = nested(ExternalSettings)
    hgt: EncoderSettings = nested(EncoderSettings)
    training: TrainingSettings = nested(TrainingSettings)
    gate: GateSettings = nested(GateSettings)
    classifier: ClassifierSettings = nested(ClassifierSettings)
    candidates: CandidateSettings = nested(CandidateSettings)
    dataset: DatasetSettings = nested(DatasetSettings)
    annotations: AnnotationSettings = nested(AnnotationSettings)
    reviews: ReviewSettings = nested(ReviewSettings)
    repeats: RepeatSettings = nested(RepeatSettings)
    evidence: EvidenceSettings = nested(EvidenceSettings)
    map: MapSettings = nested(MapSettings)
    agreement: AgreementSettings = nested(
        AgreementSettings, "of the devices with one another, if several train"
    )

    def __post_init__(self) -> None:
        if "area" in self.split.schemes and not (self.split.areas or self.target.hierarchy):
            raise InputError(
                "split.schemes has area, but nothing tells which disease is in which; name a table in "
                "split.areas or a relation in target.hierarchy"
            )
        if "date" in self.split.schemes and not (self.split.dates or self.graph.columns.date):
            raise InputError(
                "split.schemes has date, but nothing tells when a treatment was known; name a column in "
                "graph.columns.date or a table in split.dates"
            )
        if "hierarchy" in self.repeats.exclude and not self.target.hierarchy:
            raise InputError(
                "repeats.exclude has hierarchy, but target.hierarchy names no relation; name it or leave "
                "hierarchy out"
            )
        listed = self.graph.node_types
        for name in ("head_type", "tail_type"):
            node_type = getattr(self.target, name)
            if listed and node_type not in listed:
                raise InputError(
                    f"graph.node_types lacks {shown(node_type)}, which is target.{name}; add it there"
                )
        if bool(self.given) != (GIVEN in self.devices):
            raise InputError(
                f"the key given is {shown(self.given)}, but devices does not list given; add it there"
                if self.given
                else "devices lists given and the key given is empty; name the file of vectors there"
            )
        batching_by_kind = vars(self.training.batching)
        parsed = [Device.parse(name, batching_by_kind) for name in self.devices]
        sampled = [device.name for device in parsed if device.batching == "sampled"]
        fanout, layers = self.training.fanout, self.hgt.layers
        if sampled and len(fanout) != layers:
            raise InputError(
                f"training.fanout has {len(fanout)} numbers, hgt.layers is {layers} and {sampled[0]} trains "
                "on samples; give one number per layer"
            )
