"""The gate: measures of an embedding, their null models, and the verdict whether it may be used.

In: an embedding and the same model untrained. Out: measures, verdict.json, agreement of devices.
Read first: gate, quality.
"""
