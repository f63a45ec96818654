"""What a job returns to the sweeper: the keys `objective` and `constraints`, with and without a study."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from sweep_batches import SMALL, UNTRACKED, child, journal, run_jobs
from sweep_jobs import make_jobs
from sweep_runs import BASIC, Left, artifacts, assert_same_runs, read_any, sweep

from command_line import QUIET
from noiseworks.errors import FitFailed, UserError
from noiseworks.paths import conf_folder
from noiseworks.sweep.one_job import run_one_job

TRACKED = [*SMALL, "tracking.model=false"]
TEST_ROWS = "data.test_fraction=0.2"
# 16 copies of heavy-tailed counts: with this step size some diverge and some do not.
DIVERGING = ["data.num_examples=50", "data.num_features=3", "noise=poisson", "data.signal=2.5", "data.batch_size=32",
             "replicates=16", "optimizer.lr=0.35", "data.val_fraction=0"]  # fmt: skip

MISTAKES = [
    ("objective=nll", "objective=nll is not possible"),
    ("objective=3", "objective=3 is not possible"),
    ("objective=true", "objective=True is not possible"),
    ("objective=[]", "objective=[] is not possible"),
    ("objective=[val/nll,val/nll]", "objective=[val/nll, val/nll] is not possible"),
    ("objective=[val/nll,null]", "objective=[val/nll, None] is not possible"),
    ("objective={val/nll:1}", "objective={'val/nll': 1} is not possible"),
    ("constraints=0.2", "constraints=0.2 is not possible"),
    ("constraints=[val/mae]", "constraints=['val/mae'] is not possible"),
    ("constraints={val/mae:low}", "constraints={val/mae: low} is not possible"),
    ("constraints={val/mae:null}", "constraints={val/mae: null} is not possible"),
    ("constraints={val/mae:true}", "constraints={val/mae: True} is not possible"),
    ("constraints={val/mae:nan}", "constraints={val/mae: nan} is not possible"),
    ("constraints={mae:0.2}", "constraints={mae: 0.2} is not possible"),
]


@pytest.mark.parametrize(("override", "said"), MISTAKES, ids=[override for override, _ in MISTAKES])
def test_a_mistake_is_named(override, said):
    with pytest.raises(UserError) as error:
        make_jobs([[override]])
    assert str(error.value).startswith(said)
    assert "it must be null" in str(error.value)
    assert "such as" in str(error.value)


def metrics(folder: Path, num: int, name: str = "s") -> dict[str, Any]:
    """What metrics.json of this job's run says."""
    return read_any(artifacts(child(folder, num, name))["metrics.json"])


def test_each_objective_is_the_metric(tmp_path):
    asked = [None, "val/mae", "test/rmse", "param/error", "train/loss", "trainer/steps"]
    jobs = [[] if name is None else [f"objective={name}"] for name in asked]
    lists = [["objective=[test/nll]"], ["objective=[val/rmse,param/error,val/nll]"]]
    results = run_jobs(tmp_path, [*jobs, *lists], [*TRACKED, TEST_ROWS])
    told = metrics(tmp_path, 0)
    assert len({told[name] for name in asked[1:]}) == 5
    assert results[:-1] == [told[name] for name in ["val/nll", *asked[1:], "test/nll"]]
    assert results[-1] == [told["val/rmse"], told["param/error"], told["val/nll"]]
    rows = journal(tmp_path)
    assert rows[7]["objective"] == told["val/rmse"]
    assert rows[1]["objective"] == told["val/mae"]


def test_the_training_rows_where_nothing_validates(tmp_path):
    jobs = [["data.val_fraction=0"], ["optimizer=exact"]]
    results = run_jobs(tmp_path, jobs, TRACKED)
    assert results == [metrics(tmp_path, k)["train/nll"] for k in (0, 1)]


def test_the_best_is_that_of_the_objective(tmp_path):
    """The last is best by the likelihood of the training rows, and the first has fewest steps."""
    jobs = [["trainer.max_epochs=1"], ["trainer.max_epochs=2"], ["trainer.max_epochs=20"]]
    for name, best in {"trainer/steps": 0, "train/nll": 2}.items():
        folder = tmp_path / name.replace("/", "-")
        results = run_jobs(folder, [[*job, f"objective={name}"] for job in jobs])
        assert results.index(min(results)) == best
        assert read_any(folder / "s" / "best" / "job.json")["job"] == best


