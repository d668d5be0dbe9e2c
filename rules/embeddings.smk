"""In: the graph. Out, per device: one embedding file, the history and the record of its training."""


rule train_embeddings:
    input:
        unpack(features_table),
        **GRAPH,
        # The certificate first: nothing trains on a graph that still holds target pairs.
        certificate="results/pairs/certificate.json",
    output:
        embeddings=update("results/embeddings/{device}/embeddings.parquet"),
        history=update("results/embeddings/{device}/history.parquet"),
        record=update("results/embeddings/{device}/training.json"),
    log:
        text="results/logs/train_embeddings/{device}.log",
        history="results/logs/train_embeddings/{device}.jsonl",
    benchmark:
        "results/benchmarks/train_embeddings/{device}.tsv"
    conda:
        "../envs/hgt.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=1440,
        gpu=needs_gpu,
    params:
        batching=batching,
        hgt=encoder,
        training=training,
        checkpoints="results/checkpoints/{device}",
        checkpoint_seconds=config["training"]["checkpoint_seconds"],
        tail_type=config["target"]["tail_type"],
        seed=config["seed"],
        code=code("train_embeddings"),
    message:
        "Training the HGT encoder on {wildcards.device}"
    script:
        "../scripts/train_embeddings.py"
