"""Pool the candidates of several runs: devices, seeds, or both.

The pairs of a tail are ranked by the mean over the runs of their calibrated log-odds. Scores of two runs are
on different scales; log-odds are comparable, and a run whose calibration is flat hardly counts.

Every run scores every pair again, a block of tails at a time. Its candidates.parquet holds only its best
heads of each tail: if one run kept a pair and another did not, the mean and the second run's rank could not
be computed from these files. Here every mean is over all runs and every rank is exact, for about the time
that the runs took to rank. Memory grows with the number of runs by their vectors and models only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from scipy.special import expit

from repurpose.candidates.candidates import (
    CHUNK,
    SCHEMA,
    Annotator,
    best,
    places,
    ranks_in_tails,
    table,
    tail_blocks,
)
from repurpose.candidates.finished import FinishedDevice
from repurpose.evaluation.ranks import MemberScorer, Scorer


@dataclass(frozen=True)
class PooledRun:
    """One run: the scores of its model, and the annotator that calibrates them."""

    score: MemberScorer
    annotator: Annotator

    @classmethod
    def of(cls, run: FinishedDevice, correct_popularity: float, seed: int) -> "PooledRun":
        """The run with the settings that its own candidates are ranked with."""
        return cls(run.score, run.annotator(correct_popularity, seed))

    def log_odds(self, tails: np.ndarray, heads: np.ndarray | None) -> np.ndarray:
        """Calibrated log-odds of tails (m,) with heads (h,), None for all heads: float64 (m, h)."""
        scores = self.score(tails)[0]
        return self.annotator.log_odds(scores if heads is None else scores[:, heads], heads, tails)


def rank(
    runs: Sequence[PooledRun],
    *,
    per_tail: int,
    heads: np.ndarray | None = None,
    tails: np.ndarray | None = None,
    chunk: int = CHUNK,
) -> Iterator[pa.Table]:
    """Yield tables (candidates.SCHEMA) of the best `per_tail` heads of each tail, 0 for all.

    `score`: the mean of the runs' log-odds, by which pairs are ranked. `probability`: the mean of the runs'
    probabilities. Its order can differ from that of the ranks, because the run with the highest probability
    has most weight in it. `rank_low`, `rank_high`: best and worst rank of the pair within its tail by a
    single run. `rank_of_disease_for_drug` is null: lists of heads are not pooled. `listed_by`: number of runs
    with the pair among their LISTED best. `negative_probability`:
    mean over the runs that have a contraindication model. `caution`: the cautions of all runs.

    runs: at least one, of the same graph and target. heads, tails, chunk: see `candidates.rank`.
    """
    annotator = _pooled(runs)
    for block in tail_blocks(annotator, tails, chunk // len(runs)):
        log_odds = np.stack([run.log_odds(block, heads) for run in runs])  # (runs, m, h)
        mean = log_odds.mean(axis=0)
        columns = best(mean, per_tail)
        rows, place = np.divmod(np.arange(columns.size), columns.shape[1])
        ranks = np.stack([places(of_run, columns).ravel() for of_run in log_odds])
        kept = rows, columns.ravel()
        kept_heads = columns.ravel() if heads is None else heads[columns.ravel()]
        probability = expit(log_odds[:, *kept]).mean(axis=0)
        fields = annotator.described(kept_heads, block[rows], mean[kept].astype(np.float32), probability)
        fields |= ranks_in_tails(place + 1, mean.shape[1], ranks)
        yield table(fields, SCHEMA)


def _pooled(runs: Sequence[PooledRun]) -> Annotator:
    """The annotator of the first run, with the cautions of all runs and their mean of known negatives."""
    annotators = [run.annotator for run in runs]
    heads, tails = (_joined([annotator.cautions[side] for annotator in annotators]) for side in range(2))
    scorers = [annotator.negative for annotator in annotators if annotator.negative]
    negative = _mean(scorers) if scorers else None
    return replace(annotators[0], cautions=(heads, tails), negative=negative)


def _joined(cautions_of_runs: Sequence[np.ndarray]) -> np.ndarray:
    """The distinct cautions on each node, object (n,); cautions_of_runs: one array (n,) per run."""
    texts = (
        "; ".join(dict.fromkeys(reason for text in of_node if text for reason in text.split("; ")))
        for of_node in zip(*cautions_of_runs, strict=True)
    )
    return np.array([*texts, None], object)[:-1]


def _mean(scorers: Sequence[Scorer]) -> Scorer:
    return lambda heads, tails: np.mean([score(heads, tails) for score in scorers], axis=0)
