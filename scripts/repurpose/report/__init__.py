"""The summary and the page of a run, from its result files alone.

In: verdicts, metrics, candidates, histories. Out: summary.json, report.html. Read first: summary, page.
"""
