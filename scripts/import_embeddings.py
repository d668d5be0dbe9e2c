"""Import another tool's embeddings as those of the device `given`."""

import logging
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
    embeddings_out: str | Path,
    history_out: str | Path,
    record_out: str | Path,
) -> None:
    """Write the vectors in the graph's order, an empty history, and a record with a note on their origin."""
    kg = graph.load(graph_files)
    vectors = embeddings.aligned(embeddings.read(vectors_in, is_result=False), kg, vectors_in)
    logging.warning("%s", NOTE)
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
                embeddings_out=output.embeddings,
                history_out=output.history,
                record_out=output.record,
            )
