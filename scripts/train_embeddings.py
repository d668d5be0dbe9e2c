"""Train one HGT encoder on one device."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from repurpose.config import settings
from repurpose.config.device import Device
from repurpose.config.sections import EncoderSettings, TrainingSettings
from repurpose.core import files, logs, threads
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.hgt import trained
from repurpose.provenance import jobs
from repurpose.training import checkpoint, devices, diagnosis, history, memory, preparation, training
from repurpose.vectors import embeddings, features

EXTENDABLE = ("epochs", "sampled_epochs")  # if they are raised, training continues from its checkpoint


def main(
    *,
    graph_files: GraphFiles,
    features_in: str | Path,
    embeddings_out: str | Path,
    encoder_out: str | Path,
    history_out: str | Path,
    record_out: str | Path,
    lines: str | Path,
    checkpoints: str | Path,
    checkpoint_seconds: float,
    code: str,
    device: Device,
    encoder: EncoderSettings,
    training_settings: TrainingSettings,
    tail_type: str,
    seed: int,
) -> dict[str, Any]:
    """Train, and write embeddings, encoder, history and record; returns the record.

    features_in: table of node vectors to start from, "" for none. lines: log of the history, one JSON row per
    step. code: digest of the code. Raises InputError if the machine lacks the device, and StoppedError after
    Ctrl-C.
    """
    devices.require(device.torch_name)
    kg = graph.load(graph_files)
    job = training.Job(
        kg,
        encoder,
        training_settings,
        tail_type,
        device.torch_name,
        device.batching,
        seed,
        features.read(features_in, kg) if features_in else {},
    )
    predicted = memory.of_training(kg, encoder, device.torch_name) if device.batching == "full" else None
    if predicted:
        logging.info("expecting a peak of %.2f GB of memory", predicted / 1e9)
    data = {**graph_files.digests(), "features": files.digest(features_in) if features_in else ""}
    learned = settings.learned(asdict(training_settings), device.batching)
    folder = checkpoint.Folder(checkpoints, checkpoint_key(job, learned, data, code), checkpoint_seconds)
    metadata = {
        "device": device.name,
        "batching": device.batching,
        "seed": str(seed),
        "valid_share": str(training_settings.valid_share),
        "config_digest": settings.digest({"hgt": asdict(encoder), "training": learned}),
        "data_digest": settings.digest(data),
        embeddings.BLOCKS: json.dumps(preparation.vector_blocks(kg, encoder)),
    }
    with folder.locked():
        rows, report_progress = history.Writer(history_out, lines), history.progress(device.name)

        def on_step(row: training.Row, steps: int) -> None:
            rows.add(row)
            report_progress(row, steps)

        result = training.fit(
            job,
            on_step=on_step,
            on_resume=rows.start,
            checkpoints=folder,
            is_stopping=checkpoint.listen(),
            results=Path(embeddings_out).parent,
        )
        rows.close()
        diagnosis.keep(Path(record_out).parent / "failure", result.failure)
        embeddings.write(embeddings_out, kg, result.vectors, metadata)
        trained.save(encoder_out, result.trained)
        record = {"device": device.name, "batching": device.batching, **result.record}
        record["predicted_peak_rss_bytes"] = predicted
        files.write_json(record_out, record)
    logging.info(
        "%s after %d steps in %.0f s, best state at step %d",
        *(record[key] for key in ("status", "steps", "seconds", "best_step")),
    )
    logging.info("the peak was %.2f GB of memory", record["peak_rss_bytes"] / 1e9)
    return record


def checkpoint_key(
    job: training.Job, learned: Mapping[str, Any], data: Mapping[str, str], code: str
) -> dict[str, Any]:
    """All that must be the same for a training to continue from a checkpoint.

    learned: see `settings.learned`. data: digests of the training's files.
    """
    return {
        "hgt": asdict(job.encoder),
        "training": {key: value for key, value in learned.items() if key not in EXTENDABLE},
        "tail_type": job.tail_type,
        "seed": job.seed,
        "batching": job.batching,
        "code": code,
        **data,
    }


if __name__ == "__main__":
    logs.configure(snakemake.log.text)
    threads.limit(snakemake.threads)
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            record = main(
                graph_files=GraphFiles.of(snakemake.input),
                features_in=snakemake.params.tables["graph.features"],
                embeddings_out=output.embeddings,
                encoder_out=output.encoder,
                history_out=output.history,
                record_out=output.record,
                lines=snakemake.log.history,
                checkpoints=snakemake.params.checkpoints,
                checkpoint_seconds=snakemake.params.checkpoint_seconds,
                code=snakemake.params.code,
                device=Device.parse(snakemake.wildcards.device, snakemake.params.batching),
                encoder=EncoderSettings(**snakemake.params.hgt),
                training_settings=TrainingSettings(**snakemake.params.training),
                tail_type=snakemake.params.tail_type,
                seed=snakemake.params.seed,
            )
            # The next run may have more memory, or run on another machine.
            job.provisional = record["reason"] if record.get("depends_on_machine") else ""
