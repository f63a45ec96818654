"""The command `noiseworks`: a Hydra application. Nothing heavy is imported before a job runs."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import hydra
from omegaconf import DictConfig

from noiseworks.errors import FitFailed, UserError


def conf_folder() -> Path:
    """conf/ of the installed package, or that at the top of a checkout."""
    here = Path(__file__).parent
    return here / "conf" if (here / "conf").is_dir() else here.parents[1] / "conf"


def task(cfg: DictConfig) -> Any:
    from noiseworks.run import run

    return run(cfg)


def main() -> None:
    """Exit status 0: done; 1: a fit failed; 2: a mistake in what was asked for; 130, 143: stopped by a signal."""
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come through to here
    signal.signal(signal.SIGTERM, _terminate)
    try:
        hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")(task)()
    except KeyboardInterrupt:
        sys.exit(130)
    except FitFailed as error:
        _complain(str(error), 1)
    except Exception as error:
        message = _explained(error)
        if wants_traceback or message is None:
            raise
        _complain(message, 2)


def _explained(error: Exception) -> str | None:
    if isinstance(error, UserError):
        return str(error)
    from noiseworks.explain import explain

    return explain(error, sys.argv[1:], conf_folder())


def _complain(message: str, status: int) -> NoReturn:
    print(f"noiseworks: {message}", file=sys.stderr)
    sys.exit(status)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signum)
