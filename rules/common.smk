"""Functions for the rules: config check, code digests, input functions, the gate, start and end of a run."""

import os
import re
import sys
from pathlib import Path

# The folder of this workflow, also if another one uses it as a module.
PROJECT = Path(str(workflow.current_basedir)).parent

sys.path.insert(0, f"{PROJECT}/scripts")

from repurpose.config import settings
from repurpose.config.device import Device
from repurpose.core import source
from repurpose.core.files import read_json
from repurpose.core.threads import let_idle_threads_sleep
from repurpose.gate import verdict
from repurpose.ingest import download, inputs
from repurpose.provenance import jobs, records, runs, snakemake_private
from repurpose.core.errors import InputError

IS_MAIN = snakemake_private.is_main(workflow)
OWN_RULES = snakemake_private.own_rules(workflow)

try:
    snakemake_private.require_local(workflow, PROJECT)
    if not IS_MAIN:
        # A module gets the keys that differ, and Snakemake does not read the file of the defaults.
        config.update(settings.merged(settings.read(f"{PROJECT}/config/config.yaml"), config))
    settings.check(config, settings.read(f"{PROJECT}/config/schema.yaml"))
    inputs.require(config)
    if unanswerable := runs.refused_answer(sys.argv[1:]):
        raise InputError(unanswerable)
except InputError as error:
    # A WorkflowError would add the line of this file that raised it.
    sys.exit(f"Error: {error}")

# Snakemake puts an overlay's keys first and compares parameters as text. With sorted keys, equal settings are
# equal text.
for key, section in settings.ordered(config).items():
    config[key] = section

let_idle_threads_sleep()
if snakemake_private.is_planner(workflow):
    snakemake_private.shorten_console(workflow)

# Only split_pairs and find_repeats use the hierarchy, so a change of it must not rerun other rules.
TARGET = {key: value for key, value in config["target"].items() if key != "hierarchy"}
TARGET_TYPES = [config["target"]["head_type"], config["target"]["tail_type"]]

# The split section without the paths of tables.
SPLIT = {key: value for key, value in config["split"].items() if key not in ("areas", "dates")}
# What the lists leave out: verdicts of reviews, kinds of repeats.
LEFT_OUT = {name: config[name]["exclude"] for name in ("reviews", "repeats")}

GRAPH = {
    "nodes": "results/graph/nodes.parquet",
    "edges": "results/graph/edges.parquet",
    "relations": "results/graph/relations.json",
}

# A run is a device with a seed; its name is the wildcard `device`.
RUNS = Device.parse_all(config)

# Only trained runs are compared with one another and pooled; imported vectors are not.
TRAINED_DEVICES = [run for run in RUNS if run.trains]
TRAINED = [run.name for run in TRAINED_DEVICES]


def code(rule_name, *others):
    """Digest of a rule's script, of the library modules that it imports, and of the files in `others`."""
    return source.digest(f"{PROJECT}/scripts", f"{rule_name}.py", others)


def raw_tables(wildcards):
    """The tables of edges and nodes that the workflow makes or downloads, as named inputs; none for the user's own."""
    plan(wildcards)
    paths = {key: inputs.made(config, key) for key in ("edges", "nodes")}
    return {key: made for key, made in paths.items() if made}


def table_paths(*keys):
    """The paths of all tables of these config keys."""
    return {key: inputs.local_paths(config, key) for key in keys}


def url_of_download(wildcards):
    """The URL in the config whose table is stored at this path; "" if the config no longer has it."""
    path = f"{download.FOLDER}/{wildcards.folder}/{wildcards.name}"
    return next((url for url in inputs.urls(config) if download.local_path(url) == path), "")


def tables(*keys):
    """The user's files of these config keys, also those of a list or a folder."""
    return {
        name: path
        for name, path in inputs.tables(config).items()
        if name in keys or name.startswith(tuple(f"{key}{mark}" for key in keys for mark in "[/"))
    }


def external_pairs(wildcards):
    """The external pairs as a named input, or none."""
    return {"external": "results/pairs/external.parquet"} if config["external"]["pairs"] else {}


def metapath_models(wildcards):
    """The models on metapaths as a named input; none if the score reads the embeddings alone."""
    is_read = {"metapaths", "specificity"} & set(config["classifier"]["parts"])
    return {"metapaths": "results/metapaths/models.json"} if is_read else {}


