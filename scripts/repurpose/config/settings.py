"""Read the settings of a run, and check them against the schema and against one another."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from repurpose.config.config import Config
from repurpose.config.schema import faults
from repurpose.core.errors import InputError

# Keys of the section training that only the other batching reads.
READ_BY_OTHER = {
    "full": ("sampled_epochs", "batch_size", "fanout"),
    "sampled": ("epochs", "edge_sample_size", "supervision_share"),
}


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
    for sentence in faults(config, schema):
        raise InputError(sentence)
    Config(**config)


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of settings in hexadecimal, independent of the order of keys; dataclasses count as dicts."""
    text = json.dumps(content, sort_keys=True, allow_nan=False, default=vars)
    return hashlib.sha256(text.encode()).hexdigest()


def learned(training: Mapping[str, Any], batching: str) -> dict[str, Any]:
    """The keys of the section `training` that change what a training with this batching learns.

    Left out: where it runs, how often it is saved, what only the other batching reads. Of a loss term whose
    weight is 0 only the weight is left.
    """
    unread = ("batching", "checkpoint_seconds", *READ_BY_OTHER[batching])
    return {
        key: {"weight": value["weight"]} if isinstance(value, Mapping) and not value["weight"] else value
        for key, value in training.items()
        if key not in unread
    }


def as_text(overlay: Mapping[str, Any]) -> str:
    """An overlay as YAML, its keys in their order."""
    return yaml.safe_dump(dict(overlay), sort_keys=False, allow_unicode=True, default_flow_style=None)
