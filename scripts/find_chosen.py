"""Find the heads and tails that the ranking is restricted to, before anything trains."""

import logging
from collections.abc import Sequence
from pathlib import Path

from repurpose.config.sections import Target
from repurpose.core import files, logs
from repurpose.graph import graph, names
from repurpose.graph.graph import GraphFiles
from repurpose.provenance import jobs


def main(
    *,
    graph_files: GraphFiles,
    chosen_out: str | Path,
    target: Target,
    heads: Sequence[str],
    tails: Sequence[str],
) -> None:
    """Write the indices of the nodes with these ids or names; null for an empty list, which means all nodes.

    Raises InputError if the graph has no such node.
    """
    kg = graph.load(graph_files)
    lists = (target.head_type, heads, "heads"), (target.tail_type, tails, "tails")
    indices = {
        key: sorted({names.find(kg, node_type, text) for text in texts}) or None
        for node_type, texts, key in lists
    }
    files.write_json(chosen_out, indices)
    logging.info("ranking %s", {key: len(value) if value else "all" for key, value in indices.items()})


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                graph_files=GraphFiles.of(snakemake.input),
                chosen_out=output.chosen,
                target=Target(**snakemake.params.target),
                **snakemake.params.lists,
            )
