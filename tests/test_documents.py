"""The documents: links lead somewhere, commands name scripts that exist with options that they have."""

import re
import shlex
from pathlib import Path

import pytest

from repurpose.config import settings

PROJECT = Path(__file__).parent.parent
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("*/README.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
PROGRAM = re.compile(r"python ((?:scripts|benchmarks)/\w+\.py)([^`\n)]*)")
CONFIGFILES = re.compile(r"snakemake [^`\n]*?--configfile ((?:config/presets/\w+\.yaml ?)+)")
# Why a command of the documents is not run by a test. Others are: `make run`, a stalled training, look-ups
# and answers in tests/workflow, inspect_edges.py in tests/ingest, the benchmarks in tests/benchmarks.
NOT_RUN = {
    "config/presets/primekg.yaml": "downloads 982 MB",
    "config/presets/hetionet.yaml": "downloads 12 MB",
    "config/presets/drkg.yaml": "downloads 217 MB",
    "config/presets/monarch.yaml": "downloads 231 MB",
    "config/presets/full.yaml": "takes an hour",
    "config/presets/seed.yaml": "takes minutes",
}


def text_of(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


def programs() -> list[tuple[str, str, str]]:
    """Document, program and arguments of each Python command in the documents."""
    found = []
    for path in DOCUMENTS:
        for position, part in enumerate(text_of(path).split("```")):
            # In running text, a command may go on in the next line.
            text = part if position % 2 else re.sub(r"(?<!\n)\n(?!\n|- |\| )", " ", part)
            found += [(path.name, match[1], match[2]) for match in PROGRAM.finditer(text)]
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_link_to_a_file_leads_to_one(path):
    targets = [match[1] for match in LINK.finditer(text_of(path)) if "://" not in match[1]]
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_readme_is_short_and_leads_to_every_page():
    text = text_of(PROJECT / "README.md")
    assert len(text.splitlines()) <= 150
    pages = {str(path.relative_to(PROJECT)) for path in PROJECT.glob("docs/*.md")}
    assert {page for page in pages if f"]({page})" not in text} == set()


def test_programs_in_the_documents_exist_and_have_the_options_that_are_named():
    found = programs()
    assert len(found) > 20
    shared = text_of(
        PROJECT / "benchmarks" / "devices.py"
    )  # graph_parser has the options of several benchmarks
    for document, program, arguments in found:
        assert (PROJECT / program).is_file(), f"{document} names {program}"
        source = text_of(PROJECT / program)
        source += shared if "graph_parser" in source else ""
        options = re.findall(r"(?<!\S)(--[a-z-]+)", arguments)
        missing = [option for option in options if f'"{option}"' not in source]
        assert not missing, f"{document}: {program} has no {missing}"


def test_commands_with_presets_have_a_config_that_is_valid():
    named = {
        tuple(shlex.split(match[1]))
        for path in (*DOCUMENTS, *PROJECT.glob("config/presets/*.yaml"))
        for match in CONFIGFILES.finditer(text_of(path))
    }
    presets = {str(path.relative_to(PROJECT)) for path in PROJECT.glob("config/presets/*.yaml")}
    assert {preset for overlays in named for preset in overlays} == presets == NOT_RUN.keys()
    for overlays in named:
        settings.load([PROJECT / "config" / "config.yaml", *(PROJECT / overlay for overlay in overlays)])
