"""In: pairs and passing embeddings. Out, per device: a classifier, and its metrics with the baselines'."""


rule encode_untrained:
    input:
        **GRAPH,
    output:
        embeddings="results/baselines/untrained.parquet",
    log:
        "results/logs/encode_untrained/untrained.log",
    benchmark:
        "results/benchmarks/encode_untrained/untrained.tsv"
    retries: 0
    conda:
        "../envs/hgt.yaml"
    threads: 4
    resources:
        mem_mb=16000,
        runtime=60,
    params:
        hgt=config["hgt"],
        valid_share=config["training"]["valid_share"],
        seed=config["seed"],
        code=code("encode_untrained"),
    message:
        "Encoding the graph with an untrained encoder"
    script:
        "../scripts/encode_untrained.py"


rule train_metapaths:
    input:
        **GRAPH,
        pairs="results/pairs/pairs.parquet",
    output:
        models="results/metapaths/models.json",
    log:
        "results/logs/train_metapaths/metapaths.log",
    benchmark:
        "results/benchmarks/train_metapaths/metapaths.tsv"
    retries: 0
    conda:
        "../envs/classifier.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        target=TARGET,
        longest=config["classifier"]["metapath_steps"],
        kept=config["classifier"]["metapaths_kept"],
        seed=config["seed"],
        code=code("train_metapaths"),
    message:
        "Training the models on metapaths and neighbour votes"
    script:
        "../scripts/train_metapaths.py"


rule train_baselines:
    input:
        unpack(external_pairs),
        unpack(metapath_models),
        **GRAPH,
        pairs="results/pairs/pairs.parquet",
        untrained="results/baselines/untrained.parquet",
    output:
        metrics="results/baselines/metrics.json",
        ranks="results/baselines/ranks.parquet",
    log:
        "results/logs/train_baselines/baselines.log",
    benchmark:
        "results/benchmarks/train_baselines/baselines.tsv"
    retries: 0
    conda:
        "../envs/classifier.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        target=TARGET,
        classifier=config["classifier"],
        seed=config["seed"],
        code=code("train_baselines"),
    message:
        "Training the baselines: node degrees, truncated SVD, an untrained encoder, votes, paths"
    script:
        "../scripts/train_baselines.py"


rule train_classifier:
    input:
        # Waits for the verdict, which is no input: new thresholds alone must not train the classifier again.
        unpack(after_the_gate),
        unpack(external_pairs),
        unpack(metapath_models),
        **GRAPH,
        pairs="results/pairs/pairs.parquet",
        embeddings="results/embeddings/{device}/embeddings.parquet",
        baselines="results/baselines/metrics.json",
        baseline_ranks="results/baselines/ranks.parquet",
    output:
        model="results/classifier/{device}/model.ubj",
        kernel="results/classifier/{device}/kernel.safetensors",
        metrics="results/classifier/{device}/metrics.json",
        ranks="results/classifier/{device}/ranks.parquet",
    log:
        "results/logs/train_classifier/{device}.log",
    benchmark:
        "results/benchmarks/train_classifier/{device}.tsv"
    retries: 0
    conda:
        "../envs/classifier.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        target=TARGET,
        classifier=config["classifier"],
        # Only whether the correction is on: another share does not train the classifier again.
        candidates={"correct_popularity": config["candidates"]["correct_popularity"] > 0},
        seed=seed_of_run,
        # All runs are tested on the same sample of unknown pairs as the baselines.
        evaluation_seed=config["seed"],
        verdict="results/validation/{device}/verdict.json",
        code=code("train_classifier"),
    message:
        "Training the classifier on the embeddings of {wildcards.device}"
    script:
        "../scripts/train_classifier.py"


# This model has trees alone.
UNREAD_HERE = ("parts", "question", "metapath_steps", "metapaths_kept")


rule train_contraindications:
    input:
        unpack(after_the_gate),
        **GRAPH,
        pairs="results/pairs/pairs.parquet",
        embeddings="results/embeddings/{device}/embeddings.parquet",
    output:
        negatives="results/classifier/{device}/negatives.json",
    log:
        "results/logs/train_contraindications/{device}.log",
    benchmark:
        "results/benchmarks/train_contraindications/{device}.tsv"
    retries: 0
    conda:
        "../envs/classifier.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        target=TARGET,
        classifier={key: value for key, value in config["classifier"].items() if key not in UNREAD_HERE},
        seed=seed_of_run,
        verdict="results/validation/{device}/verdict.json",
        code=code("train_contraindications"),
    message:
        "Training the contraindication model on the embeddings of {wildcards.device}"
    script:
        "../scripts/train_contraindications.py"
