import base64
import hashlib
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import ranked_matrices
from report_examples import (
    BREAKOUT,
    CALIBRATION,
    Page,
    candidates,
    example,
    interval,
    measures,
    metrics,
    verdict,
)

import write_summary
from repurpose.config.sections import DatasetSettings
from repurpose.core import files
from repurpose.evaluation import evaluation
from repurpose.report import card, made, methods, metric_tables, page, summary

HOSTILE = "<script>alert(1)</script>"
DASH = "\N{EN DASH}"
PAGES = {}


def render(passed, device_metrics=None, **kwargs):
    """The page of an example, kept for the next call, because drawing is slow."""
    key = repr((passed, device_metrics, kwargs))
    if key not in PAGES:
        PAGES[key] = page.render(*example(passed, device_metrics=device_metrics, **kwargs))
    return PAGES[key]


def test_the_report_says_how_well_known_negatives_are_predicted_or_why_there_is_no_model():
    shown = Page(render({"cpu": True}))
    assert "AUROC is 0.881" in shown.text and f"and {DASH} against treatments" in shown.text
    content = example({"cpu": True})
    assert "model" not in content[0]["devices"][0]["negatives"]
    content[0]["devices"][0]["negatives"] = {"reason": "fewer than 5"}
    without_model = Page(page.render(*content)).text
    assert (
        "No model could be trained to distinguish known negatives from other pairs: fewer than 5."
        in without_model
    )


def test_the_report_lists_the_checks_that_need_vectors_which_are_not_there():
    content = example({"cpu": True})
    assert "Some node types have no vectors" not in Page(page.render(*content)).text
    reason = "gene<b> nodes have no vectors"
    content[2]["cpu"]["left_out"] = [{"name": "effective_rank", "reason": reason}]
    shown = Page(page.render(*content)).text
    assert "Some node types have no vectors. Left out: effective" in shown and f": {reason}." in shown


def test_the_report_says_how_reliable_the_listed_probabilities_are():
    assert "Probabilities" not in Page(render({"cpu": True})).text
    content = example({"cpu": True})
    content[0]["devices"][0]["calibration"] = CALIBRATION
    shown = Page(page.render(*content))
    assert "The final model was fitted 4 times more" in shown.text
    assert "without the known treatments of a part of the diseases" in shown.text
    assert "188 treatments among unknown pairs of all diseases" in shown.text
    assert "0.0526 of them (0.0335 to 0.0817; 18 of 342) are known treatments" in shown.text
    assert "Where a treatment is known and was hidden" in shown.text and "18 of 109" in shown.text
    assert "in place of" not in shown.text
    content[0]["devices"][0]["calibration"] = CALIBRATION | {"share": 0.3, "measured_share": 0.25}
    corrected = Page(page.render(*content)).text
    assert "with 0.25 of a compound's mean score taken off in place of 0.3" in corrected


def test_probabilities_of_diseases_with_known_treatments_are_shown_if_they_have_a_curve():
    content = example({"cpu": True})
    words = "Of diseases with known treatments"
    content[0]["devices"][0]["calibration"] = CALIBRATION
    assert words not in page.render(*content)
    content[0]["devices"][0]["calibration"] = CALIBRATION | {"treated": CALIBRATION}
    shown = page.render(*content)
    assert words in shown and shown.count("Reliability of the probabilities") > 1


def test_the_report_says_how_much_lower_the_odds_of_little_known_diseases_are():
    content = example({"cpu": True})
    content[0]["devices"][0]["calibration"] = CALIBRATION
    assert "say least about" not in Page(page.render(*content)).text
    support = {"slope": 0.5, "typical": 0.2, "low": -2.0, "high": 1.0}
    content[0]["devices"][0]["calibration"] = CALIBRATION | {"support": support}
    assert "say least about has 0.223 times the odds" in Page(page.render(*content)).text


