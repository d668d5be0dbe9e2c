"""Check of training.contrastive.relations: the relations whose neighbours the contrastive loss compares."""

from collections.abc import Sequence

from repurpose.core.errors import InputError
from repurpose.graph.graph import Relation


def require(relations: Sequence[Relation], names: Sequence[str], tail_type: str) -> None:
    """Raise InputError, which lists the valid names, if a name is no message relation of the tail type."""
    ends = [(r.relation, r.head_type, r.tail_type) for r in relations if r.role == "message"]
    valid = sorted({name for name, *types in ends if tail_type in types})
    unknown = [name for name in names if name not in valid]
    if unknown:
        raise InputError(
            f"training.contrastive.relations names {', '.join(unknown)}, "
            f"which {tail_type} nodes do not have: "
            + (f"name some of {', '.join(valid)}, or [] for none" if valid else "they have none, so write []")
        )
