"""A finished run ends with at most eight lines that say what came out and where."""

from report_examples import example

from repurpose.report import ending


def test_the_last_lines_name_devices_metrics_candidates_and_files():
    content = example({"mps": False, "cpu": True})[0]
    row = content["devices"][1]
    row["top"] = [{**row["top"][0], "tail_name": f"disease\u202e {n}"} for n in range(5)]
    lines = ending.lines(content)
    assert len(lines) == 8
    assert lines[0].startswith("1 of 2 devices passed the gate: cpu; failed: mps")
    assert lines[1] == "AP of one list, split disease: 0.200 (SVD 0.150, degree 0.030)"
    best = "  Metformin for disease\u27e8U+202E\u27e9 0 (about 12 in 100 such pairs were treatments)"
    assert lines[3] == best
    assert lines[6:] == [
        "Open results/report.html and search it for your disease.",
        "All candidates: results/candidates/cpu/candidates.csv",
    ]


def test_pooled_candidates_are_those_that_are_named():
    content = example({"cpu-seed1": True, "cpu-seed2": True})[0]
    pair = {**content["devices"][0]["top"][0], "head_name": "pooled drug", "probability": None}
    content["pooled"] = {"runs": ["cpu-seed1", "cpu-seed2"], "top": [pair]}
    lines = ending.lines(content)
    assert lines[3].startswith("  pooled drug for") and lines[3].endswith("(probability not known)")
    assert lines[-1].endswith("candidates/pooled/candidates.csv")
    content["pooled"] = {"runs": [], "top": []}
    assert ending.lines(content)[-1].endswith("candidates/cpu-seed1/candidates.csv")


def test_a_run_without_metrics_or_new_pairs_says_less():
    content = example({"cpu": True}, device_metrics={"schemes": {}})[0]
    content["devices"][0]["top"] = []
    assert len(ending.lines(content)) == 3
