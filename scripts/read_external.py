"""Read the table of external test pairs, which are never used for training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repurpose.core import logs
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.graph.target import Target
from repurpose.pairs import external, pairs
from repurpose.provenance import jobs


def main(
    *,
    table: str | Path,
    graph_files: GraphFiles,
    external_out: str | Path,
    target: Target,
    options: Mapping[str, Any],
) -> None:
    """Write the pairs of the table that no relation of the graph connects."""
    kg = graph.load(graph_files)
    types = target.types
    chosen = {key: options[key] for key in ("columns", "positive", "negative")}
    external.save(external.read(table, kg, types, pairs.known(kg, *types), **chosen), external_out)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                table=snakemake.params.tables["external.pairs"],
                graph_files=GraphFiles.of(snakemake.input),
                external_out=output.external,
                target=Target(**snakemake.params.target),
                options=snakemake.params.external,
            )
