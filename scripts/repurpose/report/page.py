"""The results of a run as one HTML page without external files."""

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from repurpose.graph.names import shown, visible
from repurpose.report import charts, headlines, metric_tables, words
from repurpose.report.summary import disagreements, verdict_sentence

TEMPLATES = Path(__file__).parent / "templates"
# Scripts of the page, in the order in which they run; the first ones are other people's (vendor/README.md).
LIBRARIES = ("vendor/d3.min.js",)
APP_PARTS = ("dom", "words", "data", "search", "lists", "links", "dossier", "map", "page")
APP = tuple(f"app/{name}.js" for name in APP_PARTS)
OFTEN = 0.5  # the same head in a larger share of the untreated tails' lists gets a caution
MISSING = "\N{EN DASH}"
# What each check of the gate asks, in words.
CHECK_WORDS = {
    "training_completed": "The training ran to its end",
    "finite_vectors": "Every vector is a vector of finite numbers",
    "distinct_vectors": "Nodes with different neighbours have different vectors",
    "effective_rank": "The vectors use many directions",
    "link_auroc_uniform": "Hidden edges score above random pairs",
    "link_auroc_degree_matched": "Hidden edges score above pairs of equally connected nodes",
    "gain_over_inputs": "The layers predict hidden edges better than before training",
    "neighbour_enrichment": "Nearest nodes share more neighbours than in a rewired graph",
    "type_neighbourhoods": "In each type, nearest nodes share more neighbours than others do",
    "neighbour_agreement": "Nodes with similar neighbours have similar vectors",
}
NOTHING_MADE = {"stages": [], "tables": [], "versions": {}, "config": "", "commit": "", "previous": {}}
MAP_METHODS = {
    "pca": "the two directions in which the vectors differ most (PCA)",
    "umap": "UMAP, which keeps near nodes near",
}
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
    *,
    packed: Mapping[str, str] | None = None,
    maps: Sequence[Mapping[str, Any]] = (),
    made: Mapping[str, Any] | None = None,
    methods: str = "",
) -> str:
    """The page as a string: deterministic, all text from the data escaped, no external request.

    `summary` is the content of summary.json. `histories` and `verdicts` hold, for each device of the summary,
    the table of history.parquet and the content of verdict.json. `ledger` and `certificate` are the contents
    of the JSON files of those names. `packed`: name -> data of the explorer (`packing.pack`), without which
    the page has no script. `maps`: `device` and `method` of the maps in `packed`.
    `made`: see `made.describe`. `methods`: see `methods.text`.
    """
    # Always escape: names of nodes come from other people's files, and j2 is no HTML suffix for jinja.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_finalized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "duration": duration, "size": size, "breakable": breakable}
    environment.filters["with_full_stop"] = with_full_stop
    environment.filters["capitalised"] = words.capitalised
    head_type, tail_type = map(shown, target_types(certificate))
    sentence = verdict_sentence(summary)
    scripts = _scripts() if packed else []
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    relations = [{**row, "dropped": _total(row["dropped"])} for row in ledger["relations"]]
    losses = {row["device"]: histories[row["device"]] for row in summary["devices"]}
    return environment.get_template("report.html.j2").render(
        title=f"Which {head_type}s for which {tail_type}s?",
        headline=headlines.result(summary, ledger, head_type, tail_type),
        learned_sentence=headlines.learned(summary),
        example=headlines.example(summary, tail_type),
        policy=_policy(style, scripts),
        style=Markup(style),
        scripts=[Markup(script) for script in scripts],
        packed={name: Markup(data) for name, data in (packed or {}).items()},
        maps=list(maps),
        map_methods=MAP_METHODS,
        observed=words.observed,
        made={**NOTHING_MADE, **(made or {})},
        methods=methods,
        sentence=words.capitalised(sentence),
        summary=summary,
        devices=[
            {
                **_device(row, histories[row["device"]], verdicts[row["device"]], (head_type, tail_type)),
                "chance": metric_tables.chance_table(row, summary.get("chance", {}).get(row["device"])),
            }
            for row in summary["devices"]
        ],
        all_losses=Markup(charts.loss_of_devices(losses)) if len(losses) > 1 else "",
        ledger=ledger,
        ledger_chart=Markup(charts.ledger_chart(relations)),
        warnings=[*ledger.get("warnings", []), *certificate.get("cautions", [])],
        relations=relations,
        certificate=certificate,
        positive=_positive(certificate),
        head_type=head_type,
        tail_type=tail_type,
        check_words=CHECK_WORDS,
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


def _finalized(value: Any) -> Any:
    """What a template writes for a value: in a text, characters that cannot be seen are shown."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "\n".join(map(visible, value.split("\n")))


def _scripts() -> list[str]:
    """The libraries and the page's own script; links to source maps are left out, nothing may be fetched."""
    folder = Path(__file__).parent
    libraries = [(folder / name).read_text(encoding="utf-8") for name in LIBRARIES]
    own = "\n".join((folder / name).read_text(encoding="utf-8") for name in APP)
    texts = [re.sub(r"\n//# sourceMappingURL=.*", "", text) for text in libraries]
    return [*texts, f'(() => {{\n"use strict";\n{own}}})();\n']


def _policy(style: str, scripts: Sequence[str]) -> str:
    """A content security policy that allows the page's own style sheet and scripts, by digest."""
    digests = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (style, *scripts)
    ]
    allowed = " ".join(digests[1:]) or "'none'"
    return f"default-src 'none'; script-src {allowed}; style-src {digests[0]}; img-src data:"


def _positive(certificate: Mapping[str, Any]) -> list[str]:
    """The relations whose pairs are the known treatments."""
    return [shown(name) for name in (certificate.get("target") or {}).get("positive", [])]


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
    return Markup("_<wbr>").join(visible(name).split("_"))


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
    curves = [
        draw(history, row["device"])
        for draw in (charts.loss_curve, charts.auroc_curve, charts.gradient_curve)
    ]
    # The calibration of the listed probabilities; metrics.json has it for other popularity corrections too.
    calibration = row.get("calibration") or {}
    own = metric_tables.method_label("hgt")
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
        "lines": {
            check["name"]: Markup(charts.check_line(check["value"], check["null"], check["threshold"]))
            for check in verdict["checks"]
        },
        "intervals": {
            scheme: Markup(charts.interval_chart(estimates, scheme, own, row["device"]))
            for scheme, estimates in metric_tables.leading_estimates(row["metrics"]).items()
        },
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
