"""Curves of a training as SVG to be placed inside an HTML page, the same bytes for the same history.

Colours are CSS variables with a fallback, so that the page decides them for its light and dark scheme;
words are text, not outlines; nothing refers to anything outside the figure.
"""

import io
import math
from collections.abc import Sequence
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator, StrMethodFormatter

# Binary cross-entropy of an edge and a negative that are both given probability one half.
RANDOM_LINK_LOSS = 2 * math.log(2)
RANDOM_AUROC = 0.5
MAX_POINTS = 500

# Each is drawn in its fallback colour and then given its variable: the values must differ.
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
DASHES = {"link": "-", "ranking": "-.", "contrastive": "--", "total": ":"}
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


def loss_curve(history: pa.Table, device: str = "") -> str:
    """Link, ranking, contrastive and total loss over steps, with the link loss of random guessing (2 ln 2).

    `history` has the columns of history.parquet; null and non-finite values are gaps.
    Returns an <svg> element, or "" if no step has a finite loss.
    """
    columns = [_column(history, name) for name in ("step", *DASHES)]
    (steps, *losses), rows = _thinned(columns)
    finite = np.concatenate(losses)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return ""
    title = f"Training loss on {device}" if device else "Training loss"
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": title}):
        axes = _axes("loss" if rows == 1 else f"loss, mean of {rows:,} steps", steps)
        for name, values in zip(DASHES, losses, strict=True):
            _line(axes, steps, values, name)
        _baseline(axes, RANDOM_LINK_LOSS, f"random baseline: 2 ln 2 = {RANDOM_LINK_LOSS:.3f}")
        if finite.min() > 0:
            _log_scale(axes, min(finite.min(), RANDOM_LINK_LOSS), max(finite.max(), RANDOM_LINK_LOSS))
        return svg(axes.figure, title, f"{title}: {_ends('link loss', columns[1])}")


def auroc_curve(history: pa.Table, device: str = "") -> str:
    """AUROC of the held-out message edges at the steps where it was measured.

    Returns an <svg> element, or "" if it was never measured.
    """
    steps, values = _column(history, "step"), _column(history, "valid_auroc")
    measured = np.isfinite(values)
    if not measured.any():
        return ""
    steps, values = steps[measured], values[measured]
    best = int(values.argmax())
    title = f"Validation AUROC on {device}" if device else "Validation AUROC"
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": title}):
        axes = _axes("AUROC of held-out edges", steps)
        (x, y), _ = _thinned([steps, values])
        axes.plot(x, y, color=COLOURS["auroc"], linewidth=2)
        label = f"best {values[best]:.3f} at step {steps[best]:,.0f}"
        axes.plot(steps[best], values[best], "o", color=COLOURS["auroc"], markersize=8, label=label)
        axes.set_ylim(min(RANDOM_AUROC, values.min()) - 0.03, 1.0)
        _baseline(axes, RANDOM_AUROC, f"random baseline: {RANDOM_AUROC}")
        return svg(axes.figure, title, f"{title}: {_ends('AUROC', values)}, best {values[best]:.3f}")


def _thinned(columns: Sequence[np.ndarray]) -> tuple[list[np.ndarray], int]:
    """The columns as at most MAX_POINTS means each, gaps left out, and how many rows make one mean."""
    rows = math.ceil(len(columns[0]) / MAX_POINTS)
    starts = np.arange(0, len(columns[0]), max(rows, 1))
    if rows <= 1:
        return list(columns), 1
    known = [np.add.reduceat(np.isfinite(column).astype(float), starts) for column in columns]
    sums = [np.add.reduceat(np.nan_to_num(column), starts) for column in columns]
    empty = np.full(len(starts), np.nan)
    return [np.divide(a, n, out=empty.copy(), where=n > 0) for a, n in zip(sums, known, strict=True)], rows


def _column(history: pa.Table, name: str) -> np.ndarray:
    """A column as float64, with NaN for null and for what is not finite."""
    values = np.asarray(history[name].cast(pa.float64()).to_numpy(), dtype=float).copy()
    values[~np.isfinite(values)] = np.nan
    return values


def _axes(label: str, steps: np.ndarray) -> Axes:
    figure = Figure(figsize=(6.4, 4.4))
    FigureCanvasSVG(figure)
    # Fixed margins: figures side by side have their axes on one level. Two lines of legend fit on top.
    axes = figure.add_axes((0.13, 0.13, 0.85, 0.71))
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
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
        # A single step has no line: it is shown as a dot. The link loss lies on top.
        marker, order = ("o" if count == 1 else ""), (3 if name == "link" else 2)
        line = axes.plot(steps, values, color=COLOURS[name], linewidth=2.2, label=name, zorder=order)[0]
        line.set(linestyle=DASHES[name], marker=marker)


def _baseline(axes: Axes, value: float, label: str) -> None:
    axes.axhline(value, color=COLOURS["baseline"], linestyle="-.", linewidth=1.4, label=label)
    axes.figure.legend(loc="upper left", ncols=2, frameon=False, handlelength=2.2, columnspacing=1.4)


def _log_scale(axes: Axes, low: float, high: float) -> None:
    """A logarithmic axis: the contrastive loss starts several times higher than the link loss."""
    axes.set_yscale("log")
    axes.set_ylim(low / 1.15, high * 1.15)
    # A curve that hardly moves needs closer marks to have any, one that diverges only the decades.
    close, wide = high / low < 3, high / low > 1e3
    marks = (1, 1.2, 1.4, 1.6, 2, 3, 4, 5, 6, 8) if close else (1,) if wide else (1, 2, 5)
    axes.yaxis.set_major_locator(LogLocator(subs=marks))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())


def _ends(name: str, values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    return f"{name} from {values[0]:.3f} to {values[-1]:.3f}" if len(values) else f"{name} not recorded"


def svg(figure: Figure, title: str, description: str) -> str:
    """The figure as an <svg> element that scales with the page and says what it shows."""
    buffer = io.StringIO()
    # The date would make two runs differ, and the other metadata is a block of foreign addresses.
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=metadata)
    root = ElementTree.fromstring(buffer.getvalue())
    _shed(root)
    links = [element.get(name, "") for element in root.iter() for name in ("href", "clip-path")]
    referenced = {link.rpartition("#")[2].rstrip(")") for link in links}
    for element in root.iter():
        if element.get("id") not in referenced:
            element.attrib.pop("id", None)
        if "style" in element.attrib:
            element.set("style", _variables(element.get("style", "")))
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


def _shed(root: ElementTree.Element) -> None:
    """Drop what an <svg> inside HTML must not have: namespaces, and a style sheet that rules the page."""
    for parent in list(root.iter()):
        parent.tag = parent.tag.rpartition("}")[2]
        parent.attrib = {name.rpartition("}")[2]: value for name, value in parent.attrib.items()}
        for child in list(parent):
            if child.tag.endswith("}style"):
                parent.remove(child)


def _variables(style: str) -> str:
    for name, colour in COLOURS.items():
        style = style.replace(colour, f"var(--plot-{name}, {colour})")
    return style.replace("'DejaVu Sans'", "system-ui, sans-serif")
