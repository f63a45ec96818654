"""A Hydra application without MLflow: what its jobs return is known, and calls.txt, in the folder where it was started,
says which have run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig


@dataclass
class Config:
    x: float = 0.0
    y: float = 0.0
    bad: list[float] = field(default_factory=list)  # values of x that fail
    how: str = "error"  # in what way
    seconds: float = 0.0  # that a job takes


BAD: dict[str, Any] = {
    "nan": float("nan"),
    "inf": float("inf"),
    "-inf": float("-inf"),
    "text": "a word",
    "two": [1.0, 2.0],
    "none": None,
    "empty": {},
}

ConfigStore.instance().store(name="config", node=Config)


@hydra.main(version_base="1.3", config_path=None, config_name="config")
def app(config: Config) -> Any:
    with open("calls.txt", "a") as file:
        file.write(f"{HydraConfig.get().job.num} {config.x} {config.y}\n")
    time.sleep(config.seconds)
    if config.x not in config.bad:
        return (config.x - 1) ** 2 + config.y**2
    if config.how == "error":
        raise ValueError(f"x={config.x:g} is bad")
    return BAD[config.how]


if __name__ == "__main__":
    app()
