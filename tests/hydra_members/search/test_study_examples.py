"""The examples of hydra-optuna-sweeper's documentation, run by their commands: apps/ has their keys and structure."""

import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf
from study_spaces import hydras

from command_here import Command
from command_line import Result

APPS = Path(__file__).with_name("apps")
FEWER = "hydra.sweeper.n_trials=8"
HALVES = [k / 2 for k in range(-11, 11)]  # range(-5.5, 5.5, step=0.5)


@dataclass(frozen=True)
class Sweep:
    results: Any  # optimization_results.yaml
    jobs: list[dict[str, Any]]  # what the overrides of each said, in the order of their numbers
    out: str


@dataclass(frozen=True)
class Examples:
    command: Command
    folder: Path

    def run(self, app: str, *arguments: str, status: int = 0) -> Result:
        done = self.command.script(self.folder, APPS / app, *arguments)
        assert done.status == status, done.out + done.err
        assert "Warning" not in done.err
        return done


@pytest.fixture
def examples(command: Command, tmp_path: Path) -> Examples:
    return Examples(command, tmp_path)


def sweep(examples: Examples, app: str, *arguments: str) -> Sweep:
    done, folder = examples.run(app, "--multirun", *arguments), examples.folder
    (found,) = folder.glob("multirun/*/*")
    numbers = sorted(int(path.name) for path in found.iterdir() if path.is_dir())
    assert numbers == list(range(len(numbers)))
    jobs = [job(found / str(number)) for number in numbers]
    return Sweep(OmegaConf.to_container(OmegaConf.load(found / "optimization_results.yaml")), jobs, done.out)


def job(folder: Path) -> dict[str, Any]:
    lines = OmegaConf.load(folder / ".hydra" / "overrides.yaml")
    return {line.partition("=")[0]: hydras(line) for line in lines}


def square(params: dict[str, Any]) -> float:
    return float(params["x"] ** 2 + params["y"] ** 2)


def assert_best_of_a_sphere(found: Sweep, n_trials: int, **fixed: Any) -> None:
    """The best is said to be what it is, of as many jobs as there are trials."""
    assert len(found.jobs) == n_trials
    best = found.results["best_params"] | fixed
    assert found.results["name"] == "optuna"
    assert found.results["best_value"] == square(best) == min(map(square, found.jobs))
    assert best in [{key: each[key] for key in best} for each in found.jobs]


@pytest.mark.soak
def test_the_sphere(examples: Examples, tmp_path: Path) -> None:
    found = sweep(examples, "sphere.py")
    assert_best_of_a_sphere(found, 20)
    assert all(each.keys() == {"x", "y"} for each in found.jobs)
    assert {each["x"] for each in found.jobs} <= set(HALVES)
    assert {each["y"] for each in found.jobs} <= {-5, 0, 5}
    # Of the 66 points 11 are as good as 6.25, so that 20 random trials miss them with a probability of 0.026.
    assert found.results["best_value"] <= 6.25
    assert "Study name: sphere" in found.out
    assert "Sampler: TPESampler" in found.out
    assert "Directions: ['minimize']" in found.out
    assert "Launching 1 jobs locally" in found.out
    assert f"Best value: {found.results['best_value']}" in found.out
    assert not (tmp_path / "optuna.log").exists()


