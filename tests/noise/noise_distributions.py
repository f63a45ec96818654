"""p(y | eta) as points and masses, so that every expectation is one sum, for counts and densities alike."""

import numpy as np
import torch
from scipy.interpolate import CubicHermiteSpline

from noiseworks.errors import UserError

GAUSS_X, GAUSS_W = np.polynomial.legendre.leggauss(16)
REACH = 16.0  # z = eta + scale sinh(t), |t| < 16: a Student tail y^-4 leaves 1e-13 of the mean outside
MOST = 20_000  # counts are summed up to here; the negative binomials below leave exp(-20000 / 31)
BEYOND = np.linspace(np.log(MOST - 0.5), 60, 201)  # and integrated from here on: for rounded prices, whose tail is long


def f64(values):
    return torch.as_tensor(values, dtype=torch.float64)


def positive_only(noise):
    try:
        noise.check_support(f64([-1.0]))
    except UserError:
        return True
    return False


def etas(noise):
    """Three linear predictors; for counts those with means 0.4, 3 and 12, which every link has."""
    return noise.inverse_mean(f64([0.4, 3.0, 12.0])) if noise.counts else f64([-1.3, 0.2, 2.1])


def spread(noise):
    return 1.0 if noise.scale_value is None else float(noise.scale_value)


def some_y(noise, eta):
    """Six values of y for each eta, shape (6, n), none at a kink."""
    if noise.counts:
        return f64([0, 1, 2, 5, 20, 300]).unsqueeze(-1).expand(6, len(eta))
    z = eta + spread(noise) * f64([-7.1, -1.2, -0.31, 0.45, 1.6, 9.3]).unsqueeze(-1)
    return z.exp() if positive_only(noise) else z


def panels(noise):
    """Edges in t; the kinks of Laplace (0) and Huber (+-delta) are among them."""
    kink = np.arcsinh(getattr(noise, "delta", 1.0))
    return np.unique(np.concatenate([np.linspace(-REACH, REACH, 401), [0.0, -kink, kink]]))


def density_in_t(noise, eta, t):
    """y and p(y) |dy / dt| at y = eta + scale sinh(t), or the exp of it where y must be positive."""
    z = eta + spread(noise) * np.sinh(t)
    log_slope = np.log(spread(noise) * np.cosh(t))
    if positive_only(noise):
        z = np.clip(z, -300, 300)
        log_slope = np.where(np.abs(z) < 300, log_slope + z, -np.inf)
    y = np.exp(z) if positive_only(noise) else z
    nll = noise.nll(f64(eta).expand(t.size), f64(y.ravel())).numpy().reshape(t.shape)
    return y, np.exp(log_slope - nll)


def law(noise, eta):
    """Points y (m,) and masses (m,): E f(y) = sum f(y) mass. Gauss-Legendre with 16 points on each of 400 panels."""
    eta = float(eta)
    if noise.counts:
        half = np.diff(BEYOND)[:, None] / 2
        far = np.exp(BEYOND[:-1, None] + half * (1 + GAUSS_X))
        y = torch.cat((torch.arange(MOST, dtype=torch.float64), f64(far.ravel())))
        weight = torch.cat((torch.ones(MOST, dtype=torch.float64), f64((far * half * GAUSS_W).ravel())))
        return y, noise.nll(f64(eta).expand(len(y)), y).neg().exp() * weight
    edges = panels(noise)
    half = np.diff(edges)[:, None] / 2
    y, p = density_in_t(noise, eta, edges[:-1, None] + half * (1 + GAUSS_X))
    return f64(y.ravel()), f64((p * half * GAUSS_W).ravel())


def cdf(noise, eta, y):
    """F(y) by integrating exp(-nll): masses of whole panels, a cubic with the density as slope in between."""
    eta, y = float(eta), np.asarray(y)
    mass = law(noise, eta)[1].numpy()
    if noise.counts:
        return np.cumsum(mass[:MOST])[np.minimum(y, MOST - 1).astype(int)]
    edges = panels(noise)
    at_edges = np.concatenate([[0.0], np.cumsum(mass.reshape(-1, GAUSS_X.size).sum(1))])
    z = np.log(y) if positive_only(noise) else y
    t = np.arcsinh((z - eta) / spread(noise)).clip(-REACH, REACH)
    return CubicHermiteSpline(edges, at_edges, density_in_t(noise, eta, edges)[1])(t)
