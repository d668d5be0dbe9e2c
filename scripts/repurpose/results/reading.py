"""Read a finished run: each call reads its file, and nothing is computed again."""

from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from repurpose.config.sections import Target
from repurpose.core import files
from repurpose.graph import graph, names
from repurpose.graph.graph import Graph, GraphFiles
from repurpose.provenance import passed, records
from repurpose.vectors import embeddings


class Results:
    """One device of a finished run."""

    def __init__(self, folder: str | Path, device: str | None = None) -> None:
        """Open the device, by default the first that passed its gate.

        Raises InputError if no run has finished there, if the device did not pass, or if a file was changed.
        """
        self.folder = Path(folder)
        self.device = passed.device_of(self.folder, device)
        records.require_whole(self.folder, self.device)

    @cached_property
    def graph(self) -> Graph:
        """The graph of the run."""
        return graph.load(GraphFiles.in_folder(self.folder / "graph"))

    @cached_property
    def target(self) -> Target:
        """The node types and relations of the pairs."""
        return Target(**files.read_json(self.folder / "pairs" / "certificate.json")["target"])

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json (docs/evaluation.md)."""
        return files.read_json(self.folder / "classifier" / self.device / "metrics.json")

    def candidates(self) -> pd.DataFrame:
        """All candidates, a row per pair; docs/exports.md describes the columns."""
        return files.read_table(self._candidates("candidates")).to_pandas()

    def disease(self, text: str, *, new_only: bool = False) -> pd.DataFrame:
        """The list of one tail, best first; text: its id or name. Raises InputError with names like it."""
        return self._list("candidates", 1, text, "rank_of_drug_for_disease", new_only)

    def drug(self, text: str, *, new_only: bool = False) -> pd.DataFrame:
        """The list of one head, best first, from by_head.parquet."""
        return self._list("by_head", 0, text, "rank_of_disease_for_drug", new_only)

    def evidence(self) -> pd.DataFrame:
        """The explanations of the best new pairs: paths, reasons, similar known treatments."""
        return files.read_table(self._candidates("evidence")).to_pandas()

    def embeddings(self) -> pd.DataFrame:
        """The vectors, a row per node, with node_type and node_id as index."""
        path = self.folder / "embeddings" / self.device / "embeddings.parquet"
        embedded = embeddings.read(path)
        parts = [
            pd.DataFrame(rows, pd.MultiIndex.from_product([[node_type], self.graph.node_ids[node_type]]))
            for node_type, rows in embeddings.aligned(embedded, self.graph, path).items()
        ]
        return pd.concat(parts).rename_axis(["node_type", "node_id"])

    def _candidates(self, name: str) -> Path:
        return self.folder / "candidates" / self.device / f"{name}.parquet"

    def _list(self, name: str, side: int, text: str, rank: str, new_only: bool) -> pd.DataFrame:
        node_type = self.target.types[side]
        node = names.find(self.graph, node_type, text)
        column = ("head_id", "tail_id")[side]
        is_asked = pc.field(column) == str(self.graph.node_ids[node_type][node])
        if new_only:
            is_asked &= pc.field("known") == ""
        rows = files.read_table(self._candidates(name), where=is_asked).to_pandas()
        return rows.sort_values(rank, ignore_index=True)


def open(folder: str | Path, device: str | None = None) -> Results:
    """Open the results of a finished run; see `Results`."""
    return Results(folder, device)
