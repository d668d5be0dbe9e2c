"""What lists and measures look like by chance: the way from labels to lists, with shuffled treatments.

The vectors stay, because no encoder sees a treatment. Metapaths and votes, classifier, probabilities and
lists are made anew, with the same settings.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from repurpose.candidates import applicability, candidates, likeness
from repurpose.candidates.finished import FinishedDevice
from repurpose.classifier import classifier, metapath_baselines, metapath_fits, out_of_fold
from repurpose.config.sections import ClassifierSettings, SplitSettings
from repurpose.graph.graph import Graph
from repurpose.pairs import pairs

SCHEMES = ("random", "disease", "drug")  # areas and dates of shuffled treatments say nothing


def run(
    device: FinishedDevice,
    shuffled: Graph,
    settings: ClassifierSettings,
    split: SplitSettings,
    *,
    seed: int,
    n_threads: int,
    correct_popularity: float,
) -> dict[str, Any]:
    """Metrics, probabilities and likeness of lists for `shuffled` treatments, ready for JSON.

    device: of the real run, whose vectors are used. `schemes`: scheme -> method -> metrics as in
    metrics.json, of the whole score and of votes. `best`: mean probability of the best pair of each tail.
    `lists`: see `LikenessCollector.summary`.
    """
    types = device.target.types
    asked = [scheme for scheme in split.schemes if scheme in SCHEMES] or ["random"]
    labelled = pairs.label(shuffled, device.target)
    labelled = pairs.split(labelled, asked, split.valid_share, split.test_share, seed)
    known = pairs.known(shuffled, *types)
    fits_of_metapaths = metapath_fits.fit_all(
        shuffled,
        types,
        labelled,
        known,
        longest=settings.metapath_steps,
        kept=settings.metapaths_kept,
        seed=seed,
        threads=n_threads,
    )
    task = classifier.Task(
        device.vectors, labelled, known, settings, seed, n_threads, metapaths=fits_of_metapaths
    )
    fits = classifier.evaluate_all(task)
    votes = metapath_baselines.evaluate_all(task, types)["votes"]
    model, members = classifier.refit(task, fits)
    calibration = out_of_fold.calibrated(task, members, model.weights, random_fit=fits.get("random"))
    metrics = {**device.metrics, "calibration": calibration, "members": members}
    source = device.source._replace(encoder=None, negatives=None)
    by_chance = replace(device, source=source, kg=shuffled, model=model, metrics=metrics)
    return {
        "schemes": {scheme: {"hgt": fits[scheme].metrics, "votes": votes[scheme].metrics} for scheme in fits},
        "best": _best(calibration),
        "lists": _lists(by_chance, correct_popularity, seed),
    }


def _best(calibration: Mapping[str, Any]) -> dict[str, float]:
    """How often the best pair of each tail is a treatment: `predicted`, and `found` among held-out tails."""
    best = calibration["curves"][0]["best"]["all"]
    return {name: best[name] for name in ("predicted", "found")}


def _lists(device: FinishedDevice, correct_popularity: float, seed: int) -> dict[str, Any]:
    annotator = device.annotator(correct_popularity, seed)
    collector = likeness.LikenessCollector(annotator)
    for _ in candidates.rank(device.score, annotator, per_tail=1, collectors=[collector]):
        pass
    treated = np.unique(device.treated[1])
    vectors = device.vectors.tails
    return collector.summary(vectors, treated, applicability.unlike(vectors, treated), seed)
