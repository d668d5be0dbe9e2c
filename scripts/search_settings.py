"""Search for better values of config keys, in trials that are whole runs, by lists of validation pairs.

python scripts/search_settings.py space.yaml --configfile my.yaml --trials 20 --cores 8
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

from repurpose.config import settings
from repurpose.config.device import Device
from repurpose.core import files
from repurpose.core.errors import InputError
from repurpose.gate import verdict
from repurpose.results import search
from repurpose.results.search import Trial

PROJECT = Path(__file__).resolve().parents[1]
CONFIG = PROJECT / "config" / "config.yaml"
SHOWN = 5  # best trials in the table at the end


def main(options: argparse.Namespace) -> str:
    """Run the trials that are missing, and write the overlay with the best values; returns the last lines."""
    schema = settings.read(CONFIG.with_name("schema.yaml"))
    config = settings.load([CONFIG, *options.configfile])
    space = search.read_space(options.space, config, schema)
    lacking = [s for s in search.OBJECTIVES[options.objective] if s not in config["split"]["schemes"]]
    if lacking:
        raise InputError(
            f"--objective {options.objective} needs the split scheme {lacking[0]}, which split.schemes lacks"
        )
    asked = {"space": space, "config": config, "objective": options.objective, "seed": options.seed}
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / "trials.jsonl"
    trials = search.load(path, asked)
    if not trials:
        files.write_text(path, json.dumps(asked) + "\n")
    while len(trials) < options.trials:
        # The first trial has the config's own values, so that all others are compared with them.
        values = {key: search.value_of(config, key) for key in space} if not trials else None
        values = values or search.propose(space, trials, options.seed)
        trial = run(len(trials), values, config, options)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(trial._asdict()) + "\n")
        trials.append(trial)
        print(line(trial), flush=True)
    found = search.best(trials)
    if found is None:
        raise InputError(f"none of the {len(trials)} trials has lists to compare: {trials[0].ended}")
    files.write_text(options.folder / "best.yaml", settings.as_text(search.overlay(found.values)))
    return "\n".join(closing(trials, found, options))


def run(number: int, values: dict[str, Any], config: dict[str, Any], options: argparse.Namespace) -> Trial:
    """Run the workflow up to the metrics of all runs; in the folder of the search only stale steps run."""
    trial_file = options.folder / "trial.yaml"
    files.write_text(trial_file, settings.as_text(search.overlay(values)))
    merged = settings.merged(config, search.overlay(values))
    names = [device.name for device in Device.parse_all(merged)]
    targets = [f"results/classifier/{name}/metrics.json" for name in names]
    configfiles = [str(path.resolve()) for path in (*options.configfile, trial_file)]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"), *targets]
    command += ["--cores", str(options.cores), "--directory", str(options.folder)]
    command += ["--workflow-profile", str(PROJECT / "profiles" / "default")]
    begin = time.monotonic()
    log = options.folder / f"trial-{number}.log"
    with log.open("wb") as output:
        code = _run_to_its_end([*command, "--configfile", *configfiles], output)
    seconds = round(time.monotonic() - begin, 1)
    paths = [options.folder / target for target in targets]
    if code == 0 and all(path.exists() for path in paths):
        of_schemes = search.measured(files.read_json(path) for path in paths)
        value = search.objective(of_schemes, options.objective)
        return Trial(number, values, value, of_schemes, "completed", seconds)
    failed = [name for name in names if not _has_passed(options.folder, name)]
    ended = f"{', '.join(failed)} did not pass the gate" if failed else f"failed, see {log}"
    return Trial(number, values, None, {}, ended, seconds)


def _run_to_its_end(command: list[str], output: IO[bytes]) -> int:
    """The exit code of a command. Ctrl-C reaches it too, and it is given the time to stop its jobs."""
    process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


def line(trial: Trial) -> str:
    """A trial as a line of text."""
    values = ", ".join(f"{key} {_shown(value)}" for key, value in trial.values.items())
    lists = ", ".join(f"{scheme} {of['ap']:.4f}" for scheme, of in trial.of_schemes.items())
    result = trial.ended if trial.objective is None else f"{trial.objective:.4f} (AP of one list: {lists})"
    own = " (the config's own values)" if trial.number == 0 else ""
    return f"trial {trial.number}: {result}; {values}{own}; {trial.seconds:.0f} s"


def closing(trials: list[Trial], found: Trial, options: argparse.Namespace) -> list[str]:
    """What was found, and what to type next."""
    ranked = sorted((t for t in trials if t.objective is not None), key=lambda t: (-t.objective, t.number))
    counts = ", ".join(f"{of['tails']:.0f} of the split {scheme}" for scheme, of in found.of_schemes.items())
    lines = ["", f"The best of {len(trials)} trials, by validation lists ({options.objective}):"]
    lines += [f"  {line(trial)}" for trial in ranked[:SHOWN]]
    lines.append(f"Lists with validation pairs: {counts}.")
    if found.number == 0:
        return [*lines, "No trial is better than the config's own values."]
    overlays = " ".join(map(str, [*options.configfile, options.folder / "best.yaml"]))
    return [
        *lines,
        f"Use these values: snakemake --cores {options.cores} --configfile {overlays}",
        "The best of many trials is partly luck: the test of that run says what they are worth.",
    ]


def _has_passed(folder: Path, name: str) -> bool:
    try:
        return verdict.has_passed(folder / "results" / "validation" / name / "verdict.json")
    except InputError:
        return True  # without a verdict, the run failed for another reason


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("space", type=Path, help="YAML file of keys with their ranges or choices")
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], help="overlays of the runs")
    parser.add_argument("--trials", type=int, default=20, help="how many, with the config's own values")
    parser.add_argument(
        "--objective",
        choices=search.OBJECTIVES,
        default="both",
        help="lists of diseases with treatments, of those without, or both (default)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the proposals")
    parser.add_argument("--cores", type=int, default=2, help="of a run")
    parser.add_argument("--folder", type=Path, default=Path("search"), help="of the runs and the trials")
    try:
        print(main(parser.parse_args()))
    except InputError as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nThe search was stopped; the same command continues after its last complete trial.")
