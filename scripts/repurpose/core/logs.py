"""Logging for a rule: one file, the terminal, and a last line that a person can act on."""

import functools
import logging
import sys
from pathlib import Path
from types import TracebackType

from repurpose.core.errors import InputError, StoppedError, is_exhausted, shortened

FORMAT, TIME = "%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"
FREE_MEMORY = (
    "close other programs, run the same command with --cores 1 so that no other job is beside it, use a "
    "machine with more memory, or lower hgt.embedding_dim and hgt.hidden_dim"
)


class Detailed(logging.Formatter):
    """Adds what a record keeps for the file alone, its `detail`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the detail behind it."""
        detail = getattr(record, "detail", "")
        return f"{super().format(record)}  {detail}" if detail else super().format(record)


class File(logging.FileHandler):
    """A log file whose disk may become full: the terminal then says so once, without a traceback."""

    is_full = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """As of any handler, but for a file that cannot be written."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.is_full:
            self.is_full = True
            sys.stderr.write(f"the log {self.baseFilename} cannot be written ({error.strerror})\n")


def configure(path: str | Path | None = None) -> None:
    """Send log records and uncaught errors to stderr and, where `path` is given, to that file.

    An `InputError`, a `StoppedError` or want of memory ends the process with a sentence alone; anything
    else, which is a defect of ours, with its traceback. All exit with 1.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(logging.Formatter(FORMAT, TIME))
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(File(path, mode="w"))
        handlers[1].setFormatter(Detailed(FORMAT, TIME))
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    sys.excepthook = functools.partial(_report, _job(path))


def _job(path: str | Path | None) -> str:
    """The job that writes this log: train_classifier/cpu of results/logs/train_classifier/cpu.log."""
    if path is None:
        return Path(sys.argv[0]).name or "the program"
    parts = Path(path).with_suffix("").parts
    return "/".join(parts[parts.index("logs") + 1 :] if "logs" in parts[:-1] else parts[-1:])


def _report(job: str, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, (InputError, StoppedError)):
        logging.error("%s", error)
    elif is_exhausted(error):
        logging.error("%s ran out of memory (%s); %s", job, shortened(error), FREE_MEMORY)
    elif issubclass(kind, KeyboardInterrupt):
        logging.error("interrupted")
    else:
        logging.error("unexpected error, %s: %s", kind.__name__, error, exc_info=(kind, error, trace))
