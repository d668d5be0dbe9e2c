"""The best tails of each head, and how often each head is listed, while the pairs are ranked."""

import numpy as np
import pyarrow as pa

from repurpose.candidates import candidates

BY_HEAD = pa.schema(candidates.PAIR)
# Per head: for how many tails it is among the best that are not known, which share of all that is, how many
# tails it is known with, its mean score.
POPULARITY = pa.schema(
    [
        ("head_id", pa.string()),
        ("head_name", pa.string()),
        ("listed", pa.int64()),
        ("share", pa.float64()),
        ("known_tails", pa.int64()),
        ("mean_score", pa.float64()),
    ]
)


class OfHeads:
    """The best `count` tails of each head, from blocks of tails as they come."""

    def __init__(self, heads: int, count: int) -> None:
        self.heads, self.count = heads, count
        self.limits = np.full(heads, -np.inf, np.float32)  # what a further tail has to exceed
        self.found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.waiting = 0
        # How many tails there were, what they scored together, and for how many of them each head is listed.
        self.tails, self.total, self.listed = 0, np.zeros(heads), np.zeros(heads, np.int64)

    def add(self, tails: np.ndarray, stack: np.ndarray, heads: np.ndarray | None = None) -> None:
        """Take in the model's scores; of equal ones those that came first are kept."""
        scores = stack[0]
        self.tails += len(tails)
        self.total[slice(None) if heads is None else heads] += scores.sum(axis=0, dtype=np.float64)
        tail, column = np.nonzero(scores > (self.limits if heads is None else self.limits[heads]))
        head = column if heads is None else heads[column]
        self.found.append((head, tails[tail], scores[tail, column]))
        self.waiting += len(head)
        if self.waiting > self.heads * self.count:
            self._merge()

    def hear(self, heads: np.ndarray) -> None:
        """Count the tails that list each head."""
        self.listed += np.bincount(heads, minlength=self.heads)

    def table(self, about: candidates.About) -> pa.Table:
        """BY_HEAD, sorted by head id and rank; a rank is that of the tail for the head."""
        self._merge()
        head, tail, score = self.found[0]
        places = np.arange(len(head)) - np.searchsorted(head, head)
        ids = about.kg.node_ids[about.head_type]
        order = np.lexsort((places, np.argsort(np.argsort(ids, kind="stable"))[head]))
        head, tail, score, places = (each[order] for each in (head, tail, score, places))
        columns = about.columns(head, tail, score) | {"rank": (places + 1).astype(np.int32)}
        return candidates.table(columns, BY_HEAD)

    def popularity(self, about: candidates.About) -> pa.Table:
        """POPULARITY, the head that is listed for the most tails first; among equals by id."""
        ids, names = (column[about.head_type] for column in (about.kg.node_ids, about.kg.node_names))
        order = np.lexsort((np.argsort(np.argsort(ids, kind="stable")), -self.listed))
        known = np.bincount(about.known.heads, minlength=self.heads)
        columns = {
            "head_id": ids[order],
            "head_name": names[order],
            "listed": self.listed[order],
            "share": self.listed[order] / max(self.tails, 1),
            "known_tails": known[order],
            "mean_score": self.total[order] / max(self.tails, 1),
        }
        return candidates.table(columns, POPULARITY)

    def _merge(self) -> None:
        head, tail, score = (np.concatenate(column) for column in zip(*self.found, strict=True))
        order = np.lexsort((-score, head))
        head, tail, score = (column[order] for column in (head, tail, score))
        begun = np.searchsorted(head, np.arange(self.heads))
        is_kept = np.arange(len(head)) - begun[head] < self.count
        self.found, self.waiting = [tuple(column[is_kept] for column in (head, tail, score))], 0
        last = begun + self.count - 1
        is_full = np.append(begun[1:], len(head)) > last
        self.limits[is_full] = score[last[is_full]]
