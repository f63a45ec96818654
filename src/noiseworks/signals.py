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

_came: list[int] = []


def exit_on_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # of a KeyboardInterrupt Lightning would make exit status 1
        signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    _came.append(number)
    sys.exit(128 + number)


def came() -> bool:
    return bool(_came)


def check() -> None:
    """SystemExit if a signal came."""
    if _came:
        sys.exit(128 + _came[0])
