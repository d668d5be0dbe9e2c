"""Drug repurposing: from an edges table to ranked drug candidates; see README.md."""

from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.current_basedir}/config/config.yaml"


wildcard_constraints:
    device=r"(cpu|mps|cuda(:[0-9]+)?)(-full|-sampled)?(-seed(0|[1-9][0-9]*))?|given",


include: "rules/common.smk"
include: "rules/ingest.smk"
include: "rules/pairs.smk"
include: "rules/training.smk"
include: "rules/gate.smk"
include: "rules/classifier.smk"
include: "rules/candidates.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        summary="results/summary.json",
        report="results/report.html",
        passed="results/passed.json",


onstart:
    begin_run()


onsuccess:
    end_run(log, is_failed=False)


onerror:
    end_run(log, is_failed=True)
