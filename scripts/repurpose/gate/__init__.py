"""Whether an embedding has learned enough to be used: measures, their null models, the verdict.

In: an embedding and the same model untrained. Out: measures, verdict.json, agreement of devices.
Read first: gate, quality.
"""