def chosen_nodes(wildcards):
    """The heads and tails that the ranking is restricted to, as a named input, or none."""
    is_restricted = (
        config["candidates"]["heads"] or config["candidates"]["tails"] or config["annotations"]["only"]
    )
    return {"chosen": "results/candidates/chosen.json"} if is_restricted else {}


def annotations_of_nodes(wildcards):
    """The annotations of heads and tails as a named input, or none."""
    return {"annotations": "results/graph/annotations.parquet"} if config["annotations"]["table"] else {}


def reviews_of_pairs(wildcards):
    """The reviews of pairs as a named input, or none."""
    return {"reviews": "results/pairs/reviews.parquet"} if config["reviews"]["table"] else {}


def repeats_of_treatments(wildcards):
    """The pairs that repeat a known treatment as a named input; none without a table and a hierarchy to find them."""
    is_found = config["repeats"]["ingredients"] or config["target"]["hierarchy"]
    return {"repeats": "results/pairs/repeats.parquet"} if is_found else {}


def checked_tables(wildcards):
    """What the user's small tables were read into, as named inputs, so that a table that is refused stops the run."""
    found = annotations_of_nodes, reviews_of_pairs, repeats_of_treatments, external_pairs, chosen_nodes
    return {name: path for of_table in found for name, path in of_table(wildcards).items()}


def dates_of_edges(wildcards):
    """Where edges come from, as a named input, if the split scheme date reads their dates; else none."""
    is_read = "date" in config["split"]["schemes"] and not config["split"]["dates"]
    return {"sources": "results/graph/sources.parquet"} if is_read else {}


def annotations_that_restrict(wildcards):
    """The same if the ranking is restricted by them."""
    return annotations_of_nodes(wildcards) if config["annotations"]["only"] else {}


def encoder_of_trained(wildcards):
    """The encoder as a named input; none for imported vectors."""
    encoder = "results/embeddings/{device}/encoder.safetensors"
    return {"encoder": encoder} if device(wildcards).trains else {}


def graph_section(wildcards):
    """The graph section without `features`, which only training uses, and without the path of another table."""
    return {key: value for key, value in config["graph"].items() if key not in ("features", "identifiers")}


def needs_gpu(wildcards):
    """Number of GPUs that training on this device needs."""
    return 0 if device(wildcards).is_cpu else 1


def results_if_passed(wildcards):
    """A device's metrics, candidates and evidence as named inputs; none if its verdict does not let it pass."""
    name = wildcards.device
    if not has_passed(name):
        return {}
    return {
        "metrics": f"results/classifier/{name}/metrics.json",
        "candidates": f"results/candidates/{name}/candidates.parquet",
        "by_head": f"results/candidates/{name}/by_head.parquet",
        "listed": f"results/candidates/{name}/listed.parquet",
        "evidence": f"results/candidates/{name}/evidence.parquet",
        "popularity": f"results/candidates/{name}/popularity.parquet",
        "stability": f"results/candidates/{name}/stability.json",
        "lists": f"results/candidates/{name}/lists.json",
        "negatives": f"results/classifier/{name}/negatives.json",
    }


def has_passed(name):
    """Whether the gate lets a device pass; a job that calls this waits for the device's verdict."""
    path = checkpoints.validate_embeddings.get(device=name).output.verdict
    try:
        return verdict.has_passed(path)
    except InputError:
        # An error here would end in a traceback; write_outcome reads the same file and says what is wrong.
        return False


def after_the_gate(wildcards):
    """No input, but the job waits for its device's verdict; the script stops if the device did not pass."""
    if not has_passed(wildcards.device):
        # Results of an earlier verdict do not count: the jobs run, and their scripts say why they stop.
        folder = f"results/classifier/{wildcards.device}"
        snakemake_private.force(workflow, [f"{folder}/model.ubj", f"{folder}/negatives.json"])
    return {}


def candidates_of_passing(wildcards):
    """The candidates of all trained runs that passed, in the config's order, as a named input, or none."""
    passed = [name for name in TRAINED if has_passed(name)]
    pattern = "results/candidates/{device}/candidates.parquet"
    return {"candidates": expand(pattern, device=passed)} if passed else {}


