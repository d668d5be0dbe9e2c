"""The lock, the conda environments, the Makefile and the profiles."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from repurpose.core import source

PROJECT = Path(__file__).parent.parent
SCRIPTS = PROJECT / "scripts"
CONDA = sorted((PROJECT / "envs").glob("*.yaml"))
# Packages whose name on PyPI differs from the name that is imported.
DISTRIBUTIONS = {"sklearn": "scikit-learn", "umap": "umap-learn", "yaml": "pyyaml", "xgboost": "xgboost-cpu"}
OWN_MODULES = {"repurpose"} | {
    path.stem for name in ("scripts", "tests", "benchmarks") for path in (PROJECT / name).glob("**/*.py")
}
# Packages that a CUDA build of torch installs; torch pins their versions.
CUDA = ("nvidia-", "cuda-", "triton")
SNAKEMAKE = Path(sys.executable).parent / "snakemake"


def pins(text):
    """The versions of lines `name==version ; marker`: canonical name -> version."""
    requirements = [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]
    return {canonical(item.name): str(item.specifier).removeprefix("==") for item in requirements}


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def is_installed(name):
    return next(iter(metadata.distributions(name=name)), None) is not None


def conda_pins(path):
    """The pins of a conda file: the packages of conda and those under pip."""
    versions = {}
    for item in yaml.safe_load(path.read_text())["dependencies"]:
        lines = item["pip"] if isinstance(item, dict) else [item.replace("=", "==")] if "=" in item else []
        versions |= pins("\n".join(lines))
    return versions


DIRECT = pins((PROJECT / "envs" / "requirements.in").read_text())
LOCK = pins((PROJECT / "envs" / "requirements.txt").read_text())
PEERS = pins((PROJECT / "envs" / "benchmarks.txt").read_text())
BROWSER = pins((PROJECT / "envs" / "browser.txt").read_text())
SEARCH = pins((PROJECT / "envs" / "search.txt").read_text())


def third_party(path):
    """Packages that a module imports, by their canonical names on PyPI."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return {
        canonical(DISTRIBUTIONS.get(name, name)) for name in names - OWN_MODULES - sys.stdlib_module_names
    }


def scripts_with_environments():
    """(script, conda file) of every rule that has both a script and a conda file."""
    text = "\n".join(path.read_text() for path in sorted((PROJECT / "rules").glob("*.smk")))
    for rule in re.split(r"^(?:rule|checkpoint) ", text, flags=re.MULTILINE)[1:]:
        conda, script = (re.search(rf'^    {key}:\s+"\.\./(.+)"', rule, re.M) for key in ("conda", "script"))
        if conda and script:
            yield script[1], conda[1]


def test_every_direct_requirement_is_in_the_lock():
    assert DIRECT.items() <= LOCK.items()


def test_every_version_is_exact_and_without_a_build_tag():
    for name, version in (DIRECT | LOCK | PEERS | BROWSER | SEARCH).items():
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), name


def test_the_lock_has_every_package_that_the_requirements_need():
    """If the lock lacks a package, the next machine installs the newest version of it."""
    installed, waiting = {}, list(DIRECT)
    while waiting:
        name = waiting.pop()
        if name in installed or name.startswith(CUDA) or not is_installed(name):
            continue
        installed[name] = metadata.version(name).partition("+")[0]
        for item in map(Requirement, metadata.requires(name) or []):
            if not item.marker or item.marker.evaluate({"extra": ""}):
                waiting.append(canonical(item.name))
    assert len(installed) > len(DIRECT)
    assert installed.items() <= LOCK.items()


def test_the_installed_packages_fit_each_other():
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", CONDA, ids=lambda path: path.stem)
def test_a_conda_environment_has_the_versions_of_the_lock(path):
    versions = conda_pins(path)
    assert versions.pop("python") == "3.11"
    assert versions.items() <= LOCK.items()


def test_the_versions_of_the_commit_hooks_are_those_of_the_lock():
    hooks = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    versions = pins("\n".join(line for hook in hooks for line in hook["additional_dependencies"]))
    assert versions.keys() == {"ruff", "snakefmt"}
    assert versions.items() <= LOCK.items()


def test_everything_that_is_imported_is_a_direct_requirement():
    paths = [*SCRIPTS.glob("**/*.py"), *(PROJECT / "tests").glob("**/*.py"), *PROJECT.glob("benchmarks/*.py")]
    missing = {(name, path.name) for path in paths for name in third_party(path) if name not in DIRECT}
    # The peers that a benchmark compares are not in the environment; only that benchmark may import them.
    engines = {"polars", "duckdb"}
    peers = {(name, "engines.py" if name in engines else "quality_methods.py") for name in PEERS}
    # The browser of the tests and Optuna are not there either; what needs them asks for them as it runs.
    others = {("playwright", "report.py"), ("optuna", "search.py")}
    assert missing == peers | others and "playwright" in BROWSER and "optuna" in SEARCH


