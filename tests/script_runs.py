"""The scripts from the graph to the candidates, called on a planted graph in a results folder."""

from dataclasses import dataclass
from pathlib import Path

import pair_models
from planted import TARGET

import rank_candidates
import split_pairs
import train_baselines
import train_classifier
import train_contraindications
import train_metapaths
from repurpose.candidates.additions import AdditionFiles
from repurpose.candidates.finished import DeviceFiles
from repurpose.config.sections import ClassifierSettings, SplitSettings
from repurpose.core import files
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.provenance import records
from repurpose.vectors import embeddings


@dataclass(frozen=True)
class ScriptRun:
    """One device, cpu, whose files lie where the rules put them."""

    results: Path
    settings: ClassifierSettings = pair_models.SETTINGS

    @property
    def device_files(self):
        return DeviceFiles.in_results(self.results, "cpu")

    def path(self, name):
        path = self.results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def begin(self, kg, rows, metadata=None):
        """Write the graph, its embeddings, the labelled pairs and the verdict."""
        graph.save(kg, GraphFiles.in_folder(self.path("graph/nodes.parquet").parent))
        embeddings.write(
            self.path("embeddings/cpu/embeddings.parquet"), kg, rows, {"device": "cpu", **(metadata or {})}
        )
        verdict = {"device": "cpu", "passed": True, "status": "completed", "checks": []}
        files.write_json(self.path("validation/cpu/verdict.json"), verdict)
        split_pairs.main(
            graph_files=self.device_files.graph,
            pairs_out=self.path("pairs/pairs.parquet"),
            certificate_out=self.path("pairs/certificate.json"),
            target=TARGET,
            split=SplitSettings(**pair_models.SPLIT),
            seed=0,
        )

    def _common(self, **changes):
        options = {"target": TARGET, "settings": self.settings, "seed": 0, "n_threads": 1}
        inputs = {"pairs_in": self.path("pairs/pairs.parquet"), "graph_files": self.device_files.graph}
        return inputs | options | changes

    def train_metapaths(self):
        """Fit the models on metapaths; what is trained after this call reads them."""
        options = self._common(longest=self.settings.metapath_steps, kept=self.settings.metapaths_kept)
        del options["settings"]
        models = self.path("metapaths/models.json")
        train_metapaths.main(models_out=models, **options)

    def train_baselines(self):
        train_baselines.main(
            external_in=None,
            untrained=self.device_files.embeddings,
            metapaths_in=self.device_files.metapaths,
            metrics_out=self.path("baselines/metrics.json"),
            ranks_out=self.path("baselines/ranks.parquet"),
            **self._common(),
        )

    def train_classifier(self, **changes):
        self.path("classifier/cpu/metrics.json")
        train_classifier.main(
            vectors_in=self.device_files.embeddings,
            metapaths_in=self.device_files.metapaths,
            baselines=self.path("baselines/metrics.json"),
            baseline_ranks=self.path("baselines/ranks.parquet"),
            external_in=None,
            verdict=self.path("validation/cpu/verdict.json"),
            model_out=self.device_files.model,
            kernel_out=self.device_files.kernel,
            metrics_out=self.device_files.metrics,
            ranks_out=self.path("classifier/cpu/ranks.parquet"),
            device="cpu",
            **self._common(**changes),
        )

    def train_contraindications(self):
        self.path("classifier/cpu/negatives.json")
        train_contraindications.main(
            vectors_in=self.device_files.embeddings,
            verdict=self.path("validation/cpu/verdict.json"),
            negatives_out=self.device_files.negatives,
            device="cpu",
            **self._common(),
        )

    def rank(self, per_tail, per_head, correct_popularity=0.0, additions=None):
        folder = self.path("candidates/cpu/candidates.parquet").parent
        rank_candidates.main(
            device_files=self.device_files,
            chosen=None,
            additions_in=additions or AdditionFiles(),
            parquet_out=folder / "candidates.parquet",
            csv_out=folder / "candidates.csv",
            by_head_out=folder / "by_head.parquet",
            popularity_out=folder / "popularity.parquet",
            stability_out=folder / "stability.json",
            lists_out=folder / "lists.json",
            target=TARGET,
            per_tail=per_tail,
            per_head=per_head,
            correct_popularity=correct_popularity,
            seed=0,
        )
        return files.read_table(folder / "candidates.parquet"), files.read_table(folder / "by_head.parquet")


def record_all(results):
    """Write a record of all files, so that they count as complete."""
    digests = {str(p.relative_to(results.parent)): files.digest(p) for p in results.rglob("*") if p.is_file()}
    records.Record("finished_run", {}, {}, "", {}, {}, digests).write(
        results / "records" / "finished_run.json"
    )
