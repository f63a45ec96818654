"""Which noise model the test rows speak for: the table that a sweep over noise models ends with."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.special import logsumexp
from sweep_jobs import Bar, make_jobs, run_group
from sweep_runs import BASIC, SMALL, Left, artifacts, coefficients, sweep
from test_sweep_results import block

from noiseworks.runs.held_out import FOLDER
from noiseworks.runs.journal import Row
from noiseworks.streams import generator
from noiseworks.sweep.groups import GIB, make_groups
from noiseworks.sweep.noise_ranking import Candidate, choose_noise, paired, verdict
from noiseworks.sweep.recording import _keep_held_out
from noiseworks.tracking.parents import SweepFolder
from soaked import every

Array = NDArray[np.float64]
FILES = Path(__file__).parents[2] / "src/noiseworks/data/files"
HELD_OUT = "data.test_fraction=0.2"
HOUSES = ["noise=gaussian,laplace,student_t,lognormal", "optimizer=exact", "data=houses", HELD_OUT, SMALL[0]]
APPLES = ["noise=poisson,gaussian,negative_binomial,laplace", "optimizer=exact", "data=apples", HELD_OUT, SMALL[0]]


def held_out_rows(name: str) -> pd.DataFrame:
    """Of data.seed=0."""
    table = pd.read_csv(FILES / f"{name}.csv")
    num_test = round(0.2 * len(table))
    order = torch.randperm(len(table), generator=generator(0, "split", 0)).numpy()
    return table.iloc[order[-num_test:]]


def eta(table: pd.DataFrame, w: dict[str, float]) -> Array:
    columns = [w[name] * table[name].to_numpy() for name in w if name != "intercept"]
    return np.asarray(w["intercept"] + np.sum(columns, axis=0), dtype=float)


DENSITIES = {
    "gaussian": lambda y, eta, s: stats.norm.logpdf(y, eta, s),
    "laplace": lambda y, eta, s: stats.laplace.logpdf(y, eta, s),
    "student_t": lambda y, eta, s: stats.t.logpdf(y, 4, eta, s),
    "lognormal": lambda y, eta, s: stats.lognorm.logpdf(y, s, scale=np.exp(eta)),
}
CELLS = {
    "poisson": lambda y, eta, s: stats.poisson.logpmf(y, np.exp(eta)),
    "negative_binomial": lambda y, eta, s: stats.nbinom.logpmf(y, 1 / s, 1 / (1 + s * np.exp(eta))),
    "gaussian": lambda y, eta, s: np.log(stats.norm.cdf(y + 0.5, eta, s) - stats.norm.cdf(y - 0.5, eta, s)),
    "laplace": lambda y, eta, s: np.log(stats.laplace.cdf(y + 0.5, eta, s) - stats.laplace.cdf(y - 0.5, eta, s)),
}


def by_scipy(left: Left, table: pd.DataFrame, target: str, laws: dict[str, Any]) -> dict[str, Array]:
    """The log-likelihoods of the test rows, from the coefficients that the jobs left."""
    found = {}
    for run in left.children.values():
        answer = coefficients(run)
        law = laws[answer["noise"]]
        found[answer["noise"]] = law(table[target].to_numpy(), eta(table, answer["coefficients"]), answer["scale"])
    return found


def expected(values: dict[str, Array]) -> dict[str, tuple[float, float, float]]:
    """noise -> log-likelihood, difference to the best, its standard error; the best first."""
    order = sorted(values, key=lambda name: -values[name].mean())
    d = {name: values[name] - values[order[0]] for name in order}
    return {n: (values[n].mean(), d[n].mean(), d[n].std(ddof=1) / math.sqrt(len(d[n]))) for n in order}


def told(left: Left) -> dict[str, tuple[float, float, float]]:
    lines = json.loads((left.path / "noise_models.json").read_text())["noise_models"]
    return {line["noise"]: (line["log_likelihood"], line["difference"], line["standard_error"]) for line in lines}


def assert_same(ours: dict[str, tuple[float, float, float]], theirs: dict[str, tuple[float, float, float]]) -> None:
    assert list(ours) == list(theirs)
    for noise, numbers in ours.items():
        assert numbers == pytest.approx(theirs[noise], rel=1e-8, abs=1e-10), noise


@pytest.fixture(scope="module")
def houses(command, tmp_path_factory) -> Left:
    return sweep(command, tmp_path_factory.mktemp("houses"), *HOUSES)


@pytest.fixture(scope="module")
def apples(command, tmp_path_factory) -> Left:
    return sweep(command, tmp_path_factory.mktemp("apples"), *APPLES)


@pytest.mark.soak
def test_houses_by_scipy(houses):
    """Densities in the units of the data: that of lognormal noise is of the price, not of its logarithm."""
    houses.result.succeeded()
    right = expected(by_scipy(houses, held_out_rows("houses"), "price", DENSITIES))
    assert next(iter(right)) == "lognormal"
    assert_same(told(houses), right)
    for job, run in houses.children.items():
        nll = run.data.metrics["test/nll"]
        assert told(houses)[houses.journal[job]["swept"]["noise"]][0] == pytest.approx(-nll, rel=1e-9)


def test_counts_and_densities_by_scipy(apples):
    """Of unit cells: a density alone could be made as high as one likes at the counts."""
    apples.result.succeeded()
    assert_same(told(apples), expected(by_scipy(apples, held_out_rows("apples"), "eco_apples", CELLS)))
    assert "of each the probability of the same cell, log P(y - 0.5 < Y <= y + 0.5)" in apples.result.out


def test_the_print(houses):
    """After the table of the best, in the order of the test rows."""
    out = houses.result.out
    right = expected(by_scipy(houses, held_out_rows("houses"), "price", DENSITIES))
    title = "noise models on the 586 test rows, log-likelihood per example in the units of the data:"
    assert out.index("the best:") < out.index(title)
    header, *lines = block(out, title)
    assert " ".join(header) == "noise model log-likelihood difference std error job"
    jobs = {row["swept"]["noise"]: str(job) for job, row in houses.journal.items()}
    best, *others = right
    assert lines[0] == [best, f"{right[best][0]:.4f}", jobs[best]]
    assert lines[1:] == [[n, *(f"{number:.4f}" for number in right[n]), jobs[n]] for n in others]
    assert "\nlognormal is better than the others by more than two standard errors\n" in out
    assert "the same cell" not in out


def test_the_parent_keeps_it(houses):
    parent = houses.parent
    assert json.loads(artifacts(parent)["noise_models.json"].read_text())["num_rows"] == 586
    assert "noise models on the 586 test rows" in parent.data.tags["mlflow.note.content"]
    for noise, (value, difference, error) in told(houses).items():
        assert parent.data.metrics[f"held_out/{noise}"] == pytest.approx(value)
        assert parent.data.metrics[f"held_out/{noise}/difference"] == pytest.approx(difference)
        assert parent.data.metrics[f"held_out/{noise}/standard_error"] == pytest.approx(error)


@pytest.mark.soak
def test_one_by_one_as_together(command, tmp_path, houses, apples):
    for name, arguments, together in (("houses", HOUSES, houses), ("apples", APPLES, apples)):
        alone = sweep(command, tmp_path, *arguments, BASIC, "tracking=none", name=name)
        alone.result.succeeded()
        assert_same(told(alone), told(together))


@pytest.mark.soak
def test_trained_with_other_keys(command, tmp_path):
    """Of each noise model the job with the best val/nll speaks, by the test rows that all share."""
    swept = ["noise=gaussian,laplace", "optimizer.lr=0.001,0.1", "seed=0,1", "data.seed=0", HELD_OUT]
    left = sweep(command, tmp_path, *SMALL[:1], "data=houses", "trainer.max_epochs=2", *swept)
    left.result.succeeded()
    best = {}
    for noise in ("gaussian", "laplace"):
        jobs = [row for row in left.table if row["noise"] == noise]
        best[noise] = min(jobs, key=lambda row: row["val/nll"])
    assert {noise: numbers[0] for noise, numbers in told(left).items()} == pytest.approx(
        {noise: -row["test/nll"] for noise, row in best.items()}, rel=1e-5
    )
    header, *lines = block(left.result.out, "in the units of the data:")
    assert header[-3:] == ["job", "optimizer.lr", "seed"]
    assert {line[0]: line[-3:] for line in lines} == {
        noise: [str(row["job"]), f"{row['optimizer.lr']:g}", str(row["seed"])] for noise, row in best.items()
    }
    assert "each by its job of the best val/nll" in left.result.out
    rows = held_out_rows("houses")
    values = by_scipy_of(left, best, rows)
    assert_close(told(left), expected(values))


def by_scipy_of(left: Left, best: dict[str, Any], rows: pd.DataFrame) -> dict[str, Array]:
    answers = {noise: coefficients(left.children[row["job"]]) for noise, row in best.items()}
    return {
        noise: DENSITIES[noise](rows["price"].to_numpy(), eta(rows, answer["coefficients"]), answer["scale"])
        for noise, answer in answers.items()
    }


def assert_close(ours: dict[str, tuple[float, float, float]], theirs: dict[str, tuple[float, float, float]]) -> None:
    """Trained in float32."""
    assert list(ours) == list(theirs)
    for noise, numbers in ours.items():
        assert numbers == pytest.approx(theirs[noise], rel=1e-4, abs=1e-5), noise


@pytest.mark.soak
def test_settings_of_a_noise_model(command, tmp_path):
    """Another level is another noise model; data.weights weigh the test rows."""
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=400), rng.exponential(size=400) + 0.1
    pd.DataFrame({"x": x, "y": 1 + x + rng.exponential(size=400), "w": w}).to_csv(tmp_path / "t.csv", index=False)
    own = ["data=table", "data.path=t.csv", "data.target=y", "data.weights=w", "noise=asymmetric_laplace"]
    left = sweep(command, tmp_path, *own, "noise.tau=0.1,0.5,0.9", "optimizer=exact", HELD_OUT, SMALL[0])
    left.result.succeeded()
    found = told(left)
    assert list(found) == [f"asymmetric_laplace tau={tau}" for tau in (0.1, 0.5, 0.9)]
    assert [numbers[0] for numbers in found.values()] == pytest.approx([-row["test/nll"] for row in left.table])
    assert "held_out/asymmetric_laplace tau_0.1" in left.parent.data.metrics


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            ["seed=0,1", "noise@data.noise=gaussian"],
            "their jobs have different test rows; data.seed=0, or another number",
        ),
        (["replicates=2", "noise@data.noise=gaussian"], "each replicate has test rows of its own; with replicates=1"),
        ([], "their jobs have different test rows"),  # the truth follows the assumption
    ],
)
@pytest.mark.parametrize("launcher", every(2, ["vectorized", "basic"]))
def test_what_cannot_be_compared(command, tmp_path, arguments, why, launcher):
    how = [HELD_OUT, "noise=gaussian,laplace", "tracking=none", f"hydra/launcher={launcher}"]
    left = sweep(command, tmp_path, *SMALL, *how, *arguments)
    assert f"noise models are not compared on the test rows: {why}" in left.result.succeeded().out
    assert not (left.path / "noise_models.json").exists()


def test_a_model_of_counts_is_left_out_where_values_are_no_counts(command, tmp_path):
    """And the others are compared; with two that cannot there is nothing left to compare."""
    rows = "x,y\n" + "".join(f"{i % 7},{1 + i % 5 + 0.5 * (i % 2)}\n" for i in range(60))
    (tmp_path / "t.csv").write_text(rows)
    own = ["data=table", "data.path=t.csv", "data.target=y", "data.allow_fractions=true", "optimizer=exact"]
    own += [HELD_OUT, "tracking=none", SMALL[0]]
    out = sweep(command, tmp_path, *own, "noise=gaussian,laplace,poisson", name="three").result.succeeded().out
    assert re.search(r"left out: poisson, since the test value \d\.5 is no multiple of 1\n", out)
    assert "log-likelihood per example" in out
    assert "the same cell" not in out
    out = sweep(command, tmp_path, *own, "noise=gaussian,poisson", name="two").result.succeeded().out
    assert "are not compared on the test rows: left out: poisson, since the test value" in out


def test_a_tick_is_worth_nothing(command, tmp_path):
    """Of LogNormal prices rounded to 5 the rounded model and the density give the cells of width 5 nearly the same,
    not log 5 apart; by SciPy, from the coefficients that were left."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=300)
    y = 5 * np.round(np.exp(4 + 0.3 * x + 0.4 * rng.normal(size=300)) / 5)
    pd.DataFrame({"x": x, "y": y}).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "own/noise").mkdir(parents=True)
    (tmp_path / "own/noise/fives.yaml").write_text(
        "_target_: noiseworks.noise.IntervalLogNormal\ntick: 5\nscale: null\n"
    )
    own = ["data=table", "data.path=t.csv", "data.target=y", "optimizer=exact", HELD_OUT, SMALL[0]]
    left = sweep(command, tmp_path, *own, "noise=lognormal,fives,poisson", f"--config-dir={tmp_path}/own")
    left.result.succeeded()
    facts = json.loads((left.path / "noise_models.json").read_text())
    assert (facts["cell_width"], facts["left_out"]) == (5.0, {})
    order = torch.randperm(300, generator=generator(0, "split", 0)).numpy()[-60:]
    test, right = pd.DataFrame({"x": x, "y": y}).iloc[order], {}
    for run in left.children.values():
        answer = coefficients(run)
        middle, s = eta(test, answer["coefficients"]), answer["scale"]
        if answer["noise"] == "poisson":
            counts = test["y"].to_numpy()[:, None] + np.arange(-2, 3)
            found = logsumexp(stats.poisson.logpmf(counts, np.exp(middle)[:, None]), axis=1)
        else:
            known = stats.lognorm(s, scale=np.exp(middle))
            found = np.log(known.cdf(test["y"] + 2.5) - known.cdf(test["y"] - 2.5))
        right[answer["noise"]] = found
    right["fives"] = right.pop("interval_lognormal")
    assert_same(told(left), expected(right))
    assert abs(told(left)["lognormal"][1] - told(left)["fives"][1]) < 0.01


