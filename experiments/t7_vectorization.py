"""The text, 3.1.2: one call on whole vectors instead of a loop over their elements.

How many calls into the library that saves, that the numbers stay the same, and how long both take in five libraries:
each in a process of its own, JAX, TensorFlow and MXNet in environments of their own (make setup-backends).

Source:  D2L 3.1.2; the bound on rounding: Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.
Command: make exercises EX=T7
Cost:    10 s with NumPy and PyTorch, 25 s with all, on 2 cores.
Expect:  5 n calls against 1; the same bits; at 10,000 elements at least ten times the seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from noiseworks import studies as study
from noiseworks.errors import UserError
from noiseworks.paths import experiments_folder
from noiseworks.studies import Claim, Figure, Run, Runs, claim, control

EXPERIMENTS = {
    "t7_backends": ["sizes=[10,1000,10000]", "rows=[10,100,1000]", "limit=0.3", "replicates=5"],
    "t7_operations": ["num_elements=10,100"],
}
ALONE = True
TITLES = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX", "tensorflow": "TensorFlow", "mxnet": "MXNet"}
OWN = ["numpy", "torch"]  # installed with noiseworks
CHAPTER = 10_000  # elements
MARKERS = ["o", "s", "^", "D", "v"]
THREADS = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"]


def measure(cfg):
    return {"backends": backends, "operations": operations}[cfg.measure](cfg)


def backends(cfg) -> dict[str, Any]:
    """What scripts/time_additions.py prints, run with the Python in which the library is; installed: 0 without it."""
    name, python = cfg.backend, interpreter(cfg.backend)
    if python is None:
        print(f"{name}: not installed (make setup-backends)", flush=True)
        return {"installed": 0.0}
    numbers = {"sizes": cfg.sizes, "rows": cfg.rows, "limit": [cfg.limit], "replicates": [cfg.replicates]}
    options = [word for key, values in numbers.items() for word in (f"--{key}", *map(str, values))]
    found = timed(name, python, [*options, "--seed", str(cfg.seed)])
    print(f"{name} {found['version']}", flush=True)
    results = {f"results/{key}": np.array(values) for key, values in found["results"].items()}
    return {"installed": 1.0, **found["times"], **results}


def interpreter(name: str) -> str | None:
    """.venv-backends/<name>/bin/python, once setup_backends.py has ended well; ours for what we have ourselves."""
    if name in OWN:
        return sys.executable
    environment = checkout() / ".venv-backends" / name
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return str(python) if (environment / "ready").exists() and python.exists() else None


def checkout() -> Path:
    return experiments_folder().parent


def timed(name: str, python: str, options: list[str]) -> dict[str, Any]:
    program = checkout() / "scripts" / "time_additions.py"
    if not program.exists():
        raise UserError("experiment=t7_backends needs scripts/time_additions.py; run it in a checkout of noiseworks.")
    ours = {key: value for key, value in os.environ.items() if name in OWN or not key.startswith("PYTHON")}
    try:
        done = subprocess.run(
            [python, str(program), name, *options],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
            env={**ours, **dict.fromkeys(THREADS, "1"), "TF_CPP_MIN_LOG_LEVEL": "2"},
        )
    except subprocess.SubprocessError as error:
        last = str(getattr(error, "stderr", None) or error).strip().splitlines()[-1]
        again = "" if name in OWN else " `make setup-backends ARGS=--again` installs it anew."
        raise UserError(f"{program.name} {name} failed: {last}.{again}") from None
    return dict(json.loads(done.stdout.splitlines()[-1]))


class Counting(TorchDispatchMode):
    """calls: of PyTorch's operations; additions: numbers that came out of a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.additions = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        self.calls += 1
        self.additions += out.numel() if function.overloadpacket is torch.ops.aten.add else 0
        return out


