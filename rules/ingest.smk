"""In: an edges table (planted, or the user's). Out: the typed graph and the ledger of its rows.

Names in the config that only late stages use are checked as soon as the graph is built. Training waits for this
check but does not read its file (`unread`). So a corrected name does not train again: the job restores its previous
files.
"""


rule build_demo:
    input:
        unpack(plan),
    output:
        edges="results/demo/edges.parquet",
    log:
        "results/logs/build_demo/demo.log",
    benchmark:
        "results/benchmarks/build_demo/demo.tsv"
    retries: 0
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        scale=config["demo"]["scale"],
        seed=config["demo"]["seed"],
        code=code("build_demo"),
    message:
        "Building the synthetic demo graph"
    script:
        "../scripts/build_demo.py"


rule download_table:
    input:
        unpack(plan),
    output:
        table="data/downloads/{folder}/{name}",
    log:
        "results/logs/download_table/{folder}/{name}.log",
    benchmark:
        "results/benchmarks/download_table/{folder}/{name}.tsv"
    wildcard_constraints:
        folder="[0-9a-f]{12}",
        name="[^/]+",
    # The script itself retries if that may help.
    retries: 0
    # The nodes of a cluster often have no internet access.
    localrule: True
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=240,
    # No digest of the code: the downloaded table does not depend on it.
    params:
        url=url_of_download,
    message:
        "Downloading {wildcards.name}"
    script:
        "../scripts/download_table.py"


rule build_graph:
    input:
        unpack(raw_tables),
    output:
        **GRAPH,
        ledger="results/graph/ledger.json",
        sources="results/graph/sources.parquet",
    log:
        "results/logs/build_graph/graph.log",
    benchmark:
        "results/benchmarks/build_graph/graph.tsv"
    retries: 0
    conda:
        "../envs/tables.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        graph=graph_section,
        target=TARGET,
        tables=tables("edges", "nodes", "graph.identifiers"),
        paths=table_paths("edges", "nodes"),
        code=code("build_graph"),
    message:
        "Building the graph"
    script:
        "../scripts/build_graph.py"


rule check_names:
    input:
        unpack(checked_tables),
        relations=GRAPH["relations"],
    output:
        checked="results/graph/checked.json",
    log:
        "results/logs/check_names/names.log",
    benchmark:
        "results/benchmarks/check_names/names.tsv"
    retries: 0
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        names=config["training"]["contrastive"]["relations"],
        tail_type=config["target"]["tail_type"],
        code=code("check_names"),
    message:
        "Checking the names in the config against the graph"
    script:
        "../scripts/check_names.py"


rule read_annotations:
    input:
        **GRAPH,
    output:
        annotations="results/graph/annotations.parquet",
    log:
        "results/logs/read_annotations/annotations.log",
    benchmark:
        "results/benchmarks/read_annotations/annotations.tsv"
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
        annotations={key: config["annotations"][key] for key in ("id", "of", "columns", "separator")},
        tables=tables("annotations.table", "graph.identifiers"),
        code=code("read_annotations"),
    message:
        "Reading the annotations"
    script:
        "../scripts/read_annotations.py"
