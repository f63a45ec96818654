"""Stores for studies."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from study_postgres import Postgres, serving


@pytest.fixture
def new_folder(fresh_store: Path, tmp_path: Path) -> Callable[[str], Path]:
    """new_folder(name): for commands, with an MLflow store in it."""

    def make(name: str) -> Path:
        (tmp_path / name).mkdir()
        shutil.copy(fresh_store, tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def folder(new_folder: Callable[[str], Path]) -> Path:
    return new_folder("here")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of our own."""
    with serving() as server:
        yield server
