"""The picture of what nearest neighbours share, as SVG to be placed inside an HTML page."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from repurpose.report import charts

MARKS = (("untrained", "untrained", "o", "total"), ("overlap", "this embedding", "D", "auroc"))


def chart(clusters: Sequence[Mapping[str, Any]], device: str = "") -> str:
    """Per group of tails, how much of their sets nearest neighbours share: embedding, untrained, rewired.

    `clusters` as in verdict.json. Returns an <svg> element, or "" without a group.
    """
    if not clusters:
        return ""
    title = f"What nearest neighbours share on {device}" if device else "What nearest neighbours share"
    with matplotlib.rc_context({**charts.STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(6.4, 1.7 + 0.8 * len(clusters)))
        FigureCanvasSVG(figure)
        margin = 1.0 / figure.get_figheight()
        axes = figure.add_axes((0.04, 0.62 * margin, 0.93, 1 - 1.2 * margin))
        for patch in (figure.patch, axes.patch):
            patch.set_visible(False)
        for at, each in enumerate(reversed(clusters)):
            named = at == 0
            low, high = each["null_low"], each["null_high"]
            axes.plot(
                [low, high],
                [at, at],
                color=charts.COLOURS["baseline"],
                linewidth=8,
                label="rewired graph, 95 %" if named else "",
            )
            for key, label, marker, colour in MARKS:
                if each[key] is not None:
                    style = {
                        "markersize": 9,
                        "color": charts.COLOURS[colour],
                        "label": label if named else "",
                    }
                    axes.plot(each[key], at, marker, **style)
            axes.text(0, at + 0.3, f"{each['name']}: {each['ratio']:.1f} times")
        axes.set(ylim=(-0.5, len(clusters) - 0.3), xlabel="mean Jaccard index with nearest neighbours")
        axes.set_xlim(0, 1.08 * max(max(each["overlap"], each["null_high"]) for each in clusters))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        figure.legend(loc="upper left", ncols=3, frameon=False, handlelength=1.4, columnspacing=1.2)
        said = "; ".join(
            f"{each['name']} {each['overlap']:.3f}, rewired {each['null']:.3f}" for each in clusters
        )
        return charts.svg(figure, title, f"{title}: {said}")
