"""In: one run's classifier. Out: the best candidates of all head x tail pairs, with explanations.

If the config lists seeds, also the candidates of all runs that passed, pooled.
"""


rule find_chosen:
    input:
        unpack(annotations_that_restrict),
        **GRAPH,
    output:
        chosen="results/candidates/chosen.json",
    log:
        "results/logs/find_chosen/chosen.log",
    benchmark:
        "results/benchmarks/find_chosen/chosen.tsv"
    # Training waits for check_names, so this job runs first: a name that the graph lacks stops the run at once.
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
        lists={
            **{key: config["candidates"][key] for key in ("heads", "tails")},
            "only": config["annotations"]["only"],
        },
        code=code("find_chosen"),
    message:
        "Finding the heads and tails to rank"
    script:
        "../scripts/find_chosen.py"


rule rank_candidates:
    input:
        unpack(chosen_nodes),
        unpack(annotations_of_nodes),
        unpack(reviews_of_pairs),
        unpack(repeats_of_treatments),
        unpack(metapath_models),
        **GRAPH,
        embeddings="results/embeddings/{device}/embeddings.parquet",
        model="results/classifier/{device}/model.ubj",
        kernel="results/classifier/{device}/kernel.safetensors",
        metrics="results/classifier/{device}/metrics.json",
        negatives="results/classifier/{device}/negatives.json",
    output:
        parquet="results/candidates/{device}/candidates.parquet",
        csv=report(
            "results/candidates/{device}/candidates.csv",
            caption="captions/candidates.rst",
            category="Candidates",
            labels={"run": "{device}"},
        ),
        by_head="results/candidates/{device}/by_head.parquet",
        popularity="results/candidates/{device}/popularity.parquet",
        stability="results/candidates/{device}/stability.json",
        lists="results/candidates/{device}/lists.json",
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
        target=TARGET,
        candidates={key: config["candidates"][key] for key in ("per_tail", "per_head", "correct_popularity")},
        excluded=LEFT_OUT,
        seed=seed_of_run,
        code=code("rank_candidates"),
    message:
        "Scoring every pair with the classifier of {wildcards.device}"
    script:
        "../scripts/rank_candidates.py"


rule explain_candidates:
    input:
        unpack(encoder_of_trained),
        unpack(metapath_models),
        **GRAPH,
        sources="results/graph/sources.parquet",
        candidates="results/candidates/{device}/candidates.parquet",
        embeddings="results/embeddings/{device}/embeddings.parquet",
        model="results/classifier/{device}/model.ubj",
        kernel="results/classifier/{device}/kernel.safetensors",
        metrics="results/classifier/{device}/metrics.json",
    output:
        evidence="results/candidates/{device}/evidence.parquet",
        csv="results/candidates/{device}/evidence.csv",
        listed="results/candidates/{device}/listed.parquet",
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
        target=TARGET,
        evidence=config["evidence"],
        code=code("explain_candidates"),
    message:
        "Explaining the best candidates of {wildcards.device}"
    script:
        "../scripts/explain_candidates.py"


rule pool_candidates:
    input:
        unpack(models_of_passing),
        unpack(metapath_models),
        unpack(chosen_nodes),
        unpack(annotations_of_nodes),
        unpack(reviews_of_pairs),
        unpack(repeats_of_treatments),
        **GRAPH,
        verdicts=expand("results/validation/{device}/verdict.json", device=TRAINED),
    output:
        parquet="results/candidates/pooled/candidates.parquet",
        csv=report(
            "results/candidates/pooled/candidates.csv",
            caption="captions/candidates.rst",
            category="Candidates",
            labels={"run": "pooled"},
        ),
    log:
        "results/logs/pool_candidates/pooled.log",
    benchmark:
        "results/benchmarks/pool_candidates/pooled.tsv"
    retries: 0
    conda:
        "../envs/classifier.yaml"
    threads: 4
    resources:
        # The vectors and the model of every run.
        mem_mb=8000 + 2000 * len(TRAINED),
        runtime=1440,
    params:
        target=TARGET,
        runs=TRAINED,
        seeds=[seed_of(run) for run in TRAINED_DEVICES],
        candidates={key: config["candidates"][key] for key in ("per_tail", "correct_popularity")},
        excluded=LEFT_OUT,
        code=code("pool_candidates"),
    message:
        "Pooling the candidates of all runs"
    script:
        "../scripts/pool_candidates.py"


# Runs only for the target permuted_labels
rule permute_labels:
    input:
        # Waits for the verdict, as the classifier does.
        unpack(after_the_gate),
        unpack(metapath_models),
        **GRAPH,
        embeddings="results/embeddings/{device}/embeddings.parquet",
        model="results/classifier/{device}/model.ubj",
        kernel="results/classifier/{device}/kernel.safetensors",
        metrics="results/classifier/{device}/metrics.json",
    output:
        chance="results/permuted/{device}.json",
    log:
        "results/logs/permute_labels/{device}.log",
    benchmark:
        "results/benchmarks/permute_labels/{device}.tsv"
    retries: 0
    conda:
        "../envs/classifier.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=480,
    params:
        target=TARGET,
        classifier=config["classifier"],
        split=SPLIT,
        correct_popularity=config["candidates"]["correct_popularity"],
        seed=seed_of_run,
        code=code("permute_labels"),
    message:
        "Making lists of shuffled treatments, by {wildcards.device}"
    script:
        "../scripts/permute_labels.py"


# Runs only if its output is named: snakemake results/answers/cpu/DOID:9352.json
rule answer_question:
    input:
        unpack(encoder_of_trained),
        unpack(metapath_models),
        unpack(annotations_of_nodes),
        unpack(reviews_of_pairs),
        unpack(repeats_of_treatments),
        **GRAPH,
        sources="results/graph/sources.parquet",
        certificate="results/pairs/certificate.json",
        embeddings="results/embeddings/{device}/embeddings.parquet",
        model="results/classifier/{device}/model.ubj",
        kernel="results/classifier/{device}/kernel.safetensors",
        metrics="results/classifier/{device}/metrics.json",
        negatives="results/classifier/{device}/negatives.json",
        candidates="results/candidates/{device}/candidates.parquet",
    output:
        answer="results/answers/{device}/{disease}.json",
    log:
        "results/logs/answer_question/{device}/{disease}.log",
    benchmark:
        "results/benchmarks/answer_question/{device}/{disease}.tsv"
    wildcard_constraints:
        disease=runs.ANSWER_NAME,
    retries: 0
    conda:
        "../envs/classifier.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        top=config["candidates"]["per_tail"] or 100,
        correct_popularity=config["candidates"]["correct_popularity"],
        seed=seed_of_run,
        code=code("answer_question"),
    message:
        "Writing the best new drugs for {wildcards.disease}, by {wildcards.device}"
    script:
        "../scripts/answer_question.py"
