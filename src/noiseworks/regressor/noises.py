"""Noise models by their names."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import torch

import noiseworks.noise
from noiseworks.errors import UserError
from noiseworks.noise import Noise


def noise_classes() -> dict[str, type[Noise]]:
    exported = (getattr(noiseworks.noise, name) for name in noiseworks.noise.__all__)
    return {kind.name: kind for kind in exported if not inspect.isabstract(kind)}


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
