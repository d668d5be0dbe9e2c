"""The verdict compares measures with null models and thresholds; an undefined measure fails."""

import copy

import pytest

from repurpose.config.sections import GateSettings
from repurpose.gate import gate, quality

THRESHOLDS = GateSettings(
    min_distinct_share=0.95,
    min_effective_rank=3.0,
    min_auroc_margin=0.02,
    min_gain_over_inputs=0.01,
    min_enrichment=1.1,
    min_nearer_share=0.7,
    min_agreement_margin=0.1,
)
RECORD = {"status": "completed", "reason": "", "remedy": "", "final_link": 0.9, "notes": []}


def measures(auroc=0.8, agreement=0.5, overlap=0.2, nearer=0.95):
    spread = {
        "nodes": 100,
        "distinct_share": 1.0,
        "effective_rank": 20.0,
        "components_at_90": 8,
        "mean_cosine": 0.3,
    }
    return {
        "finite": {"drug": True, "gene": True},
        "types": {"drug": spread, "gene": dict(spread)},
        "links": {
            "drug - binds - gene": {"edges": 50, "auroc_uniform": auroc, "auroc_degree_matched": auroc}
        },
        "agreement": agreement,
        "agreement_applies": True,
        "neighbourhoods": {
            "drug": {"nodes": 100, "nearer": nearer},
            "gene": {"nodes": 100, "nearer": nearer},
        },
        "clusters": {
            name: {
                "overlap": overlap,
                "null_low": 0.08,
                "null": 0.09,
                "null_high": 0.1,
                "ratio": overlap / 0.09,
            }
            for name in ("shares", "is_a")
        },
    }


NULL = measures(0.6, 0.1, nearer=0.5)


def failed_checks(measured, record=RECORD, null=NULL):
    verdict = gate.judge("cpu", measured, null, record, THRESHOLDS)
    assert verdict["passed"] == all(check["passed"] for check in verdict["checks"])
    return {check["name"]: check for check in verdict["checks"] if not check["passed"]}


def test_good_embeddings_pass_without_reasons_or_remedies():
    verdict = gate.judge("cpu", measures(), NULL, RECORD, THRESHOLDS)
    assert verdict["passed"]
    assert all(check["reason"] == check["remedy"] == "" for check in verdict["checks"])
    assert verdict["classic"] == {"final_loss": 0.9, "mean_cosine": 0.3, "components_at_90": 8.0}


def edited(path, value):
    measured = copy.deepcopy(measures())
    section = measured
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    return measured


@pytest.mark.parametrize(
    ("path", "value", "check"),
    [
        (("finite", "gene"), False, "finite_vectors"),
        (("types", "gene", "distinct_share"), 0.5, "distinct_vectors"),
        (("types", "gene", "effective_rank"), 1.2, "effective_rank"),
        (("types", "gene", "effective_rank"), float("nan"), "effective_rank"),
        (("links", "drug - binds - gene", "auroc_degree_matched"), 0.61, "link_auroc_degree_matched"),
        (("links", "drug - binds - gene", "auroc_uniform"), 0.59, "link_auroc_uniform"),
        (("links",), {}, "link_auroc_uniform"),
        (("agreement",), 0.15, "neighbour_agreement"),
        (("clusters", "is_a", "overlap"), 0.105, "neighbour_enrichment"),
        (("clusters", "is_a", "overlap"), float("nan"), "neighbour_enrichment"),
        (("neighbourhoods", "drug", "nearer"), 0.55, "type_neighbourhoods"),
        (("neighbourhoods", "drug", "nearer"), float("nan"), "type_neighbourhoods"),
        (("agreement",), None, "neighbour_agreement"),
        (("agreement",), float("nan"), "neighbour_agreement"),
    ],
)
def test_each_measure_can_fail_with_a_reason_and_a_remedy(path, value, check):
    failed = failed_checks(edited(path, value))
    assert check in failed
    assert failed[check]["reason"]
    assert failed[check]["remedy"]


def test_the_reason_names_the_worst_type():
    assert (
        "gene" in failed_checks(edited(("types", "gene", "effective_rank"), 1.2))["effective_rank"]["reason"]
    )


@pytest.mark.parametrize("status", ["diverged", "stalled", "refused", "collapsed"])
def test_an_unfinished_training_fails_whatever_its_vectors(status):
    record = {
        **RECORD,
        "status": status,
        "reason": "the loss was nan",
        "remedy": "lower training.learning_rate",
    }
    assert failed_checks(measures(), record)["training_completed"]["remedy"] == "lower training.learning_rate"


def test_a_refused_training_fails_for_its_reason_and_because_it_has_no_vectors():
    empty = quality.empty_measures({})
    record = {"status": "refused", "reason": "the sampler is wrong", "remedy": "report it", "notes": []}
    verdict = gate.judge("cpu", empty, empty, record, THRESHOLDS)
    assert [check["name"] for check in verdict["checks"]] == ["training_completed", "finite_vectors"]
    assert not any(check["passed"] for check in verdict["checks"])
    assert "the sampler is wrong" in verdict["checks"][0]["reason"]
    assert verdict["checks"][1]["reason"] == "there are no vectors"


def test_types_with_few_nodes_are_not_judged_by_rank():
    measured = edited(("types", "gene"), {**measures()["types"]["gene"], "nodes": 5, "effective_rank": 1.0})
    assert not failed_checks(measured)


def test_agreement_that_does_not_apply_gives_a_note_and_no_check():
    measured = {**measures(), "agreement": None, "agreement_applies": False}
    verdict = gate.judge("cpu", measured, NULL, RECORD, THRESHOLDS)
    assert verdict["passed"]
    assert "neighbour_agreement" not in [check["name"] for check in verdict["checks"]]
    assert "not measured" in verdict["notes"][0]


