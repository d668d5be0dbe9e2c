"""What the model makes of a path: the score of its ends without its edges, and what the encoder looks at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np

from repurpose.candidates import recoding
from repurpose.candidates.recoding import Recoder
from repurpose.classifier import pair_model
from repurpose.classifier.pair_model import Model
from repurpose.graph.graph import Graph
from repurpose.graph.paths import Path
from repurpose.hgt import trained
from repurpose.vectors.vectors import Vectors


@dataclass(frozen=True)
class Influence:
    """A model of pairs on the vectors of an encoder that can compute them anew."""

    recoder: Recoder
    model: Model
    vectors: Vectors
    threads: int

    def changes(self, ways: Sequence[Path]) -> list[float]:
        """How much the score (log-odds) of each path's ends changes where its edges are taken away."""
        if not ways:
            return []
        ends = tuple(np.array([way.nodes[at] for way in ways]) - self.recoder.first[at] for at in (0, -1))
        anew = np.stack([self.recoder.without(way) for way in ways])
        stored = self.vectors.heads[ends[0]], self.vectors.tails[ends[1]]
        after, before = (
            pair_model.replaced(self.model, self.vectors, ends, rows, self.threads)
            for rows in ((anew[:, 0], anew[:, 1]), stored)
        )
        return [float(value) for value in after - before]


def read(
    kg: Graph,
    types: tuple[str, str],
    rows: Mapping[str, np.ndarray],
    origin: Mapping[str, str],
    encoder_in: str | FilePath,
    model: Model,
    threads: int,
) -> Influence:
    """That of a file with the encoder of vectors, type -> (nodes, d), and of a model of pairs.

    origin: the metadata of the vectors' file. Raises InputError as `trained.load` and `recoding.read` do.
    """
    recoder = recoding.read(kg, types, trained.load(encoder_in), rows, origin, encoder_in)
    return Influence(recoder, model, Vectors.from_rows(rows, types), threads)
