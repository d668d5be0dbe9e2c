"""Fit the pair model to the split of each scheme, evaluate it, and refit it to all pairs."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from repurpose.classifier import boosting, ensemble, list_weights, metapath_fits, pair_model
from repurpose.classifier.examples import Examples, asked_pools, make_examples, split_examples
from repurpose.classifier.folds import SIDES
from repurpose.classifier.list_weights import EMBEDDED, PARTS, ListWeights, prior
from repurpose.classifier.metapath_fits import MetapathFits
from repurpose.classifier.pair_model import Model
from repurpose.config.sections import ClassifierSettings
from repurpose.core import streams
from repurpose.core.logs import IF_SLOW, LOG_ONLY
from repurpose.evaluation import evaluation, popularity, ranks
from repurpose.pairs import external, pairs, unknown
from repurpose.pairs.pairs import ALL_SCHEMES, HELD_OUT, Known
from repurpose.vectors.vectors import Vectors

log = logging.getLogger(__name__)

EXTERNAL = "external"  # name of the test on the external pairs, next to the schemes
# Lists of tails that weights are chosen on, tails that heads are ranked among, and unknown pairs of each
# list.
LISTS, TAILS, RIVALS = 300, 600, 400
UNTESTED = ranks.Ranked(pd.DataFrame(), {}, False), {}


@dataclass(frozen=True)
class Task:
    """The input of a pair model: vectors, labelled pairs and settings.

    The examples do not depend on the vectors, so that methods are compared on the same examples. pairs:
    labelled pairs with one column per scheme. external_pairs: test pairs that are never used for training
    (see `external`). metapaths: fitted models on metapaths, None for a model of embeddings alone. seed: of
    the negatives and the fits. evaluation_seed: of the test, None for `seed`. It draws the unknown pairs that
    the test pairs are ranked among, and the bootstrap; only methods with the same one can be compared pair by
    pair.
    """

    vectors: Vectors
    pairs: pd.DataFrame
    known: Known
    settings: ClassifierSettings
    seed: int
    threads: int
    external_pairs: pd.DataFrame = field(default_factory=lambda: external.load(None))
    metapaths: MetapathFits | None = None
    evaluation_seed: int | None = None

    @property
    def test_seed(self) -> int:
        """The seed of the test: `evaluation_seed`, or else `seed`."""
        return self.seed if self.evaluation_seed is None else self.evaluation_seed

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the pair model: those of the settings that the task has the input for."""
        usable = PARTS if self.metapaths else EMBEDDED
        return tuple(part for part in PARTS if part in self.settings.parts and part in usable)

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of heads and of tails."""
        return len(self.vectors.heads), len(self.vectors.tails)

    @property
    def schemes(self) -> list[str]:
        """The split schemes of the pairs."""
        return [scheme for scheme in ALL_SCHEMES if scheme in self.pairs]

    @property
    def tests(self) -> list[str]:
        """The schemes, then EXTERNAL if there are external treatments."""
        has_treatments = (self.external_pairs["label"] == 1).any()
        return [*self.schemes, EXTERNAL] if has_treatments else self.schemes

    @cached_property
    def taken(self) -> Known:
        """Pairs that no other pair is ranked against: the known pairs and the external pairs."""
        return external.add_to_known(self.known, self.external_pairs)


class Fit(NamedTuple):
    """A model fitted to the training pairs of one scheme, with its metrics.

    model: None for a baseline without one. rounds: number of trees of each member after early stopping.
    valid: validation examples. valid_auprc: validation AUPRC of each part and of the whole. ranked: the test
    pairs with their ranks. metrics: on the test pairs.
    """

    model: Model | None
    rounds: tuple[int, ...]
    valid: Examples
    valid_auprc: dict[str, float]
    ranked: ranks.Ranked
    metrics: dict[str, Any]


def evaluate_all(task: Task) -> dict[str, Fit]:
    """Fit and test a model for each scheme; returns scheme -> fit (metrics: see `evaluation.evaluate`).

    If there are external treatments, the key EXTERNAL holds the final model, tested on the external pairs.
    """
    fits = {scheme: _evaluate_scheme(task, scheme) for scheme in task.schemes}
    if EXTERNAL in task.tests:
        reference = _reference_fit(fits)
        model = fit_final(task, reference.rounds, final_weights(task, fits))
        fits[EXTERNAL] = tested(task, EXTERNAL, reference._replace(model=model))
    return fits


def fit_final(
    task: Task, rounds: Sequence[int], weights: ListWeights, metapaths: str = metapath_fits.FINAL
) -> Model:
    """Train on all labelled pairs, with the `rounds` and `weights` chosen on validation pairs.

    Each ensemble member has its own draw of random negatives. metapaths: name of the fitted model on
    metapaths.
    """
    rng = streams.generator(task.seed, "negatives of the final model")
    pools = np.arange(task.sizes[0]), np.arange(task.sizes[1])
    examples = make_examples(task.pairs, task.known, *pools, task.settings, rng)
    members = boosting.of_members(
        lambda number, threads: boosting.boost(
            task.vectors, examples.of_draw(number), rounds[number], task.settings, task.seed, threads, number
        ),
        len(rounds),
        task.threads,
    )
    model = Model(
        ensemble.merged(members),
        boosting.fit_kernel(task.vectors, examples, task.seed) if "kernel" in weights.parts else None,
        task.metapaths.fitted(metapaths) if set(weights.parts) - set(EMBEDDED) else None,
        replace(weights, treated=_treated(task)),
    )
    means = pair_model.embedded_means(model, task.vectors, task.seed)
    return model._replace(weights=model.weights.less_means(means))


def refit(task: Task, fits: Mapping[str, Fit]) -> tuple[Model, tuple[int, ...]]:
    """The final model and the number of trees of each of its members.

    Rounds are those of the fit whose training pairs are most like all pairs; weights: see `final_weights`.
    """
    reference = _reference_fit(fits)
    if EXTERNAL in fits:
        return fits[EXTERNAL].model, reference.rounds
    return fit_final(task, reference.rounds, final_weights(task, fits)), reference.rounds


def final_weights(task: Task, fits: Mapping[str, Fit]) -> ListWeights:
    """The weights of the final model, each kind of list from the scheme whose validation asks its question.

    Lists of tails without a known treatment: the scheme that holds out tails; of heads without one: the
    scheme that holds out heads; all others: random pairs. If a scheme is missing, another one takes its
    place.
    """
    questions = {
        "untreated_tail": ("disease", "area"),
        "treated_tail": ("random", "drug"),
        "untreated_head": ("drug",),
        "treated_head": ("random", "disease", "area"),
    }
    by_kind = {}
    for kind, schemes in questions.items():
        asked = [scheme for scheme in (*schemes, *fits) if scheme in fits]
        by_kind[kind] = fits[asked[0]].model.weights.by_kind[kind]
    parts = next(iter(fits.values())).model.weights.parts
    return ListWeights(parts, by_kind, _treated(task))


def treated_masks(
    treated: tuple[np.ndarray, np.ndarray], sizes: tuple[int, int], question: str
) -> tuple[np.ndarray, ...]:
    """Whether the list of each head, and of each tail, has the weights of lists with known treatments.

    treated: heads and tails of the treatments. question: see `ClassifierSettings`; `each` asks whether the
    node has a treatment.
    """
    if question != "each":
        return tuple(np.full(size, question == "treated") for size in sizes)
    return tuple(np.bincount(ends, minlength=size) > 0 for ends, size in zip(treated, sizes, strict=True))


def _treated(task: Task) -> tuple[np.ndarray, ...]:
    return treated_masks(pairs.treated(task.pairs), task.sizes, task.settings.question)


def ablated(task: Task, fits: Mapping[str, Fit], parts: Sequence[str]) -> dict[str, Fit]:
    """The fits with some of their parts only, whose weights are chosen anew, and tested again."""
    kept = [part for part in task.parts if part in parts]
    result: dict[str, Fit] = {}
    for scheme, fit in fits.items():
        if scheme == EXTERNAL:
            model = fit.model._replace(weights=final_weights(task, result))
        else:
            model = choose_weights(task, scheme, fit.model, kept)
        result[scheme] = tested(task, scheme, fit._replace(model=_without_unused(model)))
    return result


def effect_of_correction(task: Task, fits: Mapping[str, Fit]) -> dict[str, Any]:
    """Scheme -> the effect of the popularity correction on the test metrics (see `popularity.effect`)."""
    effects = {}
    for scheme, fit in fits.items():
        score = pair_model.scorer(fit.model, task.vectors, task.threads)
        # All trees count as one member, because only their sum is needed.
        members = pair_model.members(fit.model, task.vectors, [sum(fit.rounds)])
        mean = popularity.means(lambda tails, of=members: of(tails)[0], task.sizes[1], task.seed)
        test_pairs = fit.ranked.frame[list(external.SCHEMA.names)]
        effects[scheme] = popularity.effect(
            lambda adjusted, scheme=scheme, tests=test_pairs: _ranked(task, scheme, adjusted, tests),
            score,
            mean,
            fit.ranked,
            HELD_OUT.get(scheme),
            task.test_seed,
        )
    return effects


def choose_weights(task: Task, scheme: str, model: Model, parts: Sequence[str]) -> Model:
    """The model with the weights of some of its parts that rank the validation pairs of a scheme highest.

    One set of weights is chosen on the lists of tails, one on the lists of heads (see `list_weights`). At
    most LISTS tails with validation pairs are used, and other tails up to TAILS in all, against which heads
    are ranked. Where whole tails are held out, their lists are those of untreated tails.
    """
    rng = streams.generator(task.seed, "lists of the weights", ALL_SCHEMES.index(scheme))
    is_valid = (task.pairs[scheme] == "valid") & (task.pairs["label"] == 1)
    heads, tails = (task.pairs.loc[is_valid, column].to_numpy() for column in SIDES)
    pools = asked_pools(task.pairs, scheme, "valid", *task.sizes)
    asked = rng.permutation(np.unique(tails))[:LISTS]
    others = rng.permutation(np.setdiff1d(pools[1], asked))[: max(0, TAILS - len(asked))]
    used = np.sort(np.concatenate([asked, others])).astype(np.int32)
    unweighted = ListWeights.of_lists(parts, prior(parts), prior(parts), task.sizes)
    model = model._replace(weights=unweighted)
    scores = pair_model.part_matrix(model, task.vectors)(used)
    is_positive = unknown.marked(heads, tails, used, task.sizes[0])
    # Test pairs are unknown to the choice, and so are rivals of the validation pairs.
    known = unknown.without(task.known, task.pairs[task.pairs[scheme] == "test"])
    is_unknown = ~unknown.marked(known.heads, known.tails, used, task.sizes[0])
    is_unknown &= np.isin(np.arange(task.sizes[0]), pools[0])
    is_untreated = HELD_OUT.get(scheme) == "tail_index" and task.settings.question != "treated"
    means = pair_model.embedded_means(model, task.vectors, task.seed) if is_untreated else None
    of_heads = np.stack(list_weights.in_lists_of_heads(scores, tuple(parts)))
    centred = scores[: len(parts)] - (0 if means is None else list_weights.SHARE * means[:, None])
    chosen = [
        list_weights.choose(_lists(*masks_and_scores, rng), parts)
        for masks_and_scores in (
            (is_positive, is_unknown, centred),
            (is_positive.T, is_unknown.T, of_heads.transpose(0, 2, 1)),
        )
    ]
    weights = ListWeights.of_lists(parts, *chosen, task.sizes)
    if means is not None:
        weights = replace(weights.less_means(means), treated=(weights.treated[0], ~weights.treated[1]))
    return model._replace(weights=weights)


def _lists(
    is_positive: np.ndarray, is_unknown: np.ndarray, scores: np.ndarray, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The part scores of the positives and of at most RIVALS unknown pairs of each row with a positive."""
    result = []
    for row in np.flatnonzero(is_positive.any(axis=1)):
        rivals = rng.permutation(np.flatnonzero(is_unknown[row] & ~is_positive[row]))[:RIVALS]
        if len(rivals):
            result.append((scores[:, row, is_positive[row]], scores[:, row, rivals]))
    return result


