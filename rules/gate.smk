"""In: one device's embeddings. Out: their measures, a verdict (the gate), and the device's outcome.

If there are two or more trained runs, also how far they agree: on embeddings, first losses and candidates.

The gate is a checkpoint. `write_outcome` reads the verdict of its own device only, and needs metrics and
candidates only if the device passed. So a fast device goes on while another still trains.
"""


rule project_embeddings:
    input:
        **GRAPH,
        embeddings="results/embeddings/{device}/embeddings.parquet",
    output:
        map="results/validation/{device}/map.parquet",
    log:
        "results/logs/project_embeddings/{device}.log",
    benchmark:
        "results/benchmarks/project_embeddings/{device}.tsv"
    retries: 0
    conda:
        "../envs/hgt.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        map=config["map"],
        target_types=TARGET_TYPES,
        seed=seed_of_run,
        code=code("project_embeddings"),
    message:
        "Drawing the map of the embeddings of {wildcards.device}"
    script:
        "../scripts/project_embeddings.py"


rule measure_embeddings:
    input:
        **GRAPH,
        embeddings="results/embeddings/{device}/embeddings.parquet",
    output:
        measures="results/validation/{device}/measures.json",
    log:
        "results/logs/measure_embeddings/{device}.log",
    benchmark:
        "results/benchmarks/measure_embeddings/{device}.tsv"
    retries: 0
    conda:
        "../envs/hgt.yaml"
    threads: 4
    resources:
        mem_mb=16000,
        runtime=120,
    params:
        hgt=config["hgt"],
        target_types=TARGET_TYPES,
        contrastive=config["training"]["contrastive"],
        valid_share=config["training"]["valid_share"],
        seed=seed_of_run,
        code=code("measure_embeddings"),
    message:
        "Measuring the embeddings of {wildcards.device} and of an untrained encoder"
    script:
        "../scripts/measure_embeddings.py"


checkpoint validate_embeddings:
    input:
        measures="results/validation/{device}/measures.json",
        record="results/embeddings/{device}/training.json",
    output:
        verdict="results/validation/{device}/verdict.json",
    log:
        "results/logs/validate_embeddings/{device}.log",
    benchmark:
        "results/benchmarks/validate_embeddings/{device}.tsv"
    retries: 0
    conda:
        "../envs/hgt.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        gate=config["gate"],
        code=code("validate_embeddings"),
    message:
        "Checking the embeddings of {wildcards.device} against the gate"
    script:
        "../scripts/validate_embeddings.py"


rule write_outcome:
    input:
        unpack(results_if_passed),
        verdict="results/validation/{device}/verdict.json",
        training="results/embeddings/{device}/training.json",
        embeddings="results/embeddings/{device}/embeddings.parquet",
    output:
        outcome="results/validation/{device}/outcome.json",
    log:
        "results/logs/write_outcome/{device}.log",
    benchmark:
        "results/benchmarks/write_outcome/{device}.tsv"
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        code=code("write_outcome"),
    message:
        "Collecting the results of {wildcards.device}"
    script:
        "../scripts/write_outcome.py"


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
        batchings=[device.batching for device in TRAINED_DEVICES],
        agreement=config["agreement"],
        seed=config["seed"],
        code=code("write_agreement"),
    message:
        "Comparing the runs with one another"
    script:
        "../scripts/write_agreement.py"
