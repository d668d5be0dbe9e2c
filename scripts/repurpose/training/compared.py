"""The relations whose neighbours are compared (training.contrastive.relations): those that tails have."""

from collections.abc import Sequence

from repurpose.core.errors import InputError
from repurpose.graph.graph import Relation


def require(relations: Sequence[Relation], names: Sequence[str], tail_type: str) -> None:
    """Raise InputError where one of `names` is no message relation of the tail type; says which there are."""
    ends = [(kind.relation, kind.head_type, kind.tail_type) for kind in relations if kind.role == "message"]
    have = sorted({name for name, *types in ends if tail_type in types})
    unknown = [name for name in names if name not in have]
    if unknown:
        raise InputError(
            f"training.contrastive.relations names {', '.join(unknown)}, "
            f"which {tail_type} nodes do not have: "
            + (f"name some of {', '.join(have)}, or [] for none" if have else "they have none, so write []")
        )
