"""In: the graph. Out: labelled pairs with their splits, the leakage certificate, and external test pairs."""


rule split_pairs:
    input:
        unpack(dates_of_edges),
        **GRAPH,
    output:
        pairs="results/pairs/pairs.parquet",
        certificate="results/pairs/certificate.json",
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
        split=SPLIT,
        tables=tables("split.areas", "split.dates", "graph.identifiers"),
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
    output:
        external="results/pairs/external.parquet",
    log:
        "results/logs/read_external/external.log",
    benchmark:
        "results/benchmarks/read_external/external.tsv"
    # Training waits for check_names, so this job runs first: a table that cannot be used stops the run at once.
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
        external={key: value for key, value in config["external"].items() if key != "pairs"},
        tables=tables("external.pairs", "graph.identifiers"),
        code=code("read_external"),
    message:
        "Reading the external test pairs"
    script:
        "../scripts/read_external.py"


rule read_reviews:
    input:
        **GRAPH,
    output:
        reviews="results/pairs/reviews.parquet",
    log:
        "results/logs/read_reviews/reviews.log",
    benchmark:
        "results/benchmarks/read_reviews/reviews.tsv"
    # As read_external.
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
        exclude=config["reviews"]["exclude"],
        tables=tables("reviews.table", "graph.identifiers"),
        code=code("read_reviews"),
    message:
        "Reading the reviews"
    script:
        "../scripts/read_reviews.py"


rule find_repeats:
    input:
        **GRAPH,
    output:
        repeats="results/pairs/repeats.parquet",
    log:
        "results/logs/find_repeats/repeats.log",
    benchmark:
        "results/benchmarks/find_repeats/repeats.tsv"
    # As read_external.
    priority: 10
    retries: 0
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        target=config["target"],
        tables=tables("repeats.ingredients", "graph.identifiers"),
        code=code("find_repeats"),
    message:
        "Finding the pairs that repeat a known treatment"
    script:
        "../scripts/find_repeats.py"
