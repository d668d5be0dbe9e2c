"""Write the config table of README.md from config.yaml (defaults) and schema.yaml (descriptions).

    python scripts/write_config_table.py [--write | --check]

Without an option it prints the table. --write puts it into README.md. --check exits with 1 if the table in
README.md is out of date.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repurpose.config import settings
from repurpose.config.schema import entries
from repurpose.core import files, logs
from repurpose.core.errors import InputError

PROJECT = Path(__file__).resolve().parent.parent
BEGIN = "<!-- config table: begin -->"
END = "<!-- config table: end -->"


def table(config: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """A Markdown table with a row for each key: dotted name, default, description."""
    rows = ["| key | default | what it is |", "|---|---|---|"]
    for name, entry in entries(schema):
        value: Any = config
        for key in name.split("."):
            value = value[key]
        description = entry["description"].replace("|", "\\|")
        rows.append(f"| `{name}` | `{_shown(value)}` | {description} |")
    return "\n".join(rows) + "\n"


def replaced(text: str, content: str) -> str:
    """`text` with `content` between the two marks; raises InputError if a mark is missing or there twice."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise InputError(f"README.md must hold {BEGIN} once and, below it, {END} once")
    before, after = text.split(BEGIN)
    return f"{before}{BEGIN}\n{content}{END}{after.split(END)[1]}"


def main(readme: Path, base: Path, schema: Path, mode: str) -> int:
    """Print, write or check the table; returns the exit status."""
    content = table(settings.read(base), settings.read(schema))
    if mode == "print":
        print(content, end="")
        return 0
    old = readme.read_text(encoding="utf-8")
    new = replaced(old, content)
    if mode == "check" and new != old:
        raise InputError(
            f"the config table of {readme} is out of date; run: python scripts/write_config_table.py --write"
        )
    if new != old:
        with files.replacing(readme) as temporary:
            temporary.write_text(new, encoding="utf-8")
    return 0


def _shown(value: Any) -> str:
    """A value as it is written in YAML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return value if isinstance(value, str) and value else json.dumps(value)


if __name__ == "__main__":
    logs.configure()
    parser = argparse.ArgumentParser(description="Print the config table of README.md.")
    choice = parser.add_mutually_exclusive_group()
    for option, text in (
        ("write", "put it into README.md"),
        ("check", "fail where README.md's is out of date"),
    ):
        choice.add_argument(f"--{option}", dest="mode", action="store_const", const=option, help=text)
    mode = parser.parse_args().mode or "print"
    folder = PROJECT / "config"
    sys.exit(main(PROJECT / "README.md", folder / "config.yaml", folder / "schema.yaml", mode))
