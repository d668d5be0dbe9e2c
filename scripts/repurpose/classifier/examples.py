"""Labelled examples for the classifier: the pairs of a split and random unknown pairs as negatives."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from repurpose.config.sections import ClassifierSettings
from repurpose.core import streams
from repurpose.core.errors import InputError
from repurpose.pairs import unknown
from repurpose.pairs.pairs import ALL_SCHEMES, HELD_OUT, Known


class Examples(NamedTuple):
    """Pairs with labels and weights; draw: number of a random negative's draw, -1 for a labelled pair."""

    heads: np.ndarray
    tails: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    draw: np.ndarray

    @property
    def is_drawn(self) -> np.ndarray:
        """Which examples are random unknown pairs."""
        return self.draw >= 0

    def of_draw(self, number: int) -> "Examples":
        """The labelled pairs and the negatives of one draw, all with weight 1."""
        kept = np.isin(self.draw, (-1, number))
        examples = Examples(*(column[kept] for column in self))
        return examples._replace(weights=np.ones(int(kept.sum()), np.float32))


# If the draws for training would take more than the first share of the unknown pairs, the second is kept
# for validation.
MAXIMUM_DRAWN, KEPT_FOR_VALIDATION = 0.7, 0.25
NO_EXAMPLES = Examples(*(np.zeros(0, np.int64) for _ in Examples._fields))


def make_examples(
    pairs: pd.DataFrame,
    known: Known,
    heads: np.ndarray,
    tails: np.ndarray,
    settings: ClassifierSettings,
    rng: np.random.Generator,
) -> Examples:
    """The labelled `pairs`, and random unknown pairs of heads x tails as negatives, in `draws` draws.

    A draw has `negatives_per_positive` distinct pairs per positive, or all unknown pairs if there are fewer.
    Each pair has weight 1 / draws, so that more draws do not change the balance of the classes. Raises
    InputError if there is no negative at all.
    """
    labels = pairs["label"].to_numpy()
    size = settings.negatives_per_positive * int(labels.sum())
    draws = [unknown.draw(known, heads, tails, size, rng) for _ in range(settings.draws)]
    drawn_heads, drawn_tails = (np.concatenate([draw[side] for draw in draws]) for side in (0, 1))
    if labels.all() and not len(drawn_heads):
        raise InputError(
            "the classifier has no negatives: every head x tail pair it may draw from is known; name "
            "relations in target.negative or use a graph with more nodes of the target types"
        )
    n_drawn = len(drawn_heads)
    return Examples(
        np.concatenate([pairs["head_index"].to_numpy(), drawn_heads]),
        np.concatenate([pairs["tail_index"].to_numpy(), drawn_tails]),
        np.concatenate([labels, np.zeros(n_drawn, labels.dtype)]),
        np.repeat(np.array([1, 1 / settings.draws], np.float32), [len(labels), n_drawn]),
        np.concatenate([np.full(len(labels), -1), *(np.full(len(d[0]), k) for k, d in enumerate(draws))]),
    )


def split_examples(
    pairs: pd.DataFrame,
    scheme: str,
    known: Known,
    n_heads: int,
    n_tails: int,
    settings: ClassifierSettings,
    seed: int,
) -> tuple[Examples, Examples]:
    """Training and validation examples of a scheme.

    Training negatives never come from held-out tails (scheme disease) or heads (drug), because they would
    give a label to held-out pairs. Elsewhere, a held-out pair is drawn as any other unknown pair is.
    Validation negatives come from the tails (heads) held out for validation, and are never training pairs.
    """
    rng = streams.generator(seed, "negatives of a scheme", ALL_SCHEMES.index(scheme))
    train_pools = {"head_index": np.arange(n_heads), "tail_index": np.arange(n_tails)}
    column = HELD_OUT.get(scheme)
    if column:
        train_pools[column] = np.setdiff1d(train_pools[column], pairs.loc[pairs[scheme] != "train", column])
    valid_pools = asked_pools(pairs, scheme, "valid", n_heads, n_tails)
    train_pairs, pools = pairs[pairs[scheme] == "train"], tuple(train_pools.values())
    known_to_train = unknown.without(known, pairs[pairs[scheme] != "train"])
    known = unknown.without(known, pairs[pairs[scheme] == "test"])
    kept = reserved(known_to_train, known, pools, valid_pools, train_pairs, settings, rng)
    train = make_examples(train_pairs, kept, *pools, settings, rng)
    excluded = Known(np.append(known.heads, train.heads), np.append(known.tails, train.tails), known.names)
    valid = make_examples(pairs[pairs[scheme] == "valid"], excluded, *valid_pools, settings, rng)
    return train, valid


def reserved(
    known_to_train: Known,
    known: Known,
    train_pools: tuple[np.ndarray, np.ndarray],
    valid_pools: tuple[np.ndarray, np.ndarray],
    train_pairs: pd.DataFrame,
    settings: ClassifierSettings,
    rng: np.random.Generator,
) -> Known:
    """The pairs that training may not draw: those it knows and, in a small matrix, some kept for validation.

    known: the pairs that validation may not draw. In a small matrix, the draws for training would take nearly
    all unknown pairs, and validation would have none. Then a share of those of the validation pools is kept
    for it.
    """
    wanted = settings.draws * settings.negatives_per_positive * int(train_pairs["label"].sum())
    if wanted <= MAXIMUM_DRAWN * unknown.count(known_to_train, *train_pools):
        return known_to_train
    size = int(KEPT_FOR_VALIDATION * unknown.count(known, *valid_pools))
    heads, tails = unknown.draw(known, *valid_pools, size, rng)
    names = np.append(known_to_train.names, np.full(len(heads), "", object))
    return Known(np.append(known_to_train.heads, heads), np.append(known_to_train.tails, tails), names)


def asked_pools(
    pairs: pd.DataFrame, scheme: str, part: str, n_heads: int, n_tails: int
) -> tuple[np.ndarray, np.ndarray]:
    """Heads and tails that a part (valid, test) ranks: all of them, but only its own of the held-out side."""
    pools = {"head_index": np.arange(n_heads), "tail_index": np.arange(n_tails)}
    column = HELD_OUT.get(scheme)
    if column:
        pools[column] = np.unique(pairs.loc[pairs[scheme] == part, column])
    return pools["head_index"], pools["tail_index"]
