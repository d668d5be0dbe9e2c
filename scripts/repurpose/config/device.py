"""Parse the name of a run: a device of the config and, if the config lists seeds, the run's own seed.

Whether the machine has the device is checked by training.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

GIVEN = "given"
# A user writes a device without a seed; the workflow adds it for each entry of the config's `seeds`.
SEED = re.compile(r"-seed([0-9]+)$")


@dataclass(frozen=True)
class Device:
    """One run: a device of the config, parsed, with the seed that it trains with.

    name: as in the result folders, for example cuda:1-full or cuda:1-full-seed3. kind: cpu, mps or cuda (the
    keys of training.batching), or given. torch_name: PyTorch's name, for example cuda:1. batching: full or
    sampled. For the device `given`, which trains nothing, torch_name and batching are "". seed: the seed in
    the name, None if there is none; the run then has the config's `seed`.
    """

    name: str
    kind: str
    torch_name: str
    batching: str
    seed: int | None = None

    @property
    def trains(self) -> bool:
        """Whether embeddings are trained on it; those of `given` come from another tool's file."""
        return self.kind != GIVEN

    @property
    def is_cpu(self) -> bool:
        """Whether the device is the CPU, which can run the project's own kernels."""
        return self.kind == "cpu"

    @classmethod
    def parse(cls, name: str, batching_by_kind: Mapping[str, str]) -> Self:
        """Parse a name; a suffix, -full or -sampled, overrides the batching of the device's kind."""
        if name == GIVEN:
            return cls(name, GIVEN, "", "")
        torch_name, _, suffix = SEED.sub("", name).partition("-")
        kind = torch_name.partition(":")[0]
        return cls(name, kind, torch_name, suffix or batching_by_kind[kind], seed_in(name))

    @classmethod
    def parse_all(cls, config: Mapping[str, Any]) -> list[Self]:
        """The runs of a config, in its order: each device that trains with each seed of `seeds`.

        If `seeds` is empty, each device is one run and has its plain name. `given` is always one run.
        """
        seeds = config["seeds"]
        names = [
            name
            for device in config["devices"]
            for name in (
                [f"{device}-seed{seed}" for seed in seeds] if seeds and device != GIVEN else [device]
            )
        ]
        return [cls.parse(name, config["training"]["batching"]) for name in names]


def seed_in(name: str) -> int | None:
    """The seed in the name of a run; None if it has none."""
    match = SEED.search(name)
    return int(match[1]) if match else None
