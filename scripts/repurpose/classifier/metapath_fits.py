"""All models on metapaths and votes that a run needs: one per split scheme, the final one, and one per fold.

They read no embeddings, so all devices share them. The features are chosen once, on known pairs that are
training pairs in every scheme, so that no model has features that were chosen by its test pairs.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repurpose.classifier import ensemble, metapath_model
from repurpose.classifier import folds as folds_module
from repurpose.classifier.folds import Folds
from repurpose.classifier.metapath_model import FittedMetapaths, MetapathModel
from repurpose.core import files, streams
from repurpose.core.errors import InputError
from repurpose.core.logs import IF_SLOW
from repurpose.graph.graph import Graph
from repurpose.metapaths import steps as steps_module
from repurpose.metapaths import votes, walks
from repurpose.metapaths.features import PairFeatures, Pairs
from repurpose.metapaths.steps import Steps
from repurpose.metapaths.votes import Vote
from repurpose.pairs import unknown
from repurpose.pairs.pairs import ALL_SCHEMES, Known, treated

log = logging.getLogger(__name__)

FINAL = "final"
MOST_METAPATHS = 4000
# Multiplications for each tail that the kept metapaths, and the kept votes, may need: they are computed for
# all tails, and the votes once more for each fold of each model.
KEPT_WALKS, KEPT_VOTES = 6_000_000, 2_000_000
CANDIDATES_WORK = 20_000_000_000  # multiplications that the choice of features may need
CHOICE_ROWS = 60_000  # pairs that choose the features: with 700 features in two views, 336 MB
ARRAYS = ("coefficients", "cuts", "head_means")  # of a `MetapathModel`
FEWEST = 20  # known pairs that a choice of features needs; with fewer, all known pairs choose


@dataclass(frozen=True)
class MetapathFits:
    """The models of a run by name: a scheme's, FINAL, "fold 0" and so on.

    features: those of the final model. known_by_name: the known pairs of each model. folds: see `folds`; None
    without models of folds.
    """

    features: PairFeatures
    models: Mapping[str, MetapathModel]
    known_by_name: Mapping[str, Pairs]
    folds: Folds | None

    def fitted(self, name: str) -> FittedMetapaths:
        """One of the models, with the votes of its known pairs."""
        known = self.known_by_name[name]
        return FittedMetapaths(self.features.voted_by(known), self.models[name])


def fit_all(
    kg: Graph,
    types: tuple[str, str],
    pairs: pd.DataFrame,
    taken: Known,
    *,
    longest: int,
    kept: int,
    seed: int,
    threads: int,
    final: bool = True,
    has_folds: bool = True,
) -> MetapathFits:
    """Choose `kept` features and fit all models; without FINAL and without those of folds if not asked for.

    types: head and tail type. pairs: labelled pairs with one column per scheme. taken: pairs that may not be
    negatives, but for those of `pairs` that a model is not trained on. longest: most steps of a metapath.
    """
    options = {"longest": longest, "kept": kept, "seed": seed, "threads": threads}
    features = choose_features(kg, types, pairs, taken, **options)
    folds = folds_module.make(pairs, features.sizes, seed) if has_folds else None
    masks = training_masks(pairs, folds, final=final)
    models = fit_models(features, pairs, masks, taken, seed, threads)
    return MetapathFits(features, models, _known_by_name(pairs, masks), folds)


def choose_features(
    kg: Graph,
    types: tuple[str, str],
    pairs: pd.DataFrame,
    taken: Known,
    *,
    longest: int,
    kept: int,
    seed: int,
    threads: int,
) -> PairFeatures:
    """The `kept` features with the largest gain in boosted trees on all candidates; see `fit_all`.

    Only pairs that are training pairs in every scheme choose. All known pairs vote in the result.
    """
    sizes = kg.count(types[0]), kg.count(types[1])
    known = treated(pairs)
    candidates = candidate_features(steps_module.of_graph(kg), types, known, sizes, longest)
    is_choosing = _choosing(pairs)
    not_drawn = unknown.without(taken, pairs[~is_choosing])
    return _choose(candidates, treated(pairs[is_choosing]), not_drawn, kept, seed, threads).voted_by(known)


def fit_models(
    features: PairFeatures,
    pairs: pd.DataFrame,
    masks: Mapping[str, np.ndarray],
    taken: Known,
    seed: int,
    threads: int,
) -> dict[str, MetapathModel]:
    """One model for each mask of training pairs, by name; the other pairs may be drawn as negatives."""
    models = {}
    for number, (name, is_train) in enumerate(masks.items()):
        rng = streams.generator(seed, "negatives and folds of the metapaths", number)
        known, not_drawn = treated(pairs[is_train]), unknown.without(taken, pairs[~is_train])
        models[name] = metapath_model.fit(features.voted_by(known), not_drawn, rng, threads)
        log.info("%s: fitted to %d known pairs", name, len(known[0]), extra=IF_SLOW)
    return models


def fold_name(fold: int) -> str:
    """The name of the model that is fitted without the known pairs of a fold."""
    return f"fold {fold}"


def save(fits: MetapathFits, types: tuple[str, str], path: str | Path) -> None:
    """Write the models as JSON."""
    features = fits.features
    content = {
        "metapaths": [list(metapath) for metapath in features.metapaths],
        "kinds": [list(kind) for kind in features.kinds],
        "steps": _steps(features.steps),
        "names": described(features, types),
        "scales": features.scales.tolist(),
        "models": {name: _to_json(model) for name, model in fits.models.items()},
        "folds": {"column": fits.folds.column, "of_node": fits.folds.of_node.tolist()},
    }
    files.write_json(path, content)


def load(path: str | Path, kg: Graph, types: tuple[str, str], pairs: pd.DataFrame) -> MetapathFits:
    """Read what `save` wrote; pairs: the labelled pairs that the models were fitted to.

    Raises InputError that names the file if it is damaged or belongs to another graph.
    """
    content = files.read_json(path)
    steps = steps_module.of_graph(kg)
    sizes = kg.count(types[0]), kg.count(types[1])
    try:
        folds = Folds(
            content["folds"]["column"],
            np.array(content["folds"]["of_node"], np.int64),
            sum(name.startswith("fold ") for name in content["models"]),
        )
        known_by_name = _known_by_name(pairs, training_masks(pairs, folds))
        metapaths = tuple(tuple(metapath) for metapath in content["metapaths"])
        kinds = tuple(Vote(*kind) for kind in content["kinds"])
        scales = np.array(content["scales"], np.float32)
        features = PairFeatures(steps, metapaths, kinds, known_by_name[FINAL], sizes, scales)
        is_of_graph = _steps(steps) == content["steps"] and set(kinds) <= set(votes.kinds(steps, *types))
        if not is_of_graph or not all(steps_module.connects(steps, each, *types) for each in metapaths):
            raise ValueError("its features are not those of this graph")
        models = {name: _from_json(model) for name, model in content["models"].items()}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path} does not fit the graph or is damaged ({error}); {files.rebuild_hint(path)}"
        ) from error
    return MetapathFits(features, models, known_by_name, folds)


def load_final(path: str | Path, kg: Graph, types: tuple[str, str], pairs: pd.DataFrame) -> FittedMetapaths:
    """Read only the final model; raises InputError as `load` does."""
    return load(path, kg, types, pairs).fitted(FINAL)


def described(features: PairFeatures, types: tuple[str, str]) -> list[str]:
    """Each feature in words; types: head and tail type."""
    return [
        *(steps_module.text(features.steps, metapath) for metapath in features.metapaths),
        *(votes.text(kind, features.steps, *types) for kind in features.kinds),
    ]


def _steps(steps: Steps) -> list[str]:
    """What the numbers of steps stand for; the words of `described` may change."""
    return [" ".join(step) for step in zip(steps.starts, steps.names, steps.ends, strict=True)]


def candidate_features(
    steps: Steps, types: tuple[str, str], known: Pairs, sizes: tuple[int, int], longest: int
) -> PairFeatures:
    """All metapaths of up to `longest` steps and votes that are cheap enough to be kept, one by one.

    types: head and tail type. known: the pairs that vote. sizes: number of heads and tails.
    """
    metapaths = steps_module.metapaths(steps, *types, longest, MOST_METAPATHS)
    affordable = [metapath for metapath in metapaths if walks.cost(steps, [metapath]) <= KEPT_WALKS]
    features = PairFeatures(steps, tuple(affordable), votes.kinds(steps, *types), known, sizes)
    kinds = [kind for kind in features.kinds if votes.cost(features.election, [kind]) <= KEPT_VOTES]
    return replace(features, kinds=tuple(kinds))


def training_masks(pairs: pd.DataFrame, folds: Folds | None, *, final: bool = True) -> dict[str, np.ndarray]:
    """Which labelled pairs (n,) each model is trained on, by its name: schemes, FINAL if asked for, folds."""
    schemes = [scheme for scheme in ALL_SCHEMES if scheme in pairs]
    masks = {scheme: (pairs[scheme] == "train").to_numpy() for scheme in schemes}
    if final:
        masks[FINAL] = np.ones(len(pairs), bool)
    for fold in range(folds.count if folds else 0):
        masks[fold_name(fold)] = ~folds.is_held_out(pairs, fold)
    return masks


def _known_by_name(pairs: pd.DataFrame, masks: Mapping[str, np.ndarray]) -> dict[str, Pairs]:
    return {name: treated(pairs[is_train]) for name, is_train in masks.items()}


def _choosing(pairs: pd.DataFrame) -> np.ndarray:
    """Mask (n,) of the pairs that are training pairs in every scheme; of all, if few treatments are."""
    schemes = [scheme for scheme in ALL_SCHEMES if scheme in pairs]
    is_common = (pairs[schemes] == "train").all(axis=1).to_numpy()
    is_enough = int((pairs["label"][is_common] == 1).sum()) >= FEWEST
    return is_common if is_enough else np.ones(len(pairs), bool)


def _choose(
    candidates: PairFeatures, known: Pairs, taken: Known, kept: int, seed: int, threads: int
) -> PairFeatures:
    """The `kept` features with the largest gain in boosted trees on all candidates."""
    if not candidates.count:
        return candidates
    rng = streams.generator(seed, "negatives and folds of the choice of features")
    features = _within_budget(candidates, len(np.unique(known[1]))).voted_by(known)
    asked = {metapath_model.OTHER_HEAD: metapath_model.NEGATIVES[metapath_model.OTHER_HEAD]}
    examples = metapath_model.draw(known, taken, features.sizes[0], rng, CHOICE_ROWS, asked)
    values = metapath_model.rows(features, examples, rng)
    chosen = examples.labelled(values, metapath_model.OTHER_HEAD)
    booster = metapath_model.boost(*chosen, rng, threads)
    gains = booster.get_score(importance_type="total_gain")
    order = sorted(range(features.count), key=lambda number: -gains.get(f"f{number}", 0.0))
    width = len(features.metapaths)
    wanted = [features.metapaths[number] for number in order[:kept] if number < width]
    metapaths = walks.affordable(features.steps, wanted, KEPT_WALKS)
    kinds = _affordable(
        [features.kinds[number - width] for number in order[:kept] if number >= width],
        lambda chosen: votes.cost(candidates.election, chosen),
        KEPT_VOTES,
    )
    log.info("%d of %d metapaths and votes are kept", len(metapaths) + len(kinds), candidates.count)
    return replace(candidates, metapaths=metapaths, kinds=tuple(kinds))


def _within_budget(candidates: PairFeatures, tails: int) -> PairFeatures:
    """As many candidates, short ones first, as can be computed for `tails` tails within CANDIDATES_WORK."""
    budget = CANDIDATES_WORK / max(1, tails)
    of_votes = votes.cost(candidates.election, candidates.kinds) * (2 * metapath_model.FOLDS)
    metapaths = candidates.metapaths
    while metapaths and walks.cost(candidates.steps, metapaths) + of_votes > budget:
        metapaths = metapaths[: len(metapaths) * 9 // 10]
    return replace(candidates, metapaths=metapaths)


def affordable_votes(candidates: PairFeatures) -> tuple[Vote, ...]:
    """Kinds of votes, cheap ones first, that can be computed for all tails."""
    order = sorted(candidates.kinds, key=lambda kind: votes.cost(candidates.election, [kind]))
    return tuple(_affordable(order, lambda chosen: votes.cost(candidates.election, chosen), KEPT_VOTES))


def _affordable(items: Sequence[Any], cost: Any, limit: int) -> list[Any]:
    """Take items in their order, except those with which the cost of all would exceed the limit."""
    result: list[Any] = []
    for item in items:
        if cost([*result, item]) <= limit:
            result.append(item)
    return result


def _to_json(model: MetapathModel) -> dict[str, Any]:
    arrays = {name: getattr(model, name).tolist() for name in ARRAYS}
    boosters = {"booster": model.booster, "head_booster": model.head_booster}
    texts = {name: booster and ensemble.to_text(booster) for name, booster in boosters.items()}
    return {**texts, **arrays}


def _from_json(content: Mapping[str, Any]) -> MetapathModel:
    texts = content["booster"], content["head_booster"]
    boosters = (ensemble.of_text(*text) if text else None for text in texts)
    return MetapathModel(*boosters, *(np.array(content[name], np.float32) for name in ARRAYS))
