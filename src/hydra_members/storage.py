"""Where a study is kept, and Optuna's journal in a file, for processes that may be killed at any moment.

Optuna's own backend writes the same lines. But its lock is a link in the file system, which a process that is killed
leaves behind, so that the others wait for 30 s; a line that was being written then spoils the file for good; and it
waits for the disk five times a trial, which costs more than all the rest. Here the system frees the lock, a torn line
is cut off by who writes next, and the disk is waited for once a second: what a failing power supply may take with
it."""

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from hydra.errors import HydraException, InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend

SECRETS = re.compile(
    r"(://[^:/\s'\"]*:)[^@\s]*(?=@)|((?:passw(?:or)?d|pwd)['\"]?\s*[=:]\s*['\"]?)[^&'\"\s,}]+", re.IGNORECASE
)


def without_passwords(text: str) -> str:
    """postgresql://me:***@host/name, ...?password=***"""
    return SECRETS.sub(lambda match: f"{match[1] or match[2]}***", text)


@contextmanager
def alone(storage: str, name: str) -> Iterator[None]:
    """Making a storage, beginning the study of this name in it, taking trials of it."""
    digest = hashlib.sha256(f"{storage}\0{name}".encode()).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else 0
    with FileLock(Path(tempfile.gettempdir()) / f"study-{user}-{digest}.lock"):
        yield


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


def open_storage(storage: Any) -> tuple[BaseStorage, str]:
    """`hydra.sweeper.storage`, and by what name its processes know it: None is the memory of this process, a path a
    journal file, an address what Optuna makes of it, a configuration with _target_ an instance."""
    if storage is None:
        return InMemoryStorage(), "memory"
    if not isinstance(storage, (str, DictConfig)):
        return _made(storage), repr(storage)
    said = without_passwords(str(storage))
    try:
        if isinstance(storage, DictConfig):
            opened = instantiate(storage)
        elif "://" in storage:
            with alone(storage, ""):  # of two processes that make its tables one would fail
                opened = optuna.storages.get_storage(storage)
        else:
            path = Path(storage).absolute()
            path.parent.mkdir(parents=True, exist_ok=True)
            said, opened = str(path), JournalFile(str(path))
        return _made(opened), said
    except UnknownKind:
        raise
    except Exception as error:  # of a driver that is not installed, a server that does not answer, a file that is none
        cause = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
        reason = without_passwords(str(cause)).strip().splitlines() or [type(cause).__name__]
        raise HydraException(
            f"hydra.sweeper.storage={said} cannot be opened ({reason[0]}); it must be the path of"
            f" a journal file, as optuna.log, or an address that Optuna takes, as sqlite:///optuna.db."
        ) from error


class UnknownKind(HydraException):
    pass


def _made(storage: Any) -> BaseStorage:
    if isinstance(storage, BaseJournalBackend):
        return JournalStorage(storage)
    if isinstance(storage, BaseStorage):
        return storage
    raise UnknownKind(f"hydra.sweeper.storage is a {type(storage).__name__}, which is no storage of Optuna's.")
