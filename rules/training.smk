"""In: the graph. Out, per device: one embedding file, the history and the record of its training.

The device `given` trains nothing: its vectors are imported from another tool's file.
"""


rule train_embeddings:
    input:
        **GRAPH,
        # The certificate comes first, so that nothing trains on a graph that still has target pairs.
        certificate="results/pairs/certificate.json",
        # A wrong name stops the run before anything trains; a corrected one does not train again.
        checked="results/graph/checked.json",
    output:
        embeddings="results/embeddings/{device}/embeddings.parquet",
        encoder="results/embeddings/{device}/encoder.safetensors",
        history="results/embeddings/{device}/history.parquet",
        record="results/embeddings/{device}/training.json",
    log:
        text="results/logs/train_embeddings/{device}.log",
        history="results/logs/train_embeddings/{device}.jsonl",
    benchmark:
        "results/benchmarks/train_embeddings/{device}.tsv"
    wildcard_constraints:
        device=r"(?!given).*",
    conda:
        "../envs/hgt.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=1440,
        gpu=needs_gpu,
    params:
        batching=batching_of_kind,
        hgt=encoder,
        training=training,
        checkpoints="results/checkpoints/{device}",
        checkpoint_seconds=config["training"]["checkpoint_seconds"],
        tail_type=config["target"]["tail_type"],
        seed=seed_of_run,
        tables=tables("graph.features"),
        unread=["certificate", "checked"],
        code=code("train_embeddings"),
    message:
        "Training the HGT encoder on {wildcards.device}"
    script:
        "../scripts/train_embeddings.py"


rule import_embeddings:
    input:
        **GRAPH,
        certificate="results/pairs/certificate.json",
        # A wrong name stops the run before anything trains; a corrected one does not train again.
        checked="results/graph/checked.json",
    output:
        embeddings="results/embeddings/given/embeddings.parquet",
        history="results/embeddings/given/history.parquet",
        record="results/embeddings/given/training.json",
    log:
        "results/logs/import_embeddings/given.log",
    benchmark:
        "results/benchmarks/import_embeddings/given.tsv"
    retries: 0
    conda:
        "../envs/hgt.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        target_types=TARGET_TYPES,
        tables=tables("given", "given (metadata)"),
        unread=["certificate", "checked"],
        code=code("import_embeddings"),
    message:
        "Importing embeddings of another tool"
    script:
        "../scripts/import_embeddings.py"
