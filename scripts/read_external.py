"""Read the table of external test pairs, which are never used for training."""

from pathlib import Path

from repurpose.config.sections import ExternalSettings, Target
from repurpose.core import logs
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import identifiers
from repurpose.pairs import external, pairs
from repurpose.provenance import jobs


def main(
    *,
    table: str | Path,
    graph_files: GraphFiles,
    external_out: str | Path,
    target: Target,
    settings: ExternalSettings,
    identifiers_in: str | Path | None = None,
) -> None:
    """Write the pairs of the table that no relation of the graph connects."""
    kg = graph.load(graph_files)
    types = target.types
    known = pairs.known(kg, *types)
    columns = vars(settings.columns)
    pairs_of_table = external.read(
        table,
        kg,
        types,
        known,
        columns=columns,
        positive=settings.positive,
        negative=settings.negative,
        same=identifiers.read(identifiers_in),
    )
    external.save(pairs_of_table, external_out)


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
                identifiers_in=snakemake.params.tables["graph.identifiers"],
                settings=ExternalSettings(**snakemake.params.external),
            )
