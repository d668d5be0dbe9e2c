"""In: embeddings, first losses and candidates of all devices. Out: how far they agree, where there are two or more."""


rule write_agreement:
    input:
        unpack(candidates_of_passing),
        **GRAPH,
        verdicts=per_device("results/validation/{device}/verdict.json"),
        embeddings=per_device("results/embeddings/{device}/embeddings.parquet"),
        histories=per_device("results/embeddings/{device}/history.parquet"),
    output:
        agreement=update("results/agreement.json"),
    log:
        "results/logs/write_agreement/agreement.log",
    benchmark:
        "results/benchmarks/write_agreement/agreement.tsv"
    retries: 0
    conda:
        "../envs/tables.yaml"
    threads: 4
    resources:
        mem_mb=16000,
        runtime=60,
    params:
        devices=config["devices"],
        batchings=[settings.batching(device, config["training"]["batching"]) for device in config["devices"]],
        agreement=config["agreement"],
        seed=config["seed"],
        code=code("write_agreement"),
    message:
        "Comparing the devices with one another"
    script:
        "../scripts/write_agreement.py"