def test_the_calibration_of_a_device_is_that_of_its_candidates_file():
    negatives, popular = {"model": None, "reason": ""}, pa.table({"head_id": ["D1"]})
    paths = [[{"text": "", "change": None}]]
    evidence = pa.table({"head_id": ["D1"], "tail_id": ["3091"], "paths": paths, "reasons": [[]]})
    for calibration in (CALIBRATION, None):
        ranked = summary.Ranked(metrics(), candidates("A", calibration), evidence, popular, {}, {}, negatives)
        row = summary.outcome(verdict("cpu", True), {"status": "completed"}, ranked, 8)
        assert row["calibration"] == calibration


def test_the_report_says_how_far_the_averaged_models_agree():
    shown = Page(render({"cpu": True}))
    assert "Agreement of the 3 averaged models" in shown.text
    assert "the best 1,000 0.912 0.934" in shown.text
    assert "averaged agree" not in Page(render({"cpu": False})).text


def test_a_page_of_a_passing_device_shows_metrics_candidates_and_certificate():
    shown = Page(render({"cpu": True}))
    assert "1 of 1 device passed the gate: cpu." in shown.text
    assert "Research use only, not medical advice" in shown.text
    assert "0.200 0.190 to 0.210" in shown.text and "0.000259" in shown.text and "1,204,331" in shown.text
    assert "this model is above the best other method, SVD: AP 0.200 against 0.150" in shown.text
    assert "Metformin D1" in shown.text and "about 12 in 100" in shown.text and "0.123" not in shown.text
    assert "(none) 50 20 20 7 3" in shown.text
    assert "no pair occurs twice" in shown.text and "1,234" in shown.text and "Compound" in shown.text
    assert "Why it failed" not in shown.text
    assert "2 min" in shown.text and "3.00 GiB" in shown.text


# Each heading stands once in the contents and once above its section.
SECTIONS = [
    "What was asked",
    "Did it learn?",
    "Can I trust it?",
    "Candidates",
    "Why these",
    "How it was made",
]


def test_the_sections_are_in_the_order_in_which_a_reader_asks():
    html = render({"cpu": True, "mps": False})
    headings = re.findall(r"<h2>(.*?)</h2>", html)
    assert [heading for heading in headings if heading in SECTIONS] == SECTIONS
    assert headings[-1] == "How to read this"


def test_the_verdict_comes_first():
    text = Page(render({"cpu": False})).text
    parts = ["No compound was ranked", "No device passed the gate", "Research use only", *SECTIONS[1:]]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_a_failing_device_shows_why_and_what_to_do_and_its_classic_figures():
    shown = Page(render({"cpu": False}))
    assert "Why it failed: link_auroc_uniform: the value is 0.51." in shown.text
    assert "What to do: raise training.epochs." in shown.text
    assert "the value is 0.51. To do: raise training.epochs." in shown.text
    assert "0.447" in shown.text and "not reached" in shown.text
    assert "The best of all" not in shown.text and "Metrics on" not in shown.text
    assert "There" not in shown.text and "so nothing was ranked by it" in shown.text
    labels = [attributes["aria-label"] for attributes in shown.all("svg")]
    assert [label.split(" ")[0] for label in labels] == [
        "Training",
        "Validation",
        "Norm",
        "value",
        "value",
        "What",
        "Rows",
    ]


def test_a_mixed_run_has_one_row_and_one_section_per_device():
    shown = Page(render({"cpu": True, "cuda:1-sampled": False, "mps": False}))
    assert len(shown.all("tr", "device")) == 3
    blocks = [attributes for attributes in shown.all("div", "device-block") if "id" in attributes]
    assert [attributes["id"] for attributes in blocks] == ["device-1", "device-2", "device-3"]
    assert [attributes["data-value"] for attributes in blocks] == ["cpu", "cuda:1-sampled", "mps"]
    (compared,) = [a for a in shown.all("svg") if a["aria-label"].startswith("Link loss of all devices")]
    assert "cuda:1-sampled from 1.300 to 0.540" in compared["aria-label"]
    assert "1 of 3 devices passed the gate: cpu; failed: cuda:1-sampled: link_auroc_uniform" in shown.text
    ids = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 6


