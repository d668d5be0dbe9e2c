"""In: the graph. Out: labelled pairs with their splits, the leakage certificate, and pairs from elsewhere."""


rule split_pairs:
    input:
        unpack(areas_table),
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
        kept=config["graph"]["keep_relations"],
        code=code("split_pairs"),
    message:
        "Splitting the labelled pairs"
    script:
        "../scripts/split_pairs.py"


rule read_external:
    input:
        **GRAPH,
        table=config["external"]["pairs"] or [],
    output:
        external=update("results/pairs/external.parquet"),
    log:
        "results/logs/read_external/external.log",
    benchmark:
        "results/benchmarks/read_external/external.tsv"
    # Before any training, which waits for check_names: a table that cannot be used is said at once.
    priority: 10
    retries: 0
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        target=TARGET,
        external=config["external"],
        code=code("read_external"),
    message:
        "Reading pairs from elsewhere: {input.table}"
    script:
        "../scripts/read_external.py"
