"""Hydra's configuration loader, which parses each override, reads each file and merges each choice of groups only once.

Everything else, from the order in which overrides are applied to the text of the errors, is Hydra's own code."""

import copy
import re
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig

KEPT_LINES = 100_000  # 50 MB at the most

_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
_WHOLE = r"(?:0|[1-9][0-9]*)"
_INT = rf"[+-]?{_WHOLE}"
_POINT = rf"{_WHOLE}\.[0-9]*|\.[0-9]+"
_FLOAT = rf"[+-]?(?:(?:{_POINT})(?:[eE][+-]?[0-9]+)?|{_WHOLE}[eE][+-]?[0-9]+)"
_NUMBER = re.compile(rf"({_WORD}(?:\.{_WORD})*)=(?:({_INT})|({_FLOAT}))")


class OverrideReader:
    def __init__(self) -> None:
        self._parser = OverridesParser.create()
        self._read: dict[str, Override] = {}

    def read(self, text: str) -> Override:
        override = self._read.get(text)
        if override is None:
            if len(self._read) >= KEPT_LINES:
                self._read.clear()
            override = self._read[text] = parse_number(text) or self._parser.parse_overrides([text])[0]
        return override


def parse_number(text: str) -> Override | None:
    """The override `key=number`, or None if `text` is, or may be, anything else."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    key, whole, real = match.groups()
    return Override(
        type=OverrideType.CHANGE,
        key_or_group=key,
        value_type=ValueType.ELEMENT,
        _value=int(whole) if whole is not None else float(real),
        input_line=text,
    )


def is_plain(override: Override) -> bool:
    """key=value, where the value is a primitive or a list of primitives that mean themselves."""
    key, text = override.key_or_group, str(override.input_line)
    if override.type is not OverrideType.CHANGE or override.is_sweep_override() or override.package is not None:
        return False
    if not key or key == "hydra" or override.is_hydra_override() or "${" in text:
        return False
    value = override.value()
    return all(map(_is_primitive, value)) if isinstance(value, list) else _is_primitive(value)


def _is_primitive(value: Any) -> bool:
    return value is None or (isinstance(value, (bool, int, float, str)) and value != "???")


KEPT_CONFIGURATIONS = 128  # 0.5 MB each


class CachedLoader(ConfigLoaderImpl):
    """`merged` is the configuration that the latest load started from, before any override of a value."""

    def __init__(self, loader: ConfigLoaderImpl) -> None:
        self.config_search_path = loader.config_search_path
        self.repository = loader.repository
        self.overrides = OverrideReader()
        self.merged: DictConfig | None = None
        self._repositories: dict[Any, CachingConfigRepository] = {}
        self._merged: dict[Any, DictConfig] = {}

    def group_exists(self, key: str, master_config: DictConfig) -> bool:
        hydra = master_config.hydra
        _, repository = self._parse_overrides_and_create_caching_repo(
            hydra.job.config_name, list(hydra.overrides.hydra)
        )
        return repository.group_exists(key)

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str]
    ) -> tuple[list[Override], CachingConfigRepository]:
        parsed = [self.overrides.read(text) for text in overrides]
        paths = tuple(o.input_line for o in parsed if o.get_key_element() == "hydra.searchpath")
        if (config_name, paths) not in self._repositories:
            repository = CachingConfigRepository(self.repository)
            self._process_config_searchpath(config_name, parsed, repository)
            self._repositories[config_name, paths] = repository
        return parsed, self._repositories[config_name, paths]

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        key = (
            id(repo),
            *((d.config_path, d.package, d.is_self, d.primary, d.parent, d.override_key) for d in defaults),
        )
        self.merged = self._merged.pop(key, None)
        if self.merged is None:
            self.merged = super()._compose_config_from_defaults_list(defaults, _Copies(repo))
        self._merged[key] = self.merged  # last: the first in the dictionary is the one unused for longest
        if len(self._merged) > KEPT_CONFIGURATIONS:
            del self._merged[next(iter(self._merged))]
        return copy.deepcopy(self.merged)


class _Copies(CachingConfigRepository):
    """Hands out copies of what the repository keeps: merging moves the nodes that it is given into its result."""

    def __init__(self, repository: IConfigRepository) -> None:
        self.delegate = repository

    def load_config(self, config_path: str) -> ConfigResult | None:
        return copy.deepcopy(self.delegate.load_config(config_path))