def agreement_of_two(agrees):
    """The content of agreement.json for two devices."""
    check = {"name": "first_losses", "value": 0.0567, "side": "at most", "threshold": 0.02, "passed": agrees}
    row = {"nodes": 50, "neighbour_overlap": 0.321, "chance": 0.111, "cka": 0.444}
    pair = {"devices": ["cpu", "mps"], "agrees": agrees, "checks": [check], "types": {"<b>gene": row}}
    return {
        "devices": ["cpu", "mps"],
        "agrees": agrees,
        "pairs": [{**pair, "notes": ["mps has no candidates"]}],
    }


def test_types_of_biolink_are_shown_without_their_prefix():
    content = list(example({"cpu": True}))
    removed = {"head_type": "biolink:Drug", "tail_type": "biolink:Disease", "relation": "biolink:treats"}
    content[4] = {**content[4], "removed": [{**removed, "role": "target", "edges": 3}]}
    text = Page(page.render(*content)).text
    assert "Which Drugs for which Diseases?" in text and "biolink:Disease" not in text.partition("Leakage")[0]
    assert "Within the list of one Disease" in text
    # The table of what was left out has the names of the user's table.
    assert "biolink:Drug" in text


def test_a_workflow_that_an_independent_method_beats_says_so_on_top():
    beaten = Page(render({"cpu": True}, device_metrics=metrics(hgt=0.10, svd=0.11))).text
    sentence = "cpu, split random: this model is not above the best other method, SVD: AP 0.100 against 0.110"
    assert 0 < beaten.index(sentence) < beaten.index("Which compounds could treat")
    assert "Trust its lists no more than those" in beaten
    ahead = Page(render({"cpu": True}, device_metrics=metrics(hgt=0.20, svd=0.11))).text
    assert "Trust its lists no more" not in ahead
    # The embedding alone is a part of the score, and no rival.
    parts = metrics(hgt=0.20, svd=0.11)
    for of_split in parts["schemes"].values():
        of_split["embedding"] = measures(0.3)
    assert "Trust its lists no more" not in Page(render({"cpu": True}, device_metrics=parts)).text


@pytest.mark.parametrize("agrees", [True, False])
def test_devices_are_compared_and_a_disagreement_stands_on_top(agrees):
    content, *others = example({"cpu": True, "mps": False})
    html = page.render({**content, "agreement": agreement_of_two(agrees)}, *others)
    text = Page(html).text
    assert "relative difference of the first losses 0.0567 at most 0.020" in text
    assert "mps has no candidates" in text and "0.321" in text and "0.111" in text and "0.444" in text
    assert "<b>gene" not in html
    sentence = "cpu and mps do not agree: first losses is 0.0567, at most 0.02 was expected."
    assert (sentence in text) is not agrees
    assert agrees or text.index(sentence) < text.index("Which compounds could treat")
    assert "Agreement of devices" in text


def test_runs_with_different_seeds_have_figures_without_a_judgement():
    content, *others = example({"cpu-seed1": True, "cpu-seed2": True})
    compared = agreement_of_two(None)
    check = compared["pairs"][0]["checks"][0]
    compared["pairs"][0]["checks"] = [{**check, "side": "", "threshold": None, "passed": None}]
    html = page.render({**content, "agreement": compared, "pooled": pooled_of_two()}, *others)
    text = Page(html).text
    assert f"relative difference of the first losses 0.0567 {DASH} {DASH}" in text
    assert "do not agree" not in text
    assert "two runs with different seeds are compared without a judgement" in text