@pytest.mark.soak
def test_the_sphere_with_its_space_on_the_command_line(examples: Examples, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    found = sweep(
        examples,
        "sphere.py",
        "x=choice(0, 1, 2)",
        "y=0",
        "~z",
        "hydra.sweeper.n_trials=8",
        "hydra.sweeper.n_jobs=3",
        f"hydra.sweeper.storage={storage}",
        "hydra.sweeper.study_name=named",
    )
    assert_best_of_a_sphere(found, 8, y=0)
    assert found.results["best_params"].keys() == {"x"}
    assert all(each == {"x": each["x"], "y": 0, "~z": None} for each in found.jobs)
    assert "Launching 3 jobs locally" in found.out
    study = optuna.load_study(study_name="named", storage=storage)
    assert study.best_params == found.results["best_params"]
    assert study.best_value == found.results["best_value"]
    study._storage.remove_session()


@pytest.mark.parametrize(
    ("x", "y", "kinds"),
    [
        ("interval(-5.0, 5.0)", "interval(0, 10)", (float, float)),
        ("int(interval(-5.0, 5.0))", "tag(log, interval(1, 10))", (int, float)),
        pytest.param("range(-5.0, 5.0)", "shuffle(range(-5, 5))", (float, int), marks=pytest.mark.soak),
        pytest.param("choice(-5.0, 0.0, 5.0)", "choice(0, 1, 2, 3, 4, 5)", (float, int), marks=pytest.mark.soak),
    ],
)
@pytest.mark.soak
def test_overrides_of_the_space(examples: Examples, x: str, y: str, kinds: tuple[type, type]) -> None:
    found = sweep(examples, "sphere.py", f"x={x}", f"y={y}", "hydra.sweeper.n_trials=5")
    assert_best_of_a_sphere(found, 5)
    assert {(type(each["x"]), type(each["y"])) for each in found.jobs} == {kinds}
    assert all(-5 <= each["x"] <= 5 and -5 <= each["y"] <= 10 for each in found.jobs)
    if x == "range(-5.0, 5.0)":
        assert all(each["x"] < 5 and each["y"] < 5 for each in found.jobs)


@pytest.mark.parametrize(
    ("sampler", "settings"),
    [
        ("tpe", ["multivariate=false", "n_startup_trials=3"]),
        pytest.param("random", [], marks=pytest.mark.soak),
        pytest.param("qmc", [], marks=pytest.mark.soak),
        ("nsgaii", ["population_size=5"]),
    ],
)
@pytest.mark.soak
def test_samplers(examples: Examples, sampler: str, settings: list[str]) -> None:
    arguments = [f"hydra.sweeper.sampler.{setting}" for setting in settings]
    found = sweep(examples, "sphere.py", f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.n_trials=8", *arguments)
    assert_best_of_a_sphere(found, 8)
    assert f"Sampler: {sampler.upper()}Sampler" in found.out or f"Sampler: {sampler.capitalize()}Sampler" in found.out


@pytest.mark.soak
def test_cmaes(examples: Examples) -> None:
    arguments = ["hydra/sweeper/sampler=cmaes", "x=interval(-5,5)", "y=interval(-5,5)", "hydra.sweeper.n_trials=8"]
    if importlib.util.find_spec("cmaes") is None:  # a package of its own
        assert "cmaes" in examples.run("sphere.py", "-m", *arguments, status=1).err
    else:
        assert_best_of_a_sphere(sweep(examples, "sphere.py", *arguments), 8)


@pytest.mark.parametrize("n_trials", [20, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.soak
def test_the_grid(examples: Examples, n_trials: int) -> None:
    more = [f"--config-dir={APPS / 'more'}", "--config-name=grid", f"hydra.sweeper.n_trials={n_trials}"]
    found = sweep(examples, "sphere.py", *more)
    grid = [{"x": x, "y": y, "z": z} for x in (-1, 1) for y in (-1.0, 0.0) for z in ("foo", "bar")]
    assert found.jobs == grid[:n_trials]
    assert_best_of_a_sphere(found, min(n_trials, 8))


@pytest.mark.soak
def test_search_space(examples: Examples) -> None:
    found = sweep(examples, "sphere.py", f"--config-dir={APPS / 'more'}", "--config-name=search_space", FEWER)
    assert_best_of_a_sphere(found, 8)
    assert {each["x"] for each in found.jobs} <= {*HALVES, 5.5}
    assert {each["y"] for each in found.jobs} <= {-5, 0, 5}


@pytest.mark.soak
def test_a_configuration_that_names_the_old_class(examples: Examples) -> None:
    found = sweep(examples, "sphere.py", f"--config-dir={APPS / 'more'}", "--config-name=written_out", FEWER)
    assert len(found.jobs) == 8
    assert all(0.0001 <= each["x"] <= 0.1 and each["y"] in (32, 64, 128, 256) for each in found.jobs)
    assert found.results["best_value"] == max(map(square, found.jobs)) == square(found.results["best_params"])


def assert_pareto_front(found: Sweep, n_trials: int) -> None:
    assert len(found.jobs) == n_trials
    assert found.results.keys() == {"name", "solutions"}
    values = [(4 * x**2 + 4 * y**2, (x - 5) ** 2 + (y - 5) ** 2) for x, y in ((j["x"], j["y"]) for j in found.jobs)]
    front = {v for v in values if not any(w != v and w[0] <= v[0] and w[1] <= v[1] for w in values)}
    assert {tuple(each["values"]) for each in found.results["solutions"]} == front
    for each in found.results["solutions"]:
        assert each["params"] in found.jobs


@pytest.mark.parametrize("sampler", ["nsgaii", *(pytest.param(s, marks=pytest.mark.soak) for s in ("motpe", "random"))])
@pytest.mark.soak
def test_several_objectives(examples: Examples, sampler: str) -> None:
    how = [f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.sampler.seed=123", FEWER]
    found = sweep(examples, "multi-objective.py", *how)
    assert_pareto_front(found, 8)
    assert {each["x"] for each in found.jobs} <= {k / 2 for k in range(10)}
    assert {each["y"] for each in found.jobs} <= {k / 2 for k in range(6)}


@pytest.mark.soak
def test_several_objectives_with_the_space_on_the_command_line(examples: Examples) -> None:
    found = sweep(examples, "multi-objective.py", "x=range(0, 5)", "y=range(0, 3)", "hydra.sweeper.n_trials=10")
    assert_pareto_front(found, 10)
    assert {each["x"] for each in found.jobs} <= set(range(5))
    assert {each["y"] for each in found.jobs} <= set(range(3))


@pytest.mark.parametrize("arguments", [[], ["max_z_difference_from_x=0.3", "hydra/sweeper/sampler=random"]])
@pytest.mark.soak
def test_custom_search_space(examples: Examples, arguments: list[str]) -> None:
    found = sweep(examples, "custom-search-space-objective.py", *arguments, FEWER)
    assert len(found.jobs) == 8
    for each in found.jobs:
        assert each.keys() >= {"x", "y", "z", "+w"}
        assert abs(each["z"] - each["x"]) <= (0.3 if arguments else 0.5)
        assert 0 <= each["+w"] <= 1
    best = found.results["best_params"]
    assert best.keys() == {"x", "y", "z", "+w"}
    assert found.results["best_value"] == pytest.approx(sum(value**2 for value in best.values()), rel=1e-12)


def test_custom_search_space_of_a_key_that_is_set(examples: Examples) -> None:
    said = examples.run("custom-search-space-objective.py", "-m", "z=1", status=1).err.splitlines()[-1]
    assert "z is set to a fixed value" in said
    assert "hydra.sweeper.custom_search_space" in said


@pytest.mark.soak
def test_the_experiment_sequence(examples: Examples) -> None:
    assert_best_of_a_sphere(sweep(examples, "sphere_sequence.py", FEWER), 8)


@pytest.mark.parametrize("app", ["sphere.py", pytest.param("sphere_sequence.py", marks=pytest.mark.soak)])
@pytest.mark.soak
def test_too_many_failures(examples: Examples, tmp_path: Path, app: str) -> None:
    few = ["hydra.sweeper.n_jobs=2", "hydra/sweeper/sampler=random", "hydra.sweeper.max_failure_rate=0.5", "error=true"]
    assert "RuntimeError: cfg.error is True" in examples.run(app, "-m", *few, status=1).err
    assert len(list(tmp_path.glob("multirun/*/*/[0-9]*"))) < 20


@pytest.mark.soak
def test_every_failure_is_allowed(examples: Examples, tmp_path: Path) -> None:
    arguments = ["hydra.sweeper.n_trials=4", "hydra.sweeper.max_failure_rate=1.0", "error=true"]
    done = examples.run("sphere.py", "-m", *arguments, status=1)
    assert len(list(tmp_path.glob("multirun/*/*/[0-9]*"))) == 4
    assert "cfg.error is True" in done.out


def test_the_configuration_is_shown(examples: Examples) -> None:
    shown = OmegaConf.create(examples.run("sphere.py", "--cfg", "hydra", "-p", "hydra.sweeper").out)
    assert shown.sampler._target_ == "optuna.samplers.TPESampler"
    expected = {"direction": "minimize", "storage": None, "study_name": "sphere", "n_trials": 20, "n_jobs": 1}
    expected |= {"max_failure_rate": 0.0, "params": {"x": "range(-5.5, 5.5, step=0.5)", "y": "choice(-5 ,0 ,5)"}}
    assert {key: shown[key] for key in expected} == expected
    assert shown.sampler.seed == 123
    assert math.isclose(shown.sampler.n_startup_trials, 10)
