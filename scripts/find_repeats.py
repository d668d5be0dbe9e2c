"""Find the pairs that repeat a known treatment: of the same ingredient, or of a parent or child disease."""

import logging
from pathlib import Path

from repurpose.config.sections import Target
from repurpose.core import files, logs
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.ingest import identifiers
from repurpose.pairs import repeat_search
from repurpose.provenance import jobs


def main(
    *,
    graph_files: GraphFiles,
    repeats_out: str | Path,
    target: Target,
    ingredients_in: str | Path | None = None,
    identifiers_in: str | Path | None = None,
) -> None:
    """Write the repeats.

    ingredients_in: table of the heads' ingredients. identifiers_in: table of ids that are replaced by others
    in that table. The hierarchy is that of `target`.
    """
    kg = graph.load(graph_files)
    ingredients = None
    if ingredients_in:
        same = identifiers.read(identifiers_in)
        ingredients = repeat_search.read_ingredients(ingredients_in, kg, target.head_type, same)
    found = repeat_search.find(kg, target, ingredients, target.hierarchy)
    files.write_table(repeats_out, found)
    logging.info("%d pairs repeat a known treatment", found.num_rows)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                graph_files=GraphFiles.of(snakemake.input),
                repeats_out=output.repeats,
                target=Target(**snakemake.params.target),
                ingredients_in=snakemake.params.tables["repeats.ingredients"],
                identifiers_in=snakemake.params.tables["graph.identifiers"],
            )