@pytest.mark.parametrize("arguments", [["noise=gaussian,laplace"], [HELD_OUT, "seed=0,1", "noise=laplace"]])
def test_nothing_to_compare(command, tmp_path, arguments):
    """No test rows; one noise model."""
    left = sweep(command, tmp_path, *SMALL, "tracking=none", *arguments)
    assert "noise models" not in left.result.succeeded().out
    assert not (left.path / FOLDER).exists()


@pytest.mark.soak
def test_an_earlier_sweep_into_the_same_folder_leaves_nothing(command, tmp_path):
    same = [*SMALL, "tracking=none", "data.seed=0", "noise@data.noise=gaussian", "noise=gaussian,laplace"]
    assert "noise models on the 12 test rows" in sweep(command, tmp_path, *same, HELD_OUT).result.succeeded().out
    again = sweep(command, tmp_path, *same, "hydra.sweeper.resume=false")
    assert "noise models" not in again.result.succeeded().out


@pytest.mark.soak
def test_thousands_of_jobs_leave_few_rows(tmp_path):
    """Of those that are written together only the best of each noise model is kept."""
    settings = [[f"noise={noise}", f"seed={seed}"] for noise in ("gaussian", "laplace") for seed in range(20)]
    base = ["data=synthetic", "noise@data.noise=gaussian", "data.num_examples=60", "data.seed=0", HELD_OUT]
    jobs = make_jobs(settings, [*base, "tracking=none", "trainer.max_epochs=1"])
    ended = [one for group in make_groups(jobs, GIB) for one in run_group(group, Bar())]
    _keep_held_out(ended, tmp_path)
    assert len(list((tmp_path / FOLDER).iterdir())) == 2
    choice = choose_noise(tmp_path, [replace(Row.of(e), swept={"noise": e.problem.noise.name}) for e in ended])
    assert choice is not None
    assert len(choice.candidates) == 2
    best = [
        min((e for e in ended if e.problem.noise.name == n), key=lambda e: e.value) for n in ("gaussian", "laplace")
    ]
    assert {each.job for each in choice.candidates} == {one.num for one in best}
    assert choice.candidates[0].log_likelihood == pytest.approx(
        max(-one.outcome.metrics["test/nll"].item() for one in best), rel=1e-5
    )