def _evaluate_scheme(task: Task, scheme: str) -> Fit:
    settings, vectors = task.settings, task.vectors
    train, valid = split_examples(task.pairs, scheme, task.known, *task.sizes, settings, task.seed)
    members = boosting.of_members(
        lambda number, threads: boosting.fit(
            vectors, train.of_draw(number), valid, settings, task.seed, threads, number
        ),
        settings.draws,
        task.threads,
    )
    ridge = boosting.fit_kernel(vectors, train, task.seed) if "kernel" in task.parts else None
    fitted = task.metapaths.fitted(scheme) if set(task.parts) - set(EMBEDDED) else None
    weights = ListWeights.of_lists(task.parts, prior(task.parts), prior(task.parts), task.sizes)
    model = choose_weights(task, scheme, Model(ensemble.merged(members), ridge, fitted, weights), task.parts)
    auprc = _valid_auprc(task, model, valid)
    rounds = tuple(member.num_boosted_rounds() for member in members)
    figures = ", ".join(f"{name} {value:.3f}" for name, value in auprc.items())
    detail = f"rounds {rounds}, validation AUPRC: {figures}"
    log.info("split %s: fitted", scheme, extra={**IF_SLOW, "detail": detail})
    return tested(task, scheme, Fit(model, rounds, valid, auprc, *UNTESTED))


