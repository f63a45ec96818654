"""SIGINT and SIGTERM end the command as SystemExit(128 + number), wherever it is.

The exception comes between any two instructions of any library, and does not always arrive: a `finally` that fails in
its turn takes its place, or somebody's `except:` keeps it. So the signal is remembered, and asked for wherever an
exception is taken for the failure of a job, and after each epoch.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn


class Signals:
    """Those that this process was sent; `main` makes one and hands it on."""

    def __init__(self) -> None:
        self.received: list[int] = []

    def exit_on_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):  # of a KeyboardInterrupt Lightning would make exit status 1
            signal.signal(number, self._exit)

    def _exit(self, number: int, frame: FrameType | None) -> NoReturn:
        self.received.append(number)
        sys.exit(128 + number)

    def check(self) -> None:
        """SystemExit if a signal came."""
        if self.received:
            sys.exit(128 + self.received[0])
