"""Read a table of pairs from elsewhere, which the evaluation asks about and nothing learns from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repurpose.core import logs
from repurpose.graph import graph
from repurpose.graph.target import Target
from repurpose.pairs import external, pairs
from repurpose.provenance import jobs


def main(
    table: str | Path,
    nodes: str | Path,
    edges: str | Path,
    relations: str | Path,
    external_out: str | Path,
    *,
    target: Target,
    options: Mapping[str, Any],
) -> None:
    """Write the pairs that the graph does not know; `options` is the config section `external`."""
    kg = graph.load(nodes, edges, relations)
    types = target.types
    chosen = {key: options[key] for key in ("columns", "positive", "negative")}
    external.save(external.read(table, kg, types, pairs.known(kg, *types), **chosen), external_out)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                snakemake.params.tables["external.pairs"],
                snakemake.input.nodes,
                snakemake.input.edges,
                snakemake.input.relations,
                output.external,
                target=Target(**snakemake.params.target),
                options=snakemake.params.external,
            )