def test_replicates(tmp_path):
    """The mean over all; and if one diverges it is no number."""
    jobs = [["replicates=4", "objective=[val/mae,test/nll]", TEST_ROWS], DIVERGING]
    results = run_jobs(tmp_path, jobs, TRACKED)
    copies = pd.read_parquet(artifacts(child(tmp_path, 0))["replicates.parquet"])
    assert results[0] == pytest.approx([copies["val/mae"].mean(), copies["test/nll"].mean()], rel=1e-14)
    copies = pd.read_parquet(artifacts(child(tmp_path, 1))["replicates.parquet"])
    assert 0 < copies["failure"].notna().sum() < 16
    assert results[1] == math.inf
    assert child(tmp_path, 1).info.status == "FINISHED"
    assert journal(tmp_path)[1]["objective"] == math.inf
    assert metrics(tmp_path, 1)["train/nll"] == pytest.approx(copies["train/nll"].dropna().mean())


def test_a_sweep_of_which_objectives_are_infinite(command, tmp_path):
    """Its table, its best job and its figure are those of the others."""
    size = ["data=synthetic", *DIVERGING, "trainer.max_epochs=6", "tracking=none", QUIET]
    size.remove("optimizer.lr=0.35")
    left = sweep(command, tmp_path, *size, "seed=0,1", "optimizer.lr=0.35,0.01")
    left.result.succeeded()
    infinite = [math.isinf(row["objective"]) for row in left.journal.values()]
    assert infinite == [True, False, True, False]
    lines = [line.split() for line in left.result.out.split("over the seeds:")[1].splitlines()]
    assert ["0.35", "inf", "nan", "inf", "nan", "2", "0"] in lines
    assert read_any(left.path / "best" / "job.json")["job"] == 1  # of its first seed
    assert (left.path / "sweep.png").stat().st_size > 5000


CONSTRAINTS = "constraints={val/mae:0.5,test/nll:1,train/loss:-3.5}"
BOUNDS = {"val/mae": 0.5, "test/nll": 1.0, "train/loss": -3.5}


def test_a_study_is_told_more(tmp_path):
    jobs = [
        [CONSTRAINTS],
        ["replicates=5"],
        ["replicates=5", CONSTRAINTS, "objective=[test/rmse,val/nll]"],
        [*DIVERGING, "constraints={train/mae:1}"],
    ]
    results = run_jobs(tmp_path, jobs, [*TRACKED, TEST_ROWS], in_study=True)
    told = [metrics(tmp_path, k) for k in range(4)]
    copies = [None, *(pd.read_parquet(artifacts(child(tmp_path, k))["replicates.parquet"]) for k in (1, 2, 3))]
    assert results[0] == {
        "objective": told[0]["val/nll"],
        "standard_error": None,
        "constraints": {name: told[0][name] - most for name, most in BOUNDS.items()},
        "failure": None,
    }
    of = copies[1]["val/nll"]
    assert results[1]["objective"] == pytest.approx(of.mean(), rel=1e-14)
    by_hand = math.sqrt(sum((value - of.mean()) ** 2 for value in of) / 4) / math.sqrt(5)
    assert results[1]["standard_error"] == pytest.approx(by_hand, rel=1e-12)
    assert results[1]["constraints"] == {}
    assert results[2]["objective"] == pytest.approx([copies[2]["test/rmse"].mean(), copies[2]["val/nll"].mean()])
    assert results[2]["standard_error"] == pytest.approx(copies[2]["test/rmse"].std() / math.sqrt(5), rel=1e-12)
    expected = {name: told[2][name] - most for name, most in BOUNDS.items()}
    assert results[2]["constraints"] == pytest.approx(expected, rel=1e-12)
    reasons = copies[3]["failure"].dropna()
    counted, reason = results[3].pop("failure").split(": ", 1)
    assert counted == f"{len(reasons)} of 16 replicates failed"
    assert reason in set(reasons)
    assert results[3] == {"objective": math.inf, "standard_error": None, "constraints": {"train/mae": math.inf}}
    assert journal(tmp_path)[2]["objective"] == results[2]["objective"][0]


def test_without_a_study_constraints_say_nothing(tmp_path):
    (value,) = run_jobs(tmp_path, [[CONSTRAINTS, TEST_ROWS]])
    assert isinstance(value, float)


UNKNOWN = [
    ("objective=test/nll", "objective=test/nll is no metric of this job, which has"),
    ("objective=[val/nll,val/lr]", "objective=val/lr is no metric of this job, which has"),
    ("constraints={val/nll:1,val/lr:2}", "constraints={val/lr: ...} is no metric of this job, which has"),
]


@pytest.mark.parametrize(("override", "said"), UNKNOWN, ids=[override for override, _ in UNKNOWN])
@pytest.mark.parametrize("in_study", [False, True])
def test_a_metric_that_there_is_not(tmp_path, override, said, in_study):
    """The job fails, when it has been trained; the others do not."""
    result, other = run_jobs(tmp_path, [[override], []], TRACKED, in_study=in_study)
    assert isinstance(result, FitFailed)
    assert not isinstance(other, Exception)
    run, row = child(tmp_path, 0), journal(tmp_path)[0]
    there = "param/error, param/relative_error, train/loss, train/mae, train/nll, train/rmse, "
    assert row["failure"].startswith(f"{said} {there}")
    assert row["failure"] in str(result)
    assert run.info.status == row["status"] == "FAILED"
    assert run.data.tags["failure"] == row["failure"]
    assert row["objective"] is None
    assert "val/nll" in row["metrics"]  # what was computed is kept
    assert "coefficients.json" in artifacts(run)