def test_the_conda_environment_of_a_rule_has_all_that_its_script_imports():
    pairs = list(scripts_with_environments())
    assert len(pairs) > 5
    for script, conda in pairs:
        modules = source.modules(SCRIPTS, Path(script).name)
        needed = set().union(*map(third_party, modules))
        assert needed <= conda_pins(PROJECT / conda).keys(), (script, conda)


def test_the_python_of_the_project_is_3_11():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.12"
    assert sys.version_info[:2] == (3, 11)


COMPILE = "scripts/compile_kernels.py"
LOOPS = "scripts/repurpose/kernels/loops.py"
# A fake Python that makes a venv without delay; the python in the venv writes its arguments to `calls`.
QUICK_PYTHON = """#!/bin/sh
if [ "$1" = -c ]; then exit 0; fi
for folder; do :; done
rm -rf "$folder"; mkdir -p "$folder/bin"; cp in_venv "$folder/bin/python"
"""
IN_VENV = """#!/bin/sh
echo "$*" >>calls
if [ "$1" = scripts/compile_kernels.py ] && [ -e broken_kernels ]; then exit 1; fi
if [ "$3" = freeze ]; then cat frozen; fi
if [ -e "status$3" ]; then exit "$(cat "status$3")"; fi
test ! -e broken
"""


@pytest.fixture
def tree(tmp_path):
    """A copy of the files that `make env` reads, and a fake Python."""
    folder = tmp_path / "project"
    (folder / "envs").mkdir(parents=True)
    shutil.copy(PROJECT / "Makefile", folder)
    for name in ("requirements.in", "requirements.txt"):
        shutil.copy(PROJECT / "envs" / name, folder / "envs")
    (folder / "scripts" / "repurpose" / "kernels").mkdir(parents=True)
    for name in (LOOPS, COMPILE):
        (folder / name).touch()
    for name, content in (("python", QUICK_PYTHON), ("in_venv", IN_VENV)):
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    return folder


