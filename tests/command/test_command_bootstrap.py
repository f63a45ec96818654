"""`optimizer.standard_errors=bootstrap` by command."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from command_line import MUTE, output_folder, read

N, OURS, THEIRS = 200, 200, 4000
OWN = ["data=table", "data.path=t.csv", "data.target=y", "optimizer=exact"]
BOOTSTRAP = ["optimizer.standard_errors=bootstrap", f"optimizer.bootstrap={OURS}"]


def rows() -> pd.DataFrame:
    """The spread of y grows with a."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 2)) * [1, 100] + [0, 700]
    y = 3 + X @ [2.0, -0.01] + (0.5 + np.abs(X[:, 0])) * rng.normal(size=N)
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y})


def by_numpy(frame: pd.DataFrame) -> np.ndarray:
    """Coefficients of least squares to rows drawn again with replacement (THEIRS, 3): intercept, a, b."""
    D, y = np.column_stack((np.ones(N), frame[["a", "b"]])), frame["y"].to_numpy()
    drawn = np.random.default_rng(1).integers(N, size=(THEIRS, N))
    return np.stack([np.linalg.lstsq(D[own], y[own])[0] for own in drawn])


def fit(command, folder, *more):
    """coefficients.json and what was printed."""
    folder.mkdir()
    rows().to_csv(folder / "t.csv", index=False)
    result = command(folder, *OWN, *more, *MUTE).succeeded()
    return read(folder, "coefficients.json"), result.out


def test_as_numpy(command, tmp_path):
    """Of R draws of a nearly normal law a standard deviation is off by 1 / sqrt(2 R), a 2.5 % quantile by
    sqrt(0.025 * 0.975 / R) / density(-1.96) = 2.67 / sqrt(R) standard deviations: five times the root of the sum of
    squares of both sides. The formulas' errors of a, which take every row for as precise, are far outside."""
    found, out = fit(command, tmp_path / "own", *BOOTSTRAP, "seed=5")
    theta = by_numpy(rows())
    spread, ends = theta.std(axis=0, ddof=1), np.percentile(theta, [2.5, 97.5], axis=0).T
    errors = np.array(list(found["standard_errors"].values()))
    assert list(found["standard_errors"]) == ["intercept", "a", "b"]
    both = np.sqrt(1 / OURS + 1 / THEIRS)
    np.testing.assert_allclose(errors / spread, 1, atol=5 * both / np.sqrt(2))
    away = (np.array(list(found["intervals"].values())) - ends) / spread[:, None]
    np.testing.assert_allclose(away, 0, atol=5 * 2.67 * both)
    assert "standard errors by bootstrap: nothing but independent rows, drawn again with replacement" in out
    for name, error in found["standard_errors"].items():
        low, high = found["intervals"][name]
        line = next(line.split() for line in out.splitlines() if line.split()[:1] == [name])
        assert line[2:5] == [f"{value:.6g}" for value in (error, low, high)]
    assert "standard_errors: bootstrap" in (output_folder(tmp_path / "own") / "config.yaml").read_text()
    assert read(tmp_path / "own", "metrics.json")["exact/bootstrap_failed"] == 0
    formula, out = fit(command, tmp_path / "formula")
    assert "standard errors by iid" in out
    assert formula["standard_errors"]["a"] < 0.8 * found["standard_errors"]["a"]


@pytest.mark.soak
def test_a_seed_is_a_draw(command, tmp_path):
    found = [fit(command, tmp_path / f"{i}", *BOOTSTRAP, f"seed={s}")[0]["intervals"] for i, s in enumerate((5, 5, 6))]
    assert found[0] == found[1] != found[2]
