"""The benchmark of the report makes a page of a planted graph and measures it in the browser."""

import json

import report


def test_a_planted_page_is_made_and_measured(browser, tmp_path, monkeypatch, capsys):
    browser.version  # noqa: B018 - without a browser this test is skipped
    arguments = ["--json", "--planted", "0.01", "--width", "16", "--rounds", "1", "--folder", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["report.py", *arguments])
    chosen = report.options()
    stages = report.make_page(tmp_path, chosen.planted, chosen.width, chosen.reasons, chosen.map)
    assert stages["listed"] > 300 and stages["seconds_listed"] > 0
    row = report.measured_in(browser, tmp_path / "report.html", chosen.rounds)
    assert row["bytes"] == (tmp_path / "report.html").stat().st_size > 100_000
    assert 0 < row["seconds_to_interactive"] < 30 and 0 < row["frame_ms"] <= row["frame_ms_highest"]
    json.dumps(row)
