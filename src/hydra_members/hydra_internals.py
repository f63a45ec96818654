"""What is private to Hydra and OmegaConf: the one module that may break with their next versions.

`fast_composition` imports it, for the versions in `composer.TESTED` only. Whoever adds one there runs tests/plugins,
which compare every value, type, flag and error with what Hydra makes of the same overrides.
"""

import copy
import re
from collections.abc import Iterator, Sequence
from typing import Any

from hydra._internal import config_loader_impl, config_repository
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType
from hydra.plugins.config_source import ConfigResult
from omegaconf import AnyNode, Container, DictConfig, Node, OmegaConf, ValueNode
from omegaconf.grammar_parser import parse

KEPT_LINES = 100_000  # 50 MB at the most

_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
_WHOLE = r"(?:0|[1-9][0-9]*)"
_INT = rf"[+-]?{_WHOLE}"
_POINT = rf"{_WHOLE}\.[0-9]*|\.[0-9]+"
_FLOAT = rf"[+-]?(?:(?:{_POINT})(?:[eE][+-]?[0-9]+)?|{_WHOLE}[eE][+-]?[0-9]+)"
_NUMBER = re.compile(rf"({_WORD}(?:\.{_WORD})*)=(?:({_INT})|({_FLOAT}))")


class OverrideReader:
    """Overrides in Hydra's grammar, each text parsed once."""

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


KEPT_CONFIGURATIONS = 128  # 0.5 MB each


def is_hydras_own(loader: ConfigLoader) -> bool:
    """A loader of somebody's own, derived from Hydra's, may do anything."""
    return type(loader) is config_loader_impl.ConfigLoaderImpl


class CachedLoader(config_loader_impl.ConfigLoaderImpl):
    """Hydra's loader, which parses each override, reads each file and merges each choice of groups only once.

    Everything else, from the order in which overrides are applied to the text of the errors, is Hydra's own code.
    `merged` is the configuration that the latest load started from, before any override of a value.
    """

    def __init__(self, loader: Any) -> None:
        self.config_search_path = loader.config_search_path
        self.repository = loader.repository
        self.overrides = OverrideReader()
        self.merged: DictConfig | None = None
        self._repositories: dict[Any, config_repository.CachingConfigRepository] = {}
        self._merged: dict[Any, DictConfig] = {}

    def group_exists(self, key: str, master_config: DictConfig) -> bool:
        hydra = master_config.hydra
        _, repository = self._parse_overrides_and_create_caching_repo(
            hydra.job.config_name, list(hydra.overrides.hydra)
        )
        return repository.group_exists(key)

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str]
    ) -> tuple[list[Override], config_repository.CachingConfigRepository]:
        parsed = [self.overrides.read(text) for text in overrides]
        paths = tuple(o.input_line for o in parsed if o.get_key_element() == "hydra.searchpath")
        if (config_name, paths) not in self._repositories:
            repository = config_repository.CachingConfigRepository(self.repository)
            self._process_config_searchpath(config_name, parsed, repository)
            self._repositories[config_name, paths] = repository
        return parsed, self._repositories[config_name, paths]

    def _compose_config_from_defaults_list(self, defaults: list[Any], repo: Any) -> DictConfig:
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


class _Copies(config_repository.CachingConfigRepository):
    """Hands out copies of what the repository keeps: merging moves the nodes that it is given into its result."""

    def __init__(self, repository: Any) -> None:
        self.delegate = repository

    def load_config(self, config_path: str) -> ConfigResult | None:
        return copy.deepcopy(self.delegate.load_config(config_path))


def apply_override(override: Override, config: DictConfig) -> None:
    config_loader_impl.ConfigLoaderImpl._apply_overrides_to_config([override], config)


def override_dirname(overrides: Sequence[Override], **form: Any) -> str:
    """What stands in hydra.job.override_dirname; `form`: kv_sep, item_sep and exclude_keys."""
    return config_loader_impl.get_overrides_dirname(list(overrides), **form)


