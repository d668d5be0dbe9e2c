"""Import another tool's embeddings as those of the device `given`."""

import logging
from collections.abc import Sequence
from pathlib import Path

from repurpose.core import files, logs
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.provenance import jobs
from repurpose.training import history
from repurpose.vectors import embeddings

NOTE = (
    "these vectors come from another tool: if it was trained on the treatments, the metrics "
    "of their candidates are too high"
)


def main(
    *,
    vectors_in: str | Path,
    graph_files: GraphFiles,
    target_types: Sequence[str],
    embeddings_out: str | Path,
    history_out: str | Path,
    record_out: str | Path,
) -> None:
    """Write the vectors in the graph's order, an empty history, and a record with a note on their origin.

    target_types: the two node types that must have vectors; of the others, those that have none are left out.
    """
    kg = graph.load(graph_files)
    vectors = embeddings.aligned(
        embeddings.read(vectors_in, is_result=False), kg, vectors_in, required=target_types
    )
    logging.warning("%s", NOTE)
    if len(vectors) < len(kg.node_types):
        lacking = [node_type for node_type in kg.node_types if node_type not in vectors]
        logging.warning("%s has no vectors of %s nodes", vectors_in, ", ".join(lacking))
    embeddings.write(embeddings_out, kg, vectors, {"device": "given", "source": str(vectors_in)})
    files.write_table(history_out, history.SCHEMA.empty_table())
    ended = {"status": "completed", "reason": "", "remedy": "", "depends_on_machine": False}
    files.write_json(record_out, {**ended, "notes": [NOTE]})
    logging.info("%d nodes of %d types", sum(map(len, vectors.values())), len(vectors))


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                vectors_in=snakemake.params.tables["given"],
                graph_files=GraphFiles.of(snakemake.input),
                target_types=snakemake.params.target_types,
                embeddings_out=output.embeddings,
                history_out=output.history,
                record_out=output.record,
            )
