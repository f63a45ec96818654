"""Exercise 7: prices that are held out, by a model with additive noise and by one of the log price."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from noiseworks.noise import Gaussian, LogNormal

REACH = float(ndtri(0.975))
Array = NDArray[np.float64]


def held_out(X: Array, X_log: Array, price: Array, fold: NDArray[np.int_]) -> dict[str, Array]:
    """Of each price, by models of the other folds: the rank of its prediction, from 0 to 1, and for additive noise on X
    and multiplicative noise on X_log the nll in units of the price, and whether 95 % intervals cover it;
    expected: how often that of additive noise would if the multiplicative model were true."""
    y, found, reach = torch.from_numpy(price), {"nll_log_price": np.zeros(len(price))}, {}
    for name, noise, features in (("additive", Gaussian(), X), ("log", LogNormal(), X_log)):
        D = np.column_stack((np.ones(len(price)), features))
        eta, scale, target = np.zeros(len(price)), np.zeros(len(price)), noise.transform(y).numpy()
        for k in np.unique(fold):
            train = fold != k
            theta = np.linalg.lstsq(D[train], target[train], rcond=None)[0]
            eta[~train], scale[~train] = D[~train] @ theta, np.std(target[train] - D[train] @ theta)
        found[f"nll_{name}"] = noise.with_scale(torch.from_numpy(scale)).nll(torch.from_numpy(eta), y).numpy()
        found[f"covered_{name}"] = (np.abs(target - eta) < REACH * scale).astype(float)
        found[f"rank_{name}"], reach[name] = eta.argsort().argsort() / len(eta), (eta, scale)
    (middle, width), (eta, scale) = reach["additive"], reach["log"]
    edges = (np.log(np.maximum(middle + side * REACH * width, 1e-300)) for side in (-1, 1))
    low, high = (ndtr((edge - eta) / scale) for edge in edges)
    found["expected"] = high - low
    found["nll_log_price"] = found["nll_log"] - np.log(price)  # the mistake: no Jacobian
    return found