NodePath = tuple[Any, ...]  # the keys from the root to a node, of the types under which they are kept


def content(node: Any) -> Any:
    """The nodes of a container by key or by index: its own, no copy."""
    return node.__dict__["_content"]


def copy_without_hydra(whole: DictConfig) -> DictConfig:
    """As job_config's, which copies the hydra node too, three quarters of a small configuration."""
    nodes = content(whole)
    whole.__dict__["_content"] = {key: node for key, node in nodes.items() if key != "hydra"}
    try:
        return copy.deepcopy(whole)
    finally:
        whole.__dict__["_content"] = nodes


def raw(node: Any) -> Any:
    """A leaf's value; the text of an interpolation, unresolved."""
    return node._value()


def set_raw(node: Any, value: Any) -> None:
    """Without the checks and conversions of the node's type."""
    node._val = value


def is_interpolation(node: Any) -> bool:
    return bool(node._is_interpolation())


def is_missing(node: Any) -> bool:
    return bool(node._is_missing())


def has_flags(node: Any) -> bool:
    """Whether the node is read-only, struct or the like by itself."""
    return bool(node._metadata.flags)


def at(root: Container, path: NodePath) -> Any:
    node: Any = root
    for key in path:
        node = content(node)[key]
    return node


def find(root: Container, dotted: str) -> tuple[NodePath, Node] | None:
    """The node that an override of `dotted` would overwrite; None also where an interpolation stands in the way, or
    brackets in the key."""
    node: Any = root
    path: list[Any] = []
    for part in dotted.split("."):
        key = _key(node, part)
        if key is None:
            return None
        path.append(key)
        node = content(node)[key]
    return tuple(path), node


def _key(node: Any, part: str) -> Any:
    """`part` as the type that `node` keeps its keys in: 1 or an Enum, not "1"."""
    if isinstance(node, DictConfig) and isinstance(content(node), dict):
        child = node._get_node(part, validate_access=False)
        return child._key() if isinstance(child, Node) else None
    return {str(key): key for key, _ in _children(node)}.get(part)


def _children(node: Any) -> Iterator[tuple[Any, Node]]:
    inner = content(node) if isinstance(node, Container) else None
    if isinstance(inner, dict):
        yield from inner.items()
    elif isinstance(inner, list):
        yield from enumerate(inner)


def interpolations(root: Node, path: NodePath = ()) -> Iterator[tuple[NodePath, Node]]:
    """In the order in which OmegaConf.to_container would resolve them."""
    if is_interpolation(root):
        yield path, root
        return
    for key, node in _children(root):
        yield from interpolations(node, (*path, key))


def plain(node: Node) -> Any:
    return OmegaConf.to_container(node, resolve=True) if isinstance(node, Container) else raw(node)


_NODE_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\}", re.ASCII)


class Reference:
    """An interpolation whose text stays, resolved again and again: parsing it is what costs."""

    def __init__(self, node: Any) -> None:
        self._node = node
        text = raw(node)
        self._tree = parse(text)
        match = _NODE_REFERENCE.fullmatch(text)
        self._root = node._get_root()
        found = find(self._root, match[1]) if match else None
        self._target = found[0] if found else None

    def value(self) -> Any:
        if self._target is not None and isinstance(self._node, ValueNode):
            target = at(self._root, self._target)
            if isinstance(target, ValueNode) and not is_interpolation(target) and not is_missing(target):
                return self._converted(raw(target))
        parent = self._node._get_parent_container()
        node = parent._resolve_interpolation_from_parse_tree(
            parent=parent,
            value=self._node,
            key=self._node._key(),
            parse_tree=self._tree,
            throw_on_resolution_failure=True,
            memo=None,
        )
        return plain(node)

    def _converted(self, value: Any) -> Any:
        """As the type of the node that holds the interpolation wants it."""
        if isinstance(self._node, AnyNode):
            return value
        converted = self._node.validate_and_convert(value)
        return value if type(converted) is type(value) else converted
