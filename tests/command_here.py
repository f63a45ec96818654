"""The command in this process: nothing is started, and nothing is imported again."""

from __future__ import annotations

import copy
import gc
import io
import logging
import os
import runpy
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins

from command_line import Result, Server, Started, environment

# What modules remember, and a process of its own would not know.
REMEMBERED = {
    "mlflow.tracking._tracking_service.utils._tracking_uri": None,
    "mlflow.tracking.fluent._active_experiment_id": None,
}


def here(folder: Path, arguments: tuple[str, ...], script: Path | None = None, **changes: str) -> Result:
    """What the command (or a Hydra application, as `python script` runs it) with these arguments, typed in this folder,
    says and ends with."""
    out, err = io.StringIO(), io.StringIO()
    own = _as_a_process(folder, [str(script or "noiseworks"), *arguments], environment(**changes))
    with own, redirect_stdout(out), redirect_stderr(err):
        status = _status(script)
    return Result(status, out.getvalue(), err.getvalue())


def _status(script: Path | None) -> int:
    from noiseworks.cli import main

    status: Any = 0
    try:
        main() if script is None else runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        status = end.code or 0
    except Exception:
        traceback.print_exc()
        status = 1
    if isinstance(status, str):  # sys.exit("a sentence")
        print(status, file=sys.stderr)
    return status if isinstance(status, int) else 1


@contextmanager
def _as_a_process(folder: Path, argv: list[str], environ: dict[str, str]) -> Iterator[None]:
    """What a process has of its own, and these tests need back."""
    logger, cwd, before = logging.getLogger(), os.getcwd(), dict(os.environ)
    logged, level = logger.handlers[:], logger.level
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("default")
        for name, value in REMEMBERED.items():
            patch.setattr(name, copy.copy(value), raising=False)
        patch.setattr(gc, "freeze", lambda: None)  # its garbage would stay
        Plugins.instance()  # they put their configurations into the store once
        patch.setattr(ConfigStore.instance(), "repo", copy.deepcopy(ConfigStore.instance().repo))
        patch.setattr("hydra._internal.utils.is_under_debugger", lambda: False)  # it reads the source of all frames
        patch.setattr(sys, "argv", argv)
        patch.setattr(sys, "path", [str(Path(argv[0]).parent), *sys.path])
        os.chdir(folder)
        _set(environ)
        try:
            yield
        finally:
            GlobalHydra.instance().clear()
            HydraConfig.instance().cfg = None
            for name, module in list(sys.modules.items()):
                if str(getattr(module, "__file__", None)).startswith(f"{folder}/"):
                    del sys.modules[name]
            gc.enable()
            for handler in set(logger.handlers) - set(logged):
                handler.close()
            logger.handlers[:], logger.level = logged, level
            for number, handler in handlers.items():
                signal.signal(number, handler)
            _set(before)
            os.chdir(cwd)


def _set(environ: dict[str, str]) -> None:
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    os.environ.update(environ)


class Command:
    """The command: called in this process (command_here.py), several at the same time in processes of their own."""

    @cached_property
    def server(self) -> Server:
        """Starting it takes seconds: only if it is needed."""
        return Server()

    def __call__(self, folder: Path, *arguments: str, **changes: str) -> Result:
        return here(folder, arguments, **changes)

    def script(self, folder: Path, script: Path, *arguments: str, **changes: str) -> Result:
        """A Hydra application, as `python script` runs it."""
        return here(folder, arguments, script, **changes)

    def together(self, folder: Path, commands: Sequence[Sequence[str]], **changes: str) -> list[Result]:
        """Several at the same time."""
        return self.start(folder, commands, **changes).wait()

    def start(
        self, folder: Path, commands: Sequence[Sequence[str]], script: Path | None = None, **changes: str
    ) -> Started:
        """Processes that can be stopped and killed."""
        return self.server.start(folder, commands, script, **changes)

    def close(self) -> None:
        if "server" in self.__dict__:
            self.server.close()
