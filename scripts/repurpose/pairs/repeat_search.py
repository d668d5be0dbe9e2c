"""Find the pairs that repeat a known treatment, by a table of ingredients and by the tails' hierarchy."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from repurpose.config.sections import Target
from repurpose.core.errors import InputError
from repurpose.graph.graph import Graph
from repurpose.graph.names import shown
from repurpose.ingest import frames, identifiers
from repurpose.ingest.identifiers import Identifiers
from repurpose.pairs import areas, pairs
from repurpose.pairs.repeats import BOTH, HIERARCHY, INGREDIENT, SCHEMA

KEY = "repeats.ingredients"
COLUMNS = ("id", "ingredient")
SHOWN = 3  # ids that a message lists


def read_ingredients(
    path: str | Path, kg: Graph, head_type: str, same: Identifiers = identifiers.NONE
) -> pd.DataFrame:
    """Heads that share an ingredient: columns head, other (indices) and ingredient, a row per ordered pair.

    The table has the columns id and ingredient, a row for each ingredient of a head. A head is also its own
    ingredient, so an ingredient may be the id of a head. Ids are replaced by `same`. The log counts ids that
    the graph lacks. Raises InputError if the graph has none of them.
    """
    frame = frames.read(path, COLUMNS, KEY)
    ids = kg.node_ids[head_type]
    frame["head"] = same.indices(kg, head_type, frame["id"])
    frame["ingredient"] = same.replaced(head_type, frame["ingredient"])
    is_known = frame["head"] >= 0
    if not is_known.any():
        raise InputError(
            f"{path} ({KEY}) has no id of a {shown(head_type)}: its column id has "
            f"{', '.join(frame['id'].unique()[:SHOWN])}, and ids of the graph look like {ids[0]}"
        )
    itself = pd.DataFrame({"head": np.arange(len(ids)), "ingredient": ids})
    with_ingredient = frame[is_known & (frame["ingredient"] != "")]
    members = pd.concat([with_ingredient[["head", "ingredient"]], itself]).drop_duplicates()
    shared = members.merge(members.rename(columns={"head": "other"}), on="ingredient")
    shared = shared[shared["head"] != shared["other"]].sort_values(["head", "other", "ingredient"])
    shared = shared.drop_duplicates(["head", "other"])
    logging.info(
        "%s: %d rows, of nodes that the graph lacks: %d; %d of %d nodes of type %s share an ingredient",
        path,
        len(frame),
        (~is_known).sum(),
        shared["head"].nunique(),
        len(ids),
        head_type,
    )
    return shared[["head", "other", "ingredient"]]


def related_tails(kg: Graph, relation: str, tail_type: str) -> pd.DataFrame:
    """Parents and children of each tail: columns tail and other (indices), in both directions."""
    one, other = areas.hierarchy_edges(kg, relation, tail_type)
    both = pd.DataFrame({"tail": np.concatenate([one, other]), "other": np.concatenate([other, one])})
    return both[both["tail"] != both["other"]].drop_duplicates()


def find(kg: Graph, target: Target, ingredients: pd.DataFrame | None, hierarchy: str) -> pa.Table:
    """The pairs that are no known treatment and repeat one (repeats.SCHEMA), sorted by tail and head.

    ingredients: of `read_ingredients`, None for no table. hierarchy: a relation among tails, "" for none; one
    of them must be there. The text of a pair tells one treatment that it repeats: of the same ingredient
    before others, then the one with the lowest ids.
    """
    head_type, tail_type = target.types
    labelled = pairs.label(kg, target)
    labelled = labelled[labelled["label"] == 1]
    treated = pd.DataFrame({"known_head": labelled["head_index"], "known_tail": labelled["tail_index"]})
    heads, tails = kg.node_names[head_type], kg.node_names[tail_type]
    relation = shown(hierarchy)
    found, by_ingredient = [], None
    if ingredients is not None:
        by_ingredient = treated.merge(ingredients.rename(columns={"other": "known_head"}), on="known_head")
        found.append(by_ingredient.assign(tail=by_ingredient["known_tail"], kinds=INGREDIENT))
    if hierarchy:
        near = related_tails(kg, hierarchy, tail_type).rename(columns={"other": "known_tail"})
        by_tail = treated.merge(near, on="known_tail")
        found.append(by_tail.assign(head=by_tail["known_head"], kinds=HIERARCHY))
        if by_ingredient is not None:
            found.append(by_ingredient.merge(near, on="known_tail").assign(kinds=BOTH))
    columns = ["tail", "head", "kinds", "known_tail", "known_head"]
    frame = pd.concat(found).sort_values(columns).drop_duplicates(["tail", "head", "kinds"])
    is_treated = pd.MultiIndex.from_frame(frame[["head", "tail"]]).isin(
        pd.MultiIndex.from_frame(treated[["known_head", "known_tail"]])
    )
    frame = frame[~is_treated]
    kinds = frame.groupby(["tail", "head"], sort=False)["kinds"].sum()
    first = frame.drop_duplicates(["tail", "head"])
    ingredient = first.get("ingredient", pd.Series("", first.index)).fillna("")
    texts = []
    for kind, head, tail, of in zip(
        first["kinds"], first["known_head"], first["known_tail"], ingredient, strict=True
    ):
        text = f"{heads[head]}, of the same ingredient ({of}), is a known treatment"
        if kind == HIERARCHY:
            text = "known treatment"
        if kind != INGREDIENT:
            text += f" of {tails[tail]}, a parent or child by {relation}"
        texts.append(text)
    return pa.table(
        [
            pa.array(kg.node_ids[head_type][first["head"].to_numpy()], pa.string()),
            pa.array(kg.node_ids[tail_type][first["tail"].to_numpy()], pa.string()),
            pa.array(texts, pa.string()),
            pa.array(kinds.to_numpy(), pa.int8()),
        ],
        schema=SCHEMA,
    )
