"""The password of a storage is nobody's to read on the screen, whether the storage opens or not."""

from __future__ import annotations

import gc
import warnings

import pytest
from study_toy import grid, search

from soaked import every

SECRET = "geheim"
ADDRESS, INSTANCE = "'{}'", "{{_target_:optuna.storages.RDBStorage,url:'{}'}}"
NOWHERE = "127.0.0.1:1/none"  # nobody listens there
URLS = [
    f"postgresql+psycopg://me:{SECRET}@{NOWHERE}",
    f"postgresql+psycopg://me@there:{SECRET}@{NOWHERE}",
    f"postgresql+psycopg://:{SECRET}@{NOWHERE}",
    f"postgresql+psycopg://me@{NOWHERE}?password={SECRET}&connect_timeout=2",
    f"postgresql+nodriver://me:{SECRET}@{NOWHERE}",
    f"nothing://me:{SECRET}@{NOWHERE}",
    f"postgresql+psycopg://me:{SECRET}@127.0.0.1:port/none",
]


@pytest.fixture(autouse=True)
def connections_are_forgotten():
    """Here, where a process would end: their warnings are not for the tests that come next."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.parametrize("storage", every(3, [*map(ADDRESS.format, URLS), *map(INSTANCE.format, URLS[:2])]))
def test_what_cannot_be_opened(command, tmp_path, storage):
    result = search(command, tmp_path, 1, *grid(1), f"hydra.sweeper.storage={storage}")
    assert result.status == 1
    assert "hydra.sweeper.storage=" in result.err
    assert "cannot be opened" in result.err
    assert SECRET not in result.out + result.err


def test_what_opens(command, tmp_path, postgres):
    """The server asks for no password, and takes one."""
    url = postgres.database(SECRET)
    for storage in (ADDRESS.format(url), INSTANCE.format(url)):
        result = search(command, tmp_path, 2, *grid(2), f"hydra.sweeper.storage={storage}").succeeded()
        assert "Storage: " in result.out
        assert "***" in result.out
        assert SECRET not in result.out + result.err


def test_what_cannot_be_read(command, tmp_path):
    """The command of this project names what it could not read: here an address that wants quotes."""
    url = f"postgresql+psycopg://me:{SECRET}@there/none?sslmode=require"
    result = command(tmp_path, "-m", "hydra/sweeper=optuna", f"hydra.sweeper.storage={url}")
    assert result.status == 2
    assert "hydra.sweeper.storage=postgresql+psycopg://me" in result.err
    assert SECRET not in result.out + result.err


def test_what_says_no_in_the_command(command, tmp_path):
    storage = f"hydra.sweeper.storage='postgresql+psycopg://me:{SECRET}@{NOWHERE}'"
    result = command(tmp_path, "-m", "hydra/sweeper=optuna", "optimizer.lr=interval(0,1)", "tracking=none", storage)
    assert result.status == 2
    assert "hydra.sweeper.storage=postgresql+psycopg://me:***@127.0.0.1:1/none cannot be opened" in result.err
    assert SECRET not in result.out + result.err
