"""Ctrl-C and SIGTERM as a question that a loop asks, so that it can end where its state is whole."""

import logging
import signal
from collections.abc import Callable
from types import FrameType


def listen() -> Callable[[], bool]:
    """From now on remember SIGINT and SIGTERM; returns whether one has come. A second one acts at once."""
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        came.append(number)
        logging.info("asked to stop (%s): a checkpoint first", signal.Signals(number).name)
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, remember)
    return lambda: bool(came)
