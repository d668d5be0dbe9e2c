"""Helpers of the DAG: the config's check, code digests, input look-ups, the gate."""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, f"{workflow.basedir}/scripts")

from repurpose import download, settings, source, verdict
from repurpose.errors import InputError

try:
    settings.check(config, settings.read(f"{workflow.basedir}/config/schema.yaml"))
    settings.require_tables(config)
except InputError as error:
    # A WorkflowError would wrap the sentence in the line of this file that raised it.
    sys.exit(f"Error: {error}")

# Snakemake puts an overlay's keys first and compares parameters as text: in one order, the same is the same.
for key, section in settings.ordered(config).items():
    config[key] = section

# Idle OpenMP threads spin by default: two jobs on two cores then take many times longer than one after the other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The hierarchy is nothing to any rule but the one that splits the pairs.
TARGET = {key: value for key, value in config["target"].items() if key != "hierarchy"}

GRAPH = {
    "nodes": "results/graph/nodes.parquet",
    "edges": "results/graph/edges.parquet",
    "relations": "results/graph/relations.json",
}

# What trains here: devices are compared with one another, vectors from elsewhere are not.
TRAINED = [device for device in config["devices"] if device != "given"]

FULL_KEYS = ("epochs", "edge_sample_size", "supervision_share")
SAMPLED_KEYS = ("sampled_epochs", "batch_size", "fanout")


def code(rule_name, *others):
    """Digest of a rule's script, of the library modules that it uses and of `others` beside them."""
    return source.digest(f"{workflow.basedir}/scripts", f"{rule_name}.py", others)


def edges_table(wildcards):
    """The table the graph is built from: the planted one, a file, or where a URL's table is kept."""
    edges = config["edges"]
    if edges == "demo":
        return "results/demo/edges.parquet"
    return download.local_path(edges) if download.is_url(edges) else edges


def nodes_table(wildcards):
    """The optional table of nodes, a named input or none."""
    return {"nodes": config["nodes"]} if config["nodes"] else {}


def checked_names(wildcards):
    """No input: a job that asks waits until the config's names are found to be the graph's."""
    checkpoints.check_names.get()
    return {}


def external_pairs(wildcards):
    """The pairs from elsewhere, a named input or none."""
    return {"external": "results/pairs/external.parquet"} if config["external"]["pairs"] else {}


def chosen_nodes(wildcards):
    """The heads and tails that the ranking is restricted to, a named input or none."""
    is_restricted = config["candidates"]["heads"] or config["candidates"]["tails"]
    return {"chosen": "results/candidates/chosen.json"} if is_restricted else {}


def areas_table(wildcards):
    """The optional table of the tails' areas, a named input or none."""
    path = config["split"]["areas"]
    return {"areas": path} if path else {}


def features_table(wildcards):
    """The optional table of node vectors, a named input or none."""
    path = config["graph"]["features"]
    return {"features": path} if path else {}


def encoder_of_trained(wildcards):
    """The encoder of a device that trains here, a named input or none."""
    is_trained = wildcards.device in TRAINED
    return {"encoder": "results/embeddings/{device}/encoder.safetensors"} if is_trained else {}


def graph_section(wildcards):
    """The graph section without what the graph is not built from."""
    return {key: value for key, value in config["graph"].items() if key != "features"}


def needs_gpu(wildcards):
    """How many GPUs a training on this device takes."""
    return 0 if wildcards.device.startswith("cpu") else 1


def results_if_passed(wildcards):
    """Named inputs of a device's outcome: its metrics, candidates and their evidence, once its own verdict lets it pass."""
    device = wildcards.device
    if not has_passed(device):
        return {}
    return {
        "metrics": f"results/classifier/{device}/metrics.json",
        "candidates": f"results/candidates/{device}/candidates.parquet",
        "evidence": f"results/candidates/{device}/evidence.parquet",
        "popularity": f"results/candidates/{device}/popularity.parquet",
        "stability": f"results/candidates/{device}/stability.json",
        "negatives": f"results/classifier/{device}/negatives.json",
    }


def has_passed(device):
    """Whether the gate lets a device pass; a job that asks waits for its verdict."""
    path = checkpoints.validate_embeddings.get(device=device).output.verdict
    try:
        return verdict.has_passed(path)
    except InputError:
        # A fault here would be a traceback of Snakemake's: write_outcome, which reads it too, says what is wrong.
        return False


def candidates_of_passing(wildcards):
    """The candidates of all trained devices that passed, in the config's order, a named input or none."""
    passed = [device for device in TRAINED if has_passed(device)]
    pattern = "results/candidates/{device}/candidates.parquet"
    return {"candidates": expand(pattern, device=passed)} if passed else {}


def agreement_of_several(wildcards):
    """How far the devices agree, a named input where more than one trains."""
    return {"agreement": "results/agreement.json"} if len(TRAINED) > 1 else {}


def per_device(pattern):
    """One path per configured device."""
    return expand(pattern, device=config["devices"])


def batching(wildcards):
    """full or sampled, for one device: its suffix, else its kind's default."""
    return settings.batching(wildcards.device, config["training"]["batching"])


def encoder(wildcards):
    """The encoder's section; which attention the CPU runs is nothing to another device."""
    if wildcards.device.startswith("cpu"):
        return config["hgt"]
    return {**config["hgt"], "attention": "pyg"}


def training(wildcards):
    """The training section for the trainer; keys of the other kind are None: they must not make this device stale."""
    of_others = FULL_KEYS if batching(wildcards) == "sampled" else SAMPLED_KEYS
    section = settings.learned(config["training"])
    return {key: None if key in of_others else value for key, value in section.items()}


def end_of_failed_run(logs):
    """Mark what a failed job left for the next run, and tell the person what failed and what is out of date.

    Outputs are flagged `update`: a failing job's earlier results are put back. Snakemake then takes them for
    results of that very job and would call them up to date; as incomplete ones they are made again.
    """
    text = "".join(Path(path).read_text(errors="replace") for path in logs)
    sentences = dict.fromkeys(re.findall(r"^[0-9:]{8} ERROR (.*)$", text, re.MULTILINE))
    stale = dict.fromkeys(re.findall(r"^Restored previous version of (\S+)", text, re.MULTILINE))
    for path in stale:
        workflow.persistence._mark_incomplete(path, None)
    lines = [
        "",
        "The run stopped:",
        *(f"  {sentence}" for sentence in sentences or ["see the messages above"]),
    ]
    if stale:
        lines += ["Out of date, kept as the last good run left them:", *(f"  {path}" for path in stale)]
    print("\n".join(lines), file=sys.stderr)
