"""Quantile regression by command."""

from __future__ import annotations

import pandas as pd
import pytest
import statsmodels.api as sm

from command_line import MUTE, output_folder, read, runs

ENGEL = ["data=table", "data.path=engel.csv", "data.target=foodexp", "noise=asymmetric_laplace", "optimizer=exact"]


def test_engel_as_r(command, tmp_path):
    """R 4, quantreg 5.94: f <- rq(foodexp ~ income, tau = 0.9, data = engel); coef(f); logLik(f)

    Standard errors: as in tests/inference/test_inference_density.py.
    """
    sm.datasets.engel.load_pandas().data.to_csv(tmp_path / "engel.csv", index=False)
    result = command(tmp_path, *ENGEL, "noise.tau=0.9", *MUTE).succeeded()
    assert "foodexp ~ income, asymmetric_laplace noise at tau=0.9, exact answer" in result.out
    assert "standard errors by HC0" in result.out
    found = read(tmp_path, "coefficients.json")
    assert found["coefficients"] == pytest.approx({"intercept": 67.350872080129747, "income": 0.68629948037190536})
    right = {"intercept": 24.689479854313333, "income": 0.029829024107717397}
    assert found["standard_errors"] == pytest.approx(right, rel=1e-7)
    assert read(tmp_path, "metrics.json")["exact/log_likelihood"] == pytest.approx(-1428.21961797015455886)
    assert (output_folder(tmp_path) / "config.yaml").read_text().count("tau: 0.9") == 1


def test_a_level_outside_is_refused(command, tmp_path):
    pd.DataFrame({"income": [1.0, 2.0], "foodexp": [1.0, 3.0]}).to_csv(tmp_path / "engel.csv", index=False)
    for tau, why in {"1.5": "is no quantile level; it must be a number above 0 and below 1.",
                     "high": "is not possible; it must be a number."}.items():  # fmt: skip
        result = command(tmp_path, *ENGEL, f"noise.tau={tau}")
        assert result.status == 2
        assert result.err == f"noiseworks: noise.tau={tau} {why}\n"
    assert runs(tmp_path) == []
