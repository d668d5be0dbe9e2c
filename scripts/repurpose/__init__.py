"""Drug repurposing on knowledge graphs: the library that the workflow's scripts call."""

import importlib.util
import sys

if importlib.util.find_spec("pyarrow") is None:
    sys.exit(
        "Error: this Python does not have the project's packages; run `make env` once, then "
        "`source .venv/bin/activate` in each shell"
    )
