"""The report: the summary and the HTML page of a run, made from its result files only.

In: verdicts, metrics, candidates, histories. Out: summary.json, report.html, the dataset card README.md.
Read first: summary, page, card.
"""
