"""Adds two vectors and multiplies a matrix by one, in a Python loop and in one call, with one library. Prints JSON.

    python scripts/time_additions.py numpy
    .venv-backends/jax/bin/python scripts/time_additions.py jax --sizes 10 1000 --rows 10 100

Started by experiments/t7_vectorization.py in the environment of each library (make setup-backends); it needs nothing
but NumPy and that library, and runs on Python 3.8. The numbers are float32, as in the chapter.

median/<work>/<size>: seconds of repeats after a warm-up; best/<work>/<size>: the shortest. The works are loop and call
for sums, rows (a product a row) and matrix (one product). stopped/<work>/<size>: 1 if a loop was stopped, and the time
of the rest is extrapolated. returned/<size>: seconds until `a + b` returns, which may be before the sum is there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from array_libraries import BACKENDS, NumPy

SAMPLE = 0.1  # seconds for a loop of which it is known that it would take longer than the limit
REPEATS = 15  # at most; fewer of what takes longer than
ENOUGH = 0.08  # seconds in all
UNIT = 2.0**-24  # half the distance from 1 to the next float32
FEATURES = 100  # of the matrix
ELEMENTS = 30  # sums and products compared
SUMS = ["numpy", "torch"]  # in the others a loop over 1000 elements takes too long to be done often


def in_slices(work: Callable[[range], Any], n: int, limit: float, first: int = 1) -> tuple[float, int]:
    """Seconds and how much of range(n) was done, in growing slices, the last of which ends near the limit."""
    done, started, elapsed = 0, time.perf_counter(), 0.0
    while done < n and elapsed < limit:
        left = first if done == 0 else max(1, int((limit - elapsed) * done / max(elapsed, 1e-9)))
        size = min(n - done, max(done, first), left)
        work(range(done, done + size))
        done += size
        elapsed = time.perf_counter() - started
    return elapsed, done


def time_loop(work: Callable[[range], Any], n: int, limit: float, known: float) -> tuple[list[float], bool]:
    """Seconds for all of range(n), and whether it was stopped; known: about how long it takes."""
    if known > limit / 2:
        seconds, done = in_slices(work, n, SAMPLE if known > limit else limit)
        return [seconds * n / done], done < n
    found: list[float] = []
    while not found or (len(found) < REPEATS and sum(found) < ENOUGH):
        found.append(in_slices(work, n, limit, first=n)[0])
    return found, False


def time_call(work: Callable[[], Any]) -> list[float]:
    """Seconds of each of several repeats; of work that is too short to be timed, many at once."""
    work()
    once = min(in_slices(lambda _: work(), 1, 1.0)[0] for _ in range(3))
    together, found = max(1, int(2e-4 / once)), []
    while len(found) < REPEATS and (len(found) < 3 or sum(found) * together < ENOUGH):
        started = time.perf_counter()
        for _ in range(together):
            work()
        found.append((time.perf_counter() - started) / together)
    return found


def time_addition(backend: NumPy, n: int, limit: float, known: float) -> dict[str, float]:
    a, b = (backend.array(normal((n,), k)) for k in range(2))
    c = [backend.zeros(n)]

    def add(indices: range) -> None:
        c[0] = backend.finish(backend.loop(a, b, c[0], indices))

    add(range(2))  # warm-up
    found = record("loop", n, *time_loop(add, n, limit, known))
    found.update(record("call", n, time_call(lambda: backend.finish(a + b))))
    if type(backend) is NumPy and n <= 10_000:  # a loop in disguise
        found.update(record("vectorize", n, time_call(lambda: np.vectorize(np.add)(a, b))))
    started = time.perf_counter()
    d = a + b
    found[f"returned/{n}"] = time.perf_counter() - started
    backend.finish(d)
    return found


def time_product(backend: NumPy, m: int, limit: float, known: float) -> dict[str, float]:
    X, w = backend.array(normal((m, FEATURES), 0)), backend.array(normal((FEATURES,), 1))

    def multiply(indices: range) -> None:
        backend.finish(backend.rows(X, w, indices))

    multiply(range(2))
    found = record("rows", m, *time_loop(multiply, m, limit, known))
    found.update(record("matrix", m, time_call(lambda: backend.finish(backend.product(X, w)))))
    return found


def normal(shape: tuple[int, ...], *seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def record(work: str, size: int, seconds: list[float], stopped: bool | None = None) -> dict[str, float]:
    found = {f"median/{work}/{size}": statistics.median(seconds), f"best/{work}/{size}": min(seconds)}
    return found if stopped is None else {**found, f"stopped/{work}/{size}": float(stopped)}


def compare(backend: NumPy, seed: tuple[int, int], with_sum: bool) -> dict[str, float]:
    """Of one draw of data: what the loop and the call give.

    differ: share of sums of two numbers whose bits are not the same. rows, matrix: the largest error of a product, in
    units of what rounding can do (`over_bound`); half: that of numbers in half precision, which is more.
    """
    a, b = (backend.array(normal((ELEMENTS,), *seed, k)) for k in range(2))
    looped = backend.finish(backend.loop(a, b, backend.zeros(ELEMENTS), range(ELEMENTS)))
    X, w = normal((ELEMENTS, FEATURES), *seed, 2), normal((FEATURES,), *seed, 3)
    there = backend.array(X), backend.array(w)
    half = X.astype(np.float16).astype(float) @ w.astype(np.float16).astype(float)
    found = {
        "differ": float(np.mean(bits(looped) != bits(backend.finish(a + b)))),
        "rows": over_bound(backend.rows(*there, range(ELEMENTS)), X, w),
        "matrix": over_bound(backend.product(*there), X, w),
        "half": over_bound(half, X, w),
    }
    return {**found, "sum": differing_sum(backend, normal((1000,), *seed, 4))} if with_sum else found


def over_bound(products: Any, X: np.ndarray, w: np.ndarray) -> float:
    """max_i |x_i'w - exact| / (gamma_d sum_j |x_ij w_j|), gamma_d = d u / (1 - d u): at most 1 in whatever order the d
    products are added up (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1)."""
    X, w = X.astype(float), w.astype(float)
    gamma = len(w) * UNIT / (1 - len(w) * UNIT)
    error = np.array([float(value) for value in products]) - X @ w
    return float(np.max(np.abs(error) / (gamma * (np.abs(X) @ np.abs(w)))))


def differing_sum(backend: NumPy, values: np.ndarray) -> float:
    """1 if the sum of all, from left to right and in one call, has not the same bits."""
    numbers = backend.array(values)
    total = numbers[0]
    for i in range(1, len(values)):
        total = total + numbers[i]
    return float(bits(total) != bits(numbers.sum()))


def bits(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=np.float32).view(np.uint32)


def main() -> None:
    given = arguments()
    backend = BACKENDS[given.backend]()
    compared = [compare(backend, (given.seed, k), given.backend in SUMS) for k in range(given.replicates)]
    times: dict[str, float] = {}
    for sizes, work, timed in ((given.sizes, "loop", time_addition), (given.rows, "rows", time_product)):
        before, seconds = 1, 0.0
        for n in sizes:
            times.update(timed(backend, n, given.limit, known=seconds * n / before))
            before, seconds = n, times[f"median/{work}/{n}"]
    results = {name: [one[name] for one in compared] for name in compared[0]}
    print(json.dumps({"version": backend.version, "results": results, "times": times}))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("backend", choices=BACKENDS)
    powers = [10**k for k in range(1, 8)]
    parser.add_argument("--sizes", type=int, nargs="*", default=powers, help="elements, from few to many")
    parser.add_argument("--rows", type=int, nargs="*", default=powers[:5], help="of the matrix")
    parser.add_argument("--limit", type=float, default=2.0, help="seconds; a loop is stopped after so many")
    parser.add_argument("--replicates", type=int, default=1, help="how often the results are compared")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
