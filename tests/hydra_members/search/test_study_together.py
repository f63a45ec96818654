"""Several processes on one study."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial, TrialState
from study_runs import Kept, check_confirmed, check_whole, ended_jobs, quadratic, state_of, states, until

from command_here import Command

SOAK = pytest.param(200, marks=pytest.mark.soak)


def share(command: Command, folder: Path, n: int, storage: str, *more: str) -> Kept:
    """Two commands, one study."""
    arguments = quadratic(n, f"hydra.sweeper.storage='{storage}'", *more, n_jobs=4)
    for result in command.together(folder, [arguments, arguments]):
        result.succeeded()
    return Kept(folder, storage)


def check_shared(kept: Kept, n: int) -> None:
    """None is lost, none is done twice; both have worked."""
    check_whole(kept, n)
    assert states(kept.trials) == {"COMPLETE": n}
    shares = Counter(trial.user_attrs["worker"] for trial in kept.trials)
    assert len(shares) == 2
    assert len({trial.params["optimizer.lr"] for trial in kept.trials}) == n


@pytest.mark.parametrize("n", [8, SOAK])
def test_in_a_file(command, folder, n):
    check_shared(share(command, folder, n, "optuna.log"), n)


@pytest.mark.soak
def test_in_sqlite(command, folder):
    check_shared(share(command, folder, 24, f"sqlite:///{folder / 'optuna.db'}"), 24)


@pytest.mark.parametrize("n", [16, SOAK])
@pytest.mark.soak
def test_in_postgresql(command, folder, postgres, n):
    check_shared(share(command, folder, n, postgres.database()), n)


@pytest.mark.soak
def test_the_same_trials_as_one_alone(command, folder, new_folder):
    """Those of a sampler that draws by slot."""
    both = share(command, folder, 24, "optuna.log", "tracking=none", "seed=3")
    alone = new_folder("alone")
    command(alone, *quadratic(24, "tracking=none", "seed=3", n_jobs=4)).succeeded()
    assert both.settings() == Kept(alone).settings()


@pytest.mark.parametrize("where", ["file", pytest.param("postgresql", marks=pytest.mark.soak)])
@pytest.mark.soak
def test_one_of_two_is_killed(command, folder, where, request):
    """The other, which is alive, does what the dead one had begun."""
    storage = request.getfixturevalue("postgres").database() if where == "postgresql" else "optuna.log"
    arguments = quadratic(32, f"hydra.sweeper.storage='{storage}'", n_jobs=4)
    kept = Kept(folder, storage)
    started = command.start(folder, [arguments, arguments])
    until(lambda: ended_jobs(folder) >= 4, started)
    victim = started.pids[0]
    until(lambda: is_caught(kept, victim), started, pause=0.02)
    begun = {trial.number for trial in kept.trials if trial.state == TrialState.RUNNING and is_by(trial, victim)}
    assert state_of(started.pids[1]), "the other has ended before it"
    started.kill(0)
    died, lived = started.wait()
    assert died.status == -signal.SIGKILL
    lived.succeeded()
    check_whole(kept, 32)
    lost = {trial.number for trial in kept.trials if "lost" in trial.user_attrs}
    told = {trial.number for trial in kept.ended.values()} & begun
    assert lost | told == begun, "what it had begun was lost, or found in the journal of the sweep"
    assert all(is_by(trial, started.pids[1]) for trial in kept.trials if "slot" in trial.user_attrs)


def is_caught(kept: Kept, pid: int) -> bool:
    """Stopped while it has trials and no lock (`/proc/locks`: number, kind, how, what for, process ...), so that the
    others are not held up."""
    os.kill(pid, signal.SIGSTOP)
    running = [trial for trial in kept.trials if trial.state == TrialState.RUNNING and is_by(trial, pid)]
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    if running and str(pid) not in [words[-4] for words in locks]:
        return True
    os.kill(pid, signal.SIGCONT)
    return False


def is_by(trial: FrozenTrial, pid: int) -> bool:
    return trial.user_attrs["worker"].rsplit("|", 3)[1] == str(pid)


@pytest.mark.soak
def test_both_go_on_after_a_kill(command, folder):
    """Both find what the dead one has left: results that were not told, and trials that were not run."""
    arguments = quadratic(24, n_jobs=8)
    started = command.start(folder, [arguments])
    until(lambda: ended_jobs(folder) >= 8, started)
    started.kill()
    assert started.wait()[0].status == -signal.SIGKILL
    log = folder / "optuna.log"
    untold = [line for line in log.read_bytes().splitlines(keepends=True) if not tells(line)]
    log.write_bytes(b"".join(untold))
    for result in command.together(folder, [arguments, arguments]):
        result.succeeded()
    kept = Kept(folder)
    check_whole(kept, 24)
    assert {trial.number for trial in kept.ended.values()} >= set(range(8)), "a result was not found"
    check_confirmed(kept)


def tells(line: bytes) -> bool:
    """Of the end of a trial, and what comes with it."""
    entry = json.loads(line)
    return entry["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES and entry["state"] == TrialState.COMPLETE


@pytest.mark.soak
def test_one_that_is_stopped_is_alive(command, folder):
    """Its trials are its own (Ctrl-Z, a debugger): the other ends without them, and it does them when it goes on."""
    arguments = quadratic(24, "hydra.sweeper.lease=0.5", n_jobs=4)
    kept = Kept(folder)
    started = command.start(folder, [arguments, arguments])
    until(lambda: ended_jobs(folder) >= 1, started)
    until(lambda: is_caught(kept, started.pids[0]), started, pause=0.02)
    until(lambda: not state_of(started.pids[1]), started, pause=0.05)
    os.kill(started.pids[0], signal.SIGCONT)
    for result in started.wait():
        result.succeeded()
    check_whole(kept, 24)
    assert states(kept.trials) == {"COMPLETE": 24}
