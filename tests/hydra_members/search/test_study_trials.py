"""Who may run which trial: slots, workers and their leases, on real studies in a file and in a database."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator

import optuna
import psutil
import pytest
from optuna.storages import BaseStorage, JournalStorage
from optuna.trial import TrialState
from study_runs import states

from hydra_members.search.lease import Lease
from hydra_members.search.trials import MOST_DEATHS, Trials
from hydra_members.storage import JournalFile

ELSEWHERE = "far|away/boot/pid:[1]|4711|123456|cafe0000"  # worker on another machine; a host may be called anything

Opened = Callable[[], BaseStorage]


@pytest.fixture(params=["journal", "sqlite"])
def opened(request, tmp_path) -> Iterator[Opened]:
    """Each call opens the storage afresh, as another process does."""
    if request.param == "journal":
        yield lambda: JournalStorage(JournalFile(str(tmp_path / "optuna.log")))
    else:
        yield lambda: optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'optuna.db'}")


class Process:
    """What one process that works on the study does."""

    def __init__(self, opened: Opened, n: int = 4, lease: float = 60.0) -> None:
        storage = opened()
        self.study = optuna.create_study(study_name="s", storage=storage, load_if_exists=True)
        self.lease = Lease(self.study, lease)
        self.trials = Trials(self.study, storage, "here", n, self.lease)

    def elsewhere(self, seconds_ago: float | None) -> None:
        """From now on this process is on another machine, and gave its last sign so long ago."""
        self.lease.worker = ELSEWHERE
        if seconds_ago is not None:
            self.study.set_user_attr(f"lease:{ELSEWHERE}", time.time() - seconds_ago)

    def claim(self, most: int) -> list[int]:
        claimed = self.trials.claim(most)
        for trial in claimed:
            trial.suggest_float("x", 0, 1)
        return [trial.number for trial in claimed]

    def tell(self, *numbers: int) -> None:
        for number in numbers:
            self.trials.tell(self.trials.running[number], TrialState.COMPLETE, [float(number)])

    def stale(self) -> list[int]:
        return [trial.number for trial in self.trials.stale()]

    def take_over(self) -> None:
        self.trials.queue_again(self.trials.stale())


def dead(opened: Opened, n: int, claim: int) -> Process:
    """One whose system has forgotten it."""
    process = Process(opened, n)
    machine, _, started, own = process.lease.worker.rsplit("|", 3)
    ended = subprocess.Popen(["true"])
    ended.wait()
    process.lease.worker = "|".join([machine, str(ended.pid), started, own])
    process.claim(claim)
    return process


def test_slots_are_shared(opened):
    """Trials that run are nobody else's; n are n, whoever asks."""
    one, two = Process(opened, 5), Process(opened, 5)
    assert one.claim(2) == [0, 1]
    assert two.claim(2) == [2, 3]
    assert one.claim(9) == [4]
    assert two.claim(9) == []
    assert one.stale() == two.stale() == []
    one.tell(0, 1, 4)
    two.tell(2, 3)
    assert sorted(trial.number for trial in one.trials.ended()) == [0, 1, 2, 3, 4]
    assert one.claim(1) == []


def test_taken_over(opened):
    """The slots of a process that died, with its settings, and no others."""
    died = dead(opened, 4, 2)
    asked = [trial.params for trial in died.study.trials]
    alive = Process(opened, 4)
    assert alive.claim(1) == [2]
    assert alive.stale() == [0, 1]
    alive.take_over()
    assert states(alive.study.trials) == {"LOST": 2, "RUNNING": 1, "WAITING": 2}
    assert alive.claim(9) == [3, 4, 5]
    trials = alive.study.trials
    assert [trials[number].params for number in (3, 4)] == asked
    assert [alive.trials.slot_of(trial) for trial in trials] == [0, 1, 2, 0, 1, 3]
    alive.tell(2, 3, 4, 5)
    assert alive.claim(1) == []
    assert sorted(trial.number for trial in alive.trials.ended()) == [2, 3, 4, 5]


def test_taken_over_by_one_of_two(opened):
    """Both see the trials of the dead one; each slot is queued once."""
    dead(opened, 4, 3)
    one, two = Process(opened, 4), Process(opened, 4)
    seen = one.trials.stale(), two.trials.stale()
    for process, stale in zip((one, two), seen):
        process.trials.queue_again(stale)
    assert states(one.study.trials) == {"LOST": 3, "WAITING": 3}
    assert sorted(one.claim(2) + two.claim(9)) == [3, 4, 5, 6]


def test_lost_between_two_steps(opened):
    """Killed when its trials were failed and not queued yet."""
    died = dead(opened, 2, 2)
    for trial in died.study.trials:
        died.trials._lose(trial, "its process ended before it")
    alive = Process(opened, 2)
    assert alive.stale() == []
    alive.take_over()
    assert alive.claim(9) == [2, 3]


def test_told_by_two(opened):
    """Two that start at the same time find the same result of the dead one in the sweep's journal."""
    dead(opened, 1, 1)
    one, two = Process(opened, 1), Process(opened, 1)
    (stale,), (seen,) = one.trials.stale(), two.trials.stale()
    one.trials.tell(stale, TrialState.COMPLETE, [0.5])
    two.trials.tell(seen, TrialState.COMPLETE, [0.5])
    two.trials.queue_again([seen])
    assert states(one.study.trials) == {"COMPLETE": 1}


