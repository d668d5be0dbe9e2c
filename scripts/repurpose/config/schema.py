"""The config's schema, generated from its sections, and a sentence on each fault of a config."""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from pydantic import TypeAdapter

from repurpose.config.sections import shown

KINDS = {
    "integer": "a whole number",
    "number": "a finite number",
    "string": "text",
    "array": "a list",
    "object": "a section with keys",
}
# What is kept of pydantic's schema, in this order.
KEPT = (
    "description",
    "type",
    "enum",
    "pattern",
    "minLength",
    "minItems",
    "uniqueItems",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "items",
    "properties",
)
BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
}


def generate(sections: type) -> dict[str, Any]:
    """The JSON schema of a class of sections: closed, every key required, without defaults."""
    raw = TypeAdapter(sections).json_schema()
    return {
        "$schema": Draft202012Validator.META_SCHEMA["$id"],
        **_entry(raw, raw.get("$defs", {})),
    }


def _entry(raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a key or section, from pydantic's: references resolved, titles and defaults left out."""
    if "$ref" in raw:
        raw = {**definitions[raw["$ref"].rpartition("/")[2]], **raw}
    if "anyOf" in raw:
        raw = _united(raw)
    kept = {name: raw[name] for name in KEPT if name in raw}
    if "items" in kept:
        kept["items"] = _entry(raw["items"], definitions)
    if "properties" in kept:
        properties = {name: _entry(inner, definitions) for name, inner in raw["properties"].items()}
        kept |= {"additionalProperties": False, "required": list(properties), "properties": properties}
    return kept


def _united(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A key of several types as one schema: each bound applies to values of one of these types only."""
    bounds = {name: value for option in raw["anyOf"] for name, value in option.items()}
    return {**bounds, **raw, "type": [option["type"] for option in raw["anyOf"]]}


def entries(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Dotted name and schema of every key that holds a value, in the schema's order."""
    for key, inner in schema["properties"].items():
        if inner["type"] == "object":
            yield from entries(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def faults(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each fault; unknown keys come first, because a misspelt key is also a missing key."""
    for error in sorted(_Validator(schema).iter_errors(config), key=_urgency):
        yield _sentence(error, schema)


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
    """One sentence for one fault: the key, its value, and what is expected."""
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
            kinds = [wanted] if isinstance(wanted, str) else wanted
            expected = " or ".join(KINDS[kind] for kind in kinds)
            return f"{where} is {shown(value)}, but {expected} is expected{_hint(value, kinds[0])}"
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" as bound:
            return f"{where} is {shown(value)}, but must be {BOUNDS[bound]} {wanted}"
        case "enum":
            return f"{where} is {shown(value)}, but must be one of: {', '.join(wanted)}"
        case "pattern":
            return f"{where} is {shown(value)}, but {error.schema['description']}"
        case "minLength" | "minItems":
            return f"{where} is empty, but must not be"
        case "uniqueItems":
            twice = next(item for item in value if value.count(item) > 1)
            return f"{where} names {shown(twice)} more than once; name it once"
    return f"{where}: {error.message}"


def _unknown(error: ValidationError, schema: Mapping[str, Any]) -> str:
    """Name an unknown key and the key that was probably meant: of the same section, or of the same name."""
    known = error.schema["properties"]
    key = next(str(key) for key in error.instance if key not in known)
    same_name = [name for name, _ in entries(schema) if name.rpartition(".")[2] == key]
    similar = [_dotted([*error.absolute_path, match]) for match in difflib.get_close_matches(key, known, 1)]
    suggestions = [*similar, *same_name]
    advice = f"did you mean {suggestions[0]}?" if suggestions else f"the keys there are {', '.join(known)}"
    return f"unknown key {_dotted([*error.absolute_path, key])} in the config; {advice}"


def _hint(value: Any, wanted: str) -> str:
    """What to do about a number that arrived as text; "" for other values."""
    if wanted not in ("integer", "number") or not isinstance(value, str):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    # YAML reads 1e-05 as text: a number with an exponent needs a decimal point.
    text = repr(int(number) if number.is_integer() else number)
    text = text if "." in text else text.replace("e", ".0e")
    return f"; numbers in sections arrive as text from --config, so write {text} in an overlay (--configfile)"


def _dotted(path: Sequence[str | int]) -> str:
    """A path of keys as text, such as training.epochs or devices[0]; "the config" for an empty path."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the config"
