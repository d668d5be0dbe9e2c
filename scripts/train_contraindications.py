"""Train the contraindication model on one device's embeddings; it predicts known negatives."""

from pathlib import Path

from repurpose.classifier import classifier, contraindications
from repurpose.config.sections import ClassifierSettings, Target
from repurpose.core import files, logs, threads
from repurpose.gate.verdict import require_pass
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.pairs import pairs
from repurpose.provenance import jobs
from repurpose.vectors.vectors import Vectors


def main(
    *,
    pairs_in: str | Path,
    graph_files: GraphFiles,
    vectors_in: str | Path,
    verdict: str | Path,
    negatives_out: str | Path,
    target: Target,
    settings: ClassifierSettings,
    device: str,
    seed: int,
    n_threads: int,
) -> None:
    """Write the model and its metrics, or the reason why there is none.

    Raises InputError if the device did not pass its gate.
    """
    require_pass(verdict, device)
    kg = graph.load(graph_files)
    types = target.types
    vectors = Vectors.read(vectors_in, kg, types)
    known = pairs.known(kg, *types)
    task = classifier.Task(vectors, pairs.load(pairs_in), known, settings, seed, n_threads)
    files.write_json(negatives_out, contraindications.train(task))


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                pairs_in=snakemake.input.pairs,
                graph_files=GraphFiles.of(snakemake.input),
                vectors_in=snakemake.input.embeddings,
                verdict=snakemake.params.verdict,
                negatives_out=output.negatives,
                target=Target(**snakemake.params.target),
                settings=ClassifierSettings(**snakemake.params.classifier),
                device=snakemake.wildcards.device,
                seed=snakemake.params.seed,
                n_threads=threads.limit(snakemake.threads),
            )
