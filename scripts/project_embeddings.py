"""Draw one device's embeddings as a map: two coordinates of each node, and the nearest heads and tails."""

from collections.abc import Sequence
from pathlib import Path

from repurpose.core import files, logs, threads
from repurpose.gate import projection
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.provenance import jobs
from repurpose.vectors import embeddings


def main(
    *,
    graph_files: GraphFiles,
    vectors_path: str | Path,
    map_out: str | Path,
    target_types: Sequence[str],
    method: str,
    nearest: int,
    seed: int,
) -> None:
    """Write the map of an embedding file; an empty file, of a training that was refused, has an empty map."""
    embedded = embeddings.read(vectors_path)
    vectors = {}
    if embedded.vectors:
        kg = graph.load(graph_files)
        vectors = embeddings.aligned_to_target(embedded, kg, vectors_path, target_types)
    drawn = projection.table(vectors, target_types, method, nearest, seed)
    files.write_table(map_out, drawn, {"method": method})


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    threads.limit(snakemake.threads)
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                graph_files=GraphFiles.of(snakemake.input),
                vectors_path=snakemake.input.embeddings,
                map_out=output.map,
                target_types=snakemake.params.target_types,
                **snakemake.params.map,
                seed=snakemake.params.seed,
            )
