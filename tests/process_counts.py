"""How many processes the tests start: the printed number is kept small."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

STARTED: Counter[str] = Counter()  # of this process; "commands forked" by command_line.Server


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        program = str(arguments[0])
        STARTED["interpreters" if program == sys.executable else "other programs"] += 1
    elif event == "os.fork":
        STARTED["forks of a test"] += 1


def count() -> None:
    sys.addaudithook(_hear)


def described(started: Counter[str]) -> str:
    return "processes started: " + (", ".join(f"{n} {what}" for what, n in sorted(started.items())) or "none")
