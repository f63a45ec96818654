"""What a person looks at first: the loss curves, the fit, the residuals. Matplotlib takes tensors element by element,
hence the arrays."""

from __future__ import annotations

import io
from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from noiseworks.noise import Noise
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem

LARGEST_TABLE = 2 * 10**7  # cells of a table of probabilities


def quantile_residuals(noise: Noise, eta: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal if the model is right (Dunn and Smyth, "Randomized quantile residuals", 1996): (n,).

    For counts Phi^-1(u), u uniform between P(Y < y) and P(Y <= y); for location-scale noise (transform(y) - eta) /
    scale, which has the noise's own distribution.
    """
    if not noise.counts:
        scale = 1.0 if noise.scale_value is None else noise.scale_value
        return (noise.transform(y) - eta) / scale
    below, at = torch.zeros_like(y), torch.zeros_like(y)
    for rows in range(0, len(y), max(1, int(LARGEST_TABLE // (y.max() + 1)))):
        chunk = slice(rows, rows + max(1, int(LARGEST_TABLE // (y.max() + 1))))
        k = torch.arange(float(y[chunk].max().floor()) + 1, dtype=y.dtype)
        mass = torch.exp(-noise.nll(eta[chunk].unsqueeze(1).expand(-1, len(k)), k.expand(len(eta[chunk]), -1)))
        below[chunk] = (mass * (k < y[chunk].unsqueeze(1))).sum(1)
        at[chunk] = (mass * (k == y[chunk].floor().unsqueeze(1))).sum(1)
    u = below + at * torch.rand(y.shape, generator=generator, dtype=y.dtype)
    tiny = torch.finfo(y.dtype).eps
    return torch.special.ndtri(u.clamp(tiny, 1 - tiny))


MAX_POINTS = 2000
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#555555"  # Okabe and Ito: told apart by the colour-blind, too


def draw_all(problem: Problem, outcome: Outcome) -> dict[str, bytes]:
    """PNG by name: loss.png (where something was trained), fit.png and residuals.png, of the first member."""
    part = problem.parts["train"]
    rows = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:MAX_POINTS]
    noise = problem.noise.with_scale(None if outcome.scale is None else outcome.scale[0].item())
    eta = problem.eta(outcome.theta[0], part)[rows]
    y = part.y[rows]
    drawn: dict[str, Callable[[Axes], None]] = {}
    if outcome.curves:
        drawn["loss.png"] = lambda axes: _loss(axes, outcome)
    if len(problem.examples.features) == 1 and part.offset is None:
        x = part.X[rows, 0]
        drawn["fit.png"] = lambda axes: _line(axes, problem, noise, x, eta, y)
    else:
        drawn["fit.png"] = lambda axes: _observed(axes, problem, noise, eta, y)
    drawn["residuals.png"] = lambda axes: _residuals(axes, noise, eta, y)
    return {name: _png(draw) for name, draw in drawn.items()}


def _loss(axes: Axes, outcome: Outcome) -> None:
    curves = {
        name: [(step, values[0].item()) for step, values in outcome.curves[name] if values[0].isfinite()]
        for name in ("train/loss", "train/nll", "val/nll")
        if name in outcome.curves
    }
    labels = {"train/loss": "train/loss: one minibatch, at the scale of the fit"}
    for (name, points), colour, width in zip(curves.items(), (GREY, BLUE, ORANGE), (0.6, 1.8, 1.8)):
        if points:
            axes.plot(*zip(*points), color=colour, linewidth=width, label=labels.get(name, name))
    if len(values := sorted(value for points in curves.values() for _, value in points)) > 20:
        axes.set_ylim(values[0] - 0.05, values[int(0.97 * len(values))])  # the first steps can be far above the rest
    axes.set(xlabel="step", ylabel="negative log-likelihood per example, nats", title="Loss")
    axes.legend(fontsize="small")


def _line(axes: Axes, problem: Problem, noise: Noise, x: Tensor, eta: Tensor, y: Tensor) -> None:
    order = x.argsort()
    axes.scatter(x.numpy(), y.numpy(), s=8, color=GREY, alpha=0.5, linewidths=0, label="observed")
    label = _predicted(noise, "E[y | x]")
    axes.plot(x[order].numpy(), noise.predict(eta)[order].numpy(), color=ORANGE, linewidth=2, label=label)
    axes.set(xlabel=problem.examples.features[0], ylabel=problem.examples.target, title="Fit")
    axes.legend()


def _observed(axes: Axes, problem: Problem, noise: Noise, eta: Tensor, y: Tensor) -> None:
    at = noise.predict(eta)
    low, high = at.min().item(), at.max().item()
    axes.scatter(at.numpy(), y.numpy(), s=8, color=BLUE, alpha=0.5, linewidths=0)
    axes.plot([low, high], [low, high], color=ORANGE, linewidth=1.5, label="observed = predicted")
    target = problem.examples.target
    axes.set(xlabel=f"predicted {_predicted(noise, 'mean')} of {target}", ylabel=f"observed {target}", title="Fit")
    axes.legend()


def _residuals(axes: Axes, noise: Noise, eta: Tensor, y: Tensor) -> None:
    residuals = quantile_residuals(noise, eta, y, torch.Generator().manual_seed(0))
    kind = "randomized quantile residual" if noise.counts else "residual / scale"
    axes.axhline(0, color=ORANGE, linewidth=1.5)
    axes.scatter(noise.predict(eta).numpy(), residuals.numpy(), s=8, color=BLUE, alpha=0.5, linewidths=0)
    predicted = f"predicted {_predicted(noise, 'mean')}"
    axes.set(xlabel=predicted, ylabel=kind, title="Residuals: a fan or a bend says that the model is wrong")


def _predicted(noise: Noise, mean: str) -> str:
    tau = noise.quantile_level
    return mean if tau in (None, 0.5) else f"{tau:g}-quantile"


def _png(draw: Callable[[Axes], None]) -> bytes:
    figure = Figure(figsize=(6.4, 4.2), dpi=110)
    axes = figure.subplots(gridspec_kw={"left": 0.14, "right": 0.97, "bottom": 0.13, "top": 0.91})
    draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer)
    return buffer.getvalue()
