"""What counts as a failure, and how many a study bears. The jobs are those of study_app.py: which fail is known."""

from __future__ import annotations

import pytest
from study_runs import Kept, states
from study_toy import failures, grid, search, tried

from soaked import every

ALL_BAD = "bad=[" + ",".join(map(str, range(20))) + "]"


def rate(share: float) -> str:
    return f"hydra.sweeper.max_failure_rate={share}"


def test_none_is_borne(command, tmp_path):
    """The job's own error comes out. Of two batches of four the first has ended."""
    result = search(command, tmp_path, 20, *grid(20), "bad=[2]", rate(0), "hydra.sweeper.n_jobs=4")
    assert result.status == 1
    assert "ValueError: x=2 is bad" in result.err
    assert "1 of 20 trials failed, more than hydra.sweeper.max_failure_rate=0.0" in result.out + result.err
    assert tried(tmp_path) == [0, 1, 2, 3]
    assert states(Kept(tmp_path).trials) == {"COMPLETE": 3, "FAIL": 1}


@pytest.mark.soak
def test_more_than_half(command, tmp_path):
    """Four of eight are half of them; the fifth is too many."""
    result = search(command, tmp_path, 8, *grid(8), ALL_BAD, rate(0.5))
    assert result.status == 1
    assert "ValueError: x=4 is bad" in result.err
    assert len(tried(tmp_path)) == 5


@pytest.mark.soak
def test_half(command, tmp_path):
    result = search(command, tmp_path, 8, *grid(8), "bad=[0,1,2,3]", rate(0.5))
    assert result.status == 0, result.err
    assert len(tried(tmp_path)) == 8
    assert states(Kept(tmp_path).trials) == {"COMPLETE": 4, "FAIL": 4}
    assert Kept(tmp_path).study.best_params == {"x": 4}


@pytest.mark.soak
def test_earlier_starts_count(command, tmp_path):
    """Of 3 all failed; of 8 two more are too many."""
    assert search(command, tmp_path, 3, *grid(8), ALL_BAD).status == 1
    assert search(command, tmp_path, 8, *grid(8), ALL_BAD, rate(0.5)).status == 1
    assert tried(tmp_path) == list(range(5))


@pytest.mark.soak
def test_it_stays_stopped(command, tmp_path):
    """A study with too many failures, started again, says so, and runs at most a batch."""
    for _ in range(2):
        result = search(command, tmp_path, 20, *grid(20), ALL_BAD, rate(0.2))
        assert result.status == 1
        assert "is bad" in result.err
    assert len(tried(tmp_path)) <= 6


@pytest.mark.soak
def test_all_are_borne_and_nothing_came_of_it(command, tmp_path):
    result = search(command, tmp_path, 6, *grid(6), ALL_BAD)
    assert result.status == 1
    said = "0 of the 6 trials that have ended are complete; the first that failed: ValueError: x=0 is bad"
    assert said in result.err
    assert len(tried(tmp_path)) == 6


SAID = {
    "nan": "The job returned nan, which is not finite.",
    "inf": "The job returned inf, which is not finite.",
    "-inf": "The job returned -inf, which is not finite.",
    "text": "The job returned 'a word', which is no number and no list of numbers.",
    "two": "The job returned [1.0, 2.0], and hydra.sweeper.direction names 1 objectives.",
    "none": "The job returned None, which is no number and no list of numbers.",
    "empty": "The job returned None, which is no number and no list of numbers.",  # a mapping without an objective
    "error": "ValueError: x=1 is bad",
}


@pytest.mark.parametrize("how", every(4, SAID))
def test_what_is_a_failure(command, tmp_path, how):
    result = search(command, tmp_path, 3, *grid(3), "bad=[1]", f"how={how}")
    assert result.status == 0, result.err
    assert failures(tmp_path) == {1: SAID[how]}
    assert states(Kept(tmp_path).trials) == {"COMPLETE": 2, "FAIL": 1}
    assert SAID[how] in result.out + result.err


def test_one_number_of_two(command, tmp_path):
    result = search(command, tmp_path, 2, *grid(2), "hydra.sweeper.direction=[minimize,maximize]")
    assert result.status == 1
    assert set(failures(tmp_path).values()) == {
        "The job returned 1.0, and hydra.sweeper.direction names 2 objectives.",
        "The job returned 0.0, and hydra.sweeper.direction names 2 objectives.",
    }