def pooled_of_two():
    """The section on the pooled candidates of two runs."""
    pair = {"head_id": "D9", "head_name": "<i>drug", "tail_id": "4", "tail_name": "gout", "known": ""}
    pair |= {
        "score": -1.0,
        "probability": 0.25,
        "rank_of_drug_for_disease": 3,
        "rank_low": 2,
        "rank_high": 17,
    }
    spread = {"value": 0.0456, "low": 0.0123, "high": 0.0789}
    return {
        "runs": ["cpu-seed1", "cpu-seed2"],
        "candidates": 1900,
        "metrics": {"disease": dict.fromkeys(summary.SPREAD_METRICS, spread) | {"auroc": None}},
        "top": [{**pair, "caution": "no <binds>", "listed_by": 1}],
    }


def test_pooled_candidates_are_shown_with_the_range_of_their_ranks():
    content, *others = example({"cpu-seed1": True, "cpu-seed2": True})
    html = page.render({**content, "pooled": pooled_of_two()}, *others)
    text = Page(html).text
    assert "The runs cpu-seed1, cpu-seed2 passed the gate and are pooled" in text
    assert "disease 0.0456 0.0123 to 0.0789" in text
    assert "gout 4 about 25 in 100 3 2 to 17 1 of 2 no <binds>" in text and "<i>drug" not in html
    nothing = {"runs": [], "candidates": 0, "metrics": {}, "top": []}
    text = Page(page.render({**content, "pooled": nothing}, *others)).text
    assert "Fewer than two runs passed the gate, so nothing was pooled." in text
    assert "Pooled" not in Page(page.render(content, *others)).text


def test_a_run_with_one_device_has_no_section_on_agreement():
    assert "Agreement of devices" not in Page(render({"cpu": True})).text


def test_a_refused_training_without_a_step_has_a_page():
    shown = Page(render({"cpu": False}, status="refused", steps=0))
    assert "refused: too little memory." in shown.text and "use a smaller model." in shown.text
    assert "No step was recorded: the training ended as refused." in shown.text
    drawn = [chart["aria-label"].split(" ")[0] for chart in shown.all("svg")]
    assert drawn == ["value", "value", "What", "Rows"]


def test_whether_the_lists_can_be_trusted_is_said_in_words():
    trusted = Page(render({"cpu": True}, device_metrics=metrics(hgt=0.20, svd=0.11))).text
    assert "As far as the tests below reach, yes: on no split does a simpler method have better" in trusted
    beaten = Page(render({"cpu": True}, device_metrics=metrics(hgt=0.10, svd=0.11))).text
    assert "In part. A simpler method has lists that are as good or better here: cpu, split random" in beaten
    assert "As far as the tests" not in Page(render({"cpu": False})).text


def test_lists_of_each_kind_are_compared_with_the_best_simpler_method():
    beaten = metric_tables.beaten_by(metrics(hgt=0.10, svd=0.11))
    assert beaten == {"treated": "SVD", "untreated": "SVD"}
    assert metric_tables.beaten_by(metrics(hgt=0.20, svd=0.11)) == {"treated": "", "untreated": ""}
    assert metric_tables.beaten_by({"schemes": {}}) == {"treated": "", "untreated": ""}
    tied = metrics(hgt=0.11, svd=0.11)
    assert metric_tables.beaten_by(tied)["treated"] == "SVD" and metric_tables.shortfalls(tied, "cpu")


def test_metrics_that_are_undefined_are_dashes():
    shown = Page(render({"cpu": True}, device_metrics=metrics(None, None, None)))
    assert "this model" + 5 * f" {DASH}" + " 40" in shown.text
    assert "best other method" not in shown.text and not shown.all("span", "value best")
    whole = Page(render({"cpu": True}, device_metrics={"schemes": {"random": {"hgt": None}}}))
    assert "this model" + 6 * f" {DASH}" in whole.text


def test_the_page_says_which_metrics_are_estimated_from_a_sample():
    sampled = {"schemes": {"random": {"hgt": measures(0.2) | {"sampled": True}}}}
    assert "estimated from a sample" in Page(render({"cpu": True}, device_metrics=sampled)).text
    assert "estimated from a sample" not in Page(render({"cpu": True})).text


