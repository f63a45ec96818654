"""Three workers on two cores, as tests often wait for what they started; one thread each, since threads that wait for
each other cost more than they give."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

os.environ["OMP_NUM_THREADS"] = "1"  # for the commands that tests start
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import pytest
import torch

if TYPE_CHECKING:
    from command_line import Server

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def command() -> Iterator[Server]:
    """command(folder, *arguments, **environment) -> Result: the real command, cheaply (command_server.py)."""
    from command_line import Server

    server = Server()
    yield server
    server.close()
