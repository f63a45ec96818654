"""`optimizer=exact`, and own tables with every noise model, trained and exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy import stats

from command_line import MUTE, output_folder, read
from soaked import only

CONF = Path(__file__).parents[2] / "conf"
NOISES = sorted(path.stem for path in (CONF / "noise").glob("*.yaml"))
TRUE = {"intercept": 1.0, "a": 0.4, "b": -0.3}
N = 2000


def test_all_rows_unless_told_otherwise(command, tmp_path):
    result = command(tmp_path, "optimizer=exact", *MUTE).succeeded()
    assert "fitted on 2930 of 2930 rows" in result.out
    assert result.err == ""
    houses = pd.read_csv(CONF.parent / "src/noiseworks/data/files/houses.csv")
    X = np.column_stack([np.ones(len(houses)), houses["area"], houses["age"]])
    answer, squares, *_ = np.linalg.lstsq(X, houses["price"].to_numpy(), rcond=None)
    content = read(tmp_path, "coefficients.json")
    assert list(content["coefficients"].values()) == pytest.approx(list(answer), rel=1e-9)
    assert content["scale"] == pytest.approx(np.sqrt(squares[0] / len(houses)), rel=1e-9)
    errors = np.sqrt(squares[0] / (len(houses) - 3) * np.diag(np.linalg.inv(X.T @ X)))
    assert list(content["standard_errors"]) == list(content["coefficients"])
    assert list(content["standard_errors"].values()) == pytest.approx(list(errors), rel=1e-9)
    assert f"{errors[1]:.6g}" in result.out
    ends = answer[1] + stats.t.ppf([0.025, 0.975], len(houses) - 3) * errors[1]
    assert list(content) == ["noise", "scale", "coefficients", "standard_errors", "intervals", "level"]
    assert (content["intervals"]["area"], content["level"]) == (pytest.approx(list(ends), rel=1e-9), 0.95)
    assert f"{ends[0]:.6g}   {ends[1]:.6g}" in result.out
    metrics = read(tmp_path, "metrics.json")
    nll = metrics["train/nll"]
    assert metrics["exact/aic"] == pytest.approx(2 * 4 + 2 * len(houses) * nll, rel=1e-12)
    spread = ((houses["price"] - houses["price"].mean()) ** 2).sum()
    assert metrics["exact/deviance_explained"] == pytest.approx(1 - squares[0] / spread, rel=1e-9)


def test_a_test_part_is_held_out(command, tmp_path):
    result = command(tmp_path, "optimizer=exact", "data.test_fraction=0.2", *MUTE).succeeded()
    assert "fitted on 2344 of 2930 rows" in result.out
    metrics = read(tmp_path, "metrics.json")
    assert {"train/nll", "test/nll", "test/mae"} <= metrics.keys()
    assert not any(name.startswith("val/") for name in metrics)
    # standard error of a mean of 586 terms log(s) + r^2 / 2 s^2, these with standard deviation ~1.5: 0.06
    assert abs(metrics["test/nll"] - metrics["train/nll"]) < 0.3


def table(noise: str) -> pd.DataFrame:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(N, 2, generator=generator, dtype=torch.float64)
    eta = TRUE["intercept"] + X @ torch.tensor([TRUE["a"], TRUE["b"]], dtype=torch.float64)
    y = instantiate(OmegaConf.load(CONF / f"noise/{noise}.yaml")).sample(eta, generator)
    return pd.DataFrame({"a": X[:, 0], "y": y, "b": X[:, 1]})


@pytest.mark.parametrize("noise", only(NOISES, "laplace", "poisson", "lognormal"))
def test_own_tables_with_every_noise(command, tmp_path, noise):
    """A true coefficient is within 0.12: five standard errors of 1 / sqrt(information * 2000), information above 1/2
    in all but one (in negative binomial counts it is mean / (1 + mean) at a mean near e): 1/4 in asymmetric Laplace
    noise, which has 0.23."""
    found = {}
    for optimizer in ("exact", "minibatch_sgd"):
        folder = tmp_path / optimizer
        folder.mkdir()
        if optimizer == "exact":
            name = "own.parquet"
            table(noise).to_parquet(folder / name)
        else:
            name = "own.csv"
            table(noise).to_csv(folder / name, index=False)
        own = ["data=table", f"data.path={name}", "data.target=y", "data.val_fraction=0", "trainer.max_epochs=20"]
        result = command(folder, f"noise={noise}", f"optimizer={optimizer}", *own, *MUTE).succeeded()
        assert f"y ~ a + b, {noise} noise" in result.out
        assert f"fitted on {N} of {N} rows" in result.out
        content = read(folder, "coefficients.json")
        assert content["noise"] == noise
        found[optimizer] = content["coefficients"]
        assert (output_folder(folder) / "metrics.json").exists()
    assert found["exact"] == pytest.approx(TRUE, abs=0.23 if noise == "asymmetric_laplace" else 0.12)
    assert found["minibatch_sgd"] == pytest.approx(found["exact"], abs=0.02)