def operations(cfg) -> dict[str, float]:
    n = cfg.num_elements
    a, b, c, X, w = (torch.ones(shape) for shape in ((n,), (n,), (n,), (n, 3), (3,)))

    def loop() -> None:
        for i in range(n):
            c[i] = a[i] + b[i]

    works: dict[str, Callable[[], Any]] = {
        "loop": loop,
        "call": lambda: a + b,
        "rows": lambda: [X[i] @ w for i in range(n)],
        "matrix": lambda: X @ w,
    }
    found = {}
    for name, work in works.items():
        with Counting() as counting:
            work()
        found[f"calls/{name}"], found[f"additions/{name}"] = float(counting.calls), float(counting.additions)
    return found


def claims(runs: Runs) -> Iterator[Claim]:
    yield from counted(runs)
    for run in installed(runs):
        yield from same(run)
    for run in installed(runs):
        if run.params["backend"] in OWN:
            yield from slower(run)


def installed(runs: Runs) -> list[Run]:
    return [run for run in runs["t7_backends"] if run["installed"] == 1.0]


def counted(runs: Runs) -> Iterator[Claim]:
    sweep = list(runs["t7_operations"])
    each = {"loop": 5, "rows": 2}
    for name, what in {"loop": "a loop over elements", "rows": "a product for each row"}.items():
        found = worst([run[f"calls/{name}"] / float(run.params["num_elements"]) for run in sweep], each[name])
        yield claim("T7", f"{what} calls PyTorch {each[name]} times in each round", each[name], found, 1e-9)
    for name, what in {"call": "a sum of vectors", "matrix": "a product with the matrix"}.items():
        found = worst([run[f"calls/{name}"] for run in sweep], 1.0)
        yield claim("T7", f"{what} is one call, whatever the length", 1.0, found, 1e-9)
    found = worst([run["calls/loop"] for run in sweep], 1.0)
    yield control("T7", "a loop over elements is one call, whatever the length", 1.0, found, 1e-9)
    found = worst([run["additions/loop"] / run["additions/call"] for run in sweep], 1.0)
    yield claim("T7", "the loop adds as many pairs of numbers as the call", 1.0, found, 1e-9)


def worst(values: list[float], theory: float) -> study.Interval:
    return study.exactly(max(values, key=lambda value: abs(value - theory)))


def same(run: Run) -> Iterator[Claim]:
    name = run.params["backend"]
    title, results = TITLES[name], run.copies
    share = study.exactly(results["results/differ"].max())
    yield claim("T7", f"{title}: sums of two numbers have the same bits from the loop and the call", 0.0, share, 1e-9)
    if "results/sum" in results:
        share = study.exactly(results["results/sum"].mean())
        sentence = f"{title}: the sum of 1000 numbers has the same bits from left to right and in one call"
        yield control("T7", sentence, 0.0, share, 1e-9)
    error = study.exactly(max(results["results/rows"].max(), results["results/matrix"].max()))
    sentence = f"{title}: products by row and by matrix are exact up to the bound on rounding (error / bound)"
    yield claim("T7", sentence, 0.0, error, 1.0)
    if name == "numpy":
        half = study.exactly(results["results/half"].max())
        yield control(
            "T7",
            "products of numbers rounded to half precision keep to the bound on rounding (error / bound)",
            0.0,
            half,
            1.0,
        )


def slower(run: Run) -> Iterator[Claim]:
    """By the shortest of several times each, which a busy machine hardly lengthens; a factor of 10 to 10^7."""
    title = TITLES[run.params["backend"]]
    sentence = (
        f"{title}: a loop takes at least ten times as long as the call, {CHAPTER:,} elements (log10 of the ratio)"
    )
    yield claim("T7", sentence, 4.0, gain(run, "call"), 3.0)
    if f"best/vectorize/{CHAPTER}" in run.metrics:
        sentence = sentence.replace("the call", "numpy.vectorize")
        yield control("T7", sentence, 4.0, gain(run, "vectorize"), 3.0)


