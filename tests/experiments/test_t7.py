"""T7: how timings are made, what is compared, and what is said when a library is missing or fails."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from noiseworks.config.experiment import load
from noiseworks.errors import UserError
from noiseworks.paths import experiments_folder

t7 = load(experiments_folder() / "t7_vectorization.py")
SCRIPTS = experiments_folder().parent / "scripts"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import array_libraries
    import setup_backends
    import time_additions

    return SimpleNamespace(libraries=array_libraries, times=time_additions, setup=setup_backends)


class FakeRun:
    """As much of study.Run as claims and figures read."""

    def __init__(self, backend: str, metrics: dict[str, float], copies: dict[str, Any] | None = None) -> None:
        self.params, self.metrics, self.copies = {"backend": backend}, metrics, copies or {}

    def __getitem__(self, name: str) -> float:
        return self.metrics.get(name, math.nan)


@pytest.mark.parametrize("n", [1, 7])
def test_a_loop_calls_the_library_five_times_for_each_element(n: int) -> None:
    found = t7.operations(OmegaConf.create({"num_elements": n}))
    calls = {"calls/loop": 5 * n, "calls/call": 1, "calls/rows": 2 * n, "calls/matrix": 1}
    assert found == {**calls, "additions/loop": n, "additions/call": n, "additions/rows": 0, "additions/matrix": 0}


def clock(monkeypatch: pytest.MonkeyPatch, module: ModuleType, seconds_each: float) -> tuple[Any, list[int]]:
    """Work that takes `seconds_each` an index by a clock that nothing else moves, and the indices that it was given."""
    now, seen = [0.0], []

    def work(indices: range) -> None:
        seen.extend(indices)
        now[0] += seconds_each * len(indices)

    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    return work, seen


def test_a_loop_is_cut_into_slices_that_leave_nothing_out(
    scripts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, seen = clock(monkeypatch, scripts.times, 1e-6)
    seconds, done = scripts.times.in_slices(work, 12_345, 2.0)
    assert seen == list(range(12_345))
    assert (done, seconds) == (12_345, pytest.approx(0.012345))


def test_a_loop_that_takes_too_long_is_stopped_at_the_limit_and_extrapolated(
    scripts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, seen = clock(monkeypatch, scripts.times, 0.01)
    seconds, stopped = scripts.times.time_loop(work, 1000, 2.0, 1.5)
    assert stopped
    assert seconds == [pytest.approx(10.0)]
    assert 200 <= len(seen) <= 202  # 2 s
    seen.clear()
    assert scripts.times.time_loop(work, 1000, 2.0, 10.0)[1]  # known to be too long: a sample is enough
    assert 10 <= len(seen) <= 12


def test_a_short_loop_is_repeated_and_none_is_marked(scripts: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    work, _ = clock(monkeypatch, scripts.times, 0.001)
    seconds, stopped = scripts.times.time_loop(work, 20, 2.0, 0.0)
    assert not stopped
    assert seconds == pytest.approx([0.02] * 4)  # until ENOUGH = 0.08 s


def test_the_bound_on_rounding_holds_for_float32_and_not_for_half_precision(scripts: SimpleNamespace) -> None:
    for seed in range(20):
        found = scripts.times.compare(scripts.libraries.NumPy(), (7, seed), True)
        assert found["differ"] == 0
        assert max(found["rows"], found["matrix"]) < 0.1 < 2 < found["half"]


def test_the_bound_on_rounding_by_hand(scripts: SimpleNamespace) -> None:
    """1 * 1 + 2 * (-1) = -1; an error of 1e-6 over 2 u / (1 - 2 u) * 3."""
    X, w = np.array([[1.0, 2.0]], dtype=np.float32), np.array([1.0, -1.0], dtype=np.float32)
    u = 2.0**-24
    assert scripts.times.over_bound([-1 + 1e-6], X, w) == pytest.approx(1e-6 / (2 * u / (1 - 2 * u) * 3), rel=1e-6)


def test_from_left_to_right_and_in_one_call_a_long_sum_has_other_bits(scripts: SimpleNamespace) -> None:
    backend, values = scripts.libraries.NumPy(), scripts.times.normal((1000,), 3)
    assert scripts.times.differing_sum(backend, np.ones(1000, dtype=np.float32)) == 0  # exact in any order
    assert np.mean([scripts.times.differing_sum(backend, np.roll(values, k)) for k in range(20)]) > 0.5


def test_a_loop_that_adds_something_else_is_seen(scripts: SimpleNamespace) -> None:
    class Wrong(scripts.libraries.NumPy):  # type: ignore[misc, name-defined]
        def loop(self, a: Any, b: Any, c: Any, indices: range) -> Any:
            for i in indices:
                c[i] = a[i] + b[i] * (1 + 2e-7)
            return c

        def rows(self, X: Any, w: Any, indices: range) -> list[Any]:
            return [X[i, :-1] @ w[:-1] for i in indices]  # one short

    compared = [scripts.times.compare(Wrong(), (0, k), True) for k in range(3)]
    copies = {f"results/{name}": np.array([one[name] for one in compared]) for name in compared[0]}
    verdicts = [(found.kind, found.verdict) for found in t7.same(FakeRun("numpy", {}, copies))]
    claims = [verdict for kind, verdict in verdicts if kind == "claim"]
    assert claims == ["differs", "differs"]


def test_what_is_measured_of_numpy() -> None:
    small = {"backend": "numpy", "sizes": [3, 30], "rows": [4], "limit": 0.1, "replicates": 2, "seed": 5}
    found = t7.backends(OmegaConf.create(small))
    assert found["installed"] == 1
    assert found["results/differ"].tolist() == [0, 0]
    assert len(found["results/sum"]) == 2
    for key in ("loop/3", "loop/30", "call/3", "call/30", "vectorize/30", "rows/4", "matrix/4"):
        assert 0 < found[f"best/{key}"] <= found[f"median/{key}"] < 10
    assert found["stopped/loop/30"] == 0


def test_a_library_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(t7, "checkout", lambda: tmp_path)
    assert t7.backends(OmegaConf.create({"backend": "jax"})) == {"installed": 0.0}
    assert capsys.readouterr().out == "jax: not installed (make setup-backends)\n"
    python = tmp_path / ".venv-backends" / "jax" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert t7.interpreter("jax") is None  # half installed
    (tmp_path / ".venv-backends" / "jax" / "ready").touch()
    assert t7.interpreter("jax") == str(python)
    assert t7.interpreter("torch") == sys.executable


def test_a_library_that_fails_is_named_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t7, "checkout", lambda: tmp_path)
    with pytest.raises(UserError, match="run it in a checkout"):
        t7.timed("jax", sys.executable, [])
    program = tmp_path / "scripts" / "time_additions.py"
    program.parent.mkdir()
    program.write_text("raise SystemExit('libjax.so: no such file')")
    with pytest.raises(UserError, match=r"jax failed: libjax.so: no such file. `make setup-backends ARGS=--again`"):
        t7.timed("jax", sys.executable, [])


def times(loop: float, call: float, vectorize: float) -> dict[str, float]:
    metrics = {"installed": 1.0}
    for n in (10, 10_000):
        for work, each in {"loop": loop, "call": call, "vectorize": vectorize}.items():
            metrics[f"best/{work}/{n}"] = metrics[f"median/{work}/{n}"] = each * (n if work != "call" else 1)
        metrics[f"returned/{n}"], metrics[f"stopped/loop/{n}"] = call / 2, float(n == 10_000)
    return metrics | {"median/rows/10": 1e-5, "median/matrix/10": 1e-6}


def test_the_claim_on_time_has_room() -> None:
    usual = list(t7.slower(FakeRun("numpy", times(1e-7, 1e-6, 5e-7))))
    assert [found.as_hoped for found in usual] == [True, True]
    assert usual[0].found.estimate == pytest.approx(3.0)
    level = list(t7.slower(FakeRun("numpy", times(5e-10, 1e-6, 5e-7))))  # 5 times
    assert level[0].verdict == "differs"


def test_figure_and_caption_name_what_is_missing() -> None:
    found = FakeRun("numpy", times(1e-7, 1e-6, 5e-7))
    (figure,) = t7.figures({"t7_backends": [found, FakeRun("mxnet", {"installed": 0.0})]})
    assert "NumPy 1,000" in figure.caption
    assert "NumPy 0.5" in figure.caption  # of the time it returned before the sum was there
    assert "Not installed: MXNet (make setup-backends)." in figure.caption
    svg = figure.svg("t7")
    assert "MXNet: not installed" in svg


def test_setup_takes_a_python_that_the_library_can_have(scripts: SimpleNamespace) -> None:
    setup = scripts.setup
    for name in setup.names():
        oldest, newest = setup.supported((setup.LISTS / f"{name}.txt").read_text())
        assert (3, 8) <= oldest <= (3, 11) <= newest
    mine = sys.version_info[:2]
    assert setup.interpreter((mine, mine), None) == sys.executable
    assert setup.version_of("/nowhere/python") is None
    with pytest.raises(setup.NotInstalled, match=r"it needs a Python from 3\.2 to 3\.3: none was found; name one with"):
        setup.interpreter(((3, 2), (3, 3)), None)
    with pytest.raises(setup.NotInstalled, match="python is none"):
        setup.interpreter(((3, 2), (3, 3)), sys.executable)


def test_setup_says_why_pip_failed(scripts: SimpleNamespace) -> None:
    said = "WARNING: x\nERROR: No matching distribution found for mxnet==1.9.1\n\n[notice] a new pip\n"
    assert scripts.setup.reason(said) == "No matching distribution found for mxnet==1.9.1"
    with pytest.raises(scripts.setup.NotInstalled, match="gone"):
        scripts.setup.call([sys.executable, "-c", "raise SystemExit('gone')"])


def test_what_the_program_prints_is_json(scripts: SimpleNamespace, capsys: pytest.CaptureFixture[str],
                                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["time_additions.py", "torch", "--sizes", "2", "--rows", "2", "--replicates", "2"])
    scripts.times.main()
    found = json.loads(capsys.readouterr().out)
    assert found["results"]["differ"] == [0, 0]
    assert {"median/loop/2", "median/call/2", "median/rows/2", "median/matrix/2", "returned/2"} <= set(found["times"])