def test_components_that_were_not_measured_are_not_called_not_reached():
    parts = list(example({"cpu": False}, status="refused", steps=0))
    parts[2]["cpu"]["classic"] = {"final_loss": None, "mean_cosine": None, "components_at_90": None}
    assert "not reached" not in Page(page.render(*parts)).text


def test_the_best_value_is_bold_and_a_beaten_encoder_is_said_to_be_beaten():
    shown = Page(render({"cpu": True}, device_metrics=metrics(hgt=0.10, svd=0.11)))
    standing = (
        "this model is not above the best other method, SVD: AP 0.100 against 0.110, "
        "and their intervals overlap"
    )
    assert standing in shown.text
    assert (
        shown.text.index("this model 0.100") < shown.text.index("SVD 0.110") < shown.text.index("degree 0.03")
    )
    # Five metrics of one list and two of all pairs, in two splits.
    assert len(shown.all("span", "value best")) == 14


def test_the_metrics_of_one_list_lead_and_the_pooled_ones_come_after_those_of_heads():
    results = evaluated_metrics()
    shown = Page(render({"cpu": True}, device_metrics=results))
    titles = [
        "Method AP MRR Recall@10 Recall@50 NDCG@10 Diseases",
        "The same for diseases without a treatment in training",
        "The same for diseases with a treatment in training",
        "Within the list of one compound. Means over the compounds",
        "Method AUPRC AUROC Positives Negatives Prevalence",
        "This model minus each other method",
        "Against other negatives",
    ]
    places = [shown.text.index(title) for title in titles]
    assert places == sorted(places)
    hgt = results["schemes"]["random"]["hgt"]
    for value in (hgt["ap"], hgt["untreated"]["mrr_of_first"], hgt["per_head"]["ndcg_at_10"], hgt["auprc"]):
        low, high = page.number(value["low"]), page.number(value["high"])
        assert f"{page.number(value['value'])} {low} to {high}" in shown.text


def test_each_split_says_which_of_its_diseases_have_treatments_in_training():
    tables = metric_tables.leading_tables(metrics(), "drug", "disease")
    remarks = {scheme["name"]: scheme["remarks"][0] for scheme in tables[0]["schemes"]}
    assert remarks == {
        "random": "a test disease can have other treatments in training",
        "disease": "no test disease has a treatment in training",
    }
    # No part of these metrics is of treated or of untreated diseases alone.
    assert [table["title"] for table in tables] == ["Within the list of one disease", "All pairs in one list"]


def test_all_methods_of_a_run_are_shown_under_readable_names():
    scheme = {name: measures(0.1) for name in ("votes", "paths", "own_method", "embedding", "hgt", "svd")}
    tables = metric_tables.leading_tables({"schemes": {"random": scheme}}, "drug", "disease")
    names = [row["name"] for row in tables[0]["schemes"][0]["rows"]]
    assert names == ["this model", "embedding alone", "neighbour votes", "path counts", "SVD", "own_method"]


def test_a_drug_in_most_lists_of_untreated_diseases_has_one_caution():
    sentence = "Metformin D1 is in more than half of the lists of diseases without a known treatment"
    shown = Page(render({"cpu": True}))
    assert shown.text.count(sentence) == 1
    assert "without a known treatment 59 590 79 Metformin D1 0.915 0.456 0.789 4" in shown.text
    assert f"with a known treatment 1 0 0 {DASH} {DASH} {DASH} {DASH} 0" in shown.text
    content = example({"cpu": True})
    content[0]["devices"][0]["lists"]["untreated"]["share"] = 0.5
    assert sentence not in Page(page.render(*content)).text


