"""A mistake ends with exit status 2 and a sentence or two that name what is wrong and what would be right."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from command_line import noiseworks, runs
from fast_configs import configuration
from noiseworks.config.job import make_job
from noiseworks.errors import UserError
from soaked import every

TEXTS = {
    "good.csv": "y,a,b\n1,2,3\n2,1,4\n3,5,5\n4,1,6\n2,2,2\n5,3,1\n1,1,7\n3,4,4\n4,4,1\n2,6,3\n",
    "empty.csv": "",
    "text.csv": "y,a\n1,2\nmany,3\n2,4\n5,1\n",
    "nan.csv": "y,a\n1,2\n,3\n2,4\n",
    "negative.csv": "y,a\n1,2\n-1,3\n2,4\n",
    "fraction.csv": "y,a\n1,2\n1.5,3\n2,4\n",
    "zero.csv": "y,a\n1,2\n0,3\n2,4\n",
    "three.csv": "y,a\n1,2\n2,3\n4,4\n",
    "latin.csv": "y,a\n1,é\n",
}
TABLE = ["data=table", "data.target=y"]


def table(name: str, *more: str) -> list[str]:
    return [*TABLE, f"data.path={name}", *more]


CASES = [
    # keys and options that there are not, and the nearest that there is
    (["optimiser.lr=0.1"], ["optimiser.lr", "optimizer.lr"]),
    (["optimizer.lrr=0.1"], ["optimizer.lrr", "nearest is optimizer.lr"]),
    (["trainer.epochs=5"], ["trainer.epochs", "trainer.max_epochs"]),
    (["sead=1"], ["sead", "nearest is seed"]),
    (["nois=laplace"], ["nois ", "nearest is noise"]),
    (["noise=laplac"], ["noise=laplac", "nearest is noise=laplace", "gaussian"]),
    (["data=house"], ["data=house", "nearest is data=houses"]),
    (["optimizer=adadelta"], ["optimizer=adadelta", "adam", "minibatch_sgd"]),
    (["noise@data.noise=cauchy", "data=synthetic"], ["cauchy", "laplace", "student_t"]),
    (["experiment=ex99"], ["experiment=ex99", "--help"]),
    (["experiment=ex5_flor"], ["nearest is experiment=ex5_floor", "ex5_likelihood"]),
    (["noise=laplace", "noise.df=3"], ["noise.df", "noise.scale"]),
    (["optimizer=sgd", "optimizer.momentun=0.9"], ["optimizer.momentun", "optimizer.momentum"]),
    (["trainer=tpux"], ["trainer=tpux", "nearest is trainer=tpu"]),
    # files and columns
    (table("none.csv"), ["data.path", "none.csv"]),
    (table("god.csv"), ["data.path", "god.csv", "good.csv"]),
    (table("empty.csv"), ["empty.csv", "empty"]),
    (table("good.csv", "data.target=z"), ["data.target", "no column z", "y, a, b"]),
    (table("good.csv", "data.features=[a,c]"), ["data.features", "no column c"]),
    (table("good.csv", "data.features=a"), ["data.features=a", "list"]),
    (table("good.csv", "data.offset=exposure"), ["data.offset", "exposure"]),
    (table("good.csv", "data.missing=skip"), ["data.missing=skip", "drop"]),
    (table("text.csv"), ["data.target=y", "'many'", "row 2", "numbers"]),
    (table("nan.csv"), ["y", "no value in row 2", "data.missing=drop"]),
    (table("inf.parquet"), ["y", "inf", "row 2", "finite"]),
    (table("negative.csv", "noise=poisson"), ["'y'", "-1", "row 2", "poisson"]),
    (table("fraction.csv", "noise=poisson"), ["'y'", "1.5", "row 2", "whole"]),
    (table("fraction.csv", "noise=negative_binomial"), ["'y'", "1.5", "whole"]),
    (table("zero.csv", "noise=lognormal"), ["'y'", "0", "row 2", "lognormal"]),
    (table("three.csv", "data.val_fraction=0.9", "data.batch_size=1"), ["data.val_fraction=0.9", "training rows"]),
    (table("good.csv", "data.order=stream", "data.batch_size=2"), ["data.order=stream", "data=synthetic"]),
    (["data=table", "data.path=good.csv"], ["data.target", "not set"]),
    (["data=table", "data.target=y"], ["data.path", "not set"]),
    # values
    (["seed=-1"], ["seed=-1", "0"]),
    (["optimizer.lr=fast"], ["optimizer.lr=fast", "number"]),
    (["trainer.max_epochs=0"], ["trainer.max_epochs=0", "1"]),
    (["trainer.patience=3", "data.val_fraction=0"], ["trainer.patience=3", "data.val_fraction"]),
    (["trainer.devices=0"], ["trainer.devices=0"]),
    (["data.target=3"], ["data.target: shipped:houses.csv has no column 3"]),
    (["~data.path"], ["data", "path"]),
    (["+anything=1"], ["+anything=1 would do nothing", "noise"]),
    (["+callbacks.x=1"], ["+callbacks.x=1 would do nothing"]),
    (["trainer=tpu"], ["trainer", "tpu", "trainer=cpu"]),
    (["tracking.uri=sqlite:mlflow.db"], ["tracking.uri=sqlite:mlflow.db", "sqlite:///"]),
    (["tracking.uri=sqlite:///good.csv"], ["tracking.uri", "good.csv", "SQLite"]),
    (["optimizer=exact", "model=two_layer"], ["optimizer=exact", "model=", "linear"]),
    (["seed"], ["seed"]),
    (["optimizer.lr="], ["optimizer.lr", "number"]),
    (["data.features=[area"], ["data.features=[area"]),
    (["seed=1,2"], ["seed", "-m"]),
    (["data.path=${nowhere}"], ["nowhere"]),
    (["+optimizer.extra=1"], ["optimizer", "extra"]),
    (["+data.extra=1"], ["data", "extra"]),
    (["~optimizer.lr"], ["optimizer", "lr"]),
    (["--config-dir=nowhere"], ["nowhere"]),
    (["--config-name=nowhere"], ["nowhere"]),
]  # fmt: skip
VALUES = [
    (["seed=1.5"], ["seed=1.5", "whole"]),
    (["seed=true"], ["seed=", "whole"]),
    (["seed=null"], ["seed=", "whole"]),
    (["data.seed=-3"], ["data.seed=-3"]),
    (["replicates=0"], ["replicates=0", "1"]),
    (["task=predict"], ["task=predict", "fit"]),
    (["optimizer.lr=null"], ["optimizer.lr=null", "number"]),
    (["optimizer.lr=-1"], ["optimizer.lr=-1", "at least 0"]),
    (["optimizer.lr=nan"], ["optimizer.lr=nan", "finite"]),
    (["replicates=true"], ["replicates=True", "whole"]),
    (["trainer.min_delta=nan"], ["trainer.min_delta=nan", "at least 0"]),
    (["optimizer=adam", "optimizer.lr=fast"], ["optimizer", "fast"]),
    (["optimizer=adam", "optimizer.betas=[0.9,1.5]"], ["optimizer=adam", "1.5"]),
    (["trainer.max_epochs=ten"], ["trainer.max_epochs=ten", "whole number"]),
    (["trainer.max_epochs=2.5"], ["trainer.max_epochs=2.5", "whole number"]),
    (["trainer.precision=16"], ["trainer.precision=16", "32-true"]),
    (["trainer.patience=0"], ["trainer.patience=0"]),
    (["data.features=3"], ["data.features=3", "list"]),
    (["data.batch_size=0"], ["data.batch_size=0", "1"]),
    (["data.batch_size=many"], ["data.batch_size=many", "whole number"]),
    (["data.val_fraction=1"], ["data.val_fraction=1", "below 1"]),
    (["data.val_fraction=0.6", "data.test_fraction=0.6"], ["data.val_fraction", "data.test_fraction"]),
    (["data.standardize=maybe"], ["data.standardize=maybe", "true or false"]),
    (["data.order=random"], ["data.order=random", "shuffle"]),
    (["data=synthetic", "data.num_examples=0"], ["data.num_examples=0"]),
    (["data=synthetic", "data.true_weights=[1,2,3]"], ["data.true_weights", "3", "data.num_features=2"]),
    (["data=stocks", "data.ticker=TSLA"], ["TSLA", "IBM"]),
    (["noise.scale=-1"], ["noise.scale=-1", "0"]),
    (["noise.scale=wide"], ["noise.scale=wide", "number"]),
    (["noise=student_t", "noise.df=0"], ["noise.df=0"]),
    (["noise=huber", "noise.delta=0"], ["noise.delta=0"]),
    (["data=apples", "noise=poisson", "noise.link=probit"], ["noise.link=probit", "log"]),
    (["schedule.averaging_start=1"], ["schedule.averaging_start=1"]),
    (["schedule=inverse_sqrt", "schedule.decay_steps=0"], ["schedule.decay_steps=0"]),
    (["tracking.figures=some"], ["tracking.figures=some", "auto"]),
    (["tracking.curve_points=0"], ["tracking.curve_points=0"]),
    (["model.init_scale=-1"], ["model.init_scale=-1"]),
    (["model=two_layer", "model.width=0"], ["model.width=0"]),
    (["model=two_layer", "model.activation=gelu"], ["model.activation=gelu", "relu"]),
    # grammar
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name, text in TEXTS.items():
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    pq.write_table(pa.table({"y": [1.0, np.inf, 2.0], "a": [1.0, 2.0, 3.0]}), tmp_path / "inf.parquet")
    return tmp_path


def is_a_sentence_or_two(message: str) -> bool:
    return bool(re.fullmatch(r"noiseworks: [^\n]{10,600}\n", message)) and "Traceback" not in message


@pytest.mark.parametrize(("arguments", "parts"), every(3, CASES), ids=[" ".join(arguments) for arguments, _ in CASES])
def test_a_mistake_is_named(command, folder, arguments, parts):
    result = command(folder, *arguments)
    assert result.status == 2
    assert result.out == ""
    assert is_a_sentence_or_two(result.err), result.err
    for part in parts:
        assert part in result.err, f"{part!r} is not in {result.err!r}"
    assert not (folder / "mlflow.db").exists()
    assert not (folder / "mlartifacts").exists()


@pytest.mark.parametrize(("arguments", "parts"), VALUES, ids=[" ".join(arguments) for arguments, _ in VALUES])
def test_a_value_is_named(arguments, parts):
    """In this process: what the command says of it is the error's text."""
    with pytest.raises(UserError) as error:
        make_job(*configuration(arguments)).members()
    assert is_a_sentence_or_two(f"noiseworks: {error.value}\n"), error.value
    for part in parts:
        assert part in str(error.value), f"{part!r} is not in {error.value}"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_where_there_is_none(command, tmp_path):
    result = command(tmp_path, "trainer=gpu")
    assert (result.status, result.out) == (2, "")
    assert is_a_sentence_or_two(result.err)
    for part in ("gpu", "trainer=cpu", "trainer=auto"):
        assert part in result.err
    assert runs(tmp_path) == []


@pytest.mark.soak
def test_the_command_itself_exits_so(tmp_path):
    result = noiseworks(tmp_path, "noise=laplac")
    assert (result.status, result.out) == (2, "")
    assert is_a_sentence_or_two(result.err)


@pytest.mark.parametrize("arguments", [["noise=laplac"], ["seed=-1"], ["optimizer.lr=fast"]])
def test_the_traceback_is_shown_on_request(command, tmp_path, arguments):
    result = command(tmp_path, *arguments, HYDRA_FULL_ERROR="1")
    assert result.status != 0
    assert result.err.count("Traceback (most recent call last)") >= 1
    assert "MissingMandatoryValue" not in result.err
    assert runs(tmp_path) == []


@pytest.mark.parametrize("arguments", [["seed=0,1", "noise=gaussian,laplac"], ["seed=0,1", "optimizer.lrr=1,2"]])
def test_a_sweep_that_does_not_compose_does_not_start(command, tmp_path, arguments):
    result = command(tmp_path, "-m", *arguments)
    assert result.status == 2
    assert "laplac" in result.err or "optimizer.lrr" in result.err
    assert "Traceback" not in result.err
    assert runs(tmp_path) == []
