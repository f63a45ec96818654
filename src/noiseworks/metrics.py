"""The metrics of a part of the rows, declared once: trainer, chunks, printed table and pruning read them here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from noiseworks.noise.base import weighted_mean, weighted_median

PARTS = ("train", "val", "test")
FROM_EXACT = ("param/error", "param/relative_error")  # distances to the exact answer, where it is known

Average = Callable[[Tensor, "Tensor | None"], Tensor]


@dataclass(frozen=True)
class Metric:
    """finish(average of term(residual, nll) over the rows), in the units of the data.

    residual = y - prediction and nll (..., n) -> term (..., n) -> (...). each_epoch: it is computed after each epoch,
    so that it has a curve and trials can be pruned by it; else for the answer alone.
    """

    name: str  # train/NAME, val/NAME, test/NAME
    label: str
    term: Callable[[Tensor, Tensor], Tensor]
    average: Average = weighted_mean
    finish: Callable[[Tensor], Tensor] = lambda mean: mean
    each_epoch: bool = True

    @property
    def from_sums(self) -> bool:
        """Whether sums over chunks of the rows suffice."""
        return self.average is weighted_mean


METRICS = (
    Metric("nll", "nll per example", lambda residual, nll: nll),
    Metric("mae", "mean absolute error", lambda residual, nll: residual.abs()),
    Metric("rmse", "root mean square error", lambda residual, nll: residual.square(), finish=torch.sqrt),
    Metric("median_ae", "median absolute error", lambda left, nll: left.abs(), weighted_median, each_epoch=False),
)
EACH_EPOCH = tuple(metric for metric in METRICS if metric.each_epoch)
OF_ANSWERS = tuple(metric for metric in METRICS if not metric.each_epoch)
KNOWN_EACH_EPOCH = (*(f"{part}/{m.name}" for part in ("train", "val") for m in EACH_EPOCH), *FROM_EXACT)


def metrics_of(
    part: str, residual: Tensor, nll: Tensor, weights: Tensor | None, wanted: Iterable[Metric] = METRICS
) -> dict[str, Tensor]:
    """part/NAME -> (...): residual, nll (..., n); weights of the same shape, or None."""
    return {f"{part}/{m.name}": m.finish(m.average(m.term(residual, nll), weights)) for m in wanted}
