"""The ledger: what became of every row of the raw tables, per relation and by reason."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from repurpose.core.errors import InputError
from repurpose.ingest.edges import Edges
from repurpose.ingest.numbering import Nodes, Rows

REASONS = {
    "empty_relation": "rows without a relation",
    "empty_type": "rows without a node type",
    "empty_id": "rows without a node id",
    "unknown_type": "rows with a node type that graph.node_types does not list",
    "self_loop": "edges from a node to itself",
    "duplicate": "repeated edges",
}
NODE_REASONS = ("empty_type", "empty_id", "unknown_type", "duplicate")
EMPTY_RELATION, EMPTY_TYPE, EMPTY_ID, UNKNOWN_TYPE, SELF_LOOP, DUPLICATE, EXCLUDED, SOUND = range(8)


def outcomes(rows: Rows, nodes: Nodes, listed: np.ndarray) -> np.ndarray:
    """What becomes of each row before duplicates are looked for: int8 codes, of which SOUND is the last.

    The first reason that holds counts. listed: bool (types + 1,), False in the last place.
    """
    typed = (rows.types[0] >= 0) & (rows.types[1] >= 0)
    unlisted = typed & ~(listed[rows.types[0]] & listed[rows.types[1]])
    outcome = np.full(len(typed), SOUND, dtype=np.int8)
    outcome[nodes.numbers[0] == nodes.numbers[1]] = SELF_LOOP
    outcome[unlisted] = UNKNOWN_TYPE
    outcome[(rows.ids[0] < 0) | (rows.ids[1] < 0)] = EMPTY_ID
    outcome[~typed] = EMPTY_TYPE
    outcome[rows.relation < 0] = EMPTY_RELATION
    # A relation that graph.node_types leaves out altogether is meant to go: no loss.
    n_relations = len(rows.relation_values) + 1
    out = np.bincount(rows.relation[unlisted] + 1, minlength=n_relations)
    left_out = (out > 0) & (out == np.bincount(rows.relation[typed] + 1, minlength=n_relations))
    left_out[0] = False
    outcome[left_out[rows.relation + 1]] = EXCLUDED
    return outcome


def entries(rows: Rows, outcome: np.ndarray, edges: Edges) -> list[dict[str, Any]]:
    """One entry per relation name; the rows without a relation are an entry named ""."""
    names = ["", *rows.relation_values]
    counts = np.bincount(
        (rows.relation + 1) * np.int64(SOUND + 1) + outcome, minlength=len(names) * (SOUND + 1)
    )
    counts = counts.reshape(len(names), SOUND + 1)
    kept, mirrored = np.zeros((2, len(names)), dtype=np.int64)
    for (relation, _, _), (new, back, repeated) in zip(edges.triples, edges.tally, strict=True):
        kept[relation + 1] += new
        mirrored[relation + 1] += back
        counts[relation + 1, DUPLICATE] += repeated
    return [
        {
            "relation": name,
            "rows": int(counts[i].sum() - counts[i, DUPLICATE]),
            "kept": int(kept[i]),
            "mirrored": int(mirrored[i]),
            "excluded": int(counts[i, EXCLUDED]),
            "dropped": dict(zip(REASONS, counts[i].tolist(), strict=False)),
        }
        for i, name in enumerate(names)
        if counts[i].any()
    ]


def totals(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sum the entries; asserts that each adds up: rows = kept + mirrored + excluded + dropped."""
    total: dict[str, Any] = {
        name: sum(entry[name] for entry in parts) for name in ("rows", "kept", "mirrored", "excluded")
    }
    total["dropped"] = {reason: sum(entry["dropped"][reason] for entry in parts) for reason in REASONS}
    for entry in (total, *parts):
        used = entry["kept"] + entry["mirrored"] + entry["excluded"] + sum(entry["dropped"].values())
        assert entry["rows"] == used, f"the ledger does not add up: {entry}"
    return total


def of_nodes(rows: Rows, nodes: Nodes, listed: np.ndarray, usable: np.ndarray) -> dict[str, Any]:
    """What the nodes table gave: kept = nodes it names, of which `added` have no row in the edges table."""
    types, ids, numbers = rows.types[2], rows.ids[2], nodes.numbers[2]
    typed, identified = types >= 0, (types >= 0) & (ids >= 0)
    named = np.unique(numbers[numbers >= 0])
    in_edges = np.zeros(len(nodes.ids) + 1, dtype=bool)  # the last place is that of -1
    in_edges[nodes.numbers[0]] = in_edges[nodes.numbers[1]] = True
    excluded = int((identified & ~listed[types]).sum())
    dropped = (
        int((~typed).sum()),
        int((typed & (ids < 0)).sum()),
        int((identified & listed[types] & ~usable[types]).sum()),
        int((numbers >= 0).sum()) - len(named),
    )
    return {
        "rows": len(types),
        "kept": len(named),
        "added": int((~in_edges[named]).sum()),
        "excluded": excluded,
        "dropped": dict(zip(NODE_REASONS, dropped, strict=True)),
    }


def check_losses(
    parts: Sequence[Mapping[str, Any]], max_share: float, file: str, about_empty: str = ""
) -> None:
    """Raise InputError if a relation has lost more than `max_share` of its rows; names the worst.

    about_empty: what the sentence adds where most of the rows lack a relation, a type or an id.
    """
    total = sum(entry["rows"] for entry in parts)
    # Rows without a relation are all dropped: what counts is their share of the table.
    bases = [entry["rows"] if entry["relation"] else total for entry in parts]
    losses = [sum(entry["dropped"].values()) / base for entry, base in zip(parts, bases, strict=True)]
    worst = int(np.argmax(losses))
    if losses[worst] <= max_share:
        return
    reason, count = max(parts[worst]["dropped"].items(), key=lambda item: item[1])
    name = parts[worst]["relation"]
    raise InputError(
        f"{file}: {f'relation {name}' if name else 'the table'} loses {100 * losses[worst]:.3g} % of its "
        f"{bases[worst]:,} rows ({count:,} are {REASONS[reason]}), more than "
        f"graph.max_dropped_share allows ({100 * max_share:.3g} %): correct the table or raise that share"
        f"{about_empty if reason.startswith('empty') else ''}"
    )
