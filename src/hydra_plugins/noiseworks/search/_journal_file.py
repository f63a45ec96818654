"""Optuna's journal in a file, for processes that may be killed at any moment.

Optuna's own backend writes the same lines. But its lock is a link in the file system, which a process that is killed
leaves behind, so that the others wait for 30 s; a line that was being written then spoils the file for good; and it
waits for the disk five times a trial, which costs more than all the rest. Here the system frees the lock, a torn line
is cut off by who writes next, and the disk is waited for once a second: what a failing power supply may take with it.
"""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

from filelock import FileLock
from optuna.storages.journal import BaseJournalBackend

SYNC_SECONDS = 1.0
TAIL = 65536


class JournalFile(BaseJournalBackend):
    def __init__(self, path: str) -> None:
        self.path, self.lock = path, FileLock(f"{path}.flock")  # Optuna takes a file .lock for a lock that is held
        self._starts = [0]  # of the lines read so far, and of the next one, in bytes
        self._synced = time.monotonic()
        with open(path, "ab"):  # it is there from now on
            pass

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Whole lines; one that is still being written comes the next time."""
        try:
            return iter(self._read(log_number_from))
        except ValueError:  # a torn line was cut off and written over meanwhile
            with self.lock:
                return iter(self._read(log_number_from))

    def _read(self, log_number_from: int) -> list[dict[str, Any]]:
        first = min(log_number_from, len(self._starts) - 1)
        with open(self.path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(self._starts[first])
            *lines, _ = file.read(max(0, size - self._starts[first])).split(b"\n")
        logs = [json.loads(line) for line in lines[log_number_from - first :]]
        for line in lines[len(self._starts) - 1 - first :]:
            self._starts.append(self._starts[-1] + len(line) + 1)
        return logs

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        with self.lock:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            try:
                _cut_torn_line(descriptor)
                while text:
                    text = text[os.write(descriptor, text) :]
                if time.monotonic() - self._synced > SYNC_SECONDS:
                    os.fsync(descriptor)
                    self._synced = time.monotonic()
            finally:
                os.close(descriptor)


def _cut_torn_line(descriptor: int) -> None:
    """Who began it is dead: the lock is ours."""
    size = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return
    end = size
    while end > 0:
        start = max(0, end - TAIL)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            os.ftruncate(descriptor, start + newline + 1)
            return
        end = start
    os.ftruncate(descriptor, 0)
