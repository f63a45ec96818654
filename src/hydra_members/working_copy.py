"""One job's configuration that is turned into the next job's, if only plain values differ between them."""

import copy
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.types import Override
from hydra.core.utils import env_override
from omegaconf import AnyNode, Container, DictConfig, IntegerNode, ListConfig, Node, OmegaConf, StringNode, ValueNode
from omegaconf._utils import split_key
from omegaconf.grammar_parser import parse

from hydra_members.job_config import Settled, hydra_config

Path = tuple[Any, ...]  # the keys from the root to a node, of the types under which they are kept

_NODE_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\}", re.ASCII)


def children(node: Any) -> Iterator[tuple[Any, Node]]:
    content = node.__dict__["_content"] if isinstance(node, Container) else None
    if isinstance(content, dict):
        yield from content.items()
    elif isinstance(content, list):
        yield from enumerate(content)


def find(root: Container, dotted: str) -> tuple[Path, Node] | None:
    """The node that an override of `dotted` would overwrite; None also where an interpolation stands in the way."""
    node: Any = root
    path: list[Any] = []
    for part in split_key(dotted):
        key = _key(node, part)
        if key is None:
            return None
        path.append(key)
        node = node.__dict__["_content"][key]
    return tuple(path), node


def _key(node: Any, part: str) -> Any:
    """`part` as the type that `node` keeps its keys in: 1 or an Enum, not "1"."""
    if isinstance(node, DictConfig) and isinstance(node.__dict__["_content"], dict):
        child = node._get_node(part, validate_access=False)
        return child._key() if isinstance(child, Node) else None
    return {str(key): key for key, _ in children(node)}.get(part)


def at(root: Container, path: Path) -> Any:
    node: Any = root
    for key in path:
        node = node.__dict__["_content"][key]
    return node


