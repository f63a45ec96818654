"""The command on a table that is larger than data.memory_mb."""

from __future__ import annotations

import json

import pytest
from chunked_fits import drawn, write

from command_line import MUTE, QUIET, client, output_folder, read, runs
from noiseworks.noise import Poisson

SHOP = ["optimizer=exact", "noise=poisson", "data=table", "data.path=shop", "data.target=y"]
FEATURES = "data.features=[a,b,children,town]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop")
    write(path / "shop", drawn(Poisson(link="log"), 6_000), files=3)
    return path


def test_the_answer_is_that_of_the_fit_in_memory(folder, command, tmp_path):
    where = [f"data.path={folder / 'shop'}", FEATURES, "data.test_fraction=0.2", *MUTE]
    (tmp_path / "held").mkdir()
    (tmp_path / "streamed").mkdir()
    command(tmp_path / "held", *SHOP, *where, "data.memory_mb=null").succeeded()
    said = command(tmp_path / "streamed", *SHOP, *where, "data.memory_mb=1").succeeded()
    assert said.err == ""
    assert "fitted on 4800 of 6000 rows" in said.out
    held, streamed = (read(tmp_path / name, "coefficients.json") for name in ("held", "streamed"))
    assert list(streamed["coefficients"]) == list(held["coefficients"])
    for key in ("coefficients", "standard_errors"):
        assert streamed[key] == pytest.approx(held[key], rel=1e-9)
    held, streamed = (read(tmp_path / name, "metrics.json") for name in ("held", "streamed"))
    assert set(streamed) == {name for name in held if not name.endswith("/median_ae")}  # it needs all rows at once
    for name in set(streamed) - {"run/seconds", "exact/gradient"}:
        assert streamed[name] == pytest.approx(held[name], rel=1e-9), name


def test_a_run_is_tracked_with_figures_model_and_data_set(folder, command):
    said = command(folder, *SHOP, FEATURES, "data.memory_mb=1").succeeded()
    assert "pass 1, levels and gaps" in said.err
    assert "6.00k/6.00k" in said.err
    (run,) = runs(folder)
    assert run.info.status == "FINISHED"
    (data,) = run.inputs.dataset_inputs
    assert json.loads(data.dataset.profile)["num_rows"] == 6_000
    assert len(data.dataset.digest) == 16
    files = {path.name for path in output_folder(folder).glob("figures/*")}
    assert files == {"fit.png", "residuals.png"}
    assert client(folder).search_logged_models(["1"]) or client(folder).search_logged_models(["0"])


def test_training_is_refused_before_a_run_is_started(folder, command, tmp_path):
    arguments = [*SHOP[1:], f"data.path={folder / 'shop'}", FEATURES, "data.memory_mb=1", QUIET]
    said = command(tmp_path, *arguments)
    assert said.status == 2
    assert "optimizer=exact" in said.err
    assert "data.memory_mb" in said.err
    assert not runs(tmp_path)


@pytest.mark.soak
def test_jobs_of_a_sweep(folder, command, tmp_path):
    arguments = [*SHOP, f"data.path={folder / 'shop'}", FEATURES, "data.memory_mb=1", *MUTE]
    said = command(tmp_path, "-m", *arguments, "noise=poisson,gaussian,student_t")
    assert said.status == 1
    assert "2 FINISHED" in said.out
    assert "1 FAILED" in said.out
    assert "noise=student_t is not solved for a table larger than data.memory_mb" in said.out + said.err
