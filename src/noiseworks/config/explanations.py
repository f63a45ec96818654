"""Hydra's and OmegaConf's complaints in a sentence or two that name the key and the nearest right one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

MOST_OPTIONS = 15  # that a sentence names


def explain(error: BaseException, arguments: Sequence[str], conf: Path) -> str | None:
    """None for an error that is not of the configuration's."""
    if not isinstance(error, (HydraException, OmegaConfBaseException)):
        return None
    text = str(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be read ({text.splitlines()[0]}); say key=value, like seed=1 or a=[b,c]."
    if match := re.search(r"Ambiguous value for argument '(([^'=]+)=(.*))'", text):
        return f"{match[1]} is several values; a sweep needs -m, a list needs brackets: {match[2]}=[{match[3]}]."
    if isinstance(error, InterpolationResolutionError) and "Could not override" not in text:
        return f"{_full_key(text)} cannot be resolved ({text.splitlines()[0]})."
    if match := re.search(r"Interpolation key '([^']+)' not found", text):
        return f"{_full_key(text)} refers to {match[1]}, and there is no such key."
    if match := re.search(r"Could not find '([\w/@]+)/([^'/]+)'", text):
        return _unknown_option(match[1], match[2], re.findall(r"^\t([\w.-]+)$", text, re.MULTILINE))
    if match := re.search(r"Could not override '([^']+)'", text) or re.search(r"full_key: ([\w.]+)", text):
        return _unknown_key(match[1].split("@")[0], arguments, conf)
    if match := re.search(r"Missing mandatory value: ([\w.]+)", text):
        return f"{match[1]} is not set; it has no default. Say {match[1]}=..."
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return ": ".join(lines[:2])


def _full_key(text: str) -> str:
    match = re.search(r"full_key: ([\w.]+)", text)
    return match[1] if match else "A value"


def _unknown_option(group: str, option: str, options: Sequence[str]) -> str:
    """`options` are those that Hydra lists, a --config-dir included."""
    if not options:
        return f"{group}={option}: there is no group {group}."
    shown, more = options, ""
    if len(options) > MOST_OPTIONS:
        begin = [name for name in options if name[:3] == option[:3]] or options
        shown = begin[:MOST_OPTIONS]
        more = f" and {len(options) - len(shown)} more (`noiseworks --help` lists them)"
    return f"{group}={option} is unknown{_nearest(option, options, f'{group}=')}; it can be {', '.join(shown)}{more}."


def _unknown_key(key: str, arguments: Sequence[str], conf: Path) -> str:
    """The keys that exist are those of the configuration composed from the arguments that are all right."""
    ours = not key.startswith("hydra.")
    keys = list(_keys(_compose(arguments, conf, with_hydra=not ours)))
    groups = sorted(p.name for p in conf.iterdir() if p.is_dir())
    close = _nearest(key, keys if "." in key else [*keys, *groups], "")
    if not close and "." in key:
        parent = key.rsplit(".", 1)[0]
        there = [k.removeprefix(parent + ".") for k in keys if k.startswith(parent + ".")]
        close = f"; {parent} has {', '.join(there)}" if there else ""
    return f"The key {key} is unknown{close}. `noiseworks --cfg {'job' if ours else 'hydra'}` shows every key."


def _nearest(wrong: str, right: Sequence[str], prefix: str) -> str:
    close = difflib.get_close_matches(wrong, right, n=1, cutoff=0.6)
    return f"; the nearest is {prefix}{close[0]}" if close else ""


def _compose(arguments: Sequence[str], conf: Path, with_hydra: bool) -> Any:
    """The configuration with the group choices that there are."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf)):
        good: list[str] = []
        for argument in arguments:
            key, _, value = argument.partition("=")
            ours = "." not in key and (conf / key.split("@")[0]).is_dir() and (conf / key / f"{value}.yaml").is_file()
            if ours or (with_hydra and key.startswith("hydra/")):
                good.append(argument)
        return OmegaConf.to_container(compose("config", good, return_hydra_config=with_hydra), resolve=False)


def _keys(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{name}.")
        elif not str(key).startswith("_"):
            yield name
