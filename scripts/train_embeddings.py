"""Train one HGT encoder on one device."""

import json
import logging
from pathlib import Path

from repurpose.config import settings
from repurpose.config.device import Device
from repurpose.core import files, logs, threads
from repurpose.graph import graph
from repurpose.graph.graph import GraphFiles
from repurpose.hgt import hgt, trained
from repurpose.provenance import jobs
from repurpose.training import checkpoint, devices, diagnosis, history, memory, starts, training
from repurpose.vectors import embeddings, features

CONTINUED = ("epochs", "sampled_epochs")  # more of them go on from a checkpoint


def main(
    *,
    graph_files,
    embeddings_out,
    encoder_out,
    history_out,
    record_out,
    lines,
    checkpoints,
    checkpoint_seconds,
    code,
    vectors=None,
    device,
    encoder,
    options,
    tail_type,
    seed,
):
    devices.require(device.torch_name)
    kg = graph.load(graph_files)
    given = features.read(vectors, kg) if vectors else {}
    predicted = memory.of_training(kg, encoder, device.torch_name) if device.batching == "full" else None
    if predicted:
        logging.info("expecting a peak of %.2f GB of memory", predicted / 1e9)
    options_of_all = {name: value for name, value in vars(options).items() if name not in CONTINUED}
    settled = {"hgt": vars(encoder), "training": options_of_all, "tail_type": tail_type, "seed": seed}
    data = {**graph_files.digests(), "features": files.digest(vectors) if vectors else ""}
    settled |= {"batching": device.batching, "code": code, **data}
    folder = checkpoint.Folder(checkpoints, settled, checkpoint_seconds)
    origin = {
        "device": device.name,
        "batching": device.batching,
        "seed": str(seed),
        "valid_share": str(options.valid_share),
        "config_digest": settings.digest({"hgt": vars(encoder), "training": vars(options)}),
        "data_digest": settings.digest(data),
        embeddings.BLOCKS: json.dumps(starts.blocks(kg, encoder)),
    }
    with folder.locked():
        rows, bar = history.Writer(history_out, lines), history.progress(device.name)

        def on_step(row, steps):
            rows.add(row)
            bar(row, steps)

        result = training.fit(
            kg,
            encoder,
            options,
            tail_type=tail_type,
            device=device.torch_name,
            batching=device.batching,
            seed=seed,
            on_step=on_step,
            on_resume=rows.start,
            checkpoints=folder,
            is_stopping=checkpoint.listen(),
            given=given,
            results=Path(embeddings_out).parent,
        )
        rows.close()
        diagnosis.keep(Path(record_out).parent / "failure", result.failure)
        embeddings.write(embeddings_out, kg, result.vectors, origin)
        trained.save(encoder_out, result.trained)
        record = {"device": device.name, "batching": device.batching, **result.record}
        record["predicted_peak_rss_bytes"] = predicted
        files.write_json(record_out, record)
    logging.info(
        "%s after %d steps in %.0f s, best state at step %d",
        *(record[k] for k in ("status", "steps", "seconds", "best_step")),
    )
    logging.info("the peak was %.2f GB of memory", record["peak_rss_bytes"] / 1e9)
    return record


if __name__ == "__main__":
    logs.configure(snakemake.log.text)
    threads.limit(snakemake.threads)
    job = jobs.Job(snakemake)
    if not job.restore_previous():
        with job.replacing() as output:
            record = main(
                graph_files=GraphFiles.of(snakemake.input),
                embeddings_out=output.embeddings,
                encoder_out=output.encoder,
                history_out=output.history,
                record_out=output.record,
                lines=snakemake.log.history,
                checkpoints=snakemake.params.checkpoints,
                checkpoint_seconds=snakemake.params.checkpoint_seconds,
                code=snakemake.params.code,
                vectors=snakemake.params.tables["graph.features"],
                device=Device.parse(snakemake.wildcards.device, snakemake.params.batching),
                encoder=hgt.Settings(**snakemake.params.hgt),
                options=training.Settings(**snakemake.params.training),
                tail_type=snakemake.params.tail_type,
                seed=snakemake.params.seed,
            )
            # Room may have been made by the next run, or the machine be another.
            job.provisional = record["reason"] if record.get("depends_on_machine") else ""
