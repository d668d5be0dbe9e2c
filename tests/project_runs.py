"""Run the real Snakefile in a temporary folder, for the tests of the workflow."""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

PROJECT = Path(__file__).parent.parent
COPIED = ("Snakefile", "rules", "scripts", "config", "envs", "profiles")
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}

# A small and quick run that still passes its gate, because the workflow is tested and not the model.
SMALL = {
    "demo": {"scale": 0.01},
    "hgt": {"hidden_dim": 32, "embedding_dim": 32, "heads": 2, "svd_dim": 8, "profile_dim": 8},
    "training": {
        "epochs": 30,
        "learning_rate": 0.02,
        "valid_every": 10,
        "contrastive": {"weight": 0.5},
    },
    "gate": {"min_auroc_margin": -1.0, "min_agreement_margin": -1.0},
    "classifier": {"draws": 1, "trees": 20, "svd_dim": 16},
}


@dataclass(frozen=True)
class Run:
    """The exit code and the output of one call of snakemake."""

    code: int
    output: str

    @property
    def reasons(self) -> dict[str, str]:
        """The jobs that a dry run would run: `rule` or `rule[device]` -> Snakemake's reason."""
        jobs = re.findall(r"^Job \d+: (.*)\nReason: (.*)$", self.output, re.MULTILINE)
        return {_job(message): reason for message, reason in jobs}

    @property
    def started(self) -> list[str]:
        """The jobs that ran, as the terminal of a run in which reasons are quiet says."""
        messages = re.findall(r"^\d\d:\d\d:\d\d (?!INFO|WARNING|ERROR)(.*)$", self.output, re.MULTILINE)
        return [_job(message) for message in messages]

    @property
    def made(self) -> list[str]:
        """The jobs that computed their files; other jobs took back files that an earlier run had made."""
        taken = re.findall(r"INFO (\w+)(?:/(\S+))?: made before", self.output)
        names = {f"{rule}[{device}]" if device else rule for rule, device in taken}
        return [rule for rule in self.rules if rule not in names]

    @property
    def rules(self) -> list[str]:
        return sorted({*self.reasons, *self.started})


def _job(message: str) -> str:
    """The job that printed `message`. Snakemake prints a rule's message instead of its name."""
    for path in (PROJECT / "rules").glob("*.smk"):
        for rule, text in re.findall(
            r"^\w+ (\w+):$.*?^    message:\s+\"(.*?)\"$", path.read_text(), re.M | re.S
        ):
            pattern = re.escape(text).replace(r"\{wildcards\.device\}", r"(?P<device>\S+)")
            pattern = re.sub(r"\\\{(input|wildcards)\\\.\w+\\\}", ".+", pattern)
            match = re.fullmatch(pattern, message)
            if match:
                return f"{rule}[{match['device']}]" if "device" in match.groupdict() else rule
    raise AssertionError(f"no rule has the message {message!r}")


@dataclass(frozen=True)
class Folder:
    """A copy of the project, and the directory in which it runs."""

    project: Path
    directory: Path

    def line(
        self, *arguments: str, config: dict | None = None, small: bool = True, cores: int = 2
    ) -> list[str | Path]:
        """The command that calls snakemake with the overlays `SMALL` and, over it, `config`."""
        overlays = []
        for name, content in (("small", SMALL if small else None), ("own", config)):
            if content is not None:
                path = self.directory / f"{name}.yaml"
                path.write_text(yaml.safe_dump(content))
                overlays.append(str(path))
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores)]
        # Targets come first, because --configfile takes all arguments after it.
        command += ["--snakefile", self.project / "Snakefile", "--directory", self.directory, *arguments]
        return command + (["--configfile", *overlays] if overlays else [])

    def run(self, *arguments: str, config: dict | None = None, small: bool = True, cores: int = 2) -> Run:
        """Call snakemake and collect its output."""
        return _call(self.line(*arguments, config=config, small=small, cores=cores))

    def start(self, *arguments: str, config: dict | None = None) -> subprocess.Popen:
        """Start snakemake in its own process group, as a shell does, without waiting for its end."""
        with (self.directory / "screen.txt").open("w") as screen:
            return subprocess.Popen(
                self.line(*arguments, config=config),
                stdout=screen,
                stderr=subprocess.STDOUT,
                env=ENVIRONMENT,
                start_new_session=True,
                preexec_fn=_restore_ctrl_c,
            )

    def command(self, script: str, *arguments: str | Path) -> Run:
        """Call one of the project's scripts from the command line, as a user does."""
        return _call([sys.executable, self.project / "scripts" / script, *arguments])

    def dry_run(self, *arguments: str, config: dict | None = None) -> list[str]:
        """The jobs that would run."""
        done = self.run("--dry-run", *arguments, config=config)
        assert done.code == 0, done.output
        return done.rules

    def path(self, name: str) -> Path:
        return self.directory / "results" / name


def _restore_ctrl_c() -> None:
    """Restore the default for Ctrl-C: background jobs of a shell ignore it, and so do their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _call(command: list) -> Run:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT, check=False
    )
    return Run(done.returncode, done.stdout)


def make(folder: Path) -> Folder:
    """Copy the project to `folder`/project and make the empty directory `folder`/run for its results."""
    project, directory = folder / "project", folder / "run"
    directory.mkdir(parents=True)
    project.mkdir()
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, project / name)
    return Folder(project, directory)


def readable(results: Path) -> dict[str, bytes]:
    """The bytes of every result: of the file in its usual place, or else of the file in previous/."""
    content_by_name = contents(results)
    earlier = {
        name.removeprefix("previous/"): content
        for name, content in content_by_name.items()
        if name.startswith("previous/")
    }
    return {
        name: content
        for name, content in (earlier | content_by_name).items()
        if not name.startswith(("previous/", "records/", ".run/", "config.yaml"))
    }


def contents(directory: Path) -> dict[str, bytes]:
    """The bytes of every result file. Logs, benchmarks and locks are left out: they hold process ids."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != "lock")
    results = [path for path in files if not {"logs", "benchmarks"} & set(path.relative_to(directory).parts)]
    return {str(path.relative_to(directory)): path.read_bytes() for path in results}
