"""Search for better values of config keys, in trials that are whole runs, by lists of validation pairs.

Optuna proposes the values. A trial's proposal depends on the seed, its number and the trials before it alone,
so a search that was stopped goes on as if it had not been.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from repurpose.config import settings
from repurpose.core.errors import InputError

# What is maximised -> the split schemes whose validation lists count; of several, the geometric mean.
OBJECTIVES = {"treated": ("random",), "untreated": ("disease",), "both": ("random", "disease")}
MEASURE = "ap"  # of `valid_lists` in metrics.json
BOUNDS, CHOICES = {"low", "high", "log", "step"}, {"choices"}
FORM = "write {low: 0.001, high: 0.03, log: true}, {low: 1, high: 3} or {choices: [64, 128]}"


class Trial(NamedTuple):
    """A trial: its values by dotted key, its objective (None if it has none), and how it ended.

    of_schemes: `valid_lists` of each scheme, means over the runs.
    """

    number: int
    values: Mapping[str, Any]
    objective: float | None
    of_schemes: Mapping[str, Mapping[str, float]]
    ended: str
    seconds: float


def read_space(path: str | Path, config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The keys to search with their values: dotted key -> {low, high, log, step} or {choices}.

    config: to which the values are put. Raises InputError for a key that the config lacks and for a value
    that the schema or the other keys refuse.
    """
    space = settings.read(path)
    for key, allowed in space.items():
        _require_key(path, key, config)
        if not isinstance(allowed, Mapping) or not (
            set(allowed) == CHOICES or {"low", "high"} <= set(allowed) <= BOUNDS
        ):
            raise InputError(f"{path}: {key} has no range or choices; {FORM}")
        values = allowed.get("choices", [allowed.get("low"), allowed.get("high")])
        if not isinstance(values, list) or not values:
            raise InputError(f"{path}: the choices of {key} are no list; {FORM}")
        if "low" in allowed and not _is_range(**allowed):
            raise InputError(f"{path}: {key} has low {values[0]} and high {values[1]}; {FORM}")
        for value in values:
            try:
                settings.check(settings.merged(config, overlay({key: value})), schema)
            except InputError as error:
                raise InputError(f"{path}: {key} may not be {json.dumps(value)}: {error}") from error
    if not space:
        raise InputError(f"{path} names no key; write keys as training.learning_rate: and {FORM}")
    return space


def value_of(config: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; raises KeyError if the config lacks it."""
    place: Any = config
    for name in key.split("."):
        if not isinstance(place, Mapping):
            raise KeyError(key)
        place = place[name]
    return place


def _require_key(path: str | Path, key: str, config: Mapping[str, Any]) -> None:
    try:
        value = value_of(config, str(key))
    except KeyError as error:
        raise InputError(
            f"{path}: the config has no key {key}; write it with its sections, such as training.learning_rate"
        ) from error
    if isinstance(value, Mapping):
        raise InputError(f"{path}: {key} is a section; name one of its keys: {', '.join(sorted(value))}")


def _is_range(low: Any, high: Any, log: Any = False, step: Any = None) -> bool:
    """Whether low and high are numbers of one kind, in order, and log and step go with them."""
    kinds = {type(low), type(high), *([] if step is None else [type(step)])}
    if not isinstance(log, bool) or (log and step is not None) or not kinds <= {int, float}:
        return False
    return low < high and not (log and low <= 0) and (step is None or step > 0)


def overlay(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted key as an overlay."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return result


def propose(space: Mapping[str, Any], trials: Sequence[Trial], seed: int) -> dict[str, Any]:
    """Optuna's values for the next trial (tree-structured Parzen estimator; Akiba et al., KDD 2019)."""
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {key: _distribution(optuna, **allowed) for key, allowed in space.items()}
    sampler = optuna.samplers.TPESampler(seed=seed + len(trials))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in trials:
        if trial.objective is not None and all(_is_inside(space[key], trial.values[key]) for key in space):
            study.add_trial(
                optuna.trial.create_trial(
                    params=dict(trial.values), distributions=distributions, value=trial.objective
                )
            )
    return dict(study.ask(distributions).params)


def _is_inside(allowed: Mapping[str, Any], value: Any) -> bool:
    """Whether a value may be proposed; the config's own may be outside of what is searched."""
    if "choices" in allowed:
        return value in allowed["choices"]
    steps = (value - allowed["low"]) / allowed["step"] if allowed.get("step") else 0
    return allowed["low"] <= value <= allowed["high"] and math.isclose(steps, round(steps), abs_tol=1e-6)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise InputError(
            "Optuna is not installed: pip install -c envs/requirements.txt -r envs/search.txt"
        ) from error
    return optuna


def _distribution(
    optuna: Any,
    low: Any = None,
    high: Any = None,
    choices: Sequence[Any] | None = None,
    log: bool = False,
    step: Any = None,
) -> Any:
    if choices is not None:
        return optuna.distributions.CategoricalDistribution(choices)
    if isinstance(low, int) and isinstance(high, int):
        return optuna.distributions.IntDistribution(low, high, log, step or 1)
    return optuna.distributions.FloatDistribution(low, high, log, step)


def measured(metrics: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """`valid_lists` of each scheme, means over the metrics.json of several runs."""
    of_runs = [content["valid_lists"] for content in metrics]
    return {
        scheme: {
            name: sum(lists[scheme][name] for lists in of_runs) / len(of_runs) for name in of_runs[0][scheme]
        }
        for scheme in of_runs[0]
    }


def objective(of_schemes: Mapping[str, Mapping[str, float]], name: str) -> float:
    """The geometric mean of MEASURE over the schemes of an objective."""
    values = [of_schemes[scheme][MEASURE] for scheme in OBJECTIVES[name]]
    return math.prod(values) ** (1 / len(values))


def best(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the highest objective, the first of equals; None if none has one."""
    with_objective = [trial for trial in trials if trial.objective is not None]
    return max(with_objective, key=lambda trial: trial.objective, default=None)


def load(path: Path, asked: Mapping[str, Any]) -> list[Trial]:
    """The trials of a search that was stopped, [] for a new one.

    The file has a line for what was asked and one for each trial. Raises InputError if it is of another
    search.
    """
    if not path.exists():
        return []
    try:
        first, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        trials = [Trial(**line) for line in lines]
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} is damaged; name another folder with --folder, or remove this one"
        ) from error
    differing = sorted(key for key in {*first, *asked} if first.get(key) != asked.get(key))
    if differing:
        raise InputError(
            f"{path} is of a search with another {' and another '.join(differing)}; name another folder "
            "with --folder, or remove this one"
        )
    return trials
