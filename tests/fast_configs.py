"""Configurations of noiseworks in this process, as a sweep composes them: a hundred times faster than a command."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import setup_globals
from hydra.types import RunMode

from hydra_members.composer import Composer
from noiseworks.paths import conf_folder


@cache
def _composer() -> Composer:
    setup_globals()
    try:
        hydra = Hydra.create_main_hydra2("noiseworks", create_config_search_path(str(conf_folder())))
        return Composer(hydra.config_loader, hydra.compose_config("config", [], run_mode=RunMode.MULTIRUN))
    finally:
        GlobalHydra.instance().clear()


def configuration(overrides: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration, resolved, and the option chosen in each group."""
    job = _composer().job(list(overrides), 0)
    return job.config, job.choices
