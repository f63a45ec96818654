"""What an estimator is given: rows, checked and named, and noise models by their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import ArrayLike
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.noise import Noise
from noiseworks.paths import conf_folder
from noiseworks.solvers.linear_problem import Array


@cache
def noise_classes() -> dict[str, type[Noise]]:
    """Name -> class, of all of conf/noise."""
    files = sorted((conf_folder() / "noise").glob("*.yaml"))
    targets = [yaml.safe_load(file.read_text())["_target_"].rpartition(".") for file in files]
    kinds: list[type[Noise]] = [getattr(import_module(module), name) for module, _, name in targets]
    return {kind.name: kind for kind in kinds}


def make_noise(noise: str | Noise, params: Mapping[str, Any] | None) -> Noise:
    """The noise model of this name, or this one, with these parameters."""
    params = params or {}
    if isinstance(noise, Noise):
        kind = type(noise)
    elif noise in noise_classes():
        kind = noise_classes()[noise]
    else:
        raise UserError(f"noise={noise!r} is unknown; it must be one of {', '.join(noise_classes())}, or a Noise.")
    known = [field.name for field in fields(kind)]
    for key in params:
        if key not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise UserError(f"noise_params: {kind.name} noise has no parameter {key}; {has}.")
    return replace(noise, **params) if isinstance(noise, Noise) else kind(**params)


def needs_positive(noise: Noise) -> bool:
    """Whether there are numbers below zero that it cannot give."""
    try:
        noise.check_support(torch.tensor([-1.0]))
    except UserError:
        return True
    return False


KEY = re.compile(r"\b(noise|optimizer|trainer|data)\.(?=\w+=)")


@dataclass(frozen=True)
class EstimatorRows:
    """X (n, d), y (n,), offset in units of eta, and weights (n,) or None."""

    X: Array
    y: Array
    offset: Array | None
    weights: Array | None

    @classmethod
    def of(cls, X: Array, y: Array, offset: ArrayLike | None, sample_weight: ArrayLike | None) -> EstimatorRows:
        n = len(y)
        return cls(X, y.astype(np.float64), vector(offset, n, "offset"), weights(sample_weight, n))

    def written_out(self) -> EstimatorRows:
        """The rows as often as their weights, which are counts, say."""
        if self.weights is None:
            return self
        bad = np.flatnonzero(self.weights != self.weights.round())
        if len(bad):
            raise UserError(
                f"weight_kind='frequency': sample_weight is {self.weights[bad[0]]:g} in row {bad[0] + 1}; it must be a "
                "whole number, how often the row was counted."
            )
        again = np.repeat(np.arange(len(self.y)), self.weights.astype(np.intp))
        return EstimatorRows(self.X[again], self.y[again], None if self.offset is None else self.offset[again], None)

    def tensors(self, intercept: bool) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """The design, its column of ones last; y, offset, weights."""
        D = with_ones(self.X) if intercept else self.X
        extras = [None if values is None else tensor(values) for values in (self.offset, self.weights)]
        return tensor(D), tensor(self.y), extras[0], extras[1]


def with_ones(X: Array) -> Array:
    return np.column_stack((X, np.ones(len(X))))


def tensor(values: Array) -> Tensor:
    """Without a copy, unless the array is read-only, which torch does not know."""
    return torch.from_numpy(np.require(values, np.float64, ["C", "W"]))


def vector(values: ArrayLike | None, n: int, name: str) -> Array | None:
    """One finite number for each of n rows; None stays None."""
    if values is None:
        return None
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (n,):
        raise UserError(f"{name} must be one number for each of the {n} rows; its shape is {array.shape}.")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise UserError(f"{name} is {array[bad[0]]} in row {bad[0] + 1}; it must be finite.")
    return array


def weights(values: ArrayLike | None, n: int) -> Array | None:
    array = vector(values, n, "sample_weight")
    if array is not None and array.min() < 0:
        raise UserError(f"sample_weight is {array.min():g} in row {array.argmin() + 1}; it must be 0 or above.")
    if array is not None and array.max() == 0:
        raise UserError("sample_weight is zero in every row; some weight must be above 0.")
    return array


@contextmanager
def as_value_error() -> Iterator[None]:
    """scikit-learn, and what is built on it, expects a ValueError; and a key of the command is an argument here."""
    try:
        yield
    except UserError as error:
        raise ValueError(KEY.sub("", str(error))) from error
