"""Find the heads and tails that the ranking is restricted to, before anything long runs."""

import logging
from collections.abc import Sequence
from pathlib import Path

from repurpose.core import files, logs
from repurpose.graph import graph, names
from repurpose.graph.target import Target
from repurpose.provenance import jobs


def main(
    nodes: str | Path,
    edges: str | Path,
    relations: str | Path,
    chosen_out: str | Path,
    *,
    target: Target,
    heads: Sequence[str],
    tails: Sequence[str],
) -> None:
    """Write the numbers of the nodes of these ids or names; null where a list is empty, which means all."""
    kg = graph.load(nodes, edges, relations)
    lists = (target.head_type, heads, "heads"), (target.tail_type, tails, "tails")
    found = {
        key: sorted({names.find(kg, node_type, text) for text in texts}) or None
        for node_type, texts, key in lists
    }
    files.write_json(chosen_out, found)
    logging.info("ranking %s", {key: len(value) if value else "all" for key, value in found.items()})


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                snakemake.input.nodes,
                snakemake.input.edges,
                snakemake.input.relations,
                output.chosen,
                target=Target(**snakemake.params.target),
                **snakemake.params.lists,
            )