@pytest.mark.parametrize(
    ("asked", "compares"),
    [
        (["noise=gaussian,laplace"], True),
        (["seed=0,1", "noise=choice(gaussian,laplace)"], True),
        (["noise=asymmetric_laplace", "noise.tau=0.1,0.9"], True),
        (["+noise.scale=1,2"], True),
        (["noise=laplace", "seed=range(0,2000)"], False),
        (["noise@data.noise=gaussian,laplace"], False),
        (["data.noise.scale=1,2"], False),
    ],
)
def test_when_rows_are_kept(tmp_path: Path, asked: list[str], compares: bool) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({"id": "0", "overrides": asked}))
    assert SweepFolder(tmp_path).compares_noise == compares


def test_streamed_rows_are_not_kept(tmp_path: Path) -> None:
    """Their job has a mean, and left no rows; one noise model, or no test rows, is nothing to speak of."""

    def row(job: int, noise: str, **metrics: float) -> Row:
        answer = {"noise": noise, "scale": 1.0, "coefficients": {}}
        return Row(job, {"noise": noise}, "FINISHED", None, {"val/nll": 1.0}, None, metrics, answer)

    choice = choose_noise(tmp_path, [row(0, "gaussian", **{"test/nll": 1.0}), row(1, "laplace", **{"test/nll": 2.0})])
    assert choice is not None
    assert "rows read in chunks are not kept one by one" in choice.why
    assert choose_noise(tmp_path, [row(0, "gaussian"), row(1, "laplace")]) is None
    assert choose_noise(tmp_path, [row(0, "laplace", **{"test/nll": 1.0})]) is None


