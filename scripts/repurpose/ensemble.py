"""Several boosted models as one: XGBoost's own format, read and predicted as any other."""

import json
from collections.abc import Sequence

import xgboost
from scipy.special import expit, logit


def merged(boosters: Sequence[xgboost.Booster]) -> xgboost.Booster:
    """One model whose margin is the mean of the models', the trees of the first one first.

    They are of one objective and the same features. Each leaf counts for 1 / n of what it was.
    """
    models = [json.loads(booster.save_raw("json")) for booster in boosters]
    parts = [model["learner"]["gradient_booster"]["model"] for model in models]
    trees = [
        {**tree, "id": number, "split_conditions": _scaled(tree, 1 / len(boosters))}
        for number, tree in enumerate(tree for part in parts for tree in part["trees"])
    ]
    whole = parts[0] | {"trees": trees, "tree_info": [0] * len(trees)}
    whole["iteration_indptr"] = list(range(len(trees) + 1))
    whole["gbtree_model_param"] = whole["gbtree_model_param"] | {"num_trees": str(len(trees))}
    learner = models[0]["learner"]
    learner["gradient_booster"]["model"] = whole
    shares = [float(model["learner"]["learner_model_param"]["base_score"].strip("[]")) for model in models]
    base = expit(sum(map(logit, shares)) / len(shares))
    learner["learner_model_param"]["base_score"] = f"[{base:.9E}]"
    learner["attributes"] = {}
    result = xgboost.Booster()
    result.load_model(bytearray(json.dumps(models[0]).encode()))
    return result


def _scaled(tree: dict, factor: float) -> list[float]:
    """A tree's thresholds as they are, its leaves `factor` times."""
    pairs = zip(tree["split_conditions"], tree["left_children"], strict=True)
    return [value * factor if left == -1 else value for value, left in pairs]
