"""The first sentences of the page say what came out, in words."""

from report_examples import example, interval, metrics

from repurpose.report import headlines


def result(passed, **changes):
    content, _, _, ledger, _ = example(passed, **changes)
    return headlines.result(content, ledger, "compound", "disease")


def test_the_headline_says_how_many_lists_have_a_true_head_on_top_and_how_many_by_a_simple_method():
    methods = metrics()
    methods["schemes"]["disease"]["hgt"] |= {"first_in_10": interval(0.4), "tails": 15}
    methods["schemes"]["disease"]["svd"] |= {"first_in_10": interval(0.2), "tails": 15}
    methods["schemes"]["disease"]["degree"] = None
    assert result({"cpu": True}, device_metrics=methods) == (
        "When all treatments of a disease were hidden, a true compound was among the first ten of 1,234 for "
        "6 of 15 diseases (3 by SVD). 1 pairs of a compound and a disease are listed"
    )
    del methods["schemes"]["disease"]
    assert result({"cpu": True}, device_metrics=methods).startswith("When some treatments of a disease were")


def test_without_a_metric_or_a_passing_device_the_headline_says_so():
    assert "no split could be measured" in result({"cpu": True}, device_metrics={"schemes": {}})
    assert result({"cpu": False}).startswith("No compound was ranked for any disease, because no training")


def test_a_training_that_stays_at_the_loss_of_guessing_learned_nothing():
    content = example({"cpu": True, "mps": False, "cuda": False})[0]
    for row, loss in zip(content["devices"], (0.447, 1.37, None), strict=True):
        row["final_link"] = loss
    assert headlines.learned(content) == (
        "cpu: the link loss ended at 0.447; guessing has 1.386, so it learned; mps: the link loss ended at "
        "1.370; guessing has 1.386, so nothing was learned; cuda: no training step is on record."
    )


def test_a_training_that_was_stopped_says_so_and_how_far_it_came():
    content = example({"cpu": False})[0]
    content["devices"][0] |= {"status": "stalled", "steps": 40, "final_link": None}
    assert headlines.learned(content) == (
        "cpu: the training stalled and was stopped after 40 steps, so nothing was learned that could be used."
    )


def test_the_search_field_shows_the_tail_of_the_best_pair_as_an_example():
    content = example({"mps": False, "cpu": True})[0]
    content["devices"][1]["top"][0]["tail_name"] = "gout"
    assert headlines.example(content, "disease") == "gout"
    assert headlines.example(example({"cpu": False})[0], "disease") == "disease"
