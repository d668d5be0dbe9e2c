"""Read the reviewers' marks on pairs, which are shown with the candidates and never used for training."""

from collections.abc import Sequence
from pathlib import Path

from repurpose.config.sections import Target
from repurpose.core import files, logs
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import identifiers
from repurpose.pairs import review_tables
from repurpose.provenance import jobs


def main(
    *,
    table: str | Path,
    graph_files: GraphFiles,
    reviews_out: str | Path,
    target: Target,
    exclude: Sequence[str],
    identifiers_in: str | Path | None = None,
) -> None:
    """Write the reviews of pairs of the graph; exclude: verdicts that must occur."""
    kg = graph.load(graph_files)
    files.write_table(
        reviews_out, review_tables.read(table, kg, target.types, exclude, identifiers.read(identifiers_in))
    )


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                table=snakemake.params.tables["reviews.table"],
                graph_files=GraphFiles.of(snakemake.input),
                reviews_out=output.reviews,
                target=Target(**snakemake.params.target),
                identifiers_in=snakemake.params.tables["graph.identifiers"],
                exclude=snakemake.params.exclude,
            )
