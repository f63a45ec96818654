"""A storage whose process is killed when it writes for the n-th time."""

from __future__ import annotations

import os
import signal
from typing import Any

from hydra_members.storage import JournalFile


class Dying(JournalFile):
    """Before the write, in the middle of it, or when it is done."""

    def __init__(self, path: str, write: int, moment: str) -> None:
        super().__init__(path)
        self.left, self.moment = write, moment

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.left -= 1
        if self.left == 0 and self.moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        before = os.path.getsize(self.path)
        super().append_logs(logs)
        if self.left == 0:
            if self.moment == "middle":
                os.truncate(self.path, (before + os.path.getsize(self.path)) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
