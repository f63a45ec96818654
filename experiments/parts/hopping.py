"""How far from the optimum minibatch SGD stays: theory for fresh examples with d normal features and no intercept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats
from scipy.special import erfcx

Array = NDArray[np.float64]


def squared_floor(lr: float, d: int, batch_size: int) -> float:
    """E|w - w*|^2 of squared loss with unit noise, exactly: lr d / (B (2 - lr (1 + (d + 1) / B))); it diverges from
    lr = 2 / (1 + (d + 1) / B) on. From E (x'delta)^2 |x|^2 = (d + 2) |delta|^2 for normal x."""
    B = batch_size
    return lr * d / (B * (2 - lr * (1 + (d + 1) / B)))


def sharp_floor(d: int, batch_size: int) -> float:
    """E|w - w*| / lr of absolute loss without label noise, exactly: sqrt(pi / 8) (d / B + (1 - 1 / B) 2 / pi)."""
    return float(np.sqrt(np.pi / 8) * (d / batch_size + (1 - 1 / batch_size) * 2 / np.pi))


def absolute_gap(distance: ArrayLike) -> Array:
    """E|e - u| - E|e| = E|u| + E exp(-|u|) - 1 for Laplace noise e and u ~ N(0, distance^2), which is x'(w - w*)."""
    s = np.asarray(distance, dtype=float)
    return np.asarray(s * np.sqrt(2 / np.pi) + erfcx(s / np.sqrt(2)) - 1)


@dataclass(frozen=True)
class Hopping:
    """SGD on absolute loss, labels with Laplace noise of scale 1. With `corner` h > 0 the loss is r^2 / (2 h) within
    |r| < h (Huber's). The errors delta = w - w* are taken to be N(0, v I), which is all that is not exact here.

    Given delta, u = x'delta ~ N(0, s^2), s = |delta|. With psi the slope of the loss in r and e the noise, the gradient
    g = -x psi(e - u) has E g = delta E psi'(e - u) (Stein's identity) and E|g|^2 = E (d - 1 + z^2) psi(e - s z)^2.
    """

    d: int
    batch_size: int
    corner: float = 0.0

    def gap(self, v: float) -> float:
        s, weight, _, _ = self._nodes
        return float(weight @ absolute_gap(np.sqrt(v) * s))

    def floor(self, lr: float) -> float:
        """v at which a step no longer changes E|delta|^2."""
        log_v = optimize.brentq(lambda x: self._change(np.exp(x), lr), np.log(1e-3 * lr), np.log(100 * lr))
        return float(np.exp(log_v))

    def path(self, rates: Iterable[float], averaged_from: int = 0) -> tuple[float, float]:
        """v after the last step, from |delta| = 1, and v of the mean of the iterates from step `averaged_from` on.

        Their sum has variance P, and covariance C with the last one, by delta' = (1 - lr H) delta + noise with
        H = E delta'g / E|delta|^2.
        """
        v, P, C, count = 1 / self.d, 0.0, 0.0, 0
        for step, lr in enumerate(rates):
            keep = 1 - lr * self._moments(v)[0] / (self.d * v)
            v += self._change(v, lr) / self.d
            if step >= averaged_from:
                P, C, count = P + 2 * keep * C + v, keep * C + v, count + 1
        return v, P / count**2

    def _change(self, v: float, lr: float) -> float:
        """Of E|delta|^2 in a step: -2 lr E delta'g + lr^2 (E|g|^2 / B + (1 - 1 / B) E|E g|^2)."""
        along, mean_square, square = self._moments(v)
        B = self.batch_size
        return lr**2 * (square / B + (1 - 1 / B) * mean_square) - 2 * lr * along

    def _moments(self, v: float) -> tuple[float, float, float]:
        """E delta'g, E|E[g | delta]|^2 and E|g|^2."""
        s, s_weight, z, z_weight = self._nodes
        slope, square = self._psi(np.sqrt(v) * s[:, None] * z)
        steep = slope @ z_weight
        size = square @ (z_weight * (self.d - 1 + z**2))
        along, mean_square = v * s**2 * steep, v * s**2 * steep**2
        return float(s_weight @ along), float(s_weight @ mean_square), float(s_weight @ size)

    def _psi(self, u: Array) -> tuple[Array, Array]:
        """E psi'(e - u) and E psi(e - u)^2, for u >= 0; psi(r) = r / h within h, else sign(r)."""
        h = self.corner
        if h == 0:
            return np.exp(-u), np.ones_like(u)
        cosh = np.cosh(np.minimum(u, h))
        inside = np.where(u < h, 1 - np.exp(-h) * cosh, np.exp(-u) * np.sinh(h))  # P(|e - u| < h)
        low, high = np.exp(-h) * (h**2 + 2 * h + 2), np.exp(h) * (h**2 - 2 * h + 2)
        squares = np.where(u < h, u**2 + 2 - cosh * low, np.exp(-u) * (high - low) / 2)
        return inside / h, 1 - inside + squares / h**2

    @cached_property
    def _nodes(self) -> tuple[Array, Array, Array, Array]:
        """For s of the chi distribution with d degrees, and for |z|, z standard normal: nodes and weights."""
        level, weight = np.polynomial.legendre.leggauss(24)
        z, z_weight = np.polynomial.legendre.leggauss(60)
        z = 4 * (z + 1)
        return np.sqrt(stats.chi2.ppf((level + 1) / 2, self.d)), weight / 2, z, 8 * z_weight * stats.norm.pdf(z)
