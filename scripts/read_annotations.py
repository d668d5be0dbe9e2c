"""Read the user's table of annotations of heads and tails."""

from pathlib import Path

from repurpose.config.sections import AnnotationSettings, Target
from repurpose.core import files, logs
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import annotations, identifiers
from repurpose.provenance import jobs


def main(
    *,
    table: str | Path,
    graph_files: GraphFiles,
    annotations_out: str | Path,
    target: Target,
    settings: AnnotationSettings,
    identifiers_in: str | Path | None = None,
) -> None:
    """Write the annotations of the graph's heads and tails."""
    kg = graph.load(graph_files)
    files.write_table(
        annotations_out, annotations.read(table, kg, target, settings, identifiers.read(identifiers_in))
    )


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                table=snakemake.params.tables["annotations.table"],
                graph_files=GraphFiles.of(snakemake.input),
                annotations_out=output.annotations,
                target=Target(**snakemake.params.target),
                identifiers_in=snakemake.params.tables["graph.identifiers"],
                settings=AnnotationSettings(**snakemake.params.annotations),
            )
