"""The charts of the report, as SVG inside its HTML page; the same data give the same bytes.

Three sections: curves of a training, enrichment of nearest neighbours, reliability of probabilities. Each
public function returns an <svg> element, or "" if there is nothing to draw. Colours are CSS variables with
a fallback, so that the page can set them for its light and dark scheme. Words stay text, they are not drawn
as outlines. A chart refers to nothing outside itself.
"""

import io
import math
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
            axes.text(0, row + 0.3, f"{group['name']}: {group['ratio']:.1f} times")
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


# ---- common to all charts ----


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
        if "style" in element.attrib:
            element.set("style", _with_variables(element.get("style", "")))
    root.attrib = {
        "viewBox": root.get("viewBox", ""),
        "role": "img",
        "aria-label": description,
        "style": "stroke-linejoin: round; stroke-linecap: butt",
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


def _with_variables(style: str) -> str:
    """The style with CSS variables instead of colours, and with the page's font."""
    for name, colour in COLOURS.items():
        style = style.replace(colour, f"var(--plot-{name}, {colour})")
    return style.replace("'DejaVu Sans'", "system-ui, sans-serif")
