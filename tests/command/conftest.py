from __future__ import annotations

from collections.abc import Iterator

import pytest
from command_line import Server


@pytest.fixture(scope="session")
def command() -> Iterator[Server]:
    """command(folder, *arguments, **environment) -> Result"""
    server = Server()
    yield server
    server.close()