def interpolations(root: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """In the order in which OmegaConf.to_container would resolve them."""
    if root._is_interpolation():
        yield path, root
        return
    for key, node in children(root):
        yield from interpolations(node, (*path, key))


def plain(node: Node) -> Any:
    return OmegaConf.to_container(node, resolve=True) if isinstance(node, Container) else node._value()


def copy_plain(value: Any) -> Any:
    if type(value) is dict:
        return {key: copy_plain(item) for key, item in value.items()}
    if type(value) is list:
        return [copy_plain(item) for item in value]
    return value


class Reference:
    """An interpolation whose text stays, resolved again and again: parsing it is what costs."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._text = node._value()
        self._tree = parse(self._text)
        match = _NODE_REFERENCE.fullmatch(self._text)
        found = find(node._get_root(), match[1]) if match else None
        self._target = found[0] if found else None
        self._root = node._get_root()

    def value(self) -> Any:
        if self._target is not None and isinstance(self._node, ValueNode):
            target = at(self._root, self._target)
            if isinstance(target, ValueNode) and not target._is_interpolation() and not target._is_missing():
                return self._converted(target._value())
        parent = self._node._get_parent_container()
        assert parent is not None
        node = parent._resolve_interpolation_from_parse_tree(
            parent=parent,
            value=self._node,
            key=self._node._key(),
            parse_tree=self._tree,
            throw_on_resolution_failure=True,
            memo=None,
        )
        assert node is not None
        return plain(node)

    def _converted(self, value: Any) -> Any:
        """As the type of the node that holds the interpolation wants it."""
        if isinstance(self._node, AnyNode):
            return value
        assert isinstance(self._node, ValueNode)
        converted = self._node.validate_and_convert(value)
        return value if type(converted) is type(value) else converted


_NOW = re.compile(r"\$\{now:([%\w.-]+)\}", re.ASCII)


@dataclass(frozen=True)
class Line:
    override: Override
    is_group: bool  # it chooses an option and sets no value
    moves: bool  # only its value may differ between the jobs of one working copy


class WorkingCopy:
    """Two trees, as in run_job: the task's own, and the whole, in which the hydra node finds what it refers to."""

    def __init__(self, settled: Settled) -> None:
        self.whole, self.task, self.output_dir = settled.whole, settled.task, settled.output_dir
        self.overrides: list[str] = _container(self.whole, "overrides", "task")
        self.choices: dict[str, Any] = _container(self.whole, "runtime", "choices")
        self._env_set = at(self.whole, ("hydra", "job", "env_set"))
        self._holder = settled.hydra
        self._paths: dict[str, Path] = {}
        self._can_move = False
        self._config: dict[str, Any] | None = None
        self._references: list[tuple[Path, Reference]] = []

    def prepare(self, merged: DictConfig, lines: Sequence[Line], cache: dict[str, Any]) -> bool:
        """Whether the next job's values make of this copy exactly what they would make of a new configuration.

        `merged` is the configuration before any override. It must hold a value or a list for each key: overwriting a
        dictionary, or adding to one, has effects that the next value does not undo. `cache` is what resolvers have
        said in the sweep's own configuration.
        """
        keys = [line.override.key_or_group for line in lines if not line.is_group]
        if _are_nested(keys) or not _has_simple_job(self.whole, len(_of_task(lines))):
            return False
        for line in lines:
            key = line.override.key_or_group
            if line.moves and not self._finds(merged, key):
                return False
        self._share_hydra_node(cache)
        self._lines = list(lines)
        self._can_move = True
        return True

    def _finds(self, merged: DictConfig, key: str) -> bool:
        before, now = find(merged, key), find(self.task, key)
        if before is None or now is None or before[1]._metadata.flags:
            return False
        self._paths[key] = now[0]
        return not isinstance(before[1], DictConfig) and isinstance(now[1], (ValueNode, ListConfig))

    def _share_hydra_node(self, cache: dict[str, Any]) -> None:
        """HydraConfig holds a copy of the hydra node; from now on the node itself, which changes with the jobs."""
        self._holder = DictConfig({})
        self._holder.__dict__["_content"]["hydra"] = at(self.whole, ("hydra",))
        self._job = at(self.whole, ("hydra", "job")).__dict__["_content"]
        self._output = at(self.whole, ("hydra", "runtime", "output_dir"))
        self._tasks = at(self.whole, ("hydra", "overrides", "task")).__dict__["_content"]
        self._folders = [_reader(at(self.whole, ("hydra", "sweep", key)), cache) for key in ("dir", "subdir")]
        names: Any = OmegaConf.to_container(self._job["config"])
        self._dirname = {key: names["override_dirname"][key] for key in ("kv_sep", "item_sep", "exclude_keys")}

    def move(self, lines: Sequence[Line], num: int, cache: dict[str, Any]) -> None:
        """To the job of these overrides."""
        for line, before in zip(lines, self._lines):
            if line.moves and line is not before:
                self._overwrite(line.override)
        self._lines = list(lines)
        overrides = _of_task(lines)
        self.overrides = [str(override.input_line) for override in overrides]
        for node, text in zip(self._tasks, self.overrides):
            node._val = text
        self._job["num"]._val, self._job["id"]._val = num, str(num)
        self._job["override_dirname"]._val = get_overrides_dirname(overrides, **self._dirname)
        self._output._val = "???"
        _set_cache(self.whole, cache)
        with hydra_config(self._holder):
            self.output_dir = os.path.abspath(os.path.join(*(str(folder()) for folder in self._folders)))
        self._output._val = self.output_dir
        _set_cache(self.task, self.whole._metadata.resolver_cache)

    def _overwrite(self, override: Override) -> None:
        """In both trees; the second takes over what the first has validated and converted."""
        ConfigLoaderImpl._apply_overrides_to_config([override], self.task)
        path = self._paths[override.key_or_group]
        checked, target = at(self.task, path), at(self.whole, path)
        if isinstance(checked, ValueNode) and type(checked) is type(target):
            target._val = checked._val
        else:
            ConfigLoaderImpl._apply_overrides_to_config([override], self.whole)

    def composed(self, cache: dict[str, Any]) -> DictConfig:
        """A copy of the whole as it was before it was settled."""
        config = copy.deepcopy(self.whole)
        OmegaConf.set_readonly(config.hydra, False)
        at(config, ("hydra", "runtime", "output_dir"))._val = "???"
        config._metadata.resolver_cache = copy.deepcopy(cache)
        return config

    def read(self) -> dict[str, Any]:
        """The task's configuration, resolved, as run_job lets the task see it."""
        with hydra_config(self._holder), env_override(self._env_set) if len(self._env_set) else nullcontext():
            if self._config is not None:
                try:
                    return self._read_again(self._config)
                except Exception:  # once more as OmegaConf does it, whose error says where
                    return self._read_whole()
            config = self._read_whole()
            if self._can_move:
                self._references = [(path, Reference(node)) for path, node in interpolations(self.task)]
                self._config = copy_plain(config)
            return config

    def _read_whole(self) -> dict[str, Any]:
        config: Any = OmegaConf.to_container(self.task, resolve=True)
        return config

    def _read_again(self, known: dict[str, Any]) -> dict[str, Any]:
        config: dict[str, Any] = copy_plain(known)
        for path in self._paths.values():
            _put(config, path, plain(at(self.task, path)))
        for path, reference in self._references:
            _put(config, path, reference.value())
        return config


def _set_cache(config: DictConfig, cache: dict[str, Any]) -> None:
    """What the last job's resolvers have said is forgotten; where they have said nothing new, nothing is to be done."""
    if config._metadata.resolver_cache != cache:
        config._metadata.resolver_cache = copy.deepcopy(cache)


def _of_task(lines: Sequence[Line]) -> list[Override]:
    return [line.override for line in lines if not line.override.is_hydra_override()]


def _are_nested(keys: Sequence[str]) -> bool:
    """Whether one of the keys lies inside another, so that their order matters."""
    ordered = sorted(key + "." for key in keys)
    return any(after.startswith(before) for before, after in pairwise(ordered))


def _has_simple_job(whole: DictConfig, num_overrides: int) -> bool:
    """Whether Hydra fills the hydra node from the job's number and the overrides' text alone."""
    job, tasks = at(whole, ("hydra", "job")), at(whole, ("hydra", "overrides", "task"))
    content = job.__dict__["_content"]
    return (
        isinstance(content["num"], IntegerNode)
        and isinstance(content["id"], StringNode)
        and isinstance(content["override_dirname"], StringNode)
        and not any(interpolations(content["config"]))
        and not content["env_copy"]._is_interpolation()
        and len(content["env_copy"]) == 0
        and len(tasks) == num_overrides
        and all(find(whole, f"hydra.sweep.{key}") is not None for key in ("dir", "subdir"))
    )


def _container(whole: DictConfig, *path: str) -> Any:
    return OmegaConf.to_container(at(whole, ("hydra", *path)))


def _reader(node: Node, cache: dict[str, Any]) -> Callable[[], Any]:
    text: Any = None if node._is_missing() else node._value()  # None is what OmegaConf.select says
    if not node._is_interpolation():
        return lambda: text
    reference = Reference(node)
    if "${" in _NOW.sub("", text) or any((form,) not in cache["now"] for form in _NOW.findall(text)):
        return reference.value
    value = reference.value()  # the hour at which the sweep began, for all of its jobs
    return lambda: value


def _put(config: Any, path: Path, value: Any) -> None:
    for key in path[:-1]:
        config = config[key]
    config[path[-1]] = value
