"""The results of a run as one HTML page that needs nothing but itself."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from repurpose.report import charts, metric_tables
from repurpose.report.summary import disagreements, verdict_sentence

TEMPLATES = Path(__file__).parent / "templates"
MISSING = "\N{EN DASH}"
CHECKS = {
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
    """The page as a string: deterministic, everything from the data escaped, no external request.

    `summary` is the content of summary.json; `histories` and `verdicts` hold, per device of the summary,
    the table of history.parquet and the content of verdict.json.
    """
    # Escaped whatever the template's suffix: names of nodes come from other people's files.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "duration": duration, "size": size, "breakable": breakable}
    environment.filters["ended"] = ended
    head_type, tail_type = target_types(certificate)
    sentence = verdict_sentence(summary)
    return environment.get_template("report.html.j2").render(
        sentence=sentence[:1].upper() + sentence[1:],
        summary=summary,
        devices=[
            _device(row, histories[row["device"]], verdicts[row["device"]], (head_type, tail_type))
            for row in summary["devices"]
        ],
        ledger=ledger,
        relations=[{**row, "dropped": _total(row["dropped"])} for row in ledger["relations"]],
        certificate=certificate,
        head_type=head_type,
        tail_type=tail_type,
        metrics=metric_tables.METRICS,
        comparisons=CHECKS,
        disagreements=disagreements(summary["agreement"]) if summary["agreement"] else [],
        missing=MISSING,
    )


def target_types(certificate: Mapping[str, Any]) -> tuple[str, str]:
    """Head and tail type of the target, from the relations that left the graph."""
    rows = sorted(certificate["removed"], key=lambda row: row.get("role") != "target")
    return (rows[0]["head_type"], rows[0]["tail_type"]) if rows else ("head", "tail")


def number(value: float | None) -> str:
    """A number as text: integers in full, others to three significant digits, a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    if isinstance(value, int) or abs(value) >= 999.5:
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    if 0.9995 <= value < 1:
        # Rounded to 1.00 it would look like a certainty.
        return ">0.999"
    return f"{value:.2e}" if abs(value) < 1e-4 else f"{value:#.3g}".rstrip(".")


def duration(seconds: float | None) -> str:
    """Seconds as text, in the unit that fits: s, min or h and min."""
    if seconds is None:
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def size(count: float | None) -> str:
    """A number of bytes as text, in binary units."""
    if count is None:
        return MISSING
    exponent = min(4, int(math.log(max(count, 1), 1024)))
    return f"{number(float(count) / 1024**exponent)} {['B', 'KiB', 'MiB', 'GiB', 'TiB'][exponent]}"


def breakable(name: str) -> Markup:
    """A name that a narrow column may break after an underscore, escaped."""
    return Markup("_<wbr>").join(str(name).split("_"))


def ended(text: str) -> str:
    """A text with a full stop, unless it ends with a mark of its own or is empty."""
    return text if not text or text[-1] in ".!?" else f"{text}."


def _device(
    row: Mapping[str, Any], history: pa.Table, verdict: Mapping[str, Any], types: tuple[str, str]
) -> dict[str, Any]:
    """What the page shows of one device."""
    curves = [draw(history, row["device"]) for draw in (charts.loss_curve, charts.auroc_curve)]
    # That of the listed probabilities: metrics.json also has those under other popularity corrections.
    calibration = row.get("calibration") or {}
    # Markup is trusted here only: ElementTree has escaped it.
    return {
        "row": row,
        "verdict": verdict,
        "curves": [Markup(curve) for curve in curves if curve],
        "clusters": Markup(charts.enrichment_chart(verdict["clusters"], row["device"])),
        "calibration": calibration,
        "reliability": Markup(charts.reliability_diagram(calibration.get("reliability"), row["device"])),
        "schemes": metric_tables.schemes(row["metrics"]),
        "corrections": metric_tables.corrections(row["metrics"]),
        "further": metric_tables.further(row["metrics"], *types),
    }


def _total(dropped: int | Mapping[str, int]) -> int:
    return sum(dropped.values()) if isinstance(dropped, Mapping) else dropped
