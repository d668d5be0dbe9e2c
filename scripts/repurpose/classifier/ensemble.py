"""Several boosted models as one: XGBoost's own format, read and predicted as any other."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import xgboost
from scipy.special import expit, logit


def merged(boosters: Sequence[xgboost.Booster]) -> xgboost.Booster:
    """One model whose margin is the mean of the models', the trees of the first one first.

    They are of one objective and the same features. Each leaf counts for 1 / n of what it was.
    """
    models = [json.loads(booster.save_raw("json")) for booster in boosters]
    factor = 1 / len(boosters)
    trees = [
        tree | {"split_conditions": _scaled(tree, factor)}
        for model in models
        for tree in model["learner"]["gradient_booster"]["model"]["trees"]
    ]
    shares = [float(model["learner"]["learner_model_param"]["base_score"].strip("[]")) for model in models]
    base = expit(sum(map(logit, shares)) / len(shares))
    learner = models[0]["learner"]
    parameters = learner["learner_model_param"] | {"base_score": f"[{base:.9E}]"}
    return of_trees({**models[0], "learner": learner | {"learner_model_param": parameters}}, trees)


def of_trees(model: Mapping[str, Any], trees: Sequence[Mapping[str, Any]]) -> xgboost.Booster:
    """A model, as XGBoost writes it as JSON, with other trees in place of its own and no attributes."""
    learner = model["learner"]
    whole = learner["gradient_booster"]["model"]
    whole = whole | {
        "trees": [{**tree, "id": number} for number, tree in enumerate(trees)],
        "tree_info": [0] * len(trees),
        "iteration_indptr": list(range(len(trees) + 1)),
        "gbtree_model_param": whole["gbtree_model_param"] | {"num_trees": str(len(trees))},
    }
    learner = learner | {"gradient_booster": learner["gradient_booster"] | {"model": whole}, "attributes": {}}
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps({**model, "learner": learner}).encode()))
    return booster


def _scaled(tree: dict, factor: float) -> list[float]:
    """A tree's thresholds as they are, its leaves `factor` times."""
    pairs = zip(tree["split_conditions"], tree["left_children"], strict=True)
    return [value * factor if left == -1 else value for value, left in pairs]