def test_paired_by_hand() -> None:
    """Differences -1, 0, -2: mean -1, standard deviation 1; with weights 1, 1, 2: mean -5/4."""
    values = {"a": np.array([0.0, 2.0, -2.0]), "b": np.array([1.0, 2.0, 0.0])}
    (first, top), (second, other) = paired(values)
    assert (first, second) == ("b", "a")
    assert top == (1.0, 0.0, 0.0)
    assert other == pytest.approx((0.0, -1.0, 1 / math.sqrt(3)))
    weighted = dict(paired(values, np.array([1.0, 1.0, 2.0])))["a"]
    squares = (0.25**2 + 1.25**2 + (2 * 0.75) ** 2) / 4**2
    assert weighted == pytest.approx((-0.5, -1.25, math.sqrt(squares * 3 / 2)))


def test_a_row_without_probability() -> None:
    """Of a bounded density, say: it is the last, and its standard error is not known."""
    values = {"a": np.array([0.0, -np.inf]), "b": np.array([-9.0, -9.0])}
    (first, _), (_, other) = paired(values)
    assert first == "b"
    assert other[:2] == (-np.inf, -np.inf)
    candidates = [Candidate("b", 0, None, -9.0, 0.0, 0.0), Candidate("a", 1, None, *other)]
    assert verdict(candidates) == "b is better than the others by more than two standard errors"


@pytest.mark.parametrize(("difference", "clear"), [(-0.21, True), (-0.2, False), (-0.19, False), (0.0, False)])
def test_two_standard_errors(difference: float, clear: bool) -> None:
    candidates = [Candidate("a", 0, None, -1, 0, 0), Candidate("b", 1, None, -1 + difference, difference, 0.1)]
    candidates.append(Candidate("c", 2, None, -9, -8, 0.1))
    said = verdict(candidates)
    assert said == ("a is better than the others by more than two standard errors" if clear else
                    "a is the best, but not by two standard errors: b may be as good")  # fmt: skip
