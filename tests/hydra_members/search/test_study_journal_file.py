"""The file of a study: Optuna's own format, whoever is killed while writing it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend

from hydra_members.storage import TAIL, JournalFile

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12: where there are threads
FORK = multiprocessing.get_context("fork")


def entries(path: Path) -> list[dict[str, Any]]:
    """As Optuna reads them."""
    return list(JournalFileBackend(str(path)).read_logs(0))


def work(backend: BaseJournalBackend, trials: int) -> optuna.Study:
    study = optuna.create_study(study_name="s", storage=JournalStorage(backend), load_if_exists=True)
    for _ in range(trials):
        trial = study.ask()
        x = trial.suggest_float("x", -1, 1)
        trial.set_user_attr("note", "ä\n\u2028")
        study.tell(trial, x**2)
    return study


def facts(study: optuna.Study) -> list[tuple[Any, ...]]:
    return [(t.number, t.state, t.params, t.values, t.user_attrs, t.datetime_complete) for t in study.trials]


def test_optuna_reads_it(tmp_path):
    ours = work(JournalFile(str(tmp_path / "log")), 5)
    theirs = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(tmp_path / "log"))))
    assert facts(theirs) == facts(ours)
    assert len(facts(ours)) == 5


def test_it_reads_optunas(tmp_path):
    """And both go on in turn, without waiting for each other's locks: 30 s would be Optuna's."""
    path, began = str(tmp_path / "log"), time.monotonic()
    for backend in (JournalFileBackend, JournalFile, JournalFileBackend, JournalFile):
        study = work(backend(path), 3)
    assert time.monotonic() - began < 20
    everywhere = [
        optuna.load_study(study_name="s", storage=JournalStorage(b(path))) for b in (JournalFileBackend, JournalFile)
    ]
    assert facts(everywhere[0]) == facts(everywhere[1]) == facts(study)
    assert len(study.trials) == 12


def test_the_same_bytes(tmp_path):
    logs = [{"op_code": 8, "text": "ä\n\u2028", "x": 0.1, "none": None}, {"op_code": 5, "nan": float("nan")}]
    for name, backend in (("ours", JournalFile), ("theirs", JournalFileBackend)):
        for some in (logs, logs[:1]):
            backend(str(tmp_path / name)).append_logs(some)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_torn_anywhere(tmp_path):
    """A process is killed when it has written k bytes of the last line: for every k it is as if there were none, and
    who writes next cuts it off."""
    work(JournalFile(str(tmp_path / "log")), 2)
    whole = (tmp_path / "log").read_bytes()
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    before = entries(tmp_path / "log")[:-1]
    for cut in range(start, len(whole)):
        path = tmp_path / "torn"
        path.write_bytes(whole[:cut])
        backend = JournalFile(str(path))
        assert list(backend.read_logs(0)) == before
        backend.append_logs([{"op_code": -1}])
        assert path.read_bytes() == whole[:start] + b'{"op_code":-1}\n'
        assert list(backend.read_logs(len(before))) == [{"op_code": -1}]


def test_torn_and_gone_on_with(tmp_path):
    """The trial whose last line was torn has not ended; the study goes on, for Optuna too."""
    path = tmp_path / "log"
    work(JournalFile(str(path)), 3)
    path.write_bytes(path.read_bytes()[:-5])
    study = work(JournalFile(str(path)), 2)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "RUNNING", "COMPLETE", "COMPLETE"]
    assert facts(work(JournalFileBackend(str(path)), 0)) == facts(study)


@pytest.mark.parametrize("size", [1, TAIL - 1, TAIL, TAIL + 1, 3 * TAIL])
@pytest.mark.parametrize("lines", [0, 2])
def test_torn_and_long(tmp_path, lines, size):
    """The end of the last whole line is looked for in pieces; there may be none."""
    path = tmp_path / "log"
    path.write_bytes(b'{"a":1}\n' * lines + b"x" * size)
    backend = JournalFile(str(path))
    assert list(backend.read_logs(0)) == [{"a": 1}] * lines
    backend.append_logs([{"b": 2}])
    assert list(backend.read_logs(0)) == [{"a": 1}] * lines + [{"b": 2}]
    assert entries(path) == [{"a": 1}] * lines + [{"b": 2}]


def test_a_reader_meanwhile(tmp_path):
    """Who has read up to the torn line reads on behind it when it has been cut, without a gap."""
    path = tmp_path / "log"
    writer, reader = JournalFile(str(path)), JournalFile(str(path))
    writer.append_logs([{"n": 0}, {"n": 1}])
    assert [log["n"] for log in reader.read_logs(0)] == [0, 1]
    with path.open("ab") as file:
        file.write(b'{"n": 2, "tex')
    assert list(reader.read_logs(2)) == []
    writer.append_logs([{"n": 2, "long": "y" * 100}, {"n": 3}])
    assert [log["n"] for log in reader.read_logs(2)] == [2, 3]
    assert [log["n"] for log in reader.read_logs(1)] == [1, 2, 3]
    assert list(reader.read_logs(4)) == []


def append(path: str, who: str, count: int, threads: int = 1) -> None:
    backend = JournalFile(path)

    def go_on(thread: int) -> None:
        for k in range(count):
            backend.append_logs([{"who": f"{who}.{thread}", "k": k, "of": part, "pad": "z" * 300} for part in (0, 1)])

    started = [threading.Thread(target=go_on, args=[thread]) for thread in range(threads)]
    for each in started:
        each.start()
    for each in started:
        each.join()


def read_until(path: str, wanted: int, found: Any) -> None:
    backend, seen = JournalFile(path), []
    while len(seen) < wanted:
        seen += list(backend.read_logs(len(seen)))
    found.put(seen)


def test_many_at_once(tmp_path):
    """Four processes of two threads each, and a reader. What one appends together stands together, and in its order."""
    path, found = str(tmp_path / "log"), FORK.Queue()
    writers = [FORK.Process(target=append, args=[path, str(w), 40, 2]) for w in range(4)]
    reader = FORK.Process(target=read_until, args=[path, 4 * 2 * 40 * 2, found])
    for process in (reader, *writers):
        process.start()
    seen = found.get(timeout=60)
    for process in (reader, *writers):
        process.join(60)
        assert process.exitcode == 0
    logs = entries(tmp_path / "log")
    assert logs == seen
    assert [(a["who"], a["k"]) for a in logs[::2]] == [(b["who"], b["k"]) for b in logs[1::2]]
    of = {who: [log["k"] for log in logs[::2] if log["who"] == who] for who in {log["who"] for log in logs}}
    assert len(of) == 8
    assert all(numbers == list(range(40)) for numbers in of.values())


def append_for_ever(path: str) -> None:
    backend = JournalFile(path)
    while True:
        backend.append_logs([{"who": "killed", "pad": "z" * 200_000}])


def test_nobody_waits_for_the_dead(tmp_path):
    """Killed in the middle of a write, ten times, while it holds the lock or not: the next is served at once. (Optuna's
    own lock stays behind, and is broken after 30 s.)"""
    path = tmp_path / "log"
    path.touch()
    for round in range(10):
        writer = FORK.Process(target=append_for_ever, args=[str(path)])
        size = path.stat().st_size
        writer.start()
        while path.stat().st_size == size:
            time.sleep(0.0005)
        time.sleep(0.001 * round)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        began = time.monotonic()
        JournalFile(str(path)).append_logs([{"who": "next", "round": round}])
        assert time.monotonic() - began < 10
        assert not (tmp_path / "log.rename").exists()
    logs = entries(tmp_path / "log")
    assert [log["round"] for log in logs if log["who"] == "next"] == list(range(10))


def hold(path: str, held: Any) -> None:
    with JournalFile(path).lock:
        held.set()
        time.sleep(100)


def test_the_lock_of_the_dead_is_free(tmp_path):
    held = FORK.Event()
    holder = FORK.Process(target=hold, args=[str(tmp_path / "log"), held])
    holder.start()
    assert held.wait(30)
    appended = threading.Thread(target=JournalFile(str(tmp_path / "log")).append_logs, args=[[{"n": 1}]])
    appended.start()
    appended.join(0.3)
    assert appended.is_alive(), "it writes while another holds the lock"
    os.kill(holder.pid or 0, signal.SIGKILL)
    appended.join(10)
    assert not appended.is_alive()
    assert entries(tmp_path / "log") == [{"n": 1}]
    holder.join()


def cut_and_write(path: str, rounds: int) -> None:
    """Each round leaves a torn line, as one that is killed does, and then appends another in its place."""
    backend = JournalFile(path)
    for k in range(rounds):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, b'{"n": -1, "pad": "' + b"t" * (k % 97))
        os.close(descriptor)
        backend.append_logs([{"n": k, "pad": "p" * (k % 211)}])


def test_a_reader_never_sees_half_of_one_and_half_of_another(tmp_path):
    path, rounds = str(tmp_path / "log"), 3000
    JournalFile(path)
    writer = FORK.Process(target=cut_and_write, args=[path, rounds])
    writer.start()
    backend = JournalFile(path)
    seen: list[dict[str, Any]] = []
    while len(seen) < rounds:
        assert writer.is_alive() or writer.exitcode == 0
        seen += list(backend.read_logs(len(seen)))
    writer.join()
    assert [log["n"] for log in seen] == list(range(rounds))