def _valid_auprc(task: Task, model: Model, valid: Examples) -> dict[str, float]:
    parts = pair_model.part_scorer(model, task.vectors, task.threads)(valid.heads, valid.tails)
    whole = model.weights.combined(parts, valid.heads, valid.tails)[0]
    return {
        name: float(average_precision_score(valid.labels, scores, sample_weight=valid.weights))
        for name, scores in zip(
            (*model.weights.parts, "whole"), (*parts[: len(model.weights.parts)], whole), strict=True
        )
    }


def valid_lists(task: Task, scheme: str, fit: Fit) -> dict[str, float]:
    """How well a fit ranks the validation pairs of a scheme within the list of one tail.

    `ap`: average precision among all unknown pairs of the list, `mrr`: reciprocal rank of the first one; both
    are means over the `tails` with validation pairs. Test pairs count as unknown. The weights of the parts
    were chosen on the same pairs, so this compares settings and is no estimate for other pairs.
    """
    is_valid = (task.pairs[scheme] == "valid") & (task.pairs["label"] == 1)
    heads, tails = (task.pairs.loc[is_valid, column].to_numpy() for column in SIDES)
    pool = np.isin(np.arange(task.sizes[0]), asked_pools(task.pairs, scheme, "valid", *task.sizes)[0])
    known = unknown.without(task.known, task.pairs[task.pairs[scheme] == "test"])
    score = pair_model.members(fit.model, task.vectors, [sum(fit.rounds)])
    lists = np.unique(tails).astype(np.int32)
    precisions, reciprocals = [], []
    for start in range(0, len(lists), LISTS):
        block = lists[start : start + LISTS]
        is_positive = unknown.marked(heads, tails, block, task.sizes[0])
        is_ranked = is_positive | (pool & ~unknown.marked(known.heads, known.tails, block, task.sizes[0]))
        for scores, labels, kept in zip(score(block)[0], is_positive, is_ranked, strict=True):
            labels, scores = labels[kept], scores[kept]
            precisions.append(average_precision_score(labels, scores))
            reciprocals.append(1 / (1 + (scores[~labels] >= scores[labels].max()).sum()))
    return {"ap": float(np.mean(precisions)), "mrr": float(np.mean(reciprocals)), "tails": len(lists)}