def evaluated_metrics():
    """Metrics of two methods, computed by `evaluation`; hgt is the better one."""
    generator = np.random.default_rng(0)
    scores, heads, tails, known = ranked_matrices.matrix(0, n_heads=40, n_tails=30, n_test=60, n_levels=1000)
    positives, negatives = (heads[10:], tails[10:]), (heads[:10], tails[:10])
    better_scores = scores + generator.normal(size=scores.shape)
    better_scores[positives] += 2000
    ranks_of_methods = [
        ranked_matrices.ranked(matrix, *positives, known, negative=negatives, treated=np.arange(12))
        for matrix in (better_scores, scores)
    ]
    methods = {
        name: evaluation.evaluate(ranks, None, 0)
        for name, ranks in zip(("hgt", "svd"), ranks_of_methods, strict=True)
    }
    return {
        "schemes": {"random": methods},
        "differences": {"random": {"svd": evaluation.differences(*ranks_of_methods, None, 0)}},
    }


def test_all_negatives_all_lists_and_the_paired_differences_have_tables():
    results = evaluated_metrics()
    shown = Page(render({"cpu": True}, device_metrics=results))
    titles = ["More on the list of one disease", "More on the list of one compound"]
    titles += ["Against other negatives"]
    titles += ["Within the list of all pairs", "Known negatives in the same lists"]
    places = [shown.text.index(title) for title in titles]
    assert places == sorted(places) and len(shown.all("details")) == 5
    methods = results["schemes"]["random"]
    for value in (
        methods["hgt"]["against"]["matched"]["auprc"],
        methods["svd"]["per_head"]["hits_at_10"],
        methods["svd"]["known_negatives"]["recall_at_50"],
        results["differences"]["random"]["svd"]["recall_at_10"],
    ):
        low, high = page.number(value["low"]), page.number(value["high"])
        assert f"{page.number(value['value'])} {low} to {high}" in shown.text
    assert "Best 100" in shown.text and "Best 10,000" in shown.text


def test_a_difference_whose_interval_excludes_zero_is_not_called_chance():
    results = evaluated_metrics()
    assert "may be chance" not in Page(render({"cpu": True}, device_metrics=results)).text
    results["differences"]["random"]["svd"]["ap"]["low"] = -0.1
    assert "and the difference may be chance" in Page(render({"cpu": True}, device_metrics=results)).text


def test_a_path_is_shown_with_the_score_change_without_it():
    assert "(score -0.62 without it)" in Page(render({"cpu": True})).text


def test_frequent_flyers_and_the_effect_of_correcting_for_them_are_shown():
    effect = {"ap": interval(-0.02), "recall_at_10": interval(0.05)}
    shown = Page(
        render(
            {"cpu": True}, device_metrics=metrics() | {"popularity_correction": {"random": {"0.5": effect}}}
        )
    )
    assert "Metformin D1 812 0.310 9" in shown.text
    assert "random 0.5 -0.0200 -0.0300 to -0.0100 0.0500 0.0400 to 0.0600" in shown.text
    assert "Effect of the correction" not in str(Page(render({"cpu": True})).tags)


def test_for_known_negatives_the_lowest_value_is_marked_as_best():
    metrics_by_method = evaluated_metrics()["schemes"]["random"]
    (table,) = [
        candidate
        for candidate in metric_tables.further_tables({"schemes": {"random": metrics_by_method}}, "a", "b")
        if candidate["title"].startswith("Known negatives")
    ]
    assert "AP" not in table["columns"]
    column = table["columns"].index("MRR, all positives")
    marked = {row["name"]: row["cells"][column][1] for row in table["schemes"][0]["rows"]}
    lower = min(
        metrics_by_method, key=lambda name: metrics_by_method[name]["known_negatives"]["mrr"]["value"]
    )
    assert marked == {metric_tables.method_label(name): name == lower for name in metrics_by_method}


@pytest.mark.parametrize("name", [HOSTILE, BREAKOUT, "{{ 7 * 7 }}", "a & b 'c' \"d\"", "</svg></style><b>"])
def test_hostile_names_stay_text(name):
    shown = Page(render({name: True}, name=name))
    plain = Page(render({"cpu": True}))
    # A name with an underscore may add a <wbr>, and no other tag.
    assert [tag for tag, _ in shown.tags if tag != "wbr"] == [tag for tag, _ in plain.tags if tag != "wbr"]
    assert " ".join(name.split()) in shown.text
    assert not shown.all("script") and not shown.all("img")
    assert not [key for _, attributes in shown.tags for key in attributes if key.startswith("on")]
    assert shown.all("svg")[0]["aria-label"].startswith(f"Training loss on {name}: link loss from")


