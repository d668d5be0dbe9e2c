"""Logging of a rule to a file and to the terminal; after an error the last line says what the user can do."""

import functools
import logging
import sys
import time
from pathlib import Path
from types import TracebackType

from repurpose.core.errors import InputError, StoppedError, is_out_of_memory, shortened

FORMAT, TIME = "%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"
FREE_MEMORY = (
    "close other programs, run the same command with --cores 1 so that no other job runs at the same "
    "time, use a machine with more memory, or lower hgt.embedding_dim and hgt.hidden_dim"
)


class DetailFormatter(logging.Formatter):
    """Adds a record's `detail` to its line: text for the log file only."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of the record, then its detail if it has one."""
        detail = getattr(record, "detail", "")
        return f"{super().format(record)}  {detail}" if detail else super().format(record)


# As `extra` of a record: for the log file, and not for the terminal, or there only after SILENT seconds
# without a line.
LOG_ONLY = {"log_only": True}
IF_SLOW = {"if_slow": True}
SILENT = 10.0


class TerminalFilter(logging.Filter):
    """Which records the terminal shows; the time of the last one begins with that of this object."""

    def __init__(self) -> None:
        super().__init__()
        self.last = time.monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a record with LOG_ONLY, and for one with IF_SLOW that follows another at once."""
        now = time.monotonic()
        is_shown = not getattr(record, "log_only", False)
        if getattr(record, "if_slow", False):
            is_shown = now - self.last >= SILENT
        if is_shown:
            self.last = now
        return is_shown


class LogFile(logging.FileHandler):
    """A log file; if its disk becomes full, the terminal says so once, without a traceback."""

    is_full = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Report a file that cannot be written once; treat other errors as the base class does."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.is_full:
            self.is_full = True
            sys.stderr.write(f"the log {self.baseFilename} cannot be written ({error.strerror})\n")


def configure(path: str | Path | None = None) -> None:
    """Send log records and uncaught errors to stderr and, if `path` is given, to that file.

    An `InputError`, a `StoppedError` or a lack of memory ends the process with one sentence. Any other error
    is a defect of this program and ends it with a traceback. The exit status is 1 in all these cases.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(logging.Formatter(FORMAT, TIME))
    if path is not None:
        handlers[0].addFilter(TerminalFilter())
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(LogFile(path, mode="w"))
        handlers[1].setFormatter(DetailFormatter(FORMAT, TIME))
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    sys.excepthook = functools.partial(_report, _job(path))


def _job(path: str | Path | None) -> str:
    """The job that writes this log: train_classifier/cpu for results/logs/train_classifier/cpu.log."""
    if path is None:
        return Path(sys.argv[0]).name or "the program"
    parts = Path(path).with_suffix("").parts
    return "/".join(parts[parts.index("logs") + 1 :] if "logs" in parts[:-1] else parts[-1:])


def _report(
    job: str, error_type: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(error_type, (InputError, StoppedError)):
        logging.error("%s", error)
    elif is_out_of_memory(error):
        logging.error("%s ran out of memory (%s); %s", job, shortened(error), FREE_MEMORY)
    elif issubclass(error_type, KeyboardInterrupt):
        logging.error("interrupted; run the same command again to go on")
    else:
        logging.error(
            "unexpected error, %s: %s", error_type.__name__, error, exc_info=(error_type, error, trace)
        )