def test_taken_for_dead(opened):
    """One that comes back, from a suspended machine, after its trial was done by another: its result is dropped."""
    slow = Process(opened, 1)
    slow.elsewhere(61)
    slow.claim(1)
    other = Process(opened, 1)
    other.take_over()
    other.tell(*other.claim(1))
    slow.tell(0)
    assert states(other.study.trials) == {"LOST": 1, "COMPLETE": 1}
    assert slow.claim(1) == []
    assert [trial.number for trial in slow.trials.ended()] == [1]


def test_it_is_the_trial_that_kills(tmp_path):
    def opened() -> BaseStorage:
        return JournalStorage(JournalFile(str(tmp_path / "optuna.log")))

    for _ in range(MOST_DEATHS + 1):
        dead(opened, 1, 1)
        Process(opened, 1).take_over()
    alive = Process(opened, 1)
    assert len(alive.study.trials) == MOST_DEATHS + 1
    assert alive.claim(1) == []


def test_a_queued_trial_that_somebody_takes_has_a_worker(tmp_path):
    """At every moment: at each length that the file has had, no trial is running that is nobody's."""

    def opened(name: str = "optuna.log") -> BaseStorage:
        return JournalStorage(JournalFile(str(tmp_path / name)))

    dead(opened, 3, 2)
    alive = Process(opened, 3)
    alive.take_over()
    alive.claim(9)
    lines = (tmp_path / "optuna.log").read_bytes().splitlines(keepends=True)
    for length in range(1, len(lines) + 1):
        (tmp_path / "then.log").write_bytes(b"".join(lines[:length]))
        storage = opened("then.log")
        (study,) = storage.get_all_studies()
        running = storage.get_all_trials(study._study_id, states=[TrialState.RUNNING])
        assert all("worker" in trial.user_attrs for trial in running), length


@pytest.mark.parametrize(("seconds_ago", "alive"), [(0, True), (50, True), (70, False), (None, False)])
def test_signs_from_another_machine(opened, seconds_ago, alive):
    far = Process(opened)
    far.elsewhere(seconds_ago)
    far.claim(2)
    assert Process(opened, lease=60).stale() == ([] if alive else [0, 1])


def test_the_lease_runs_out(opened):
    far = Process(opened)
    far.elsewhere(0)
    far.claim(1)
    here = Process(opened, lease=0.3)
    before = here.stale(), time.time()
    while not here.stale():
        assert time.time() - before[1] < 30
        time.sleep(0.02)
    assert time.time() - far.study.user_attrs[f"lease:{ELSEWHERE}"] >= 0.3
    here.take_over()
    assert here.claim(1) == [1]


def test_signs_are_given(opened):
    """Four in a lease, from the beginning on; the last when the work ends."""
    process = Process(opened, lease=0.2)
    key, seen = f"lease:{process.lease.worker}", set()
    with process.lease:
        began = time.time()
        while len(seen) < 4:
            assert time.time() - began < 30
            seen.add(Process(opened).study.user_attrs[key])
    assert all(began - 1 < sign <= time.time() for sign in seen)
    last = Process(opened).study.user_attrs[key]
    time.sleep(0.2)
    assert Process(opened).study.user_attrs[key] == last


def test_the_same_machine_needs_no_signs(opened):
    """The system is asked, however old the sign is."""
    process = Process(opened)
    process.study.set_user_attr(f"lease:{process.lease.worker}", 0.0)
    process.claim(1)
    assert Process(opened).stale() == []


def test_numbers_are_used_again(opened):
    """A process of the same number that was started at another time is another process."""
    old = Process(opened)
    machine, pid, started, own = old.lease.worker.rsplit("|", 3)
    assert int(pid) == os.getpid()
    old.lease.worker = "|".join([machine, pid, f"{float(started) - 1:.2f}", own])
    old.claim(1)
    assert Process(opened).stale() == [0]


@pytest.mark.parametrize("started", ["123456", "", "None"])
def test_a_worker_of_another_version_is_dead(opened, started):
    """Studies of 0.1.0 have a worker's start in clock ticks, or nothing where it was not known."""
    old = Process(opened)
    machine, pid, _, own = old.lease.worker.rsplit("|", 3)
    old.lease.worker = "|".join([machine, pid, started, own])
    old.claim(1)
    assert Process(opened).stale() == [0]


def test_a_zombie_is_dead(opened, monkeypatch):
    """It has ended, and only its parent has not looked."""
    child = subprocess.Popen(["sleep", "100"])
    process = Process(opened)
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: child.pid)
        process.lease.worker = Lease(process.study, 60.0).worker
    process.claim(1)
    assert Process(opened).stale() == []
    child.kill()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert Process(opened).stale() == [0]
    child.wait()
    assert Process(opened).stale() == [0]


def test_another_container(opened):
    """A number means another process where the host, its boot or the container is another."""
    process = Process(opened)
    machine, rest = process.lease.worker.split("|", 1)
    host, boot, space = machine.split("/")
    others = [("other", boot, space), (host, "another boot", space), (host, boot, "pid:[7]")]
    for k, other in enumerate(others):
        worker = f"{'/'.join(other)}|{rest}"
        assert not process.lease.is_alive(worker, {})
        assert process.lease.is_alive(worker, {f"lease:{worker}": time.time()}), k
