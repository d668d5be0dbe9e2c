"""A baseline without a model: a node ranks by its number of known treatments.

In the list of a tail, heads rank by how many training treatments they have, and tails in the list of a head.
So all lists are the same: what a method adds to this is knowledge of the single pair.
"""

import numpy as np

from repurpose.classifier import classifier
from repurpose.classifier.classifier import EXTERNAL, Fit, Task
from repurpose.classifier.examples import NO_EXAMPLES
from repurpose.evaluation.ranks import Scorer
from repurpose.pairs import pairs


def evaluate_all(task: Task) -> dict[str, Fit]:
    """Test the baseline: scheme -> fit, whose model is None."""
    return {
        scheme: Fit(None, (), NO_EXAMPLES, {}, *classifier.rank_tests(task, scheme, scorer(task, scheme)))
        for scheme in task.tests
    }


def scorer(task: Task, scheme: str) -> Scorer:
    """The number of training treatments of a pair's head, and of its tail: (2, n) float32."""
    known = pairs.treated(task.pairs if scheme == EXTERNAL else task.pairs[task.pairs[scheme] == "train"])
    of_heads, of_tails = (
        np.bincount(ends, minlength=size).astype(np.float32)
        for ends, size in zip(known, task.sizes, strict=True)
    )
    return lambda heads, tails: np.stack([of_heads[heads], of_tails[tails]])
