"""The logged model predicts, from columns by name, what the coefficients say, in the units of the data."""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import load_model

from command_line import QUIET, client, read, runs

FEW = [QUIET, "tracking.figures=false", "data.val_fraction=0", "trainer.max_epochs=5"]


def shop() -> pd.DataFrame:
    """Counts sold, by day, price and time open (its log an offset)."""
    generator = np.random.default_rng(0)
    day, price = generator.choice(["fri", "sat", "sun"], 300), generator.uniform(1, 3, 300)
    log_hours = np.log(generator.uniform(1, 9, 300))
    mean = np.exp(0.4 + 0.6 * (day == "sat") - 0.3 * (day == "sun") - 0.5 * price + log_hours)
    return pd.DataFrame({"sold": generator.poisson(mean), "day": day, "price": price, "log_hours": log_hours})


SHOP = ["data=table", "data.path=shop.csv", "data.target=sold"]
OFFSET = ["data.offset=log_hours"]


def logged(command, folder, *arguments: str):
    """Loaded by `runs:/ID/model`, as people write it."""
    shop().to_csv(folder / "shop.csv", index=False)
    command(folder, *FEW, *arguments).succeeded()
    (run,) = runs(folder)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    try:
        return load_model(f"runs:/{run.info.run_id}/model")
    finally:
        mlflow.set_tracking_uri(before)


def test_houses_trained(command, tmp_path):
    model = logged(command, tmp_path)
    table = pd.DataFrame({"age": [10.0, 80.0, 0.0], "area": [1000.0, 2500.0, 334.0]})  # not in the order of the fit
    w = read(tmp_path, "coefficients.json")["coefficients"]
    by_hand = w["intercept"] + w["area"] * table["area"] + w["age"] * table["age"]
    assert model.predict(table) == pytest.approx(by_hand.to_numpy(), rel=1e-6)
    assert model.metadata.get_input_schema().input_names() == ["area", "age"]
    assert {str(kind) for kind in model.metadata.get_input_schema().input_types()} == {"Any"}


def test_the_model_belongs_to_the_experiment_of_its_run(command, tmp_path):
    logged(command, tmp_path, "optimizer=exact")
    (run,) = runs(tmp_path)
    (output,) = run.outputs.model_outputs
    assert client(tmp_path).get_logged_model(output.model_id).experiment_id == run.info.experiment_id
    for file in (path for path in (tmp_path / "mlartifacts").rglob("*") if path.is_file()):
        assert "pkl" not in file.suffix
        assert "pickle" not in file.name
        assert not file.read_bytes().startswith(b"\x80")  # how pickles begin


def test_text_columns_and_an_offset(command, tmp_path):
    model = logged(command, tmp_path, "optimizer=exact", "noise=poisson", *SHOP, *OFFSET)
    table = shop().drop(columns="sold").head(20)
    w = read(tmp_path, "coefficients.json")["coefficients"]
    assert list(w) == ["intercept", "day=sat", "day=sun", "price"]
    eta = w["intercept"] + w["price"] * table["price"] + table["log_hours"]
    eta += w["day=sat"] * (table["day"] == "sat") + w["day=sun"] * (table["day"] == "sun")
    assert model.predict(table) == pytest.approx(np.exp(eta).to_numpy(), rel=1e-6)
    schema = model.metadata.get_input_schema()
    kinds = dict(zip(schema.input_names(), map(str, schema.input_types())))
    assert kinds == {"day": "DataType.string", "price": "Any", "log_hours": "Any"}
    with pytest.raises(Exception, match=r"'day' has the value 'monday'.*known are fri, sat, sun"):
        model.predict(table.assign(day="monday"))
    with pytest.raises(MlflowException, match="price"):
        model.predict(table.drop(columns="price"))


def test_two_layers_with_an_activation(command, tmp_path):
    model = logged(
        command, tmp_path, "model=two_layer", "model.activation=tanh", "data.features=[price,log_hours]", *SHOP
    )
    table = shop()
    metrics = read(tmp_path, "metrics.json")
    residuals = model.predict(table) - table["sold"]
    assert np.abs(residuals).mean() == pytest.approx(metrics["train/mae"], rel=1e-5)  # of all rows: none validate
    assert np.sqrt(np.square(residuals).mean()) == pytest.approx(metrics["train/rmse"], rel=1e-5)
    assert read(tmp_path, "coefficients.json")["coefficients"] == {}


def test_lognormal_predicts_the_mean_not_the_median(command, tmp_path):
    table = shop().assign(sold=lambda t: t["sold"] + 0.5)
    table.to_csv(tmp_path / "more.csv", index=False)
    arguments = ["optimizer=exact", "noise=lognormal", *SHOP, "data.path=more.csv", "data.features=[price]"]
    model = logged(command, tmp_path, *arguments)
    content = read(tmp_path, "coefficients.json")
    w, scale = content["coefficients"], content["scale"]
    eta = w["intercept"] + w["price"] * table["price"]
    assert scale > 0.2
    assert model.predict(table[["price"]]) == pytest.approx(np.exp(eta + scale**2 / 2).to_numpy(), rel=1e-6)
