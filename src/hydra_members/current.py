"""The study that this process works on: who sums a sweep up reads it here, wherever it is stored."""

from typing import Any

study: Any = None  # an optuna.Study