def gain(run: Run, work: str) -> study.Interval:
    return study.exactly(np.log10(run[f"best/loop/{CHAPTER}"] / run[f"best/{work}/{CHAPTER}"]))


def figures(runs: Runs) -> Iterator[Figure]:
    drawing, (left, right) = study.panels(2, width=8.0, height=4.4, sharey=True)
    for number, run in enumerate(runs["t7_backends"]):
        color, marker = study.COLORS[number], MARKERS[number]
        missing = "" if run["installed"] == 1.0 else ": not installed\n(make setup-backends)"
        left.plot([], [], color=color, marker=marker, label=TITLES[run.params["backend"]] + missing)
        if not missing:
            lines(left, run, ("loop", "call"), color, marker)
            lines(right, run, ("rows", "matrix"), color, marker)
    left.set(xscale="log", yscale="log", xlabel="elements", ylabel="seconds", title="adding two vectors")
    right.set(xscale="log", xlabel="rows of 100 numbers", title="matrix times vector")
    for style, label in (("-", "in a loop"), ("--", "in one call")):
        right.plot([], [], style, color=study.INK, label=label)
    right.plot([], [], "o", fillstyle="none", color=study.INK, label="extrapolated")
    left.legend(fontsize=8)
    right.legend(fontsize=8)
    yield Figure(
        "T7",
        alt="On logarithmic axes the seconds of loops rise on straight lines far above those of single calls, which "
        "are level for short vectors and rise only for long ones.",
        caption=caption(runs),
        drawing=drawing,
    )


def lines(axes: Any, run: Run, works: tuple[str, str], color: str, marker: str) -> None:
    """The loop's times, hollow where it was stopped, and below them the call's."""
    for work, style in zip(works, ("-", "--")):
        sizes = sizes_of(run, work)
        seconds = [run[f"median/{work}/{size}"] for size in sizes]
        axes.plot(sizes, seconds, style, color=color, linewidth=1)
        for size, value in zip(sizes, seconds):
            full = "none" if run.metrics.get(f"stopped/{work}/{size}") == 1.0 else "full"
            axes.plot(size, value, marker, color=color, markersize=4 if work in ("loop", "rows") else 3, fillstyle=full)


def sizes_of(run: Run, work: str) -> list[int]:
    return sorted(int(name.split("/")[2]) for name in run.metrics if name.startswith(f"median/{work}/"))


def caption(runs: Runs) -> str:
    """What was measured, in the numbers of this machine."""
    found = installed(runs)
    times = ", ".join(f"{TITLES[run.params['backend']]} {factor(run):,}" for run in found)
    longest = sizes_of(found[0], "call")[-1]
    speed = 12e-9 * longest / found[0][f"median/call/{longest}"]
    early = [f"{TITLES[run.params['backend']]} {share(run, longest)}" for run in found]
    absent = [TITLES[run.params["backend"]] for run in runs["t7_backends"] if run["installed"] != 1.0]
    return (
        "Medians of repeats after a warm-up, one thread (JAX chooses for itself); hollow: the loop was stopped, and "
        f"the rest is extrapolated. At {CHAPTER:,} elements, as in the chapter, the loop takes so many times as long "
        f"as the call: {times}. At "
        f"{longest:,} elements NumPy's call moves {speed:.1f} GB/s. There, the time until a + b returns, as a share of "
        f"the time until the sum is there: {', '.join(early)}."
        + (f" Not installed: {', '.join(absent)} (make setup-backends)." if absent else "")
    )


def factor(run: Run) -> int:
    """Loop over call, to two digits."""
    value = run[f"median/loop/{CHAPTER}"] / run[f"median/call/{CHAPTER}"]
    return int(float(f"{value:.2g}"))


def share(run: Run, size: int) -> str:
    return f"{min(run[f'returned/{size}'] / run[f'median/call/{size}'], 1):.2g}"
