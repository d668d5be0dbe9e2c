"""Logging for a rule: one file, the terminal, and a last line that a person can act on."""

import logging
import sys
from pathlib import Path
from types import TracebackType

from repurpose.errors import InputError, StoppedError

FORMAT = "%(asctime)s %(levelname)s %(message)s"


def configure(path: str | Path | None = None) -> None:
    """Send log records and uncaught errors to stderr and, where `path` is given, to that file.

    An `InputError` or `StoppedError` ends the process with its sentence alone; anything else, which is a
    defect of ours, with its traceback. Both exit with 1.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, mode="w"))
    logging.basicConfig(level=logging.INFO, format=FORMAT, datefmt="%H:%M:%S", handlers=handlers, force=True)
    sys.excepthook = _report


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, (InputError, StoppedError)):
        logging.error("%s", error)
    elif issubclass(kind, KeyboardInterrupt):
        logging.error("interrupted")
    else:
        logging.error("unexpected error, %s: %s", kind.__name__, error, exc_info=(kind, error, trace))
