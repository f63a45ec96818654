"""What configurations may name: the application's check, at the places where Hydra and logging import and call.

Hydra 1.3 has no list of what may be called, only one of what may not. These are private to it; where one is not found
under another version, nothing is run.
"""

from collections.abc import Callable
from typing import Any, Protocol

from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra._internal.instantiate import _instantiate2
from hydra._internal.logging_config import HydraDictConfigurator

STREAMS = ("sys.stdout", "sys.stderr")


class NameCheck(Protocol):
    """Raises where a name, before it is imported, or the object that it stood for is not to be used."""

    def name(self, target: str) -> None: ...

    def made_of(self, target: str, found: Any) -> None: ...

    def package(self, name: str) -> None:
        """One in which configurations are looked for, pkg://name."""

    def of_logging(self, name: str) -> None:
        """A class of handlers or formatters."""


def guard(check: NameCheck) -> None:
    """For this process, and for all that Hydra composes, instantiates and logs from now on; once is enough."""
    _guard_instantiation(check)
    _guard_packages(check)
    _guard_logging(check)


def _guard_instantiation(check: NameCheck) -> None:
    resolve: Callable[..., Any] = _plain(_instantiate2._resolve_target)

    def resolve_target(target: Any, full_key: str) -> Any:
        name = target if isinstance(target, str) else f"{target.__module__}.{target.__qualname__}"
        check.name(name)
        found = resolve(target, full_key)
        check.made_of(name, found)
        return found

    _instantiate2._resolve_target = _marked(resolve_target, resolve)


def _guard_packages(check: NameCheck) -> None:
    begin: Callable[..., None] = _plain(ImportlibResourcesConfigSource.__init__)

    def init(self: Any, provider: str, path: str) -> None:
        begin(self, provider, path)
        check.package(self.path)

    ImportlibResourcesConfigSource.__init__ = _marked(init, begin)  # type: ignore[method-assign]


def _guard_logging(check: NameCheck) -> None:
    """By `resolve` comes every `class`, `()` and `ext://`."""
    resolve: Callable[..., Any] = _plain(HydraDictConfigurator.resolve)

    def resolve_name(self: Any, s: str) -> Any:
        if s not in STREAMS:
            check.of_logging(s)
        return resolve(self, s)

    HydraDictConfigurator.resolve = _marked(resolve_name, resolve)  # type: ignore[method-assign]


def _plain(function: Any) -> Any:
    """Without what an earlier guard has put around it."""
    return getattr(function, "guarded", function)


def _marked(function: Any, inner: Any) -> Any:
    function.guarded = inner
    return function
