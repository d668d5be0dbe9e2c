"""In: one device's classifier. Out: every head x tail pair scored, the best kept, and the very best explained."""


rule rank_candidates:
    input:
        **GRAPH,
        embeddings="results/embeddings/{device}/embeddings.parquet",
        model="results/classifier/{device}/model.ubj",
        kernel="results/classifier/{device}/kernel.safetensors",
        metrics="results/classifier/{device}/metrics.json",
    output:
        parquet=update("results/candidates/{device}/candidates.parquet"),
        csv=update("results/candidates/{device}/candidates.csv"),
        by_head=update("results/candidates/{device}/by_head.parquet"),
    log:
        "results/logs/rank_candidates/{device}.log",
    benchmark:
        "results/benchmarks/rank_candidates/{device}.tsv"
    retries: 0
    conda:
        "../envs/classifier.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=720,
    params:
        target=config["target"],
        candidates=config["candidates"],
        code=code("rank_candidates"),
    message:
        "Scoring every pair with the classifier of {wildcards.device}"
    script:
        "../scripts/rank_candidates.py"


rule explain_candidates:
    input:
        **GRAPH,
        candidates="results/candidates/{device}/candidates.parquet",
        embeddings="results/embeddings/{device}/embeddings.parquet",
        pairs="results/pairs/pairs.parquet",
    output:
        evidence=update("results/candidates/{device}/evidence.parquet"),
    log:
        "results/logs/explain_candidates/{device}.log",
    benchmark:
        "results/benchmarks/explain_candidates/{device}.tsv"
    retries: 0
    conda:
        "../envs/classifier.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        target=config["target"],
        evidence=config["evidence"],
        code=code("explain_candidates"),
    message:
        "Explaining the best candidates of {wildcards.device}"
    script:
        "../scripts/explain_candidates.py"
