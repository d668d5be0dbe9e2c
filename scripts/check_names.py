"""Check the relation names of later config sections against the graph, before anything trains."""

import logging
from collections.abc import Sequence
from pathlib import Path

from repurpose.core import files, logs
from repurpose.graph import graph
from repurpose.provenance import jobs
from repurpose.training import compared


def main(*, relations: str | Path, checked_out: str | Path, names: Sequence[str], tail_type: str) -> None:
    """Write the names that were checked; names: training.contrastive.relations.

    Raises InputError if nodes of the tail type lack one of these relations.
    """
    compared.require(graph.load_relations(relations), names, tail_type)
    files.write_json(checked_out, {"compared": list(names)})
    logging.info("comparing neighbours over %s", ", ".join(names) or "no relation")


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                relations=snakemake.input.relations,
                checked_out=output.checked,
                names=snakemake.params.names,
                tail_type=snakemake.params.tail_type,
            )
