"""In: embeddings, first losses and candidates of all devices. Out: how far they agree, where there are two or more."""


rule write_agreement:
    input:
        unpack(candidates_of_passing),
        **GRAPH,
        verdicts=expand("results/validation/{device}/verdict.json", device=TRAINED),
        embeddings=expand("results/embeddings/{device}/embeddings.parquet", device=TRAINED),
        histories=expand("results/embeddings/{device}/history.parquet", device=TRAINED),
    output:
        agreement="results/agreement.json",
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
        devices=TRAINED,
        batchings=[settings.batching(device, config["training"]["batching"]) for device in TRAINED],
        agreement=config["agreement"],
        seed=config["seed"],
        code=code("write_agreement"),
    message:
        "Comparing the devices with one another"
    script:
        "../scripts/write_agreement.py"
