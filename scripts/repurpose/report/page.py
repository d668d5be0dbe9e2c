"""The results of a run as one HTML page without external files."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from repurpose.graph.names import shown
from repurpose.report import charts, metric_tables
from repurpose.report.summary import disagreements, verdict_sentence

TEMPLATES = Path(__file__).parent / "templates"
OFTEN = 0.5  # the same head in a larger share of the untreated tails' lists gets a caution
MISSING = "\N{EN DASH}"
CHECK_LABELS = {
    "neighbour_overlap": "nearest neighbours in common",
    "cka": "linear CKA",
    "candidate_overlap": "top candidates in common",
    "first_losses": "relative difference of the first losses",
}


def render(
    summary: Mapping[str, Any],
    histories: Mapping[str, pa.Table],
    verdicts: Mapping[str, Mapping[str, Any]],
    ledger: Mapping[str, Any],
    certificate: Mapping[str, Any],
) -> str:
    """The page as a string: deterministic, all text from the data escaped, no external request.

    `summary` is the content of summary.json. `histories` and `verdicts` hold, for each device of the summary,
    the table of history.parquet and the content of verdict.json. `ledger` and `certificate` are the contents
    of the JSON files of those names.
    """
    # Always escape: names of nodes come from other people's files, and j2 is no HTML suffix for jinja.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "duration": duration, "size": size, "breakable": breakable}
    environment.filters["with_full_stop"] = with_full_stop
    head_type, tail_type = map(shown, target_types(certificate))
    sentence = verdict_sentence(summary)
    return environment.get_template("report.html.j2").render(
        sentence=sentence[:1].upper() + sentence[1:],
        summary=summary,
        devices=[
            _device(row, histories[row["device"]], verdicts[row["device"]], (head_type, tail_type))
            for row in summary["devices"]
        ],
        ledger=ledger,
        warnings=[*ledger.get("warnings", []), *certificate.get("cautions", [])],
        relations=[{**row, "dropped": _total(row["dropped"])} for row in ledger["relations"]],
        certificate=certificate,
        head_type=head_type,
        tail_type=tail_type,
        comparisons=CHECK_LABELS,
        pooled=summary.get("pooled"),
        spread_labels=metric_tables.LIST_METRICS | metric_tables.POOLED_METRICS,
        shortfalls=[
            sentence
            for row in summary["devices"]
            for sentence in metric_tables.shortfalls(row["metrics"], row["device"])
        ],
        disagreements=disagreements(summary["agreement"]) if summary["agreement"] else [],
        missing=MISSING,
    )


def target_types(certificate: Mapping[str, Any]) -> tuple[str, str]:
    """Head and tail type of the target, from the certificate's list of removed relations."""
    rows = sorted(certificate["removed"], key=lambda row: row.get("role") != "target")
    return (rows[0]["head_type"], rows[0]["tail_type"]) if rows else ("head", "tail")


def number(value: float | None) -> str:
    """A number as text: integers in full, others with three significant digits, a dash if undefined."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    if isinstance(value, int) or abs(value) >= 999.5:
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    if 0.9995 <= value < 1:
        # Rounding gives 1.00, which looks like certainty.
        return ">0.999"
    return f"{value:.2e}" if abs(value) < 1e-4 else f"{value:#.3g}".rstrip(".")


def duration(seconds: float | None) -> str:
    """A duration as text, in s, in min, or in h and min; a dash for None."""
    if seconds is None:
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def size(count: float | None) -> str:
    """A number of bytes as text, in binary units; a dash for None."""
    if count is None:
        return MISSING
    exponent = min(4, int(math.log(max(count, 1), 1024)))
    return f"{number(float(count) / 1024**exponent)} {['B', 'KiB', 'MiB', 'GiB', 'TiB'][exponent]}"


def breakable(name: str) -> Markup:
    """The name, escaped, with line breaks allowed after each underscore, for narrow columns."""
    return Markup("_<wbr>").join(str(name).split("_"))


def with_full_stop(text: str) -> str:
    """The text with a full stop at its end, unless it is empty or ends with a full stop, ! or ?."""
    return text if not text or text[-1] in ".!?" else f"{text}."


def repeated_head(lists: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The measures of the untreated tails' lists if one head is in more than half of them, else None.

    lists: the content of lists.json.
    """
    untreated = (lists or {}).get("untreated")
    return untreated if untreated and (untreated["share"] or 0) > OFTEN else None


def _device(
    row: Mapping[str, Any], history: pa.Table, verdict: Mapping[str, Any], types: tuple[str, str]
) -> dict[str, Any]:
    """The values that the template needs for one device."""
    curves = [draw(history, row["device"]) for draw in (charts.loss_curve, charts.auroc_curve)]
    # The calibration of the listed probabilities; metrics.json has it for other popularity corrections too.
    calibration = row.get("calibration") or {}
    # Only charts count as safe Markup: ElementTree has escaped the text in them.
    return {
        "row": row,
        "verdict": verdict,
        "curves": [Markup(curve) for curve in curves if curve],
        "clusters": Markup(charts.enrichment_chart(verdict["clusters"], row["device"])),
        "calibration": calibration,
        "odds_without_support": _odds_without_support(calibration),
        "reliability": Markup(charts.reliability_diagram(calibration.get("reliability"), row["device"])),
        "reliability_of_treated": Markup(
            charts.reliability_diagram(
                (calibration.get("treated") or {}).get("reliability"), f"{row['device']}, known treatments"
            )
        ),
        "leading": metric_tables.leading_tables(row["metrics"], *types),
        "differences": metric_tables.difference_table(row["metrics"]),
        "corrections": metric_tables.correction_rows(row["metrics"]),
        "further": metric_tables.further_tables(row["metrics"], *types),
        "repeated": repeated_head(row["lists"]),
    }


def _odds_without_support(calibration: Mapping[str, Any]) -> float | None:
    """The odds of a pair whose tail has the least support, relative to one of the most, at the same score."""
    support = calibration.get("support")
    return math.exp(support["slope"] * (support["low"] - support["high"])) if support else None


def _total(dropped: int | Mapping[str, int]) -> int:
    return sum(dropped.values()) if isinstance(dropped, Mapping) else dropped