def make(folder, *arguments):
    # If make runs these tests, they inherit its flags and variables.
    inherited = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARGS", "CORES", "PYTHON"}
    environment = {key: value for key, value in os.environ.items() if key not in inherited}
    command = ["make", "-C", str(folder), "--no-print-directory", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def calls(folder):
    path = folder / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_make_alone_lists_every_target():
    output = make(PROJECT).stdout
    assert re.findall(r"^make (\w+) ", output, re.M) == ["help", "env", "run", "test", "lock", "clean"]


def test_make_env_installs_pytorch_first_and_then_the_lock(tree):
    done = make(tree, "env", f"PYTHON={tree}/python")
    assert done.returncode == 0, done.stderr
    assert calls(tree) == [
        f"-m pip install --quiet torch=={LOCK['torch']}",
        "-m pip install --quiet -r envs/requirements.txt",
        COMPILE,
    ]


def test_make_env_is_silent_and_does_nothing_if_the_environment_is_complete(tree):
    make(tree, "env", f"PYTHON={tree}/python")
    calls(tree)
    (tree / "envs" / "requirements.txt").touch()
    done = make(tree, "env", "PYTHON=no-such-python")
    assert (done.returncode, done.stdout, done.stderr, calls(tree)) == (0, "", "", [])


def test_make_env_starts_again_if_the_lock_has_changed(tree):
    make(tree, "env", f"PYTHON={tree}/python")
    calls(tree)
    (tree / ".venv" / "left over").touch()
    with (tree / "envs" / "requirements.txt").open("a") as file:
        file.write("# changed\n")
    done = make(tree, "env", f"PYTHON={tree}/python")
    assert done.returncode == 0
    assert len(calls(tree)) == 3
    assert not (tree / ".venv" / "left over").exists()


@pytest.mark.parametrize("changed", [LOOPS, COMPILE])
def test_make_env_only_compiles_again_if_the_library_has_changed(tree, changed):
    make(tree, "env", f"PYTHON={tree}/python")
    calls(tree)
    (tree / changed).write_text("x = 1\n")
    for expected in ([COMPILE], []):
        assert make(tree, "env", "PYTHON=no-such-python").returncode == 0
        assert calls(tree) == expected


def test_make_env_compiles_again_after_a_compilation_that_failed(tree):
    (tree / "broken_kernels").touch()
    assert make(tree, "env", f"PYTHON={tree}/python").returncode != 0
    (tree / "broken_kernels").unlink()
    calls(tree)
    assert make(tree, "env", f"PYTHON={tree}/python").returncode == 0
    assert calls(tree)[-1] == COMPILE
    (tree / LOOPS).write_text("x = 1\n")
    (tree / "broken_kernels").touch()
    assert make(tree, "env", f"PYTHON={tree}/python").returncode != 0
    (tree / "broken_kernels").unlink()
    calls(tree)
    assert make(tree, "env", f"PYTHON={tree}/python").returncode == 0
    assert calls(tree) == [COMPILE]


def test_make_env_does_not_take_an_interrupted_install_for_complete(tree):
    (tree / "broken").touch()
    assert make(tree, "env", f"PYTHON={tree}/python").returncode != 0
    (tree / "broken").unlink()
    calls(tree)
    assert make(tree, "env", f"PYTHON={tree}/python").returncode == 0
    assert len(calls(tree)) == 3


def test_make_env_starts_again_if_the_folder_was_moved(tree):
    make(tree, "env", f"PYTHON={tree}/python")
    moved = tree.rename(tree.with_name("moved"))
    calls(moved)
    assert make(moved, "env", f"PYTHON={moved}/python").returncode == 0
    assert len(calls(moved)) == 3


def test_make_env_says_what_is_missing_if_there_is_no_python_3_11(tree):
    done = make(tree, "env", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert 'Python 3.11 with venv is needed, and "no-such-python" is not one here: install it' in done.stderr
    assert not (tree / ".venv").exists()


def test_make_env_refuses_a_folder_that_snakemake_cannot_run_from(tree):
    moved = tree.rename(tree.with_name("my project"))
    done = make(moved, "env", f"PYTHON={moved}/python")
    assert done.returncode != 0
    assert f"a folder with a blank in its path ({moved}): move or rename it" in done.stderr
    assert calls(moved) == []


@pytest.mark.parametrize(
    ("timed", "others", "good"),
    [(0, 0, True), (5, 0, True), (0, 5, True), (5, 5, False), (1, 0, False), (0, 1, False), (2, 5, False)],
)
def test_make_test_runs_the_timed_tests_and_then_the_others_and_fails_if_either_does(
    tree, timed, others, good
):
    (tree / "status--timed=only").write_text(str(timed))
    (tree / "status--timed=none").write_text(str(others))
    done = make(tree, "test", f"PYTHON={tree}/python", "WORKERS=3", "ARGS=-m slow tests/core")
    assert calls(tree)[-2:] == [
        "-m pytest --timed=only -m slow tests/core -n 0",
        "-m pytest --timed=none -n 3 -m slow tests/core",
    ]
    assert (done.returncode == 0) == good


TOY_TESTS = """
import pytest
def test_plain(): pass
@pytest.mark.timed
def test_timed(): pass
@pytest.mark.timed
@pytest.mark.slow
def test_slow(): pass
"""


@pytest.mark.parametrize(
    ("options", "ran", "status"),
    [
        ("", {"plain", "timed"}, 0),
        ("--timed=only -n 0", {"timed"}, 0),
        ("--timed=none -n 2", {"plain"}, 0),
        ("--timed=only -m slow -n 0", {"slow"}, 0),
        ("--timed=none -n 2 -m slow", set(), 5),
        ("--timed=only -k plain -n 0", set(), 5),
    ],
)
def test_pytest_selects_or_deselects_the_timed_tests_together_with_other_options(
    tmp_path, options, ran, status
):
    (tmp_path / "tests").mkdir()
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    shutil.copy(PROJECT / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "scripts").symlink_to(PROJECT / "scripts")
    (tmp_path / "tests" / "test_toy.py").write_text(TOY_TESTS)
    command = [sys.executable, "-m", "pytest", "-v", *options.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert set(re.findall(r"test_toy\.py::test_(\w+)", done.stdout)) == ran, done.stdout + done.stderr
    assert done.returncode == status


def test_make_lock_keeps_marked_lines_and_leaves_out_builds_and_cuda(tree):
    frozen = ["aiohttp==3.14.5", "nvidia-cublas==13.1.1.3", "torch==2.13.0+cu130", "xgboost-cpu==3.2.0"]
    (tree / "frozen").write_text("\n".join(frozen) + "\n")
    (tree / "envs" / "requirements.in").write_text(
        'torch==2.13.0\n# a comment; no pin\nxgboost-cpu==3.2.0 ; sys_platform == "linux"\n'
        'xgboost==3.2.0 ; sys_platform != "linux"\n'
    )
    done = make(tree, "lock", f"PYTHON={tree}/python")
    assert done.returncode == 0, done.stderr
    assert (tree / "envs" / "requirements.txt").read_text().splitlines()[1:] == [
        'xgboost-cpu==3.2.0 ; sys_platform == "linux"',
        'xgboost==3.2.0 ; sys_platform != "linux"',
        "aiohttp==3.14.5",
        "torch==2.13.0",
    ]


def test_a_failing_make_lock_leaves_the_lock_as_it_was(tree):
    (tree / "broken").touch()
    before = (tree / "envs" / "requirements.txt").read_text()
    assert make(tree, "lock", f"PYTHON={tree}/python").returncode != 0
    assert (tree / "envs" / "requirements.txt").read_text() == before


def test_make_clean_removes_results_and_says_so_but_keeps_data_and_environment(tree):
    for name in ("results/graph", ".snakemake/log", "data", ".venv"):
        (tree / name).mkdir(parents=True)
    assert make(tree, "clean").stdout == "removing results\nremoving .snakemake\n"
    assert (tree / "data").exists() and (tree / ".venv").exists()
    assert make(tree, "clean").stdout == ""


TOY = """
rule all:
    input: "trained", "counted"
rule train_embeddings:
    output: "trained"
    resources: gpu=1, mem_mb=16000, runtime=1440
    shell: "touch {output}"
rule count:
    output: "counted"
    shell: "touch {output}"
"""


@pytest.fixture
def toy(tmp_path):
    shutil.copytree(PROJECT / "profiles", tmp_path / "profiles")
    (tmp_path / "Snakefile").write_text(TOY)
    return tmp_path


def snakemake(folder, *arguments):
    done = subprocess.run([SNAKEMAKE, *arguments], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_default_profile_is_found_by_itself_and_accepted(toy):
    status, output = snakemake(toy, "--cores", "2", "--dry-run")
    assert status == 0, output
    assert "Using workflow specific profile profiles/default" in output


def test_the_slurm_profile_plans_jobs_with_memory_time_and_gpu(toy):
    """A dry run submits nothing."""
    status, output = snakemake(toy, "--profile", "profiles/slurm", "--dry-run")
    assert status == 0, output
    plans = dict(re.findall(r"^rule (\w+):.*?resources: (.*?)$", output, re.M | re.S))
    assert {"gpu=1", "mem_mb=16000", "runtime=1440"} <= set(plans["train_embeddings"].split(", "))
    assert {"mem_mb=4000", "runtime=60"} <= set(plans["count"].split(", "))
    assert "gpu" not in plans["count"]


def test_the_slurm_profile_sets_no_option_of_the_default_profile():
    """If both profiles set an option, Snakemake takes the default profile's value, which is surprising."""
    default, slurm = (
        yaml.safe_load((PROJECT / "profiles" / name / "config.yaml").read_text())
        for name in ("default", "slurm")
    )
    assert default.keys() & slurm.keys() == set()
    assert slurm["executor"] == "slurm"


def test_the_container_copies_files_that_exist_and_has_a_fixed_version_of_python():
    lines = (PROJECT / "envs" / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [line.split() for line in lines if line and not line.startswith("#")]
    assert {step[0] for step in steps} <= {"FROM", "ARG", "ENV", "COPY", "RUN", "WORKDIR", "CMD"}
    (image,) = (step[1] for step in steps if step[0] == "FROM")
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-\w+", image)
    copied = [step[1] for step in steps if step[0] == "COPY"]
    assert all((PROJECT / path).exists() for path in copied)
    # What a run reads: the workflow, its library and settings, and the environments of the rules.
    assert {"Snakefile", "rules", "scripts", "config", "envs", "profiles"} <= set(copied)


def test_the_catalog_file_says_that_the_environments_of_conda_work():
    content = yaml.safe_load((PROJECT / ".snakemake-workflow-catalog.yml").read_text())
    assert content["usage"]["software-stack-deployment"]["conda"] is True
    assert (PROJECT / "config" / "README.md").exists()


@pytest.mark.parametrize(
    "name",
    [
        "compare_runs",
        "embed_names",
        "export_embeddings",
        "inspect_edges",
        "query_candidates",
        "validate_embeddings",
    ],
)
def test_a_command_without_the_environment_says_how_to_get_it(tmp_path, name):
    """A Python without any package: what a person has who forgot to activate the environment."""
    command = [sys.executable, "-S", PROJECT / "scripts" / f"{name}.py", "kg.csv"]
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=variables)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: this Python does not have the project's packages; run `make env`")
    assert "Traceback" not in done.stderr