def test_the_untrained_model_itself_fails():
    assert "link_auroc_degree_matched" in failed_checks(NULL)


def test_the_table_says_what_failed_and_what_to_do():
    text = gate.table(gate.judge("mps", edited(("agreement",), 0.0), NULL, RECORD, THRESHOLDS))
    assert "neighbour_agreement" in text
    assert text.splitlines()[-1] == "mps: FAILED"


def gain_check(layers):
    verdict = gate.judge("cpu", measures(), NULL, RECORD, THRESHOLDS, layers)
    return next((check for check in verdict["checks"] if check["name"] == "gain_over_inputs"), None)


def test_the_gain_over_inputs_is_checked_if_there_are_layers_to_compare():
    links = {auroc: measures(auroc)["links"] for auroc in (0.78, 0.795, 0.8)}
    assert gain_check(None) is None
    assert gain_check({"trained": links[0.8], "untrained": links[0.78]})["passed"]
    refused = gain_check({"trained": links[0.8], "untrained": links[0.795]})
    assert not refused["passed"] and "0.795" in refused["reason"] and refused["remedy"]
    for undefined in ({"trained": {}, "untrained": links[0.78]}, {"trained": links[0.8], "untrained": {}}):
        assert not gain_check(undefined)["passed"]


def test_without_groups_of_tails_enrichment_is_not_checked():
    verdict = gate.judge("cpu", {**measures(), "clusters": {}}, NULL, RECORD, THRESHOLDS)
    assert verdict["passed"]
    assert "neighbour_enrichment" not in {check["name"] for check in verdict["checks"]}


def test_the_reason_names_the_type_whose_rows_disagree_with_the_graph():
    check = failed_checks(edited(("neighbourhoods", "drug", "nearer"), 0.55))["type_neighbourhoods"]
    assert (check["value"], check["null"], check["threshold"]) == (0.55, 0.5, 0.7)
    assert "of drug nodes" in check["reason"] and "rows of drug" in check["remedy"]


def test_neighbourhoods_are_not_checked_if_all_types_are_small():
    verdict = gate.judge("cpu", {**measures(), "neighbourhoods": {}}, NULL, RECORD, THRESHOLDS)
    assert verdict["passed"]
    assert "type_neighbourhoods" not in {check["name"] for check in verdict["checks"]}


def test_the_verdict_has_the_values_that_the_enrichment_chart_needs():
    verdict = gate.judge("cpu", measures(), {**NULL, "clusters": {}}, RECORD, THRESHOLDS)
    assert [group["name"] for group in verdict["clusters"]] == ["shares", "is_a"]
    assert verdict["clusters"][0]["overlap"] == 0.2 and verdict["clusters"][0]["untrained"] is None


# ---- vectors of some node types only ----


def partial_measures(links=True, compared=("drug",), **changes):
    """Measures of drugs; gene nodes have no vectors."""
    measured = measures(**changes)
    return {
        **{key: {"drug": measured[key]["drug"]} for key in ("finite", "types", "neighbourhoods")},
        **{key: measured[key] for key in ("agreement", "agreement_applies", "clusters")},
        "links": {"drug - like - drug": next(iter(measured["links"].values()))} if links else {},
        "without_vectors": ["gene"],
        "left_out": ["drug - binds - gene"],
        "compared": list(compared),
    }


def judged(measured, null=NULL):
    verdict = gate.judge("given", measured, null, RECORD, THRESHOLDS)
    return verdict, {check["name"]: check for check in verdict["checks"]}


def test_a_complete_file_has_nothing_left_out():
    verdict, checks = judged({**measures(), "without_vectors": [], "left_out": [], "compared": []})
    assert verdict["left_out"] == [] and "compared_types" not in checks


def test_the_verdict_and_its_table_say_what_types_without_vectors_leave_out():
    verdict, checks = judged(partial_measures())
    assert verdict["passed"] and checks["compared_types"]["value"] == 1.0
    assert checks["link_auroc_degree_matched"]["passed"]
    reasons = {check["name"]: check["reason"] for check in verdict["left_out"]}
    assert reasons == {
        "distinct_vectors": "gene nodes have no vectors",
        "effective_rank": "gene nodes have no vectors",
        "link_auroc_uniform": "1 relation of these nodes",
        "link_auroc_degree_matched": "1 relation of these nodes",
        "type_neighbourhoods": "gene nodes have no vectors",
    }
    lines = gate.table(verdict).splitlines()
    assert "left out of type_neighbourhoods: gene nodes have no vectors" in lines
    assert lines[-1] == "given: passed"


def test_without_any_relation_between_types_with_vectors_links_are_not_checked():
    verdict, checks = judged(partial_measures(links=False))
    assert verdict["passed"] and not [name for name in checks if name.startswith("link_auroc")]
    (reason,) = {c["reason"] for c in verdict["left_out"] if c["name"].startswith("link_auroc")}
    assert reason == "1 relation of these nodes, and no other relation has enough edges to hold some out"


def test_a_check_that_is_made_can_still_fail():
    verdict, checks = judged(partial_measures(nearer=0.5))
    assert not verdict["passed"] and not checks["type_neighbourhoods"]["passed"]
    verdict, checks = judged(partial_measures(auroc=0.6))
    assert not verdict["passed"] and not checks["link_auroc_degree_matched"]["passed"]


def test_vectors_that_no_check_compares_with_the_graph_do_not_pass():
    verdict, checks = judged(partial_measures(links=False, compared=()))
    assert not verdict["passed"] and checks["compared_types"]["value"] == 0.0
    assert checks["compared_types"]["reason"] == "no check compares the vectors of drug nodes with the graph"
    assert checks["compared_types"]["remedy"]
