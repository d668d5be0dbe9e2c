"""Train a model that tells which pairs look like known negatives, on one device's embeddings."""

from pathlib import Path

from repurpose.classifier import classifier, contrary, examples
from repurpose.core import files, logs, threads
from repurpose.gate.verdict import require_pass
from repurpose.graph import graph
from repurpose.graph.target import Target
from repurpose.pairs import pairs
from repurpose.provenance import jobs
from repurpose.vectors.vectors import Vectors


def main(
    pairs_in: str | Path,
    nodes: str | Path,
    edges: str | Path,
    relations: str | Path,
    vectors_in: str | Path,
    verdict: str | Path,
    negatives_out: str | Path,
    *,
    target: Target,
    settings: examples.Settings,
    device: str,
    seed: int,
    n_threads: int,
) -> None:
    """Write the model and how well it does, or why there is none.

    Raises InputError if the gate was not passed.
    """
    require_pass(verdict, device)
    kg = graph.load(nodes, edges, relations)
    types = target.types
    vectors = Vectors.read(vectors_in, kg, types)
    known = pairs.known(kg, *types)
    task = classifier.Task(vectors, pairs.load(pairs_in), known, settings, seed, n_threads)
    files.write_json(negatives_out, contrary.train(task))


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                snakemake.input.pairs,
                snakemake.input.nodes,
                snakemake.input.edges,
                snakemake.input.relations,
                snakemake.input.embeddings,
                snakemake.params.verdict,
                output.negatives,
                target=Target(**snakemake.params.target),
                settings=examples.Settings(**snakemake.params.classifier),
                device=snakemake.wildcards.device,
                seed=snakemake.params.seed,
                n_threads=threads.limit(snakemake.threads),
            )
