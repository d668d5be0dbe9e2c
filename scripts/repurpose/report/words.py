"""Numbers in words that a biologist reads; app/words.js says the same in the page's lists."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

HIGHEST_BASE = 1_000_000


def capitalised(text: str) -> str:
    """The text with its first letter as a capital; the others stay, as in SmallMolecule."""
    return text[:1].upper() + text[1:]


def in_words(share: float) -> str:
    """A share as "about 3 in 100"; the base is the first power of ten, from 100, that makes it at least 1."""
    base = _base(share)
    if share > 0.995:
        return "more than 99 in 100"
    if share * base < 0.5:
        return f"fewer than 1 in {base:,}"
    return f"about {max(1, round(share * base)):,} in {base:,}"


def bin_of(bins: Sequence[Mapping[str, float]], probability: float) -> Mapping[str, float] | None:
    """The bin of a calibration test that a probability is in: the nearest mean prediction, in log-odds."""
    return min(bins, key=lambda row: abs(_log_odds(row["predicted"]) - _log_odds(probability)), default=None)


def observed(calibration: Mapping[str, Any] | None, is_treated: bool, probability: float) -> tuple[str, str]:
    """How many test pairs with such a score were treatments, and the 95 % interval of that, in words.

    is_treated: whether the pair's tail has a known treatment, for then another curve applies. Without a test,
    the probability itself and "".
    """
    section = ((calibration or {}).get("treated") if is_treated else calibration) or {}
    bins = [row for row in (section.get("reliability") or {}).get("bins") or [] if row["predicted"]]
    found = bin_of(bins, probability)
    if found is None:
        return in_words(probability), ""
    is_below = probability < min(row["predicted"] for row in bins) / 2
    if is_below or not found["observed"]:
        return in_words(found["high"]).replace("about", "fewer than"), interval(found)
    return in_words(found["observed"]), interval(found)


def interval(row: Mapping[str, float]) -> str:
    """The 95 % interval of a bin, as "1.5 to 4 in 100"."""
    base = _base(row["observed"] or row["high"])
    return f"{_times(row['low'], base)} to {_times(row['high'], base)} in {base:,}"


def _base(share: float) -> int:
    base = 100
    while share * base < 0.95 and base < HIGHEST_BASE:
        base *= 10
    return base


def _times(share: float, base: int) -> str:
    times = share * base
    return f"{times:,.0f}" if times >= 9.95 or times == 0 else f"{float(f'{times:.2g}'):g}"


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, 1e-12), 1 - 1e-12)
    return math.log(clipped / (1 - clipped))
