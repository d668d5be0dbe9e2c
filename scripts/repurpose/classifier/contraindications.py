"""Which pairs look like known negatives, such as contraindications.

Beside unknown pairs, treatments and known negatives are much alike: what a drug acts on is near to a disease
in both. A model of its own asks the other question, with the examples of the first and labels exchanged.
"""

import hashlib
import logging
from dataclasses import replace
from typing import Any

import numpy as np

from repurpose.classifier import classifier, out_of_fold
from repurpose.classifier.classifier import Task
from repurpose.pairs import external
from repurpose.pairs.pairs import ALL_SCHEMES

log = logging.getLogger(__name__)

FEWEST = 5  # known negatives in each part of a split
NEGATIVES = 5  # random pairs for each known negative, of which there may be many more than treatments


def train(task: Task) -> dict[str, Any]:
    """A model of the known negatives among all pairs, ready for JSON: trees, calibration, how well they do.

    Judged where tails are held out, or by the first split there is. `auroc`: of held-out known negatives
    against unknown pairs and against held-out treatments. `model` is None, with a `reason`, where there are
    too few known negatives to learn from and to judge by.
    """
    scheme = "disease" if "disease" in task.pairs else _schemes(task)[0]
    known = task.pairs[task.pairs["label"] == 0]
    counts = {part: int((known[scheme] == part).sum()) for part in ("train", "valid", "test")}
    found: dict[str, Any] = {"scheme": scheme, "known_negatives": counts, "model": None}
    if min(counts.values()) < FEWEST:
        reason = f"fewer than {FEWEST} known negatives in a part of the split {scheme}"
        log.info("no model of known negatives: %s (%s)", reason, counts)
        return {**found, "reason": reason}
    exchanged = _exchanged(task, scheme)
    fits = classifier.evaluate_all(exchanged)
    model, rounds = classifier.refit(exchanged, fits)
    text = model.booster.save_raw("json").decode()
    measured = fits[scheme].metrics
    auroc = {"unknown": measured["auroc"], "treatments": measured["against"]["known"]["auroc"]}
    log.info("known negatives: AUROC %s", {name: each and each["value"] for name, each in auroc.items()})
    return {
        **found,
        "reason": "",
        "model": text,
        "digest": hashlib.sha256(text.encode()).hexdigest(),
        "calibration": out_of_fold.calibrated(exchanged, rounds, model.weight, shares=(0.0,)),
        "auroc": auroc,
    }


def _exchanged(task: Task, scheme: str) -> Task:
    """The task whose positives are the known negatives, of one split, with trees alone."""
    others = [name for name in _schemes(task) if name != scheme]
    pairs = task.pairs.drop(columns=others).assign(label=(1 - task.pairs["label"]).astype(np.int8))
    few = min(NEGATIVES, task.settings.negatives_per_positive)
    settings = replace(task.settings, draws=1, kernel_weights=(0.0,), negatives_per_positive=few)
    # Nobody asks its kernel, whose parts need no weights then.
    vectors = replace(task.vectors, blocks=None)
    return replace(task, vectors=vectors, pairs=pairs, settings=settings, elsewhere=external.load(None))


def _schemes(task: Task) -> list[str]:
    return [name for name in ALL_SCHEMES if name in task.pairs]
