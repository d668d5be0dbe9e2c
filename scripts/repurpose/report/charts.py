"""The charts of the report, as SVG inside its HTML page; the same data give the same bytes.

Sections: curves of a training, enrichment of nearest neighbours, reliability of probabilities, estimates
with intervals, checks of the gate, rows of the edges table. Each public function returns an <svg> element,
or "" if there is nothing to draw. Colours are CSS variables with a fallback, so that the page can set them
for its light and dark scheme. Words stay text, they are not drawn as outlines. A chart refers to nothing
outside itself, and has no style attributes, which the page's policy forbids.
"""

import io
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator, StrMethodFormatter

from repurpose.graph.names import visible

# After drawing, each colour is replaced by its CSS variable, so no two colours may be equal.
COLOURS = {
    "ink": "#1f2933",
    "grid": "#d5dbe1",
    "link": "#0b5fa5",
    "ranking": "#7c3aed",
    "contrastive": "#b45309",
    "total": "#6b7280",
    "auroc": "#0f766e",
    "baseline": "#b91c1c",
}
STYLE = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 13,
    "text.color": COLOURS["ink"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.edgecolor": COLOURS["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": COLOURS["ink"],
    "ytick.color": COLOURS["ink"],
    "grid.color": COLOURS["grid"],
    "lines.solid_capstyle": "round",
}


# ---- curves of a training ----

# Binary cross-entropy of one edge and one negative if both are predicted with a probability of one half.
RANDOM_LINK_LOSS = 2 * math.log(2)
RANDOM_AUROC = 0.5
MAX_POINTS = 500  # a longer curve is averaged down to at most so many points
DASHES = {"link": "-", "ranking": "-.", "contrastive": "--", "total": ":"}


def loss_curve(history: pa.Table, device: str = "") -> str:
    """Curves of the link, ranking, contrastive and total loss, with the link loss of random guessing.

    `history` has the columns of history.parquet; null and non-finite values are gaps. Returns "" if no step
    has a finite loss.
    """
    columns = [_column(history, name) for name in ("step", *DASHES)]
    (steps, *losses), rows = _thinned(columns)
    finite = np.concatenate(losses)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return ""
    title = _title("Training loss", device)
    with _style(title):
        axes = _step_axes("loss" if rows == 1 else f"loss, mean of {rows:,} steps", steps)
        for name, values in zip(DASHES, losses, strict=True):
            _line(axes, steps, values, name)
        _baseline(axes, RANDOM_LINK_LOSS, f"random baseline: 2 ln 2 = {RANDOM_LINK_LOSS:.3f}")
        if finite.min() > 0:
            _log_scale(axes, min(finite.min(), RANDOM_LINK_LOSS), max(finite.max(), RANDOM_LINK_LOSS))
        return _svg(axes.figure, title, f"{title}: {_first_and_last('link loss', columns[1])}")


