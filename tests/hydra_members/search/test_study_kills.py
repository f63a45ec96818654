"""A search that is killed again and again is, in the end, the search that was never killed."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from study_runs import UNTRACKED, Kept, check_whole, kill_at, moments, quadratic, states

LONG = [(60, 4, "random", 1), (60, 4, "grid", 3), (200, 10, "random", 11), (200, 10, "qmc", 12), (200, 10, "grid", 13)]
SOAK = [pytest.param(*each, marks=pytest.mark.soak) for each in LONG]


def check_quadratic(kept: Kept) -> None:
    """See `quadratic`: the curve through three of the values goes through all, and turns at 1."""
    lr, value = (
        np.array(column) for column in zip(*((t.params["optimizer.lr"], t.value) for t in kept.ended.values()))
    )
    c, slope, a = np.polyfit(lr - 1, value**2, 2)
    assert abs(slope) < 1e-5 * c
    np.testing.assert_allclose(value**2, a + c * (lr - 1) ** 2, rtol=1e-5)
    assert kept.study.best_params["optimizer.lr"] == lr[np.argmin(np.abs(lr - 1))]


@pytest.mark.parametrize(("n", "kills", "sampler", "seed"), [(12, 1, "random", 1), *SOAK])
def test_killed_again_and_again(command, folder, new_folder, n, kills, sampler, seed):
    arguments = quadratic(n, sampler=sampler)
    for moment in moments(seed, kills, jobs=n * 2 // 3):
        assert kill_at(command, folder, arguments, moment).status == -signal.SIGKILL
    command(folder, *arguments).succeeded()
    kept = Kept(folder)
    check_whole(kept, n)
    if kills > 2:  # two may both come between two batches
        assert states(kept.trials)["LOST"] > 0
    check_quadratic(kept)
    others = [path.name for path in folder.glob("multirun/*/*/*") if path.parent != kept.place]
    assert set(others) <= {"sweep.json"}, "a session worked elsewhere"

    whole = new_folder("whole")
    command(whole, *arguments, UNTRACKED).succeeded()
    assert states(Kept(whole).trials) == {"COMPLETE": n}
    assert kept.settings() == Kept(whole).settings()


@pytest.mark.soak
def test_killed_while_trials_are_pruned(command, folder):
    """A trial that was pruned has ended. Of four at a time each epoch stops some."""
    pruned = [
        "hydra/sweeper/pruner=successive_halving",
        "trainer.max_epochs=5",
        "hydra.sweeper.pruner.reduction_factor=2",
    ]
    arguments = quadratic(40, *pruned)
    for moment in moments(4, 2, jobs=24):
        assert kill_at(command, folder, arguments, moment).status == -signal.SIGKILL
    command(folder, *arguments).succeeded()
    kept = Kept(folder)
    check_whole(kept, 40)
    counts = states(kept.trials)
    assert counts["PRUNED"] >= 10
    assert counts["COMPLETE"] + counts["PRUNED"] == 40


@pytest.mark.soak
def test_killed_while_jobs_run_one_by_one(command, folder):
    """Of these a run stands in MLflow while the job is under way."""
    arguments = quadratic(8, "hydra/launcher=basic", n_jobs=2)
    for moment in [("jobs", 1, 0.05), ("lines", 7, 0.15)]:
        assert kill_at(command, folder, arguments, moment).status == -signal.SIGKILL
    command(folder, *arguments).succeeded()
    kept = Kept(folder)
    check_whole(kept, 8)
    numbers = {path.name for path in kept.place.iterdir() if path.name.isdigit()}
    assert {str(trial.number) for trial in kept.ended.values()} <= numbers


@pytest.mark.parametrize(("n", "kills"), [pytest.param(*each, marks=pytest.mark.soak) for each in ((24, 2), (200, 10))])
def test_killed_in_a_search_that_learns(command, folder, n, kills):
    arguments = quadratic(n, sampler="tpe")
    for moment in moments(5, kills, jobs=n // 2):
        assert kill_at(command, folder, arguments, moment).status == -signal.SIGKILL
    command(folder, *arguments).succeeded()
    kept = Kept(folder)
    check_whole(kept, n)
    check_quadratic(kept)
