"""What a configuration, a table or an artifact may make noiseworks import and call: nothing but what is listed here.

A name is checked as text, before anything is imported, and again as the object that it stands for, since a name may
lead through a module to another one (`logging.os.system`).
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Self

from hydra.utils import get_object

from noiseworks.errors import UserError

VARIABLE, GROUP = "NOISEWORKS_TRUST", "noiseworks.trusted"
OWN = ("noiseworks", "noiseworks_experiments", "hydra_members")
LISTED = [  # exactly one name in the module, so that there is no way through it
    r"torch\.optim\.\w+",
    r"optuna\.(samplers|pruners|storages|storages\.journal)\.\w+",
    r"pytorch_lightning\.callbacks\.\w+",
    r"hydra\._internal\.core_plugins\.basic_(sweeper\.BasicSweeper|launcher\.BasicLauncher)",
    r"hydra\.experimental\.callbacks\.LogJobReturnCallback",
    r"hydra_plugins\.(noiseworks|hydra_optuna_sweeper|hydra_(joblib|ray|submitit)_launcher)(\.\w+)+",
]
LOGGING = re.compile(r"logging\.((handlers\.)?\w+Handler|Formatter)")
ROOTS = {"torch", "optuna", "pytorch_lightning", "hydra", "hydra_plugins", *OWN}
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class Trust:
    """packages: whose code is the user's own business, beside what is listed. It is `hydra_members.guard.NameCheck`."""

    packages: tuple[str, ...] = ()

    @classmethod
    def of_this_process(cls) -> Self:
        """What the environment names, read once, before any configuration; and installed packages that ask for it."""
        named = [name.strip() for name in os.environ.get(VARIABLE, "").split(",")]
        return cls(tuple(dict.fromkeys(name for name in [*named, *_installed()] if name)))

    def name(self, target: str) -> None:
        root = str(target).partition(".")[0]
        known = root in self.packages or root in OWN or any(re.fullmatch(each, str(target)) for each in LISTED)
        if known and NAME.fullmatch(str(target)):
            return
        raise self._refused(f"_target_={target}")

    def made_of(self, target: str, found: Any) -> None:
        """A class, or of a package that is trusted any callable, that is defined where it may be."""
        root = str(getattr(found, "__module__", "")).partition(".")[0]
        if root in self.packages or (root in ROOTS and inspect.isclass(found)):
            return
        raise self._refused(f"_target_={target}")

    def of_kind(self, target: str, bases: Iterable[str]) -> None:
        """A subclass of one of these; what a trusted package makes is its own business."""
        self.name(target)
        try:
            found = get_object(target)
        except Exception as error:
            raise UserError(f"_target_={target}: there is no such class.") from error
        self.made_of(target, found)
        if target.partition(".")[0] not in self.packages and not _derives(found, bases):
            raise UserError(f"_target_={target} is of another kind; here it must be a {' or a '.join(bases)}.")

    def search_space(self, function: str) -> None:
        """hydra.sweeper.custom_search_space is called before anything else: of trusted packages alone."""
        if function.partition(".")[0] not in self.packages:
            raise self._refused(f"hydra.sweeper.custom_search_space={function}")

    def package(self, name: str) -> None:
        if name.partition(".")[0] not in {"hydra", "noiseworks", *self.packages} and name not in PLUGINS:
            raise self._refused(f"pkg://{name}")

    def of_logging(self, name: str) -> None:
        if LOGGING.fullmatch(str(name)) is None and str(name).partition(".")[0] not in self.packages:
            raise self._refused(f"hydra.job_logging={name}")

    def environment(self, names: Iterable[str]) -> None:
        """hydra.job.env_set may not say what is trusted."""
        if VARIABLE in names:
            raise UserError(f"hydra.job.env_set cannot set {VARIABLE}; it is read from the environment, before Hydra.")

    def _refused(self, what: str) -> UserError:
        return UserError(
            f"{what} names nothing that noiseworks calls: its own classes, those of torch.optim, of optuna's samplers "
            "and pruners, of pytorch_lightning.callbacks and of logging. If you trust the package, say so in the "
            f"environment: {VARIABLE}={what.rpartition('=')[2].partition('.')[0].removeprefix('pkg://')}."
        )


@cache
def _installed() -> list[str]:
    return [point.value.partition(":")[0].partition(".")[0] for point in entry_points(group=GROUP)]


def _derives(found: Any, bases: Iterable[str]) -> bool:
    return inspect.isclass(found) and issubclass(found, tuple(get_object(base) for base in bases))


PLUGINS = {"hydra_plugins.hydra_colorlog.conf"}  # on Hydra's search path wherever it is installed
