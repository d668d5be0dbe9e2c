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
START = re.compile(r"(?:[A-Z_]+=\S+ )*(?:python|snakemake|make|pip|pipx|printf|source) ")
# The module of tests that runs a program of the documents.
PROGRAMS = {
    "benchmarks/agreement.py": "benchmarks/test_benchmark_programs.py",
    "benchmarks/attention.py": "benchmarks/test_benchmark_attention.py",
    "benchmarks/case_studies.py": "benchmarks/test_benchmark_case_studies.py",
    "benchmarks/costs.py": "workflow/test_workflow.py",
    "benchmarks/demo.py": "benchmarks/test_benchmark_demo.py",
    "benchmarks/demo_oracle.py": "benchmarks/test_benchmark_quality.py",
    "benchmarks/devices.py": "benchmarks/test_benchmark_devices.py",
    "benchmarks/dossiers.py": "benchmarks/test_benchmark_scoring.py",
    "benchmarks/endings.py": "workflow/test_endings.py",
    "benchmarks/engines.py": "benchmarks/test_benchmark_engines.py",
    "benchmarks/explanations.py": "workflow/test_workflow.py",
    "benchmarks/full.py": "benchmarks/test_benchmark_programs.py",
    "benchmarks/gate.py": "benchmarks/test_benchmark_gate.py",
    "benchmarks/ingest.py": "benchmarks/test_benchmark_programs.py",
    "benchmarks/leaks.py": "benchmarks/test_benchmark_programs.py",
    "benchmarks/described.py": "benchmarks/test_benchmark_described.py",
    "benchmarks/lists.py": "benchmarks/test_benchmark_lists.py",
    "benchmarks/lowrank.py": "benchmarks/test_benchmark_devices.py",
    "benchmarks/polo.py": "benchmarks/test_benchmark_lists.py",
    "benchmarks/probabilities.py": "benchmarks/test_benchmark_probabilities.py",
    "benchmarks/quality.py": "benchmarks/test_benchmark_quality.py",
    "benchmarks/report.py": "browser/test_benchmark_report.py",
    "benchmarks/row_files.py": "benchmarks/test_benchmark_rows.py",
    "benchmarks/sampling.py": "benchmarks/test_benchmark_sampling.py",
    "benchmarks/scoring.py": "benchmarks/test_benchmark_scoring.py",
    "benchmarks/watchdog.py": "benchmarks/test_benchmark_programs.py",
    "scripts/compare_runs.py": "workflow/test_workflow.py",
    "scripts/embed_names.py": "vectors/test_names.py",
    "scripts/export_embeddings.py": "vectors/test_exports.py",
    "scripts/export_history.py": "training/test_tensorboard.py",
    "scripts/inspect_edges.py": "ingest/test_inspection.py",
    "scripts/plan_run.py": "workflow/test_workflow.py",
    "scripts/query_candidates.py": "candidates/test_questions.py",
    "scripts/score_explanations.py": "candidates/test_mechanisms.py",
    "scripts/search_settings.py": "workflow/test_workflow.py",
    "scripts/validate_embeddings.py": "workflow/test_given.py",
}
RUN, RUN_IN = "snakemake --cores 8 --configfile", "snakemake --cores 8 --directory"
RECIPE = "benchmarks/hetionet.yaml benchmarks/recipe.yaml"
# The module that runs a command, with smaller settings, or what comes nearest to it.
COMMANDS = {
    "make run": "test_environment.py",
    "make test": "test_environment.py",
    "make env": "test_environment.py",
    "make lock": "test_environment.py",
    "make clean": "test_environment.py",
    "snakemake --cores 8": "workflow/test_workflow.py",
    f"{RUN} my.yaml": "workflow/test_hetionet.py",
    "snakemake --cores 8 --directory stalled --configfile stalled.yaml": "workflow/test_documented.py",
    f"{RUN} config/config.yaml": "workflow/test_endings.py",
    f"{RUN} features.yaml": "workflow/test_documented.py",
    "snakemake --cores 8 results/graph/nodes.parquet": "workflow/test_documented.py",
    "snakemake --cores 8 results/embeddings/cpu/embeddings.parquet": "workflow/test_interrupted.py",
    "snakemake --cores 8 results/answers/cpu/DOID:9352.json": "workflow/test_workflow.py",
    "snakemake --cores 8 permuted_labels": "workflow/test_workflow.py",
    "snakemake --cores 2 --configfile seeds.yaml": "workflow/test_seeds.py",
    "snakemake --cores 1 --report report.zip": "workflow/test_workflow.py",
    "snakemake --profile profiles/slurm": "test_environment.py",
    "printf 'graph: {features: names.parquet}\\n' > features.yaml": "workflow/test_documented.py",
    "printf 'training: {learning_rate: 1.0e-12}\\n' > stalled.yaml": "workflow/test_documented.py",
}
# Why a command is not run. The presets' configs are checked, and dry runs start with each of them.
NOT_RUN = {
    f"{RUN} config/presets/primekg.yaml config/presets/full.yaml": "downloads 982 MB",
    f"{RUN_IN} default --configfile config/presets/primekg.yaml": "downloads 982 MB",
    f"{RUN_IN} seed --configfile config/presets/primekg.yaml config/presets/seed.yaml": "downloads 982 MB",
    f"{RUN} config/presets/hetionet.yaml": "downloads 12 MB",
    f"{RUN} config/presets/drkg.yaml": "downloads 217 MB",
    f"{RUN} config/presets/monarch.yaml": "downloads 231 MB",
    f"{RUN} config/presets/full.yaml my.yaml": "takes an hour",
    f"{RUN_IN} seed --configfile config/presets/seed.yaml": "takes minutes",
    f"snakemake --cores 2 --configfile {RECIPE} my.yaml": "takes minutes",
    "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make env": "downloads PyTorch",
    "pip install -c envs/requirements.txt -r envs/tensorboard.txt": "downloads TensorBoard; CI does it",
    "pip install -c envs/requirements.txt -r envs/search.txt": "downloads Optuna; CI does it",
    "pip install -c envs/requirements.txt -r envs/benchmarks.txt": "downloads the peers' libraries",
    "pip install -c envs/requirements.txt -r envs/browser.txt": ".ci/run does it, for tests/browser",
    "pip install rdkit": "downloads a library that nothing else needs",
    "pipx run pre-commit install": "changes the clone's git hooks",
    "source .venv/bin/activate": "is for a shell",
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


def commands() -> list[tuple[str, str]]:
    """Document and command of each command line in the documents, the presets and the profiles."""
    found = []
    for path in (*DOCUMENTS, *PROJECT.glob("config/presets/*.yaml"), *PROJECT.glob("profiles/*/*.yaml")):
        text, lines = text_of(path), []
        if path.suffix == ".yaml":
            comments = [line.removeprefix("#").strip() for line in text.splitlines() if line[:1] == "#"]
            text, lines = "\n".join(comments), comments
        for position, part in enumerate(text.split("```")):
            lines += part.splitlines()[1:] if position % 2 else re.findall(r"`([^`]+)`", part)
        joined = (" ".join(line.split("  #")[0].split()) for line in lines)
        found += [(path.name, line) for line in joined if START.match(f"{line} ")]
    return found


def test_each_command_of_the_documents_is_run_by_a_test_or_has_a_reason_why_not():
    found = commands()
    assert len(found) > 70
    named: set[str] = set()
    for document, command in found:
        program = re.match(r"python (\S+\.py)", command)
        key = program[1] if program else command
        # Options of make do not change what it does.
        key = next(
            (k for k in (key, *re.findall(r"^make \w+", key)) if k in PROGRAMS | COMMANDS | NOT_RUN), key
        )
        assert key in PROGRAMS | COMMANDS | NOT_RUN, f"{document}: no test is known to run {command}"
        named.add(key)
    assert (PROGRAMS | COMMANDS | NOT_RUN).keys() == named, "some of these are in no document"


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_module_that_should_run_a_program_names_it(program):
    text = text_of(PROJECT / "tests" / PROGRAMS[program])
    assert re.search(rf"\b{Path(program).stem}\b", text)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_module_that_should_run_a_command_exists(command):
    assert (PROJECT / "tests" / COMMANDS[command]).is_file()


def test_commands_with_presets_have_a_config_that_is_valid():
    named = {
        tuple(shlex.split(match[1]))
        for path in (*DOCUMENTS, *PROJECT.glob("config/presets/*.yaml"))
        for match in CONFIGFILES.finditer(text_of(path))
    }
    presets = {str(path.relative_to(PROJECT)) for path in PROJECT.glob("config/presets/*.yaml")}
    assert {preset for overlays in named for preset in overlays} == presets
    for overlays in named:
        settings.load([PROJECT / "config" / "config.yaml", *(PROJECT / overlay for overlay in overlays)])
