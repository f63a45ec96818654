"""Whether the process that runs a trial is still alive.

Optuna's own heartbeat beats only inside `Study.optimize`. Here every process that works on a study has a name in which
its machine, its number and the time of its start stand: on the same machine the system is asked. For others it leaves a
sign in the study every few seconds, and is taken for dead when the last one is older than the lease (clocks may differ
by less than that).
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import optuna


class Lease:
    """This process, as a worker on a study."""

    def __init__(self, study: optuna.Study, seconds: float) -> None:
        self.study, self.seconds = study, seconds
        self.worker = f"{_machine()}|{os.getpid()}|{_started(os.getpid())}|{uuid.uuid4().hex[:8]}"
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self._beat()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._ended.wait(self.seconds / 4):
            self._beat()

    def _beat(self) -> None:
        self.study.set_user_attr(f"lease:{self.worker}", time.time())

    def is_alive(self, worker: str, signs: Mapping[str, Any]) -> bool:
        """`signs`: the study's user attributes."""
        machine, pid, started, _ = worker.rsplit("|", 3)
        if machine == _machine():
            return _started(int(pid)) == started
        return time.time() - signs.get(f"lease:{worker}", 0.0) < self.seconds


def _machine() -> str:
    """Host, boot and container: process numbers mean the same."""
    parts = [socket.gethostname()]
    for read in (lambda: Path("/proc/sys/kernel/random/boot_id").read_text(), lambda: os.readlink("/proc/self/ns/pid")):
        try:
            parts.append(read().strip())
        except OSError:  # not Linux
            parts.append("")
    return "/".join(parts)


def _started(pid: int) -> str | None:
    """When the process was started, as text; None if there is none of that number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        state, *fields = stat.rpartition(")")[2].split()
        return None if state in "ZX" else fields[18]
    except OSError:
        return None if Path("/proc/self/stat").exists() or not _exists(pid) else ""


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