def external(html):
    """All addresses in a page that a browser would fetch."""
    attributes = [item for _, attributes_of_tag in Page(html).tags for item in attributes_of_tag.items()]
    links = [
        value for key, value in attributes if key in ("src", "href", "srcset", "data", "action", "poster")
    ]
    styles = re.findall(r"url\(\s*['\"]?([^)]*)", html) + re.findall(r"@import[^;]*", html)
    return [link for link in links + styles if not link.startswith(("#", "data:"))]


def test_the_page_fetches_nothing():
    html = render({"cpu": True, "mps": False})
    assert external(html) == []
    # The only address is part of a hostile name, and it is text.
    assert set(re.findall(r"https?:[^ ]*", html)) == {"https://evil.example/x&#39;"}
    (policy,) = [a["content"] for a in Page(html).all("meta") if a.get("http-equiv")]
    assert policy.startswith("default-src 'none'; script-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy and ' style="' not in html
    # `external` finds an address if there is one.
    assert external('<p><a href="https://example.org">x</a></p>')
    assert external("<style>p { background: url(//example.org/a.png) }</style>")


def test_tables_have_captions_and_every_header_a_scope():
    shown = Page(render({"cpu": True, "mps": False}))
    assert len(shown.all("table")) == len(shown.all("caption")) > 8
    assert {attributes.get("scope") for attributes in shown.all("th")} == {"col", "row", "rowgroup"}
    assert len(shown.all("h1")) == 1
    assert "prefers-color-scheme: dark" in render({"cpu": True}) and "@media print" in render({"cpu": True})
    assert shown.all("html") == [{"lang": "en"}]


def test_the_same_results_give_the_same_bytes():
    assert page.render(*example({"cpu": True})) == render({"cpu": True})
    assert page.render(*example({"cpu": True}, name="Aspirin")) != render({"cpu": True})


def test_names_of_groups_are_escaped_in_the_page():
    html = render({"cpu": True})
    assert "shared &lt;genes&gt;: 2.7 times" in html and "shared <genes>" not in html


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, DASH),
        (float("nan"), DASH),
        (0, "0"),
        (0.0, "0"),
        (129375, "129,375"),
        (0.51234, "0.512"),
        (0.5, "0.500"),
        (12.345, "12.3"),
        (123.4, "123"),
        (999.7, "1,000"),
        (8100000.0, "8,100,000"),
        (0.99999, ">0.999"),
        (1.0, "1.00"),
        (0.000259, "0.000259"),
        (0.00001234, "1.23e-05"),
        (-0.0512, "-0.0512"),
    ],
)
def test_numbers_have_three_significant_digits(value, shown):
    assert page.number(value) == shown


def test_durations_and_sizes_have_readable_units():
    times = [page.duration(value) for value in (None, 0.24, 97, 5400)]
    assert times == [DASH, "0.2 s", "2 min", "1 h 30 min"]
    sizes = [page.size(value) for value in (None, 0, 2048, 1.5 * 2**30)]
    assert sizes == [DASH, "0 B", "2.00 KiB", "1.50 GiB"]


