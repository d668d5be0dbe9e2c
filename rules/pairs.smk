"""In: the graph. Out: labelled pairs of the target relations with their splits, and the leakage certificate."""


rule split_pairs:
    input:
        **GRAPH,
    output:
        pairs=update("results/pairs/pairs.parquet"),
        certificate=update("results/pairs/certificate.json"),
    log:
        "results/logs/split_pairs/pairs.log",
    benchmark:
        "results/benchmarks/split_pairs/pairs.tsv"
    retries: 0
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        target=config["target"],
        split=config["split"],
        seed=config["seed"],
        code=code("split_pairs"),
    message:
        "Splitting the labelled pairs"
    script:
        "../scripts/split_pairs.py"
