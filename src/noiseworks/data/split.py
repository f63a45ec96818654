"""Which rows train, validate and test."""

from __future__ import annotations

import torch
from torch import Tensor

from noiseworks.data.base import Data
from noiseworks.errors import UserError
from noiseworks.streams import generator


def split_rows(data: Data, n: int, val_fraction: float, replicate: int) -> dict[str, Tensor]:
    """Row numbers of `train`, `val` and `test`, by a permutation from the stream `split`; in file order without one."""
    num_test, num_val = round(n * data.test_fraction), round(n * val_fraction)
    num_train = n - num_test - num_val
    if num_train < 1:
        raise UserError(
            f"No training rows are left of {n}: data.val_fraction={val_fraction:g} takes {num_val} and "
            f"data.test_fraction={data.test_fraction:g} takes {num_test}."
        )
    rows = torch.arange(n)
    if num_train < n:
        rows = torch.randperm(n, generator=generator(data.seed, "split", replicate))
    train, val, test = rows.split([num_train, num_val, num_test])
    return {"train": train, "val": val, "test": test}
