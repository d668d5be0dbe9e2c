"""Parse the name of a device in the config; whether the machine has the device is checked by training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

GIVEN = "given"


@dataclass(frozen=True)
class Device:
    """One entry of the config's list of devices, parsed.

    name: as in the config and the result folders, for example cuda:1-full. kind: cpu, mps or cuda (the keys
    of training.batching), or given. torch_name: PyTorch's name, for example cuda:1. batching: full or
    sampled. For the device `given`, which trains nothing, torch_name and batching are "".
    """

    name: str
    kind: str
    torch_name: str
    batching: str

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
        torch_name, _, suffix = name.partition("-")
        kind = torch_name.partition(":")[0]
        return cls(name, kind, torch_name, suffix or batching_by_kind[kind])

    @classmethod
    def parse_all(cls, config: Mapping[str, Any]) -> list[Self]:
        """The devices of a config, in its order."""
        return [cls.parse(name, config["training"]["batching"]) for name in config["devices"]]
