"""The lists of heads, their best tails and their popularity, collected while the pairs are ranked."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repurpose.candidates import candidates

# head_score: the score in the list of the head, which rank_of_disease_for_drug follows. score, probability,
# quantile and rank_of_drug_for_disease are those of the list of the tail, as in the candidates' table.
BY_HEAD = pa.schema([*candidates.PAIR, ("head_score", pa.float32())])
# listed: number of tails whose best new candidates include the head; share: of all tails. known_tails: number
# of tails that the head has a known pair with. mean_score: over all tails.
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


class HeadCollector:
    """Collects the best `count` tails of each head from blocks of tails.

    penalties: of heads, in the lists of tails (see `candidates.Annotator`).
    """

    def __init__(self, heads: int, count: int, penalties: np.ndarray | None = None) -> None:
        self.heads, self.count, self.penalties = heads, count, penalties
        self.limits = np.full(heads, -np.inf, np.float32)  # a further tail of a head must score higher
        # Blocks of head, tail, score in the head's list and in the tail's, and rank in the tail's; and the
        # number of pairs in blocks that are not merged yet.
        self.blocks: list[tuple[np.ndarray, ...]] = []
        self.waiting = 0
        self.tails, self.ranked_heads = 0, heads
        self.score_sums, self.listed = np.zeros(heads), np.zeros(heads, np.int64)

    def add(self, tails: np.ndarray, stack: np.ndarray, heads: np.ndarray | None = None) -> None:
        """Add the model's scores of a block; among equal scores, the tails that were added first are kept.

        A head's list is ordered by the second matrix of scores, which is for the lists of heads.
        """
        of_tails, scores = stack[:2]
        self.tails += len(tails)
        self.score_sums[slice(None) if heads is None else heads] += of_tails.sum(axis=0, dtype=np.float64)
        tail, column = np.nonzero(scores > (self.limits if heads is None else self.limits[heads]))
        head = column if heads is None else heads[column]
        penalties = 0 if self.penalties is None else self.penalties[slice(None) if heads is None else heads]
        ranks = candidates.ranks_in_rows(of_tails - penalties)[tail, column]
        self.ranked_heads = of_tails.shape[1]
        self.blocks.append((head, tails[tail], scores[tail, column], of_tails[tail, column], ranks))
        self.waiting += len(head)
        if self.waiting > self.heads * self.count:
            self._merge()

    def add_listed(self, heads: np.ndarray) -> None:
        """Count the tails that list each head."""
        self.listed += np.bincount(heads, minlength=self.heads)

    def table(self, annotator: candidates.Annotator) -> pa.Table:
        """The best tails of each head (BY_HEAD), sorted by head id and rank of the tail for the head."""
        self._merge()
        head, tail, head_score, score, ranks = self.blocks[0]
        places = np.arange(len(head)) - np.searchsorted(head, head)
        ids = annotator.kg.node_ids[annotator.target.head_type]
        order = np.lexsort((places, np.argsort(np.argsort(ids, kind="stable"))[head]))
        head, tail, head_score, score, ranks, places = (
            column[order] for column in (head, tail, head_score, score, ranks, places)
        )
        columns = annotator.columns(head, tail, score)
        columns |= {
            "rank_of_drug_for_disease": ranks,
            "quantile": candidates.quantile(ranks, self.ranked_heads),
            "rank_of_disease_for_drug": (places + 1).astype(np.int32),
            "head_score": head_score,
        }
        return candidates.table(columns, BY_HEAD)

    def popularity(self, annotator: candidates.Annotator) -> pa.Table:
        """The popularity of each head (POPULARITY), the most listed first, equals by id."""
        head_type = annotator.target.head_type
        ids, names = annotator.kg.node_ids[head_type], annotator.kg.node_names[head_type]
        order = np.lexsort((np.argsort(np.argsort(ids, kind="stable")), -self.listed))
        known_tails = np.bincount(annotator.known.heads, minlength=self.heads)
        columns = {
            "head_id": ids[order],
            "head_name": names[order],
            "listed": self.listed[order],
            "share": self.listed[order] / max(self.tails, 1),
            "known_tails": known_tails[order],
            "mean_score": self.score_sums[order] / max(self.tails, 1),
        }
        return candidates.table(columns, POPULARITY)

    def _merge(self) -> None:
        columns = [np.concatenate(column) for column in zip(*self.blocks, strict=True)]
        order = np.lexsort((-columns[2], columns[0]))
        head, tail, score, of_tails, ranks = (column[order] for column in columns)
        first = np.searchsorted(head, np.arange(self.heads))
        is_kept = np.arange(len(head)) - first[head] < self.count
        self.blocks = [tuple(column[is_kept] for column in (head, tail, score, of_tails, ranks))]
        self.waiting = 0
        last = first + self.count - 1
        is_full = np.append(first[1:], len(head)) > last
        self.limits[is_full] = score[last[is_full]]


class HeadRanks:
    """Collects the rank of every tail in the list of every head.

    No rank is known before all tails are scored, so this collector keeps 4 bytes for each pair that is
    ranked, 0.5 GB at PrimeKG's size. heads, tails: the nodes that are ranked, None for all.
    """

    def __init__(
        self,
        annotator: candidates.Annotator,
        heads: np.ndarray | None = None,
        tails: np.ndarray | None = None,
    ) -> None:
        types = annotator.target.types
        self.ids = tuple(pa.array(annotator.kg.node_ids[node_type], pa.string()) for node_type in types)
        counts = [
            count if nodes is None else len(nodes)
            for count, nodes in zip(map(len, self.ids), (heads, tails), strict=True)
        ]
        self.scores = np.empty(counts, np.float32)
        self.row_of_head = np.arange(len(self.ids[0]))
        if heads is not None:
            self.row_of_head[heads] = np.arange(len(heads))
        self.column_of_tail = np.zeros(len(self.ids[1]), np.int64)
        self.added = 0
        self.ranks: np.ndarray | None = None

    def add(self, tails: np.ndarray, stack: np.ndarray, heads: np.ndarray | None = None) -> None:
        """Add the scores of a block in the lists of heads."""
        columns = np.arange(self.added, self.added + len(tails))
        self.scores[:, columns] = stack[1].T
        self.column_of_tail[tails] = columns
        self.added += len(tails)

    def add_listed(self, heads: np.ndarray) -> None:
        """Nothing is collected of the kept pairs."""

    def complete(self, table: pa.Table) -> pa.Table:
        """The candidates with their rank_of_disease_for_drug; after all tails were added."""
        if self.ranks is None:
            self.ranks = self.scores.view(np.int32)  # ranks replace the scores, a few heads at a time
            for start in range(0, len(self.scores), 64):
                self.ranks[start : start + 64] = candidates.ranks_in_rows(self.scores[start : start + 64])
        heads, tails = (
            pc.index_in(table[name], value_set=ids).to_numpy()
            for name, ids in zip(("head_id", "tail_id"), self.ids, strict=True)
        )
        ranks = self.ranks[self.row_of_head[heads], self.column_of_tail[tails]]
        place = table.schema.get_field_index("rank_of_disease_for_drug")
        return table.set_column(place, table.schema.field(place), pa.array(ranks, pa.int32()))