def test_the_script_writes_summary_and_page_of_a_run_in_which_no_device_passed(tmp_path):
    content, histories, verdicts, ledger, certificate = example({"cpu": False})
    paths = {name: [] for name in ("outcomes", "verdicts", "histories", "maps")}
    for row in content["devices"]:
        folder = tmp_path / row["device"]
        for name, value in (("outcomes", row), ("verdicts", verdicts[row["device"]])):
            files.write_json(folder / f"{name}.json", value)
            paths[name].append(folder / f"{name}.json")
        files.write_table(folder / "history.parquet", histories[row["device"]])
        paths["histories"].append(folder / "history.parquet")
        paths["maps"].append(folder / "not read.parquet")
    relations = [{"relation": "indication", "edges": 20}]
    for name, value in (("relations", relations), ("ledger", ledger), ("certificate", certificate)):
        files.write_json(tmp_path / f"{name}.json", value)
    write_summary.main(
        **paths,
        **{name: tmp_path / f"{name}.json" for name in ("relations", "ledger", "certificate")},
        agreement=None,
        pooled=None,
        about=None,
        chance=[],
        nodes=tmp_path,
        pairs=tmp_path,
        results=tmp_path,
        top=5,
        dataset=DatasetSettings(),
        summary_out=tmp_path / "summary.json",
        report_out=tmp_path / "report.html",
        card_out=tmp_path / "README.md",
        methods_out=tmp_path / "methods.md",
    )
    assert files.read_json(tmp_path / "summary.json") == content
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    made_of = made.describe(tmp_path)
    paragraph = (tmp_path / "methods.md").read_text(encoding="utf-8")
    assert paragraph == methods.text(content, {}, ("compound", "disease"), DatasetSettings(), made_of)
    assert written == page.render(
        content, histories, verdicts, ledger, certificate, made=made_of, methods=paragraph
    )
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text == card.render(content, ("compound", "disease"))


def test_the_report_shows_what_chance_looks_like_if_that_was_measured():
    content, *others = example({"cpu": True})
    assert "What chance looks like" not in Page(page.render(content, *others)).text
    (row,) = content["devices"]
    scheme, methods = next(iter(row["metrics"]["schemes"].items()))
    low = {"value": 0.0123, "low": 0.0101, "high": 0.0145}
    chance = {
        "schemes": {scheme: {"hgt": {**methods["hgt"], "ap": low}}},
        "best": {"predicted": 0.0042, "found": 0.0},
        "lists": row["lists"],
    }
    text = Page(page.render({**content, "chance": {"cpu": chance}}, *others)).text
    assert "What chance looks like" in text and f"AP, split {scheme}" in text
    for value in ("0.0123", "0.0101 to 0.0145", "0.0042", page.number(methods["hgt"]["ap"]["value"])):
        assert value in text
    assert (
        "What chance looks like"
        not in Page(page.render({**content, "chance": {"mps": chance}}, *others)).text
    )


def test_the_report_shows_the_warnings_about_the_table_and_the_cautions_about_the_pairs():
    content = list(example({"cpu": True}))
    assert "two spellings" not in Page(page.render(*content)).text
    content[3] = {**content[3], "warnings": [f"{HOSTILE}: two spellings"]}
    content[4] = {**content[4], "cautions": [f"{HOSTILE} are of 1 disease"]}
    html = page.render(*content)
    assert HOSTILE not in html
    assert "two spellings." in Page(html).text
    assert "are of 1 disease." in Page(html).text


def test_the_library_in_the_page_is_the_one_that_is_documented():
    folder = page.TEMPLATES.parent
    readme = (folder / "vendor" / "README.md").read_text(encoding="utf-8")
    for name in page.LIBRARIES:
        digest = files.digest(folder / name)
        assert f"| {Path(name).name} |" in readme and digest in readme
        assert (folder / "vendor" / f"{Path(name).name.partition('.')[0]}.LICENSE.txt").is_file()
    listed = {path.name for path in (folder / "app").iterdir()}
    assert listed == {f"{part}.js" for part in page.APP_PARTS}


def test_a_page_with_an_explorer_runs_its_own_scripts_and_no_others():
    html = page.render(*example({"cpu": True}), packed={"lists": "QUJD"})
    shown = Page(html)
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 2 and shown.all("script")[0] == {"type": "text/plain", "id": "data-lists"}
    (policy,) = [a["content"] for a in shown.all("meta") if a.get("http-equiv")]
    for text in scripts:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "sourceMappingURL" not in html and "unsafe" not in policy and "http" not in policy
