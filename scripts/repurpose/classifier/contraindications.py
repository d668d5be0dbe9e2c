"""The contraindication model: which pairs look like known negatives, such as contraindications.

Treatments and known negatives look much alike compared with unknown pairs: in both, the drug's targets are
near the disease in the graph. A separate model therefore learns the known negatives: it is trained like the
classifier, with the labels of treatments and known negatives exchanged.
"""

import logging
from dataclasses import replace
from typing import Any

import numpy as np

from repurpose.classifier import classifier, ensemble, out_of_fold
from repurpose.classifier.classifier import Task
from repurpose.core.logs import LOG_ONLY
from repurpose.pairs import external

log = logging.getLogger(__name__)


FEWEST = 5  # known negatives that each part of a split must have
NEGATIVES = 5  # random pairs per known negative; few, because known negatives can far outnumber treatments


def train(task: Task) -> dict[str, Any]:
    """Train and test the contraindication model; returns trees, calibration and metrics, ready for JSON.

    The test split is the scheme that holds out tails, or the first scheme if there is none. `auroc`: held-out
    known negatives against unknown pairs, and against held-out treatments. If a part of the split has fewer
    than FEWEST known negatives, `model` is None and `reason` says why.
    """
    scheme = "disease" if "disease" in task.pairs else task.schemes[0]
    known_negatives = task.pairs[task.pairs["label"] == 0]
    counts = {part: int((known_negatives[scheme] == part).sum()) for part in ("train", "valid", "test")}
    result: dict[str, Any] = {"scheme": scheme, "known_negatives": counts, "model": None}
    if min(counts.values()) < FEWEST:
        reason = f"fewer than {FEWEST} known negatives in a part of the split {scheme}"
        log.info("no model of known negatives: %s (%s)", reason, counts)
        return {**result, "reason": reason}
    exchanged = _exchange_labels(task, scheme)
    fits = classifier.evaluate_all(exchanged)
    model, rounds = classifier.refit(exchanged, fits)
    text, digest = ensemble.to_text(model.booster)
    metrics = fits[scheme].metrics
    auroc = {"unknown": metrics["auroc"], "treatments": metrics["against"]["known"]["auroc"]}
    log.info(
        "known negatives: AUROC %s",
        {name: interval and interval["value"] for name, interval in auroc.items()},
        extra=LOG_ONLY,
    )
    return {
        **result,
        "reason": "",
        "model": text,
        "digest": digest,
        "calibration": out_of_fold.calibrated(exchanged, rounds, model.weights, shares=(0.0,)),
        "auroc": auroc,
    }


def _exchange_labels(task: Task, scheme: str) -> Task:
    """The task with labels exchanged, so that known negatives are its positives: one split, trees only."""
    other_schemes = [name for name in task.schemes if name != scheme]
    pairs = task.pairs.drop(columns=other_schemes).assign(label=(1 - task.pairs["label"]).astype(np.int8))
    n_negatives = min(NEGATIVES, task.settings.negatives_per_positive)
    # The margins of the trees alone are the score: no list has an offset.
    settings = replace(
        task.settings,
        draws=1,
        parts=["trees"],
        negatives_per_positive=n_negatives,
        question="treated",
    )
    return replace(task, pairs=pairs, settings=settings, external_pairs=external.load(None), metapaths=None)
