"""Baselines that read no embeddings: votes alone, path counts alone, and the metapath models alone.

`votes`: boosted trees on neighbour votes. `paths`: logistic regression on the counts of walks of up to three
steps, as in Himmelstein et al., "Systematic integration of biomedical knowledge prioritizes drugs for
repurposing", eLife 2017. `metapaths`: the parts metapaths and specificity of the pair model.
"""

import logging
from dataclasses import replace

import numpy as np

from repurpose.classifier import classifier, metapath_fits, metapath_model
from repurpose.classifier.classifier import EXTERNAL, Fit, Task
from repurpose.classifier.examples import NO_EXAMPLES
from repurpose.classifier.list_weights import ListWeights, prior
from repurpose.classifier.metapath_model import FittedMetapaths, MetapathModel
from repurpose.classifier.pair_model import Model
from repurpose.core import streams
from repurpose.core.logs import IF_SLOW
from repurpose.metapaths import walks
from repurpose.metapaths.features import PairFeatures, Pairs
from repurpose.pairs import unknown
from repurpose.pairs.pairs import Known

log = logging.getLogger(__name__)

LONGEST = 3  # steps of the metapaths of `paths`
METHODS = ("votes", "paths", "metapaths")


def evaluate_all(task: Task, types: tuple[str, str]) -> dict[str, dict[str, Fit]]:
    """Fit and test the baselines: name -> scheme -> fit; types: head and tail type."""
    result: dict[str, dict[str, Fit]] = {method: {} for method in METHODS}
    for scheme in task.tests:
        name = metapath_fits.FINAL if scheme == EXTERNAL else scheme
        known, not_drawn = task.metapaths.known_by_name[name], task.known
        if scheme != EXTERNAL:
            not_drawn = unknown.without(task.known, task.pairs[task.pairs[scheme] != "train"])
        models = {
            "votes": _single(fit_votes(task, types, known, not_drawn), "metapaths", task),
            "paths": _single(fit_paths(task, types, known, not_drawn), "specificity", task),
            "metapaths": _metapaths(task, scheme, name, result["metapaths"]),
        }
        for method, model in models.items():
            log.info("baseline %s, split %s", method, scheme, extra=IF_SLOW)
            untested = Fit(model, (), NO_EXAMPLES, {}, *classifier.UNTESTED)
            result[method][scheme] = classifier.tested(task, scheme, untested)
    return result


def fit_votes(task: Task, types: tuple[str, str], known: Pairs, not_drawn: Known) -> FittedMetapaths:
    """Boosted trees on all votes that can be computed for all tails; not_drawn: never negatives."""
    steps = task.metapaths.features.steps
    candidates = metapath_fits.candidate_features(steps, types, known, task.sizes, LONGEST)
    features = replace(candidates, metapaths=(), kinds=metapath_fits.affordable_votes(candidates))
    examples, values, rng = _examples(task, features, not_drawn)
    boosters = metapath_model.fit_boosters(examples, values, rng, task.threads)
    unused = np.zeros(features.count, np.float32), np.ones(features.count, np.float32)
    return FittedMetapaths(features, MetapathModel(*boosters, *unused, np.zeros(task.sizes[0], np.float32)))


def fit_paths(task: Task, types: tuple[str, str], known: Pairs, not_drawn: Known) -> FittedMetapaths:
    """Logistic regression on all metapaths of up to LONGEST steps that can be computed for all tails.

    not_drawn: pairs that are never negatives.
    """
    steps = task.metapaths.features.steps
    candidates = metapath_fits.candidate_features(steps, types, known, task.sizes, LONGEST)
    metapaths = walks.affordable(candidates.steps, candidates.metapaths, metapath_fits.KEPT_WALKS)
    features = replace(candidates, metapaths=metapaths, kinds=())
    examples, values, _ = _examples(task, features, not_drawn)
    linear = metapath_model.fit_linear(*examples.labelled(values, metapath_model.OTHER_HEAD))
    return FittedMetapaths(features, MetapathModel(None, None, *linear, np.zeros(task.sizes[0], np.float32)))


def _examples(
    task: Task, features: PairFeatures, not_drawn: Known
) -> tuple[metapath_model.Examples, np.ndarray, np.random.Generator]:
    """Examples, their features, and the generator after the draws."""
    rng = streams.generator(task.seed, "negatives and folds of the votes and paths")
    examples = metapath_model.draw(features.known, not_drawn, task.sizes[0], rng)
    return examples, metapath_model.rows(features, examples, rng), rng


def _single(fitted: FittedMetapaths, part: str, task: Task) -> Model:
    """A model of one part."""
    return Model(None, None, fitted, ListWeights.of_lists([part], prior([part]), prior([part]), task.sizes))


def _metapaths(task: Task, scheme: str, name: str, tested: dict[str, Fit]) -> Model:
    """The metapath models of a scheme with weights chosen on its validation pairs; tested: other schemes'."""
    parts = ("metapaths", "specificity")
    weights = ListWeights.of_lists(parts, prior(parts), prior(parts), task.sizes)
    model = Model(None, None, task.metapaths.fitted(name), weights)
    if scheme == EXTERNAL:
        return model._replace(weights=classifier.final_weights(task, tested))
    return classifier.choose_weights(task, scheme, model, parts)
