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
import psutil


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
            return _started(int(pid)) == started  # a worker of 0.1.0 has clock ticks there: it is dead
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
    """Seconds from the boot to the start of the process, as text; None if none of that number runs."""
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        return f"{process.create_time() - psutil.boot_time():.2f}"  # whoever sets the clock changes both
    except psutil.Error:
        return None
