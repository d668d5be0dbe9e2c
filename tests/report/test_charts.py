import pyarrow as pa
from report_examples import BIN, CALIBRATION, Page, cluster, history

from repurpose.report import charts


def test_the_enrichment_chart_shows_the_embedding_and_both_null_models():
    chart = charts.enrichment_chart([cluster("genes"), cluster("is_a", 0.02)], "cpu")
    words = Page(chart).text
    assert "genes: 2.7 times" in words and "is_a: 1.3 times" in words
    assert "rewired graph, 95 %" in words and "untrained" in words and "this embedding" in words
    assert "genes 0.040, rewired 0.015" in chart
    assert chart == charts.enrichment_chart([cluster("genes"), cluster("is_a", 0.02)], "cpu")
    without_untrained = charts.enrichment_chart([{**cluster("genes"), "untrained": None}])
    assert "untrained" not in Page(without_untrained).text
    assert charts.enrichment_chart([]) == ""


def test_the_loss_curve_names_its_lines_and_the_random_baseline():
    words = Page(charts.loss_curve(history(30), "cpu")).text
    assert "random baseline: 2 ln 2 = 1.386" in words and "contrastive" in words
    bare = Page(charts.loss_curve(history(30, contrastive=False), "cpu"))
    assert "contrastive" not in bare.text and "total" in bare.text
    label = bare.all("svg")[0]
    assert label["role"] == "img"
    assert label["aria-label"] == "Training loss on cpu: link loss from 1.300 to 0.527"
    assert bare.text.startswith("Training loss on cpu")


def test_curves_of_short_or_empty_histories_are_drawn_or_left_out():
    empty, single = history(0), history(1)
    assert charts.loss_curve(empty) == "" and charts.auroc_curve(empty) == ""
    assert "<svg" in charts.loss_curve(single) and charts.auroc_curve(single) == ""
    not_finite = history(3)
    index = not_finite.column_names.index("link")
    not_finite = not_finite.set_column(index, "link", pa.array([1.0, float("inf"), float("nan")]))
    assert "from 1.000 to 1.000" in charts.loss_curve(not_finite)
    without_losses = history(3)
    for name in ("link", "contrastive", "total"):
        without_losses = without_losses.set_column(
            without_losses.column_names.index(name), name, pa.nulls(3, pa.float64())
        )
    assert charts.loss_curve(without_losses) == ""


def test_the_curve_of_a_long_history_is_thinned():
    curve = charts.loss_curve(history(100_000))
    assert len(curve) < 60_000
    assert "mean of 200 steps" in curve and "from 1.300 to 0.500" in curve


def test_the_best_validation_step_is_marked():
    assert "best 0.630 at step 30" in Page(charts.auroc_curve(history(30), "cpu")).text


def test_the_reliability_diagram_shows_only_bins_with_a_treatment():
    empty = BIN | {"observed": 0.0}
    chart = charts.reliability_diagram({"bins": [BIN, empty], "ece": 0.00056}, "cpu")
    words = Page(chart).text
    assert words.startswith("Reliability of the probabilities on cpu")
    assert "as predicted" in words and "observed, 95 %" in words
    assert "expected calibration error 0.00056, 1 bins" in chart
    assert chart == charts.reliability_diagram({"bins": [BIN, empty], "ece": 0.00056}, "cpu")
    assert charts.reliability_diagram(None) == ""
    assert charts.reliability_diagram({**CALIBRATION["reliability"], "bins": [empty]}) == ""


def test_the_interval_chart_sets_the_own_method_off_from_the_others():
    estimates = {name: {"value": 0.2, "low": 0.1, "high": 0.3} for name in ("ours", "other", "third")}
    colour = charts.COLOURS["auroc"]
    marked = charts.interval_chart(estimates, "random", "ours")
    assert marked.count(colour) > 0 == charts.interval_chart(estimates, "random", "nobody").count(colour)
    assert charts.interval_chart({"ours": estimates["ours"]}, "random", "ours") == ""
