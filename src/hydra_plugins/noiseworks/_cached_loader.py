"""Hydra's configuration loader, which reads each file and merges each choice of groups only once.

Everything else, from the order in which overrides are applied to the text of the errors, is Hydra's own code.
"""

import copy
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig

from hydra_plugins.noiseworks._override_lines import OverrideReader

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
