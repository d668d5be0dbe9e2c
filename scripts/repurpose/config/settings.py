"""Read the settings of a run, and check them against the schema and against one another."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from repurpose.config.device import GIVEN, Device
from repurpose.config.schema import faults, shown
from repurpose.core.errors import InputError
from repurpose.ingest import download


def read(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of keys; raises InputError that names the file if it is not one."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        detail = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read as a YAML file: {detail}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} has no keys at its top level; write it like config/config.yaml")
    return content


def load(paths: Sequence[str | Path]) -> dict[str, Any]:
    """Read the base config and overlays as Snakemake merges them, and check the result.

    Sections merge key by key, anything else is replaced. The schema is schema.yaml in the folder of the first
    path. Raises InputError on the first fault.
    """
    config: dict[str, Any] = {}
    for path in paths:
        config = merged(config, read(path))
    check(config, read(Path(paths[0]).with_name("schema.yaml")))
    return config


def merged(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `overlay`; sections merge key by key, lists are replaced."""
    result = dict(base)
    for key, value in overlay.items():
        inner = result.get(key)
        if isinstance(value, Mapping):
            value = merged(inner if isinstance(inner, Mapping) else {}, value)
        result[key] = value
    return result


def ordered(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings with the keys of every section in alphabetical order."""
    return {
        key: ordered(value) if isinstance(value, Mapping) else value for key, value in sorted(content.items())
    }


def check(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raise InputError with one sentence on the first fault: of keys, types, bounds, or a contradiction.

    Unknown keys come first, because a misspelt key is also a missing key.
    """
    for sentence in itertools.chain(faults(config, schema), _contradictions(config)):
        raise InputError(sentence)


def tables(config: Mapping[str, Any]) -> dict[str, str]:
    """The user's files by config key; "" if the config names none, or if the workflow makes the file."""
    edges = config["edges"]
    return {
        "edges": "" if edges == "demo" or download.is_url(edges) else edges,
        "nodes": config["nodes"],
        "graph.features": config["graph"]["features"],
        "external.pairs": config["external"]["pairs"],
        "given": config["given"],
        "split.areas": config["split"]["areas"],
    }


def require_tables(config: Mapping[str, Any]) -> None:
    """Raise InputError if a table that the config names does not exist, or its URL does not name a table.

    Snakemake does not check these files, because the rules take them as parameters.
    """
    if download.is_url(config["edges"]):
        download.local_path(config["edges"])
    for key, path in tables(config).items():
        if path and not Path(path).exists():
            raise InputError(
                f"{path} does not exist: correct the key {key} in the config or put the table there"
            )


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of settings in hexadecimal, independent of the order of keys; dataclasses count as dicts."""
    text = json.dumps(content, sort_keys=True, allow_nan=False, default=vars)
    return hashlib.sha256(text.encode()).hexdigest()


def learned(training: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of the section `training` that change the trained vectors.

    Batching by kind of device and the time between checkpoints are left out. Of a loss term with weight 0,
    only the weight is kept, because its other keys have no effect.
    """
    return {
        key: {"weight": value["weight"]} if isinstance(value, Mapping) and not value["weight"] else value
        for key, value in training.items()
        if key not in ("batching", "checkpoint_seconds")
    }


def _contradictions(config: Mapping[str, Any]) -> Iterator[str]:
    hgt, split, target = config["hgt"], config["split"], config["target"]
    if hgt["hidden_dim"] % hgt["heads"]:
        multiple = hgt["heads"] * math.ceil(hgt["hidden_dim"] / hgt["heads"])
        yield (
            f"hgt.hidden_dim is {hgt['hidden_dim']}, which is not divisible by hgt.heads, {hgt['heads']}; "
            f"use a multiple such as {multiple}"
        )
    n_extra = hgt["svd_dim"] + hgt["profile_dim"]
    if n_extra >= hgt["embedding_dim"]:
        yield (
            f"hgt.svd_dim and hgt.profile_dim, together {n_extra}, leave none of the {hgt['embedding_dim']} "
            "numbers of a vector (hgt.embedding_dim) to the layers; raise hgt.embedding_dim, for instance to "
            f"{n_extra + 128}, or lower those"
        )
    held_out = split["valid_share"] + split["test_share"]
    if held_out >= 1:
        yield (
            f"split.valid_share and split.test_share add up to {held_out:g}, which leaves none to train on; "
            "keep their sum below 1"
        )
    if "area" in split["schemes"] and not (split["areas"] or target["hierarchy"]):
        yield (
            "split.schemes has area, but nothing tells which disease is in which; name a table in split.areas"
            " or a relation in target.hierarchy"
        )
    head_type, tail_type = target["head_type"], target["tail_type"]
    if head_type == tail_type:
        yield f"target.head_type and target.tail_type are both {shown(head_type)}; name two node types"
    for relation in target["positive"]:
        if relation in target["negative"]:
            yield f"{shown(relation)} is in target.positive and in target.negative; keep it in one of them"
    for relation in config["graph"]["keep_relations"]:
        if relation in config["graph"]["exclude_relations"]:
            yield (
                f"{shown(relation)} is in graph.keep_relations and in graph.exclude_relations; "
                "keep it in one of them"
            )
    contrastive = config["training"]["contrastive"]
    if contrastive["weight"] and not contrastive["relations"]:
        yield (
            f"training.contrastive.weight is {contrastive['weight']:g}, but training.contrastive.relations "
            "is empty; name the relations whose neighbours are compared, or set the weight to 0"
        )
    listed = config["graph"]["node_types"]
    for key in ("head_type", "tail_type"):
        if listed and target[key] not in listed:
            yield f"graph.node_types lacks {shown(target[key])}, which is target.{key}; add it there"
    if bool(config["given"]) != (GIVEN in config["devices"]):
        yield (
            "devices lists given and the key given is empty; name the file of vectors there"
            if not config["given"]
            else f"the key given is {shown(config['given'])}, but devices does not list given; add it there"
        )
    external = config["external"]
    if external["pairs"] and not external["positive"] + external["negative"]:
        yield (
            "external.positive and external.negative are both empty, so no pair of external.pairs has a "
            "meaning; name the labels that stand in its label column"
        )
    for label in external["positive"]:
        if label in external["negative"]:
            yield f"{shown(label)} is in external.positive and in external.negative; keep it in one of them"
    fanout = config["training"]["fanout"]
    sampled = [device.name for device in Device.parse_all(config) if device.batching == "sampled"]
    if sampled and len(fanout) != hgt["layers"]:
        yield (
            f"training.fanout has {len(fanout)} numbers, hgt.layers is {hgt['layers']} and {sampled[0]} "
            "trains on samples; give one number per layer"
        )
