"""The picture of how far probabilities can be believed, as SVG to be placed inside an HTML page."""

from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from repurpose.report import charts


def chart(reliability: Mapping[str, Any] | None, device: str = "") -> str:
    """Observed share of treatments against the predicted probability, bin by bin, on logarithmic axes.

    `reliability` as `calibration.reliability` makes it. Returns an <svg> element, or "" without a bin that
    has a positive: the logarithm of none cannot be drawn.
    """
    bins = [each for each in (reliability or {}).get("bins", []) if each["observed"] and each["predicted"]]
    if not bins:
        return ""
    title = f"Reliability of the probabilities on {device}" if device else "Reliability of the probabilities"
    predicted, observed = ([each[key] for each in bins] for key in ("predicted", "observed"))
    with matplotlib.rc_context({**charts.STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(6.4, 4.4))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.14, 0.15, 0.83, 0.75))
        for patch in (figure.patch, axes.patch):
            patch.set_visible(False)
        low = 0.5 * min(*predicted, *(each["low"] or each["observed"] for each in bins))
        high = min(1.0, 2 * max(*predicted, *(each["high"] for each in bins)))
        axes.plot([low, high], [low, high], "--", color=charts.COLOURS["baseline"], label="as predicted")
        spread = [
            [each["observed"] - max(each["low"], low) for each in bins],
            [each["high"] - each["observed"] for each in bins],
        ]
        style = {"color": charts.COLOURS["auroc"], "markersize": 7, "capsize": 3, "label": "observed, 95 %"}
        axes.errorbar(predicted, observed, yerr=spread, fmt="o", **style)
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
        axes.set(xlabel="predicted probability", ylabel="share of treatments")
        axes.grid(True, linewidth=0.8)
        figure.legend(loc="upper left", ncols=2, frameon=False, handlelength=1.4)
        said = f"expected calibration error {reliability['ece']:.2g}, {len(bins)} bins"
        return charts.svg(figure, title, f"{title}: {said}")
