"""Boosted models in XGBoost's own format: merge several, name other columns, keep them as text."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xgboost
from scipy.special import expit, logit


def merged(boosters: Sequence[xgboost.Booster]) -> xgboost.Booster:
    """One model whose margin is the mean of the models' margins.

    All n models have the same objective and features. Their trees follow in the order of the models, with
    each leaf value divided by n.
    """
    models = [json.loads(booster.save_raw("json")) for booster in boosters]
    factor = 1 / len(boosters)
    trees = [
        tree | {"split_conditions": _scaled(tree, factor)}
        for model in models
        for tree in model["learner"]["gradient_booster"]["model"]["trees"]
    ]
    base_scores = [
        float(model["learner"]["learner_model_param"]["base_score"].strip("[]")) for model in models
    ]
    base = expit(sum(map(logit, base_scores)) / len(base_scores))
    learner = models[0]["learner"]
    parameters = learner["learner_model_param"] | {"base_score": f"[{base:.9E}]"}
    return of_trees({**models[0], "learner": learner | {"learner_model_param": parameters}}, trees)


def on_columns(booster: xgboost.Booster, columns: np.ndarray, width: int) -> xgboost.Booster:
    """A model of features `columns`, as the same model of all `width` features."""
    model = json.loads(booster.save_raw("json"))
    learner = model["learner"]
    trees = [
        tree
        | {
            "split_indices": columns[tree["split_indices"]].tolist(),
            "tree_param": tree["tree_param"] | {"num_feature": str(width)},
        }
        for tree in learner["gradient_booster"]["model"]["trees"]
    ]
    parameters = learner["learner_model_param"] | {"num_feature": str(width)}
    return of_trees({**model, "learner": learner | {"learner_model_param": parameters}}, trees)


def of_trees(model: Mapping[str, Any], trees: Sequence[Mapping[str, Any]]) -> xgboost.Booster:
    """A model with its trees replaced and without attributes; model, trees: in XGBoost's JSON format."""
    learner = model["learner"]
    tree_model = learner["gradient_booster"]["model"]
    tree_model = tree_model | {
        "trees": [{**tree, "id": number} for number, tree in enumerate(trees)],
        "tree_info": [0] * len(trees),
        "iteration_indptr": list(range(len(trees) + 1)),
        "gbtree_model_param": tree_model["gbtree_model_param"] | {"num_trees": str(len(trees))},
    }
    learner = learner | {
        "gradient_booster": learner["gradient_booster"] | {"model": tree_model},
        "attributes": {},
    }
    return of_bytes(json.dumps({**model, "learner": learner}).encode())


def to_text(booster: xgboost.Booster) -> tuple[str, str]:
    """A model as JSON text, and the digest of the text."""
    text = booster.save_raw("json").decode()
    return text, hashlib.sha256(text.encode()).hexdigest()


def of_text(text: str, digest: str) -> xgboost.Booster:
    """The model of a text that `to_text` made; raises ValueError if the text is another one."""
    content = text.encode()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError("the digest of a model is not the one that was written with it")
    return of_bytes(content)


def of_bytes(content: bytes) -> xgboost.Booster:
    """The model of a file's content, JSON or UBJSON.

    XGBoost ends the whole process on some damaged content, so the caller checks a digest first.
    """
    booster = xgboost.Booster()
    booster.load_model(bytearray(content))
    return booster


def _scaled(tree: dict, factor: float) -> list[float]:
    """Split conditions of a tree with its leaf values multiplied by `factor`; thresholds stay."""
    conditions = zip(tree["split_conditions"], tree["left_children"], strict=True)
    return [value * factor if left == -1 else value for value, left in conditions]
