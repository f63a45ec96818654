"""Where a study is kept."""

import re
from pathlib import Path
from typing import Any

import optuna
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend

from hydra_plugins.noiseworks._journal_file import JournalFile
from hydra_plugins.noiseworks._lock import alone


def open_storage(storage: Any) -> tuple[BaseStorage, str]:
    """`hydra.sweeper.storage`, and by what name its processes know it: None is the memory of this process, a path a
    journal file, an address what Optuna makes of it, a configuration with _target_ an instance."""
    if storage is None:
        return InMemoryStorage(), "memory"
    if isinstance(storage, DictConfig):
        return _made(instantiate(storage)), str(storage)
    if not isinstance(storage, str):
        return _made(storage), repr(storage)
    try:
        if "://" in storage:
            with alone(storage, ""):  # of two processes that make its tables one would fail
                return optuna.storages.get_storage(storage), _without_password(storage)
        path = Path(storage).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFile(str(path))), str(path)
    except Exception as error:  # of a driver that is not installed, a server that does not answer, a file that is none
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise HydraException(
            f"hydra.sweeper.storage={_without_password(storage)} cannot be opened ({reason}); it must be the path of"
            f" a journal file, as optuna.log, or an address that Optuna takes, as sqlite:///optuna.db."
        ) from error


def _without_password(url: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)


def _made(storage: Any) -> BaseStorage:
    if isinstance(storage, BaseJournalBackend):
        return JournalStorage(storage)
    if isinstance(storage, BaseStorage):
        return storage
    raise HydraException(f"hydra.sweeper.storage is a {type(storage).__name__}, which is no storage of Optuna's.")
