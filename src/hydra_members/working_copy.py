"""One job's configuration that is turned into the next job's, if only plain values differ between them."""

import copy
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, IntegerNode, ListConfig, Node, OmegaConf, StringNode, ValueNode

from hydra_members.hydra_internals import (
    NodePath,
    Reference,
    apply_override,
    at,
    content,
    find,
    has_flags,
    interpolations,
    is_interpolation,
    is_missing,
    override_dirname,
    plain,
    raw,
    set_raw,
)
from hydra_members.job_config import JobConfig, hydra_config, task_sees
from hydra_members.protocol import BatchJob

_NOW = re.compile(r"\$\{now:([%\w.-]+)\}", re.ASCII)


@dataclass(frozen=True)
class Line:
    """One override of a job."""

    override: Override
    is_group: bool  # it chooses an option and sets no value
    moves: bool  # only its value may differ between the jobs of one working copy


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


class WorkingCopy:
    """Two trees, as in run_job: the task's own, and the whole, in which the hydra node finds what it refers to."""

    def __init__(self, composed: JobConfig) -> None:
        self.whole, self.task, self.output_dir = composed.whole, composed.task, composed.output_dir
        self.overrides: list[str] = _container(self.whole, "overrides", "task")
        self.choices: dict[str, Any] = _container(self.whole, "runtime", "choices")
        self._env_set = at(self.whole, ("hydra", "job", "env_set"))
        self._holder = composed.hydra
        self._paths: dict[str, NodePath] = {}
        self._config: dict[str, Any] | None = None
        self._references: list[tuple[NodePath, Reference]] = []

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
        return True

    def _finds(self, merged: DictConfig, key: str) -> bool:
        before, now = find(merged, key), find(self.task, key)
        if before is None or now is None or has_flags(before[1]):
            return False
        self._paths[key] = now[0]
        return not isinstance(before[1], DictConfig) and isinstance(now[1], (ValueNode, ListConfig))

    def _share_hydra_node(self, cache: dict[str, Any]) -> None:
        """HydraConfig holds a copy of the hydra node; from now on the node itself, which changes with the jobs."""
        self._holder = DictConfig({})
        content(self._holder)["hydra"] = at(self.whole, ("hydra",))
        self._job = content(at(self.whole, ("hydra", "job")))
        self._output = at(self.whole, ("hydra", "runtime", "output_dir"))
        self._tasks = content(at(self.whole, ("hydra", "overrides", "task")))
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
            set_raw(node, text)
        set_raw(self._job["num"], num)
        set_raw(self._job["id"], str(num))
        set_raw(self._job["override_dirname"], override_dirname(overrides, **self._dirname))
        set_raw(self._output, "???")
        _set_cache(self.whole, cache)
        with hydra_config(self._holder):
            self.output_dir = os.path.abspath(os.path.join(*(str(folder()) for folder in self._folders)))
        set_raw(self._output, self.output_dir)
        _set_cache(self.task, OmegaConf.get_cache(self.whole))

    def _overwrite(self, override: Override) -> None:
        """In both trees; the second takes over what the first has validated and converted."""
        apply_override(override, self.task)
        path = self._paths[override.key_or_group]
        checked, target = at(self.task, path), at(self.whole, path)
        if isinstance(checked, ValueNode) and type(checked) is type(target):
            set_raw(target, raw(checked))
        else:
            apply_override(override, self.whole)

    def composed(self, cache: dict[str, Any]) -> DictConfig:
        """A copy of the whole, as load_sweep_config gives it."""
        config = copy.deepcopy(self.whole)
        OmegaConf.set_readonly(config.hydra, False)
        set_raw(at(config, ("hydra", "runtime", "output_dir")), "???")
        OmegaConf.set_cache(config, cache)
        return config

    def job(self, num: int) -> BatchJob:
        return BatchJob(
            num=num,
            overrides=list(self.overrides),
            config=self._read(),
            choices=_copy_plain(self.choices),
            output_dir=self.output_dir,
        )

    def _read(self) -> dict[str, Any]:
        """The task's configuration, resolved, as run_job lets the task see it."""
        with task_sees(self._holder, self._env_set):
            if self._config is None:
                config = self._read_whole()
                self._references = [(path, Reference(node)) for path, node in interpolations(self.task)]
                self._config = _copy_plain(config)
                return config
            try:
                return self._read_again(self._config)
            except Exception:  # once more as OmegaConf does it, whose error says where
                return self._read_whole()

    def _read_whole(self) -> dict[str, Any]:
        config: Any = OmegaConf.to_container(self.task, resolve=True)
        return config

    def _read_again(self, known: dict[str, Any]) -> dict[str, Any]:
        config: dict[str, Any] = _copy_plain(known)
        for path in self._paths.values():
            _put(config, path, plain(at(self.task, path)))
        for path, reference in self._references:
            _put(config, path, reference.value())
        return config


def _set_cache(config: DictConfig, cache: dict[str, Any]) -> None:
    """What the last job's resolvers have said is forgotten; where they have said nothing new, nothing is to be done."""
    if OmegaConf.get_cache(config) != cache:
        OmegaConf.set_cache(config, cache)


def _of_task(lines: Sequence[Line]) -> list[Override]:
    return [line.override for line in lines if not line.override.is_hydra_override()]


def _are_nested(keys: Sequence[str]) -> bool:
    """Whether one of the keys lies inside another, so that their order matters."""
    ordered = sorted(key + "." for key in keys)
    return any(after.startswith(before) for before, after in pairwise(ordered))


def _has_simple_job(whole: DictConfig, num_overrides: int) -> bool:
    """Whether Hydra fills the hydra node from the job's number and the overrides' text alone."""
    job, tasks = at(whole, ("hydra", "job")), at(whole, ("hydra", "overrides", "task"))
    nodes = content(job)
    return (
        isinstance(nodes["num"], IntegerNode)
        and isinstance(nodes["id"], StringNode)
        and isinstance(nodes["override_dirname"], StringNode)
        and not any(interpolations(nodes["config"]))
        and not is_interpolation(nodes["env_copy"])
        and len(nodes["env_copy"]) == 0
        and len(tasks) == num_overrides
        and all(find(whole, f"hydra.sweep.{key}") is not None for key in ("dir", "subdir"))
    )


def _container(whole: DictConfig, *path: str) -> Any:
    return OmegaConf.to_container(at(whole, ("hydra", *path)))


def _reader(node: Node, cache: dict[str, Any]) -> Callable[[], Any]:
    text: Any = None if is_missing(node) else raw(node)  # None is what OmegaConf.select says
    if not is_interpolation(node):
        return lambda: text
    reference = Reference(node)
    if "${" in _NOW.sub("", text) or any((form,) not in cache["now"] for form in _NOW.findall(text)):
        return reference.value
    value = reference.value()  # the hour at which the sweep began, for all of its jobs
    return lambda: value


def _copy_plain(value: Any) -> Any:
    if type(value) is dict:
        return {key: _copy_plain(item) for key, item in value.items()}
    if type(value) is list:
        return [_copy_plain(item) for item in value]
    return value


def _put(config: Any, path: NodePath, value: Any) -> None:
    for key in path[:-1]:
        config = config[key]
    config[path[-1]] = value
