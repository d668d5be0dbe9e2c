"""In: an edges table (planted, or the user's). Out: the typed graph and the ledger of its rows."""


# The nodes of a cluster often have no way out.
localrules:
    download_edges,


rule build_demo:
    output:
        edges=update("results/demo/edges.parquet"),
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
        "Planting the synthetic demo graph"
    script:
        "../scripts/build_demo.py"


rule download_edges:
    output:
        edges=update("data/downloads/{folder}/{name}"),
    log:
        "results/logs/download_edges/{folder}/{name}.log",
    benchmark:
        "results/benchmarks/download_edges/{folder}/{name}.tsv"
    wildcard_constraints:
        folder="[0-9a-f]{12}",
        name="[^/]+",
    # The script itself tries again where that may help.
    retries: 0
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=240,
    # Without the code's digest: what is downloaded does not depend on how.
    params:
        url=config["edges"],
    message:
        "Downloading the edges table"
    script:
        "../scripts/download_edges.py"


rule build_graph:
    input:
        unpack(nodes_table),
        edges=edges_table,
    output:
        **{name: update(path) for name, path in GRAPH.items()},
        ledger=update("results/graph/ledger.json"),
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
        code=code("build_graph"),
    message:
        "Building the graph from {input.edges}"
    script:
        "../scripts/build_graph.py"