def models_of_passing(wildcards):
    """The files of all trained runs that passed, in the config's order, as named inputs; none if none passed."""
    passed = [name for name in TRAINED if has_passed(name)]
    patterns = {
        "embeddings": "results/embeddings/{device}/embeddings.parquet",
        "model": "results/classifier/{device}/model.ubj",
        "kernel": "results/classifier/{device}/kernel.safetensors",
        "metrics": "results/classifier/{device}/metrics.json",
        "negatives": "results/classifier/{device}/negatives.json",
    }
    return {name: expand(pattern, device=passed) for name, pattern in patterns.items()} if passed else {}


def page_sources():
    """The files that the report is made of, other than its modules."""
    folder = Path(PROJECT, "scripts")
    kinds = ("templates/*", "app/*.js", "vendor/*.js")
    found = [path for kind in kinds for path in sorted((folder / "repurpose" / "report").glob(kind))]
    return [path.relative_to(folder).as_posix() for path in found]


def chance_of_runs(wildcards):
    """What chance looks like, as a named input: all runs that passed for permuted_labels, else those that are there."""
    paths = {run.name: f"results/permuted/{run.name}.json" for run in RUNS}
    is_asked = named("permuted_labels") in sys.argv[1:]
    found = [path for name, path in paths.items() if os.path.exists(path) or (is_asked and has_passed(name))]
    return {"chance": found} if found else {}


def agreement_of_several(wildcards):
    """The agreement of the runs as a named input; none if there is only one trained run."""
    return {"agreement": "results/agreement.json"} if len(TRAINED) > 1 else {}


def pooled_of_several(wildcards):
    """The pooled candidates as a named input; none if the config lists no seeds or there is one trained run."""
    is_pooled = config["seeds"] and len(TRAINED) > 1
    return {"pooled": "results/candidates/pooled/candidates.parquet"} if is_pooled else {}


def per_device(pattern):
    """One path per run."""
    return expand(pattern, device=[run.name for run in RUNS])


def seed_of(run):
    """The seed of a run: the one in its name, or else the config's."""
    return config["seed"] if run.seed is None else run.seed


def seed_of_run(wildcards):
    """The seed of a job's run."""
    return seed_of(device(wildcards))


def device(wildcards):
    """The device of a job."""
    return Device.parse(wildcards.device, config["training"]["batching"])


def batching_of_kind(wildcards):
    """The section training.batching, reduced to the device's own kind."""
    parsed = device(wildcards)
    return {parsed.kind: parsed.batching}


def encoder(wildcards):
    """The section hgt; `attention` applies to the CPU only, so other devices always get the same value."""
    if device(wildcards).is_cpu:
        return config["hgt"]
    return {**config["hgt"], "attention": "pyg"}


def training(wildcards):
    """The training section for the trainer, without keys that cannot make this device stale."""
    return settings.learned(config["training"], device(wildcards).batching)


# Whether results are current depends on what they were made from, not on Snakemake's metadata or file times: see
# records.py and docs/failures.md. The user's own tables are params (`tables`): as inputs, their times would count.

# Another workflow that uses this one as a module may give its rules other names.
named = snakemake_private.names_of_rules(workflow)


def all_named(*rule_names):
    """The names of several rules in the workflow that uses them."""
    return tuple(map(named, rule_names))


# Snakemake knows the inputs of these rules only when the verdicts exist.
AFTER_VERDICTS = all_named("write_outcome", "write_agreement", "pool_candidates")
BEHIND_THE_GATE = all_named(
    "train_classifier",
    "train_contraindications",
    "rank_candidates",
    "explain_candidates",
    "answer_question",
    "permute_labels",
)


# These jobs only look names up and read the user's small tables. If one refuses its input, before others have made
# anything, the results that the run has set aside return.
CHECKS = all_named(
    "check_names", "find_chosen", "find_repeats", "read_annotations", "read_external", "read_reviews"
)


def expected(record):
    """The job of a record as the present config would start it; None if there is no rule of this name."""
    job = snakemake_private.job(workflow, record.rule, record.wildcards)
    return runs.Expected(*job, record.rule in AFTER_VERDICTS, objection(record)) if job else None


