"""The settings of a run.

In: config/config.yaml and overlays. Out: checked sections, or one sentence on the first fault.
Read first: sections, settings.
"""
