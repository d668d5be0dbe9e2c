"""The prediction target: the config section `target`."""

from collections.abc import Sequence
from dataclasses import dataclass

from repurpose.core.errors import InputError


@dataclass(frozen=True)
class Target:
    """The relations to predict, their two node types, and the relation that groups tails (diseases).

    positive, negative: names of the relations whose pairs get the label 1 and 0. hierarchy: a relation
    between tails that defines their areas, or "".
    """

    head_type: str
    tail_type: str
    positive: Sequence[str]
    negative: Sequence[str]
    hierarchy: str = ""

    def __post_init__(self) -> None:
        if self.head_type == self.tail_type:
            raise InputError(
                f"target.head_type and target.tail_type are both {self.head_type}: give two node types"
            )

    @property
    def types(self) -> tuple[str, str]:
        """The head type and the tail type."""
        return self.head_type, self.tail_type

    def joins(self, first: str, second: str) -> bool:
        """Whether the two node types are those of the target, in either order."""
        return {first, second} == {self.head_type, self.tail_type}
