"""In: the outcome of every device. Out: the summary, the report and a dataset card. The run then fails if no device passed."""


rule write_summary:
    input:
        unpack(agreement_of_several),
        unpack(pooled_of_several),
        unpack(annotations_of_nodes),
        unpack(chance_of_runs),
        outcomes=per_device("results/validation/{device}/outcome.json"),
        verdicts=per_device("results/validation/{device}/verdict.json"),
        histories=per_device("results/embeddings/{device}/history.parquet"),
        maps=per_device("results/validation/{device}/map.parquet"),
        nodes=GRAPH["nodes"],
        relations=GRAPH["relations"],
        pairs="results/pairs/pairs.parquet",
        ledger="results/graph/ledger.json",
        certificate="results/pairs/certificate.json",
    output:
        summary="results/summary.json",
        report=report(
            "results/report.html",
            caption="captions/page.rst",
            category="Report",
            labels={"file": "report"},
        ),
        card=report(
            "results/README.md",
            caption="captions/card.rst",
            category="Report",
            labels={"file": "dataset card"},
        ),
        methods="results/methods.md",
    log:
        "results/logs/write_summary/summary.log",
    benchmark:
        "results/benchmarks/write_summary/summary.tsv"
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        top=config["candidates"]["in_report"],
        dataset=config["dataset"],
        code=code("write_summary", *page_sources()),
    message:
        "Writing results/summary.json, results/report.html and results/README.md"
    script:
        "../scripts/write_summary.py"


# The page shows what chance looks like, as long as results/permuted has it.
rule permuted_labels:
    input:
        # Of a finished run nothing else asks for these files.
        unpack(chance_of_runs),
        report="results/report.html",
        passed="results/passed.json",
    message:
        "The page shows what chance looks like"


rule require_pass:
    input:
        summary="results/summary.json",
    output:
        passed="results/passed.json",
    log:
        "results/logs/require_pass/passed.log",
    benchmark:
        "results/benchmarks/require_pass/passed.tsv"
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("require_pass"),
    message:
        "Checking that at least one device passed its gate"
    script:
        "../scripts/require_pass.py"
