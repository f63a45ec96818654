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


def guard(check: NameCheck) -> Callable[[], None]:
    """For this process, and for all that Hydra composes, instantiates and logs from now on; what it returns ends it."""
    undo = [_guard_instantiation(check), _guard_packages(check), _guard_logging(check)]

    def end() -> None:
        for each in undo:
            each()

    return end


def _guard_instantiation(check: NameCheck) -> Callable[[], None]:
    resolve: Callable[..., Any] = _instantiate2._resolve_target

    def resolve_target(target: Any, full_key: str) -> Any:
        name = target if isinstance(target, str) else f"{target.__module__}.{target.__qualname__}"
        check.name(name)
        found = resolve(target, full_key)
        check.made_of(name, found)
        return found

    return _put(_instantiate2, "_resolve_target", resolve_target)


def _guard_packages(check: NameCheck) -> Callable[[], None]:
    begin: Callable[..., None] = ImportlibResourcesConfigSource.__init__

    def init(self: Any, provider: str, path: str) -> None:
        begin(self, provider, path)
        check.package(self.path)

    return _put(ImportlibResourcesConfigSource, "__init__", init)


def _guard_logging(check: NameCheck) -> Callable[[], None]:
    """By `resolve` comes every `class`, `()` and `ext://`."""
    resolve: Callable[..., Any] = HydraDictConfigurator.resolve

    def resolve_name(self: Any, s: str) -> Any:
        if s not in STREAMS:
            check.of_logging(s)
        return resolve(self, s)

    return _put(HydraDictConfigurator, "resolve", resolve_name)


def _put(owner: Any, name: str, function: Callable[..., Any]) -> Callable[[], None]:
    before = getattr(owner, name)
    setattr(owner, name, function)
    return lambda: setattr(owner, name, before)