def tested(task: Task, scheme: str, fit: Fit) -> Fit:
    """The fit with the ranks and metrics of its model on the test pairs of a scheme, or EXTERNAL."""
    score = pair_model.scorer(fit.model, task.vectors, task.threads)
    ranked, metrics = rank_tests(task, scheme, score)
    return fit._replace(ranked=ranked, metrics=metrics)


def rank_tests(task: Task, scheme: str, score: ranks.Scorer) -> tuple[ranks.Ranked, dict[str, Any]]:
    """Rank the test pairs of a scheme, or EXTERNAL, by any scores of pairs; returns ranks and metrics."""
    if scheme == EXTERNAL:
        ranked = _ranked(task, scheme, score, task.external_pairs)
        return ranked, evaluation.evaluate(ranked, None, task.test_seed)
    heads, tails = _pools(task, scheme)
    test_pairs = task.pairs[task.pairs[scheme] == "test"]
    # External non-treatments join the test of every scheme if their head and tail are in its pools.
    non_treatments = task.external_pairs[task.external_pairs["label"] == 0]
    is_in_pools = non_treatments["head_index"].isin(heads) & non_treatments["tail_index"].isin(tails)
    test_pairs = pd.concat([test_pairs[non_treatments.columns], non_treatments[is_in_pools]])
    ranked = _ranked(task, scheme, score, test_pairs)
    metrics = evaluation.evaluate(ranked, HELD_OUT.get(scheme), task.test_seed)
    log.info("%s: test AUPRC %s", scheme, (metrics["auprc"] or {}).get("value"), extra=LOG_ONLY)
    return ranked, metrics


def _ranked(task: Task, scheme: str, score: ranks.Scorer, test_pairs: pd.DataFrame) -> ranks.Ranked:
    learned = task.pairs if scheme == EXTERNAL else task.pairs[task.pairs[scheme] == "train"]
    options = {
        "limit": task.settings.evaluation_pairs,
        "seed": task.test_seed,
        "treated": pairs.treated(learned)[1],
    }
    return ranks.rank(score, test_pairs, task.taken, *_pools(task, scheme), **options)


def _without_unused(model: Model) -> Model:
    """The model without the parts that have no weight."""
    parts = model.weights.parts
    return model._replace(
        booster=model.booster if "trees" in parts else None,
        ridge=model.ridge if "kernel" in parts else None,
        metapaths=model.metapaths if set(parts) - set(EMBEDDED) else None,
    )


def _pools(task: Task, scheme: str) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails whose pairs the test of a scheme ranks."""
    if scheme == EXTERNAL:
        return np.arange(task.sizes[0]), np.arange(task.sizes[1])
    return asked_pools(task.pairs, scheme, "test", *task.sizes)


def _reference_fit(fits: Mapping[str, Fit]) -> Fit:
    # The final model learns from pairs of all heads and tails; so does only the model of the random scheme.
    return fits.get("random") or next(iter(fits.values()))