def objection(record):
    """Why a job's results must not be used, as a phrase; "" if they may."""
    made_by = record.rule
    if snakemake_private.is_forced(workflow, made_by, record.outputs):
        return runs.FORCED
    if made_by in BEHIND_THE_GATE:
        judged = f"results/validation/{record.wildcards['device']}/verdict.json"
        try:
            if os.path.exists(judged) and not verdict.has_passed(judged):
                return f"the gate does not let {record.wildcards['device']} pass"
        except InputError:
            return f"{judged} is no verdict"
    return ""


def is_result(path):
    """Whether a rule makes the file at this path."""
    return snakemake_private.is_output(OWN_RULES, path)


def asked():
    """What the user asked for on this command line: config, overlays, and own tables."""
    overlays, has_options = snakemake_private.overlays(workflow)
    paths = [os.path.relpath(path) for path in overlays]
    return runs.Request(config, paths, has_options, inputs.tables(config))


SHOWN_MISSING = 5  # files that are named after a failed run


class Plan:
    """The state of the results that this run found, judged once, when the DAG is built."""

    is_begun = False
    judgement = None
    lock = None
    memory = {}


def plan(wildcards):
    """No input, but stale results are reported to the DAG before Snakemake decides which jobs run."""
    # runs.judge asks for the inputs of all jobs and so calls this function again.
    if snakemake_private.is_planner(workflow) and not Plan.is_begun:
        Plan.is_begun = True
        if not IS_MAIN:
            # Snakemake ignores the handlers of a module.
            snakemake_private.add_handlers(workflow, begin_run, end_run)
        Plan.judgement = runs.judge(expected, is_result, records.Digests())
        runs.settle_times(Plan.judgement)
        snakemake_private.force(workflow, Plan.judgement.files)
        refusal = runs.refusal(asked())
        lines = [] if refusal else Plan.judgement.lines()
        if refusal:
            print(f"This command is refused unless it is a dry run: {refusal}", file=sys.stderr)
        if lines:
            print("\n".join(["Out of date:", *(f"  {line}" for line in lines)]), file=sys.stderr)
    return {}


def begin_run():
    """Before the first job: lock the folder, and set aside results that do not fit the present config."""
    if snakemake_private.only_touches(workflow):
        return
    try:
        refusal = runs.refusal(asked())
        if refusal:
            sys.exit(f"Error: {refusal}")
        Plan.lock = runs.hold()
        for name in runs.begin(Plan.judgement):
            print(f"Put in place what a killed run had made: {name}", file=sys.stderr)
        Plan.memory = runs.memory_files()
        runs.remember(asked(), records.Digests())
    except InputError as error:
        sys.exit(f"Error: {error}")


def end_run(logs, is_failed):
    """Set aside results that do not fit; after a failed run, print why it stopped and what is missing."""
    snakemake_private.forget_forced(workflow)
    text = "".join(Path(path).read_text(errors="replace") for path in logs) if is_failed else ""
    failed = snakemake_private.failed_rules(text)
    is_undone = bool(failed) and failed <= set(CHECKS) and runs.undo(Plan.judgement, CHECKS, Plan.memory)
    missing = [] if is_undone else runs.end(runs.judge(expected, is_result, records.Digests(), is_end=True))
    if not is_failed:
        if snakemake_private.is_asked_for(workflow, named("require_pass")):
            # Imported here: a dry run need not wait for it.
            from repurpose.report import ending

            print("\n".join(["", *ending.lines(read_json("results/summary.json"))]), file=sys.stderr)
        return
    said = re.findall(r"^[0-9:]{8} ERROR (.*)$", text, re.MULTILINE)
    sentences = dict.fromkeys([*said, *snakemake_private.killed(text)])
    lines = ["", "The run stopped:", *(f"  {each}" for each in sentences or ["see the messages above"])]
    if is_undone:
        lines += ["Nothing has changed: results/ is as it was before this command."]
    elif missing:
        lines += [
            "Not made again; what was made last is in results/previous:",
            *(f"  {path}" for path in missing[:SHOWN_MISSING]),
        ]
        more = len(missing) - SHOWN_MISSING
        lines += [f"  and {more} more"] if more > 0 else []
    print("\n".join(lines), file=sys.stderr)
