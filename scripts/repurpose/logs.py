"""Logging for a rule: one file, the terminal, and a last line that a person can act on."""

import logging
import sys
from pathlib import Path
from types import TracebackType

from repurpose.errors import InputError, StoppedError

FORMAT, TIME = "%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"


class Detailed(logging.Formatter):
    """Adds what a record keeps for the file alone, its `detail`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the detail behind it."""
        detail = getattr(record, "detail", "")
        return f"{super().format(record)}  {detail}" if detail else super().format(record)


def configure(path: str | Path | None = None) -> None:
    """Send log records and uncaught errors to stderr and, where `path` is given, to that file.

    An `InputError` or `StoppedError` ends the process with its sentence alone; anything else, which is a
    defect of ours, with its traceback. Both exit with 1.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(logging.Formatter(FORMAT, TIME))
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, mode="w"))
        handlers[1].setFormatter(Detailed(FORMAT, TIME))
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    sys.excepthook = _report


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, (InputError, StoppedError)):
        logging.error("%s", error)
    elif issubclass(kind, KeyboardInterrupt):
        logging.error("interrupted")
    else:
        logging.error("unexpected error, %s: %s", kind.__name__, error, exc_info=(kind, error, trace))