def test_a_reference_that_a_neighbour_has_is_not_ones_own(tmp_path):
    """param/error is computed for a whole group, but counts that are zero below the largest `a` have their optimum at
    infinity. Alone and beside a job that has an exact answer it is the same."""
    (tmp_path / "zero.csv").write_text("y,a\n" + "".join(f"{2 * int(k > 37)},{min(k, 38)}\n" for k in range(40)))
    (tmp_path / "some.csv").write_text("y,a\n" + "".join(f"{k % 3},{k % 7}\n" for k in range(40)))
    table = [
        "data=table", "data.target=y", "data.batch_size=16", "noise=poisson", "noise.link=log", "trainer.max_epochs=2",
        "trainer.progress_bar=false", "tracking=none", "objective=param/error", "data.val_fraction=0",
    ]  # fmt: skip
    jobs = [[f"data.path={tmp_path / 'zero.csv'}"], [f"data.path={tmp_path / 'some.csv'}"]]
    results = run_jobs(tmp_path, jobs, table, name="both")
    alone = run_jobs(tmp_path, jobs[:1], table, name="alone")
    assert isinstance(results[1], float)
    assert str(results[0]) == str(alone[0])
    assert "objective=param/error is no metric" in str(results[0])


@pytest.fixture(scope="module")
def ways(command, tmp_path_factory) -> tuple[Left, Left]:
    """Jobs that are given unknown names, by themselves and side by side."""
    folder = tmp_path_factory.mktemp("ways")
    asked = ["objective=val/mae,[test/nll,val/nll]", "constraints=null,{val/mae:1,val/lr:2}", "replicates=1,2"]
    alone = sweep(command, folder, *SMALL, *asked, BASIC, "tracking.model=false", name="alone")
    return alone, sweep(command, folder, *SMALL, *asked, "tracking.model=false", name="together")


@pytest.mark.soak
def test_both_launchers_say_the_same(ways):
    alone, together = ways
    assert alone.result.status == together.result.status == 1
    assert_same_runs(together, alone, 1e-9)
    for num, row in together.journal.items():
        other = alone.journal[num]
        assert row["failure"] == other["failure"]
        assert row["status"] == other["status"] == ("FINISHED" if num < 2 else "FAILED")
        assert (row["objective"] is None) == (other["objective"] is None) == (num > 1)
        assert row["objectives"] == pytest.approx(other["objectives"], rel=1e-12)
        assert row["coefficients"]["coefficients"] == pytest.approx(other["coefficients"]["coefficients"], rel=1e-12)


def test_a_job_by_itself_in_a_study(tmp_path):
    """What `run` returns under hydra/launcher=basic is what run_batch returns."""
    overrides = ["replicates=3", CONSTRAINTS, TEST_ROWS, "objective=[val/nll,val/mae]"]
    (together,) = run_jobs(tmp_path, [overrides], in_study=True)
    (numbers,) = run_jobs(tmp_path, [overrides], name="no study")
    for folder, expected in {"s": together, "no study": numbers}.items():
        given = [*UNTRACKED, *overrides, "hydra.mode=MULTIRUN", f"hydra.sweep.dir='{tmp_path / folder}'"]
        given += ["hydra.job.num=7", f"hydra.runtime.output_dir='{tmp_path / 'out'}'"]
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            config = compose("config", given, return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        try:
            task = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
            returned = run_one_job(task, lambda: None)
        finally:
            HydraConfig.instance().cfg = None
        if folder == "s":
            assert returned["objective"] == pytest.approx(expected["objective"], rel=1e-12)
            assert returned["standard_error"] == pytest.approx(expected["standard_error"], rel=1e-9)
            assert returned["constraints"] == pytest.approx(expected["constraints"], rel=1e-12)
            assert returned.keys() == expected.keys()
        else:
            assert returned == pytest.approx(expected, rel=1e-12)


def test_a_single_fit(command, tmp_path):
    result = command(tmp_path, *SMALL, QUIET, "tracking=none", "objective=val/lr")
    assert result.status == 1
    assert result.err.startswith("noiseworks: The fit failed: objective=val/lr is no metric of this job, which has ")
    assert "Traceback" not in result.err
    assert command(tmp_path, *SMALL, QUIET, "tracking=none", "objective=lr").status == 2


def test_the_defaults():
    config = yaml.safe_load((conf_folder() / "config.yaml").read_text())
    assert config["objective"] is None
    assert config["constraints"] is None
