"""A study that somebody stops: what it had begun is queued again at once, for whoever comes next."""

from __future__ import annotations

import signal
import time

import pytest
from study_runs import ONE_STEP, SWEEP, Kept, check_whole, ended_jobs, states, until

NAMED = [*SWEEP, *ONE_STEP, "hydra.sweeper.study_name=s", "optimizer.lr=interval(0,2)", "hydra.sweeper.n_jobs=4"]
RANDOM = [*NAMED, "hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=8"]
FOR_EVER = ["trainer.max_epochs=100000000", "hydra.sweeper.confirm=0"]


SIGINT = pytest.param(signal.SIGINT, 130, marks=pytest.mark.soak)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), SIGINT])
@pytest.mark.soak
def test_stopped_and_gone_on_with(command, folder, number, status):
    command(folder, *RANDOM, "hydra.sweeper.n_trials=2", "hydra.sweeper.confirm=0").succeeded()
    started = command.start(folder, [[*RANDOM, *FOR_EVER]])
    kept = Kept(folder)
    until(lambda: states(kept.trials)["RUNNING"] == 4 and kept.parent.info.status == "RUNNING", started, pause=0.1)
    asked = [trial.params for trial in kept.trials[2:]]
    started.kill(how=number)
    (result,) = started.wait()
    assert result.status == status
    assert "Traceback" not in result.err
    assert kept.parent.info.status == "KILLED"
    assert kept.parent.data.tags["failure"] == "stopped from outside"
    assert "RUNNING" not in {run.info.status for run in kept.runs}
    assert ended_jobs(folder) == 2
    assert states(kept.trials) == {"COMPLETE": 2, "LOST": 4, "WAITING": 4}
    assert [trial.params or trial.system_attrs["fixed_params"] for trial in kept.trials[6:]] == asked

    command(folder, *RANDOM).succeeded()
    check_whole(kept, 8)
    assert "failure" not in kept.parent.data.tags
    assert states(kept.trials) == {"COMPLETE": 8, "LOST": 4}
    assert kept.settings()[2:6] == asked


@pytest.mark.soak
def test_stopped_while_a_job_runs_by_itself(command, folder):
    basic = ["hydra/launcher=basic", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=2"]
    started = command.start(folder, [[*RANDOM, *basic, *FOR_EVER]])
    kept = Kept(folder)
    until(lambda: sum(run.info.status == "RUNNING" for run in kept.runs) == 2, started, pause=0.1)
    started.kill(how=signal.SIGTERM)
    assert started.wait()[0].status == 143
    assert {run.info.status for run in kept.runs} == {"KILLED"}
    assert states(kept.trials) == {"LOST": 2, "WAITING": 2}
    command(folder, *RANDOM, *basic).succeeded()
    check_whole(kept, 2)


@pytest.mark.soak
def test_stopped_again_while_it_tidies_up(command, folder):
    """Whoever is impatient loses nothing: the next start finds it."""
    started = command.start(folder, [[*RANDOM, *FOR_EVER]])
    kept = Kept(folder)
    until(lambda: ended_jobs(folder) or len(kept.runs) == 1, started, pause=0.1)
    for _ in range(5):
        started.kill(how=signal.SIGTERM)
    assert started.wait()[0].status == 143
    command(folder, *RANDOM).succeeded()
    check_whole(kept, 8)


@pytest.mark.soak
def test_killed_at_the_very_beginning(command, folder):
    """Before there is a study."""
    started = command.start(folder, [RANDOM])
    time.sleep(0.02)
    started.kill()
    assert started.wait()[0].status == -signal.SIGKILL
    command(folder, *RANDOM).succeeded()
    check_whole(Kept(folder), 8)
