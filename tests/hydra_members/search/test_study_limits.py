"""How long a study may take, what it tries first, and how many trials it has when that changes."""

from __future__ import annotations

import pytest
from study_runs import Kept, states
from study_toy import calls, grid, search, tried


@pytest.mark.soak
def test_timeout(command, tmp_path):
    """Job k starts after 0.2 k seconds at the earliest, so that before 0.5 s have gone there are three at most."""
    slow = [*grid(10), "seconds=0.2"]
    search(command, tmp_path, 10, *slow, "hydra.sweeper.timeout=0.5").succeeded()
    first = tried(tmp_path)
    assert 1 <= len(first) <= 3
    assert states(Kept(tmp_path).trials) == {"COMPLETE": len(first)}
    search(command, tmp_path, 10, *grid(10)).succeeded()
    assert tried(tmp_path) == list(range(10))
    assert states(Kept(tmp_path).trials) == {"COMPLETE": 10}


@pytest.mark.soak
def test_no_time_at_all(command, tmp_path):
    """Nothing has failed."""
    for n, had in ((2, 0), (4, 2)):
        search(command, tmp_path, 4, *grid(4), "hydra.sweeper.timeout=0").succeeded()
        assert tried(tmp_path) == list(range(had))
        search(command, tmp_path, n, *grid(4)).succeeded()
    assert tried(tmp_path) == [0, 1, 2, 3]


def test_time_enough_to_fail(command, tmp_path):
    result = search(command, tmp_path, 3, *grid(3), "bad=[0,1,2]", "hydra.sweeper.timeout=100")
    assert result.status == 1
    assert "x=0 is bad" in result.err


SPACE = ["x=interval(0,10)", "y=choice(1,2,3)", "hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=1"]
FIRST = "hydra.sweeper.enqueue=[{x:3.25,y:2},{x:7.5}]"


@pytest.mark.soak
def test_tried_first_and_once(command, tmp_path):
    for n in (1, 5, 5, 7):
        search(command, tmp_path, n, *SPACE, FIRST).succeeded()
    ran = calls(tmp_path)
    assert ran[0] == (0, 3.25, 2)
    assert ran[1][:2] == (1, 7.5)
    assert len(ran) == 7
    assert [x for _, x, _ in ran].count(3.25) == [x for _, x, _ in ran].count(7.5) == 1
    assert states(Kept(tmp_path).trials) == {"COMPLETE": 7}


@pytest.mark.soak
def test_added_later(command, tmp_path):
    search(command, tmp_path, 2, *SPACE).succeeded()
    search(command, tmp_path, 4, *SPACE, FIRST).succeeded()
    assert [call[:2] for call in calls(tmp_path)[2:]] == [(2, 3.25), (3, 7.5)]
    search(command, tmp_path, 4, *SPACE, FIRST).succeeded()
    assert len(calls(tmp_path)) == 4


def test_two_processes_try_it_once(command, tmp_path):
    from study_toy import APP, SEARCH

    arguments = [*SEARCH, *SPACE, FIRST, "hydra.sweeper.n_trials=8", "seconds=0.05"]
    results = command.start(tmp_path, [arguments] * 2, APP).wait()
    assert [result.status for result in results] == [0, 0], results
    assert sorted(x for x in tried(tmp_path) if x in (3.25, 7.5)) == [3.25, 7.5]
    assert states(Kept(tmp_path).trials) == {"COMPLETE": 8}


@pytest.mark.parametrize("entry", ["{z:1}", "{x:1,z:1}", "{x:2,nowhere.z:1}"])
def test_an_unknown_key(command, tmp_path, entry):
    result = search(command, tmp_path, 2, *SPACE, f"hydra.sweeper.enqueue=[{entry}]")
    assert result.status == 1
    assert "hydra.sweeper.enqueue" in result.err
    assert entry.strip("{}").split(",")[-1].partition(":")[0] in result.err
    assert calls(tmp_path) == []


@pytest.mark.soak
def test_more_trials_and_fewer(command, tmp_path):
    search(command, tmp_path, 3, *SPACE).succeeded()
    search(command, tmp_path, 5, *SPACE).succeeded()
    assert [num for num, _, _ in calls(tmp_path)] == [0, 1, 2, 3, 4]
    before = (tmp_path / "optuna.log").read_text()
    for n in (4, 1, 5):
        search(command, tmp_path, n, *SPACE).succeeded()
    assert len(calls(tmp_path)) == 5
    after = (tmp_path / "optuna.log").read_text()
    assert after.startswith(before)
    assert '"trial_id"' not in after[len(before) :], "a trial was touched"


@pytest.mark.soak
def test_the_same_draws_as_at_once(command, tmp_path):
    """A study of three that is made one of six draws what six at once do."""
    for name, counts in {"once": [6], "twice": [3, 6]}.items():
        (tmp_path / name).mkdir()
        for n in counts:
            search(command, tmp_path / name, n, *SPACE).succeeded()
    assert calls(tmp_path / "once") == calls(tmp_path / "twice")
