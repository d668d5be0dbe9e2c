"""The settings of a run: reading them, checking them against the schema, and what a device's name says."""

import difflib
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from repurpose import download
from repurpose.errors import InputError

KINDS = {
    "integer": "a whole number",
    "number": "a finite number",
    "string": "text",
    "array": "a list",
    "object": "a section with keys",
}
BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
}


def read(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of keys; raises InputError that names the file where it is none."""
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

    Sections merge key by key, anything else is replaced. The schema is schema.yaml beside the first path.
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
    """Raise InputError with one sentence on the first fault of `config`: its keys, types, bounds, sense.

    Unknown keys come first, for a misspelt key is also a missing one.
    """
    errors = sorted(_Validator(schema).iter_errors(config), key=_urgency)
    if errors:
        raise InputError(_sentence(errors[0], schema))
    for sentence in _contradictions(config):
        raise InputError(sentence)


def require_tables(config: Mapping[str, Any]) -> None:
    """Raise InputError where a table that the config names is not there, or its URL does not name a table.

    Snakemake itself would go on with the results of an earlier run.
    """
    for key in ("edges", "nodes"):
        path = config[key]
        if key == "edges" and download.is_url(path):
            download.local_path(path)
        elif path and not (key == "edges" and path == "demo") and not Path(path).exists():
            raise InputError(
                f"{path} does not exist: correct the key {key} in the config or put the table there"
            )


def entries(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Dotted name and schema of every key that holds a value, in the schema's order."""
    for key, inner in schema["properties"].items():
        if inner["type"] == "object":
            yield from entries(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def batching(device: str, by_kind: Mapping[str, str]) -> str:
    """`full` or `sampled`: the suffix of the device's name, else the entry of its kind (cpu, mps, cuda)."""
    name, _, suffix = device.partition("-")
    return suffix or by_kind[_kind(name)]


def torch_device(device: str) -> str:
    """PyTorch's name of a device: `cuda:1` of `cuda:1-full`."""
    return device.partition("-")[0]


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of settings, in hexadecimal, whatever the order of keys; dataclasses count as their fields."""
    text = json.dumps(content, sort_keys=True, allow_nan=False, default=vars)
    return hashlib.sha256(text.encode()).hexdigest()


def _kind(name: str) -> str:
    return name.partition(":")[0]


def _contradictions(config: Mapping[str, Any]) -> Iterator[str]:
    hgt, split, target = config["hgt"], config["split"], config["target"]
    if hgt["hidden_dim"] % hgt["heads"]:
        multiple = hgt["heads"] * math.ceil(hgt["hidden_dim"] / hgt["heads"])
        yield (
            f"hgt.hidden_dim is {hgt['hidden_dim']}, which is not divisible by hgt.heads, {hgt['heads']}; "
            f"use a multiple such as {multiple}"
        )
    held_out = split["valid_share"] + split["test_share"]
    if held_out >= 1:
        yield (
            f"split.valid_share and split.test_share add up to {held_out:g}, which leaves none to train on; "
            "keep their sum below 1"
        )
    head_type, tail_type = target["head_type"], target["tail_type"]
    if head_type == tail_type:
        yield f"target.head_type and target.tail_type are both {_shown(head_type)}; name two node types"
    for relation in target["positive"]:
        if relation in target["negative"]:
            yield f"{_shown(relation)} is in target.positive and in target.negative; keep it in one of them"
    listed = config["graph"]["node_types"]
    for key in ("head_type", "tail_type"):
        if listed and target[key] not in listed:
            yield f"graph.node_types lacks {_shown(target[key])}, which is target.{key}; add it there"
    fanout, by_kind = config["training"]["fanout"], config["training"]["batching"]
    sampled = [device for device in config["devices"] if batching(device, by_kind) == "sampled"]
    if sampled and len(fanout) != hgt["layers"]:
        yield (
            f"training.fanout has {len(fanout)} numbers, hgt.layers is {hgt['layers']} and {sampled[0]} "
            "trains on samples; give one number per layer"
        )


def _is_whole(_: Any, value: Any) -> bool:
    # The standard counts 2.0 as an integer; range() does not.
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(_: Any, value: Any) -> bool:
    # NaN would pass every bound.
    return _is_whole(_, value) or (isinstance(value, float) and math.isfinite(value))


_Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_whole, "number": _is_finite}
    ),
)


def _urgency(error: ValidationError) -> tuple[int, list[str]]:
    order = {"additionalProperties": 0, "required": 1}
    return order.get(error.validator, 2), [str(part) for part in error.absolute_path]


def _sentence(error: ValidationError, schema: Mapping[str, Any]) -> str:
    """One sentence on one fault: the key, its value, what is expected."""
    where, value, wanted = _dotted(error.absolute_path), error.instance, error.validator_value
    match error.validator:
        case "additionalProperties":
            return _unknown(error, schema)
        case "required":
            key = next(key for key in wanted if key not in value)
            return (
                f"the config lacks the key {_dotted([*error.absolute_path, key])}; "
                "start from config/config.yaml and put what differs into an overlay (--configfile)"
            )
        case "type":
            return f"{where} is {_shown(value)}, but {KINDS[wanted]} is expected{_hint(value, wanted)}"
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" as bound:
            return f"{where} is {_shown(value)}, but must be {BOUNDS[bound]} {wanted}"
        case "enum":
            return f"{where} is {_shown(value)}, but must be one of: {', '.join(wanted)}"
        case "pattern":
            return f"{where} is {_shown(value)}, but {error.schema['description']}"
        case "minLength" | "minItems":
            return f"{where} is empty, but must not be"
        case "uniqueItems":
            twice = next(item for item in value if value.count(item) > 1)
            return f"{where} names {_shown(twice)} more than once; name it once"
    return f"{where}: {error.message}"


def _unknown(error: ValidationError, schema: Mapping[str, Any]) -> str:
    """Name an unknown key and the one that was probably meant: a sibling, or one of that name elsewhere."""
    known = error.schema["properties"]
    key = next(str(key) for key in error.instance if key not in known)
    elsewhere = [name for name, _ in entries(schema) if name.rpartition(".")[2] == key]
    near = [_dotted([*error.absolute_path, match]) for match in difflib.get_close_matches(key, known, 1)]
    meant = [*near, *elsewhere]
    advice = f"did you mean {meant[0]}?" if meant else f"the keys there are {', '.join(known)}"
    return f"unknown key {_dotted([*error.absolute_path, key])} in the config; {advice}"


def _hint(value: Any, wanted: str) -> str:
    """What to do about a number that arrived as text, which looks right where it was written."""
    if wanted not in ("integer", "number") or not isinstance(value, str):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    # YAML takes 1e-05 for text: a power needs a point before it.
    text = repr(int(number) if number.is_integer() else number)
    text = text if "." in text else text.replace("e", ".0e")
    return f"; numbers in sections arrive as text from --config, so write {text} in an overlay (--configfile)"


def _dotted(path: Sequence[str | int]) -> str:
    """training.epochs, devices[0]; the config itself where the path is empty."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the config"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
