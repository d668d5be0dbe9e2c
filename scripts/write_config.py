"""Write config/config.yaml, config/schema.yaml and the config table of README.md from the sections.

    python scripts/write_config.py [--check]

The sections (scripts/repurpose/config/sections.py) are the one home of every key. With --check nothing is
written; the exit status is 1 if one of the three files is out of date.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from repurpose.config import schema
from repurpose.config.config import Config
from repurpose.core import files, logs
from repurpose.core.errors import InputError

PROJECT = Path(__file__).resolve().parent.parent
BEGIN = "<!-- config table: begin -->"
END = "<!-- config table: end -->"
COMMENT_COLUMN = 36
CONFIG_HEADER = """\
# What runs when nothing else is said: the demo graph and a model small enough for two cores.
# Change nothing here to run something else: write the keys that differ into a file of your own, an overlay,
# and run: snakemake --cores 8 --configfile my.yaml
# config/schema.yaml says what each key may hold; a key that is not there is an error.
# Written by scripts/write_config.py from scripts/repurpose/config/sections.py.
"""
SCHEMA_HEADER = """\
# What every key of the config may hold. Closed: other keys are errors. The defaults are in config.yaml.
# Written by scripts/write_config.py from scripts/repurpose/config/sections.py.
"""


def config_text(sections: Any) -> str:
    """config.yaml: every key with its default and its comment."""
    lines, is_in_section = [], False
    for field in dataclasses.fields(sections):
        is_section = dataclasses.is_dataclass(field.type)
        if is_section or is_in_section:
            lines.append("")
        is_in_section = is_section
        lines += _yaml_lines(field, getattr(sections, field.name), 0)
    return CONFIG_HEADER + "\n" + "\n".join(lines) + "\n"


def schema_text() -> str:
    """schema.yaml: the JSON schema of the sections."""
    content = schema.generate(Config)
    return SCHEMA_HEADER + yaml.safe_dump(content, sort_keys=False, width=110, allow_unicode=True)


def table(config: Any) -> str:
    """A Markdown table with a row for each key: dotted name, default, description."""
    rows = ["| key | default | what it is |", "|---|---|---|"]
    defaults = dict(_leaves(dataclasses.asdict(config)))
    for name, entry in schema.entries(schema.generate(Config)):
        description = entry["description"].replace("|", "\\|")
        rows.append(f"| `{name}` | `{_shown(defaults[name])}` | {description} |")
    return "\n".join(rows) + "\n"


def replaced(text: str, content: str) -> str:
    """`text` with `content` between the two marks; raises InputError if a mark is missing or occurs twice."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise InputError(f"README.md must hold {BEGIN} once and, below it, {END} once")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{content}{END}{rest.split(END)[1]}"


def main(*, project: Path, is_check: bool) -> None:
    """Write the three files, or raise InputError that names the first one that is out of date."""
    readme = project / "README.md"
    texts = {
        project / "config" / "config.yaml": config_text(Config()),
        project / "config" / "schema.yaml": schema_text(),
        readme: replaced(readme.read_text(encoding="utf-8"), table(Config())),
    }
    for path, text in texts.items():
        if path.read_text(encoding="utf-8") == text:
            continue
        if is_check:
            raise InputError(f"{path} is out of date; run: python scripts/write_config.py")
        with files.replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _yaml_lines(field: dataclasses.Field, value: Any, depth: int) -> Iterator[str]:
    comment = field.default.title if hasattr(field.default, "title") else ""
    indent = "  " * depth
    if dataclasses.is_dataclass(value):
        yield _commented(f"{indent}{field.name}:", comment)
        for inner in dataclasses.fields(value):
            yield from _yaml_lines(inner, getattr(value, inner.name), depth + 1)
    else:
        yield _commented(f"{indent}{field.name}: {_yaml(value)}", comment)


def _yaml(value: Any) -> str:
    """A value on one line of YAML; texts that need quotes get double ones."""
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    text = yaml.safe_dump(value, width=1000, allow_unicode=True).splitlines()[0]
    return json.dumps(value, ensure_ascii=False) if text.startswith("'") else text


def _commented(line: str, comment: str) -> str:
    return f"{line:<{COMMENT_COLUMN - 2}}  # {comment}" if comment else line


def _leaves(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    """A value as one would write it in YAML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return value if isinstance(value, str) and value else json.dumps(value)


if __name__ == "__main__":
    logs.configure()
    parser = argparse.ArgumentParser(description="Write the files that are made from the config's sections.")
    parser.add_argument("--check", action="store_true", help="fail if a file is out of date; write nothing")
    sys.exit(main(project=PROJECT, is_check=parser.parse_args().check))
