"""Make a device's lists and measures with shuffled treatments: what chance looks like."""

import logging
from pathlib import Path
from typing import Any

from repurpose.candidates import chance, finished
from repurpose.candidates.finished import DeviceFiles
from repurpose.config.sections import ClassifierSettings, SplitSettings, Target
from repurpose.core import files, logs, threads
from repurpose.pairs import permuted
from repurpose.provenance import jobs


def main(
    *,
    device_files: DeviceFiles,
    chance_out: str | Path,
    target: Target,
    classifier: dict[str, Any],
    split: dict[str, Any],
    seed: int,
    n_threads: int,
    correct_popularity: float,
) -> None:
    """Write what `chance.run` measures, as JSON; classifier, split: the config sections."""
    device = finished.load(device_files, target)
    shuffled = permuted.shuffle_treatments(device.kg, target, seed)
    result = chance.run(
        device,
        shuffled,
        ClassifierSettings(**classifier),
        SplitSettings(**split),
        seed=seed,
        n_threads=n_threads,
        correct_popularity=correct_popularity,
    )
    files.write_json(chance_out, result)
    logging.info("lists and measures of shuffled treatments are in %s", chance_out)


if __name__ == "__main__":
    logs.configure(snakemake.log[0])
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            main(
                device_files=DeviceFiles.of(snakemake.input),
                chance_out=output.chance,
                target=Target(**snakemake.params.target),
                n_threads=threads.limit(snakemake.threads),
                classifier=snakemake.params.classifier,
                split=snakemake.params.split,
                seed=snakemake.params.seed,
                correct_popularity=snakemake.params.correct_popularity,
            )
