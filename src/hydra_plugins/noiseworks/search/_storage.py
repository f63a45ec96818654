"""Where a study is kept."""

from pathlib import Path
from typing import Any

import optuna
from hydra.errors import HydraException, InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend

from hydra_plugins.noiseworks._passwords import without_passwords
from hydra_plugins.noiseworks.search._journal_file import JournalFile
from hydra_plugins.noiseworks.search._lock import alone


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
