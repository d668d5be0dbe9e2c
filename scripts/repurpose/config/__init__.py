"""The settings of a run.

In: config/config.yaml and overlays. Out: checked sections, or an error that names the first fault.
Read first: settings.
"""
