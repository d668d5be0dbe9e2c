"""A device of the config: what its name says. Whether this machine has it, training asks PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

GIVEN = "given"


@dataclass(frozen=True)
class Device:
    """One entry of the config's list of devices, parsed.

    name: as the config and the result folders have it, cuda:1-full. kind: cpu, mps or cuda (the keys of
    training.batching), or given. torch_name: what PyTorch calls it, cuda:1. batching: full or sampled. The
    device given, which trains nothing, has neither.
    """

    name: str
    kind: str
    torch_name: str
    batching: str

    @property
    def trains(self) -> bool:
        """Whether embeddings are trained on it, and not read from another tool's file."""
        return self.kind != GIVEN

    @property
    def is_cpu(self) -> bool:
        """Whether it runs the project's own kernels."""
        return self.kind == "cpu"

    @classmethod
    def parse(cls, name: str, batching_by_kind: Mapping[str, str]) -> Self:
        """The device of a name; a suffix, -full or -sampled, wins over the batching of its kind."""
        if name == GIVEN:
            return cls(name, GIVEN, "", "")
        torch_name, _, suffix = name.partition("-")
        kind = torch_name.partition(":")[0]
        return cls(name, kind, torch_name, suffix or batching_by_kind[kind])

    @classmethod
    def parse_all(cls, config: Mapping[str, Any]) -> list[Self]:
        """The devices of a config, in its order."""
        return [cls.parse(name, config["training"]["batching"]) for name in config["devices"]]
