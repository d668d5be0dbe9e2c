"""Reasons: which metapaths and which neighbour votes carry the score of a pair."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from repurpose.classifier import metapath_fits
from repurpose.classifier.list_weights import ListWeights
from repurpose.classifier.metapath_model import FittedMetapaths
from repurpose.config.sections import Target
from repurpose.graph.graph import Graph

VOTERS = 3  # known pairs named for each vote
REASONS = pa.list_(
    pa.struct([("text", pa.string()), ("share", pa.float32()), ("voters", pa.list_(pa.string()))])
)


@dataclass(frozen=True)
class Reasoner:
    """Explains the part of a score that comes from metapaths and votes; weights: of a score's parts."""

    kg: Graph
    target: Target
    fitted: FittedMetapaths
    weights: ListWeights

    def reasons(self, heads: np.ndarray, tails: np.ndarray, count: int) -> list[list[dict[str, Any]]]:
        """For each pair the `count` metapaths and votes that raise its score most, the strongest first.

        text: the metapath or the kind of vote. share: what it adds to the score, in log-odds, compared with
        an average pair. voters: the known pairs that vote most, "head for tail".
        """
        features = self.fitted.features
        rows = features.at_pairs(features.block, heads, tails, features.count).T
        of_parts = self.fitted.model.contributions(rows)
        part_weights = np.stack([self.weights.of_tails(part, tails) for part in ("metapaths", "specificity")])
        shares = (part_weights[:, :, None] * of_parts).sum(axis=0)
        texts, width = metapath_fits.described(features, self.target.types), len(features.metapaths)
        result = []
        for pair, (head, tail) in enumerate(zip(heads.tolist(), tails.tolist(), strict=True)):
            strongest = [
                number
                for number in np.argsort(-shares[pair], kind="stable")
                # What the pair has less of than the other heads is no reason, whatever the model makes of it.
                if shares[pair, number] > 0 and rows[pair, number] > 0
            ][:count]
            result.append(
                [
                    {
                        "text": texts[number],
                        "share": float(shares[pair, number]),
                        "voters": [] if number < width else self._voters(number - width, head, tail),
                    }
                    for number in strongest
                ]
            )
        return result

    def _voters(self, number: int, head: int, tail: int) -> list[str]:
        election = self.fitted.features.election
        voting = election.voters(election.kinds[number], head, tail, VOTERS)
        of_heads, of_tails = (self.kg.node_names[node_type] for node_type in self.target.types)
        return [
            f"{of_heads[first]} for {of_tails[second]}" for first, second in zip(*voting[:2], strict=True)
        ]


def shown(reasons: Sequence[dict[str, Any]]) -> list[str]:
    """Reasons as lines of text."""
    return [
        f"{reason['share']:+.2f}  {reason['text']}"
        + (f" ({', '.join(reason['voters'])})" if reason["voters"] else "")
        for reason in reasons
    ]
