"""A configuration as YAML text, for thousands of runs: OmegaConf takes 5 ms for one."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from omegaconf import OmegaConf


def to_yaml(config: dict[str, Any], indent: str = "") -> str:
    """What `OmegaConf.to_yaml` gives for plain containers. The jobs of a sweep share most of their lines, and a line is
    made once."""
    text = []
    for key, value in config.items():
        if isinstance(value, dict) and value:
            text += [indent, _lines(key, None)[0].removesuffix(" null\n"), "\n", to_yaml(value, indent + "  ")]
        else:
            lines = _lines_of_json(key, json.dumps(value)) if isinstance(value, (list, dict)) else _lines(key, value)
            text += [indent + line if line.strip() else line for line in lines]
    return "".join(text)


@lru_cache(maxsize=10_000, typed=True)  # typed: 1 is not true
def _lines(key: str, value: Any) -> list[str]:
    return OmegaConf.to_yaml({key: value}).splitlines(keepends=True)


@lru_cache(maxsize=10_000)
def _lines_of_json(key: str, text: str) -> list[str]:
    return _lines.__wrapped__(key, json.loads(text))
