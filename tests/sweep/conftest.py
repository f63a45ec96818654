from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "command"))

from command_line import Server


@pytest.fixture(scope="session")
def command() -> Iterator[Server]:
    """command(folder, *arguments, **environment) -> Result; see tests/command."""
    server = Server()
    yield server
    server.close()