def loss_of_devices(histories: Mapping[str, pa.Table]) -> str:
    """The link losses of several devices in one chart; "" if none has a finite one."""
    curves = {
        device: (_column(history, "step"), _column(history, "link"))
        for device, history in histories.items()
        if np.isfinite(_column(history, "link")).any()
    }
    if not curves:
        return ""
    title = "Link loss of all devices"
    with _style(title):
        axes = _step_axes("link loss", np.concatenate([steps for steps, _ in curves.values()]))
        colours = [COLOURS[name] for name in ("link", "contrastive", "auroc", "ranking", "total")]
        for number, (device, columns) in enumerate(curves.items()):
            (steps, values), _ = _thinned(columns)
            style = {"color": colours[number % 5], "linestyle": ("-", "--", ":", "-.")[number // 5 % 4]}
            axes.plot(steps, values, linewidth=2.2, label=device, **style)
        _baseline(axes, RANDOM_LINK_LOSS, f"random baseline: 2 ln 2 = {RANDOM_LINK_LOSS:.3f}")
        ends = "; ".join(_first_and_last(device, values) for device, (_, values) in curves.items())
        return _svg(axes.figure, title, f"{title}: {ends}")


def gradient_curve(history: pa.Table, device: str = "") -> str:
    """Curve of the gradient's norm over the steps; "" if no step recorded one."""
    if "gradient_norm" not in history.column_names:
        return ""
    columns = [_column(history, name) for name in ("step", "gradient_norm")]
    if not np.isfinite(columns[1]).any():
        return ""
    title = _title("Norm of the gradient", device)
    with _style(title):
        (steps, values), _ = _thinned(columns)
        axes = _step_axes("norm of the gradient", steps)
        axes.plot(steps, values, color=COLOURS["ranking"], linewidth=2)
        positive = values[values > 0]
        if len(positive):
            _log_scale(axes, positive.min(), positive.max())
        return _svg(axes.figure, title, f"{title}: {_first_and_last('norm', columns[1])}")


def auroc_curve(history: pa.Table, device: str = "") -> str:
    """Curve of the AUROC of held-out message edges over the validated steps; "" if there are none."""
    steps, values = _column(history, "step"), _column(history, "valid_auroc")
    measured = np.isfinite(values)
    if not measured.any():
        return ""
    steps, values = steps[measured], values[measured]
    best = int(values.argmax())
    title = _title("Validation AUROC", device)
    with _style(title):
        axes = _step_axes("AUROC of held-out edges", steps)
        (x, y), _ = _thinned([steps, values])
        axes.plot(x, y, color=COLOURS["auroc"], linewidth=2)
        label = f"best {values[best]:.3f} at step {steps[best]:,.0f}"
        axes.plot(steps[best], values[best], "o", color=COLOURS["auroc"], markersize=8, label=label)
        axes.set_ylim(min(RANDOM_AUROC, values.min()) - 0.03, 1.0)
        _baseline(axes, RANDOM_AUROC, f"random baseline: {RANDOM_AUROC}")
        return _svg(
            axes.figure, title, f"{title}: {_first_and_last('AUROC', values)}, best {values[best]:.3f}"
        )


def _thinned(columns: Sequence[np.ndarray]) -> tuple[list[np.ndarray], int]:
    """The columns as at most MAX_POINTS means that ignore gaps, and the number of rows per mean."""
    rows = math.ceil(len(columns[0]) / MAX_POINTS)
    starts = np.arange(0, len(columns[0]), max(rows, 1))
    if rows <= 1:
        return list(columns), 1
    counts = [np.add.reduceat(np.isfinite(column).astype(float), starts) for column in columns]
    sums = [np.add.reduceat(np.nan_to_num(column), starts) for column in columns]
    empty = np.full(len(starts), np.nan)
    means = [np.divide(a, n, out=empty.copy(), where=n > 0) for a, n in zip(sums, counts, strict=True)]
    return means, rows


def _column(history: pa.Table, name: str) -> np.ndarray:
    """A column as float64, with NaN for null and infinity."""
    values = np.asarray(history[name].cast(pa.float64()).to_numpy(), dtype=float).copy()
    values[~np.isfinite(values)] = np.nan
    return values


def _step_axes(label: str, steps: np.ndarray) -> Axes:
    """Axes of a curve over steps."""
    # Fixed margins, so that the axes of two charts side by side align. Two lines of legend fit above.
    axes = _axes((6.4, 4.4), (0.13, 0.13, 0.85, 0.71))
    axes.set_xlabel("step")
    axes.set_ylabel(label)
    axes.set_xlim(0, 1.02 * steps.max())
    axes.grid(axis="y", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return axes


def _line(axes: Axes, steps: np.ndarray, values: np.ndarray, name: str) -> None:
    count = np.isfinite(values).sum()
    if count:
        # A line needs two points, so a single one is a dot. The link loss lies on top of the others.
        marker, order = ("o" if count == 1 else ""), (3 if name == "link" else 2)
        line = axes.plot(steps, values, color=COLOURS[name], linewidth=2.2, label=name, zorder=order)[0]
        line.set(linestyle=DASHES[name], marker=marker)


def _baseline(axes: Axes, value: float, label: str) -> None:
    axes.axhline(value, color=COLOURS["baseline"], linestyle="-.", linewidth=1.4, label=label)
    axes.figure.legend(loc="upper left", ncols=2, frameon=False, handlelength=2.2, columnspacing=1.4)


def _log_scale(axes: Axes, low: float, high: float) -> None:
    """Set a logarithmic y axis, because the contrastive loss starts several times above the link loss."""
    axes.set_yscale("log")
    axes.set_ylim(low / 1.15, high * 1.15)
    # A flat curve needs close ticks to show any; a curve that diverges gets one tick per decade.
    is_flat, diverges = high / low < 3, high / low > 1e3
    ticks = (1, 1.2, 1.4, 1.6, 2, 3, 4, 5, 6, 8) if is_flat else (1,) if diverges else (1, 2, 5)
    axes.yaxis.set_major_locator(LogLocator(subs=ticks))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())


def _first_and_last(name: str, values: np.ndarray) -> str:
    """A text with the first and the last finite value of a curve."""
    values = values[np.isfinite(values)]
    return f"{name} from {values[0]:.3f} to {values[-1]:.3f}" if len(values) else f"{name} not recorded"


# ---- enrichment of nearest neighbours ----

# Key of a value in verdict.json, its label, marker and colour.
MARKS = (("untrained", "untrained", "o", "total"), ("overlap", "this embedding", "D", "auroc"))


def enrichment_chart(clusters: Sequence[Mapping[str, Any]], device: str = "") -> str:
    """Neighbour overlap of the embedding, the untrained model and the rewired graph, per group of tails.

    `clusters` is the list of verdict.json. Returns "" if it is empty.
    """
    if not clusters:
        return ""
    title = _title("What nearest neighbours share", device)
    with _style(title):
        height = 1.7 + 0.8 * len(clusters)
        margin = 1.0 / height
        axes = _axes((6.4, height), (0.04, 0.62 * margin, 0.93, 1 - 1.2 * margin))
        for row, group in enumerate(reversed(clusters)):
            has_labels = row == 0  # the legend needs each label once
            axes.plot(
                [group["null_low"], group["null_high"]],
                [row, row],
                color=COLOURS["baseline"],
                linewidth=8,
                label="rewired graph, 95 %" if has_labels else "",
            )
            for key, label, marker, colour in MARKS:
                if group[key] is not None:
                    style = {
                        "markersize": 9,
                        "color": COLOURS[colour],
                        "label": label if has_labels else "",
                    }
                    axes.plot(group[key], row, marker, **style)
            axes.text(0, row + 0.3, f"{_label(group['name'], 60)}: {group['ratio']:.1f} times")
        axes.set(ylim=(-0.5, len(clusters) - 0.3), xlabel="mean Jaccard index with nearest neighbours")
        axes.set_xlim(0, 1.08 * max(max(group["overlap"], group["null_high"]) for group in clusters))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.figure.legend(loc="upper left", ncols=3, frameon=False, handlelength=1.4, columnspacing=1.2)
        values = "; ".join(
            f"{group['name']} {group['overlap']:.3f}, rewired {group['null']:.3f}" for group in clusters
        )
        return _svg(axes.figure, title, f"{title}: {values}")


# ---- reliability of probabilities ----


def reliability_diagram(reliability: Mapping[str, Any] | None, device: str = "") -> str:
    """Observed share of treatments against the predicted probability, per bin, on logarithmic axes.

    `reliability` is the result of `calibration.reliability`. Returns "" if no bin has a positive, because
    zero cannot be drawn on a logarithmic axis.
    """
    bins = [row for row in (reliability or {}).get("bins", []) if row["observed"] and row["predicted"]]
    if not bins:
        return ""
    title = _title("Reliability of the probabilities", device)
    predicted, observed = ([row[key] for row in bins] for key in ("predicted", "observed"))
    with _style(title):
        axes = _axes((6.4, 4.4), (0.14, 0.15, 0.83, 0.75))
        low = 0.5 * min(*predicted, *(row["low"] or row["observed"] for row in bins))
        high = min(1.0, 2 * max(*predicted, *(row["high"] for row in bins)))
        axes.plot([low, high], [low, high], "--", color=COLOURS["baseline"], label="as predicted")
        intervals = [
            [row["observed"] - max(row["low"], low) for row in bins],
            [row["high"] - row["observed"] for row in bins],
        ]
        style = {"color": COLOURS["auroc"], "markersize": 7, "capsize": 3, "label": "observed, 95 %"}
        axes.errorbar(predicted, observed, yerr=intervals, fmt="o", **style)
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
        axes.set(xlabel="predicted probability", ylabel="share of treatments")
        axes.grid(True, linewidth=0.8)
        axes.figure.legend(loc="upper left", ncols=2, frameon=False, handlelength=1.4)
        error = f"expected calibration error {reliability['ece']:.2g}, {len(bins)} bins"
        return _svg(axes.figure, title, f"{title}: {error}")


# ---- estimates with intervals ----


def interval_chart(
    estimates: Mapping[str, Mapping[str, float]], scheme: str, own: str, device: str = ""
) -> str:
    """A dot with its 95 % interval for each method, the best on top; "" for fewer than two.

    estimates: method -> `value`, `low`, `high`. own: the method that has another colour and a larger dot.
    """
    if len(estimates) < 2:
        return ""
    names = sorted(estimates, key=lambda name: estimates[name]["value"])
    title = _title(f"AP, split {scheme},", device)
    with _style(title):
        height = 0.9 + 0.34 * len(names)
        axes = _axes((6.4, height), (0.3, 0.62 / height, 0.67, 1 - 0.72 / height))
        for place, name in enumerate(names):
            value, low, high = (estimates[name][key] for key in ("value", "low", "high"))
            colour = COLOURS["auroc" if name == own else "total"]
            axes.plot([low, high], [place, place], color=colour, linewidth=2)
            axes.plot(value, place, "o", color=colour, markersize=9 if name == own else 7)
        axes.set_yticks(range(len(names)), names)
        axes.set(ylim=(-0.6, len(names) - 0.4), xlabel="AP of one list, mean and 95 % interval")
        axes.set_xlim(left=0)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", linewidth=0.8)
        axes.set_axisbelow(True)
        values = "; ".join(f"{name} {estimates[name]['value']:.3f}" for name in reversed(names))
        return _svg(axes.figure, title, f"{title}: {values}")


# ---- checks of the gate ----

LINE_SIZE = (180, 22)  # width and height of a check's line


def check_line(value: float | None, null: float | None, threshold: float | None) -> str:
    """A check on one line: the value as a dot, the null model as a ring, the threshold as a bar.

    "" if there is no finite value. The dot is green on the side that passes: all checks want at least their
    threshold.
    """
    marks = {"value": value, "untrained": null, "needed": threshold}
    known = {name: at for name, at in marks.items() if at is not None and math.isfinite(at)}
    if "value" not in known:
        return ""
    width, height = LINE_SIZE
    low, high = min(*known.values(), 0.0), max(known.values())
    scale = (width - 20) / ((high - low) or 1)
    place = {name: f"{10 + (at - low) * scale:.1f}" for name, at in known.items()}
    middle, passes = str(height // 2), known["value"] >= known.get("needed", -math.inf)
    described = ", ".join(f"{name} {at:.3g}" for name, at in known.items())
    root = ElementTree.Element(
        "svg", {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": described, "class": "check"}
    )
    axis = {"x1": "10", "x2": str(width - 10), "y1": middle, "y2": middle, "stroke": _variable("grid")}
    ElementTree.SubElement(root, "line", axis | {"stroke-width": "2"})
    if "needed" in place:
        bar = {"x1": place["needed"], "x2": place["needed"], "y1": "3", "y2": str(height - 3)}
        ElementTree.SubElement(root, "line", bar | {"stroke": _variable("baseline"), "stroke-width": "2.5"})
    if "untrained" in place:
        ring = {"cx": place["untrained"], "cy": middle, "r": "4.5", "fill": "none"}
        ElementTree.SubElement(root, "circle", ring | {"stroke": _variable("total"), "stroke-width": "2"})
    dot = {"cx": place["value"], "cy": middle, "r": "5.5"}
    colour = _variable("auroc" if passes else "baseline")
    ElementTree.SubElement(root, "circle", dot | {"fill": colour})
    return ElementTree.tostring(root, encoding="unicode")


# ---- rows of the edges table ----

PARTS_OF_LEDGER = {"kept": "auroc", "mirrored": "link", "excluded": "total", "dropped": "baseline"}
MAX_RELATIONS = 30  # relations drawn; the table has all


def ledger_chart(relations: Sequence[Mapping[str, Any]]) -> str:
    """What became of the rows of each relation, the largest on top; "" without rows.

    relations: those of ledger.json, with the number of dropped rows in place of their reasons.
    """
    rows = [
        {name: relation[name] for name in PARTS_OF_LEDGER} | {"name": relation["relation"] or "(none)"}
        for relation in relations
    ]
    rows = sorted((row for row in rows if sum(row[name] for name in PARTS_OF_LEDGER)), key=_all_rows)
    if not rows:
        return ""
    drawn, title = rows[-MAX_RELATIONS:], "Rows of the edges table"
    with _style(title):
        height = 1.3 + 0.3 * len(drawn)
        axes = _axes((6.4, height), (0.42, 0.62 / height, 0.55, 1 - 1.1 / height))
        start = np.zeros(len(drawn))
        for name, colour in PARTS_OF_LEDGER.items():
            counts = np.array([row[name] for row in drawn], float)
            axes.barh(range(len(drawn)), counts, left=start, color=COLOURS[colour], height=0.7, label=name)
            start += counts
        axes.set_yticks(range(len(drawn)), [_label(str(row["name"])) for row in drawn], fontsize=10)
        axes.set(ylim=(-0.6, len(drawn) - 0.4), xlabel="rows")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.figure.legend(loc="upper left", ncols=4, frameon=False, handlelength=1.2, columnspacing=1.2)
        totals = ", ".join(f"{sum(row[name] for row in rows):,} {name}" for name in PARTS_OF_LEDGER)
        return _svg(axes.figure, title, f"{title}: {totals}")


def _all_rows(row: Mapping[str, Any]) -> int:
    return sum(row[name] for name in PARTS_OF_LEDGER)


def _label(name: str, length: int = 30) -> str:
    """A name from the data as matplotlib draws it: XML has no control characters, and $ starts a formula."""
    text = visible(name)
    return (text if len(text) <= length else f"{text[: length - 1]}\N{HORIZONTAL ELLIPSIS}").replace(
        "$", r"\$"
    )


# ---- common to all charts ----


def _variable(name: str) -> str:
    """The CSS variable of a colour, with the colour as its fallback."""
    return f"var(--plot-{name}, {COLOURS[name]})"


def _title(content: str, device: str) -> str:
    return f"{content} on {device}" if device else content


def _style(title: str) -> AbstractContextManager[None]:
    """Context with matplotlib's settings for one chart; the salt makes the ids in the SVG reproducible."""
    return matplotlib.rc_context({**STYLE, "svg.hashsalt": title})


def _axes(size: tuple[float, float], rectangle: tuple[float, float, float, float]) -> Axes:
    """Transparent axes in a new figure of `size` inches; `rectangle`: left, bottom, width, height, 0 to 1."""
    figure = Figure(figsize=size)
    FigureCanvasSVG(figure)
    axes = figure.add_axes(rectangle)
    for patch in (figure.patch, axes.patch):
        patch.set_visible(False)
    return axes


def _svg(figure: Figure, title: str, description: str) -> str:
    """The figure as an <svg> element that scales with the page; screen readers read `description`."""
    buffer = io.StringIO()
    # Metadata is left out: the date differs between runs, and the rest is a block of web addresses.
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=metadata)
    root = ElementTree.fromstring(buffer.getvalue())
    _strip_namespaces_and_styles(root)
    links = [element.get(name, "") for element in root.iter() for name in ("href", "clip-path")]
    referenced = {link.rpartition("#")[2].rstrip(")") for link in links}
    for element in root.iter():
        if element.get("id") not in referenced:
            element.attrib.pop("id", None)
        for name, value in _declarations(element.attrib.pop("style", "")).items():
            element.set(name, value)
    root.attrib = {
        "viewBox": root.get("viewBox", ""),
        "role": "img",
        "aria-label": description,
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    heading = ElementTree.Element("title")
    heading.text = title
    root.insert(0, heading)
    return ElementTree.tostring(root, encoding="unicode")


def _strip_namespaces_and_styles(root: ElementTree.Element) -> None:
    """Remove namespaces and style sheets; inside HTML a style sheet would apply to the whole page."""
    for parent in list(root.iter()):
        parent.tag = parent.tag.rpartition("}")[2]
        parent.attrib = {name.rpartition("}")[2]: value for name, value in parent.attrib.items()}
        for child in list(parent):
            if child.tag.endswith("}style"):
                parent.remove(child)


def _declarations(style: str) -> dict[str, str]:
    """The declarations of a style attribute as presentation attributes, with variables for colours."""
    for name in COLOURS:
        style = style.replace(COLOURS[name], _variable(name))
    pairs = [part.partition(":") for part in style.split(";") if part.strip()]
    result = {name.strip(): value.strip() for name, _, value in pairs}
    # Of the shorthand that matplotlib writes ("13px 'DejaVu Sans'"), only size and family have attributes.
    font = result.pop("font", "")
    if size := re.search(r"([0-9.]+)px", font):
        result |= {"font-size": f"{size[1]}px", "font-family": "system-ui, sans-serif"}
    if "bold" in font:
        result["font-weight"] = "bold"
    return result
