"""Classes that have moved: configurations and predictor.json of earlier versions name them by their old paths."""

from __future__ import annotations

from typing import Any

MOVED = {  # path in 0.1.0 -> path now
    "noiseworks.data.ones.Ones": "noiseworks.data.synthetic.Ones",
    "noiseworks.data.quadratic.Quadratic": "noiseworks.data.synthetic.QuadraticForm",
    "noiseworks.data.stocks.Stocks": "noiseworks.data.prices.Stocks",
    "noiseworks.optimizer.Constant": "noiseworks.train.schedules.ConstantRate",
    "noiseworks.optimizer.Cosine": "noiseworks.train.schedules.Cosine",
    "noiseworks.optimizer.Exact": "noiseworks.exact.Exact",
    "noiseworks.optimizer.InverseSqrt": "noiseworks.train.schedules.InverseSqrt",
    "noiseworks.optimizer.MinibatchSGD": "noiseworks.train.optimizers.MinibatchSGD",
    "noiseworks.trainer.Settings": "noiseworks.train.settings.Settings",
}


def current(path: str) -> str:
    """The path at which the class is found that may have had this one."""
    return MOVED.get(path, path)


def with_current_targets(node: dict[str, Any]) -> dict[str, Any]:
    """A copy of a configuration whose every `_target_` is where the class is now."""
    return {
        key: current(value) if key == "_target_" else with_current_targets(value) if isinstance(value, dict) else value
        for key, value in node.items()
    }
