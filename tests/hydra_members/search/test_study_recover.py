"""What a process leaves that is killed between two of its steps, for every two of them."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import TrialState
from study_runs import Kept, check_whole, journal, quadratic, states
from study_toy import APP, calls, search
from study_toy import SEARCH as SEARCH_OF_TOY

from soaked import every

SPACE = ["x=interval(0,2)", "hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=5", "hydra.sweeper.n_jobs=2"]
ENQUEUED = "hydra.sweeper.enqueue=[{x:1.5}]"


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory) -> Kept:
    """What is left of a process that nobody kills."""
    folder = tmp_path_factory.mktemp("whole")
    search(command, folder, 4, *SPACE, ENQUEUED).succeeded()
    return Kept(folder)


def writes(folder: Path) -> int:
    return (folder / "optuna.log").read_bytes().count(b"\n")


MOMENTS = ["before", "middle", "after"]


@pytest.mark.parametrize("part", range(7))
@pytest.mark.soak
def test_killed_at_every_write(command, whole, tmp_path, part):
    """Of the study's file. The second start finds the torn line, the trials that nobody runs, those that were failed
    and not queued, and goes on to the same points."""
    number = writes(whole.folder)
    assert number >= 15
    for write in range(1 + part, number + 1, 7):
        folder = tmp_path / str(write)
        folder.mkdir()
        moment = MOMENTS[(write // 7) % 3]
        dying = f"{{_target_:study_dying.Dying,path:{folder}/optuna.log,write:{write},moment:{moment}}}"
        arguments = [*SEARCH_OF_TOY, "hydra.sweeper.n_trials=4", *SPACE, ENQUEUED, f"hydra.sweeper.storage={dying}"]
        (first,) = command.start(folder, [arguments], APP).wait()
        if first.status != 0:  # the sign of life is given when there is time
            assert first.status == -signal.SIGKILL
        search(command, folder, 4, *SPACE, ENQUEUED).succeeded()
        kept = Kept(folder)
        assert kept.settings() == whole.settings(), (write, moment)
        assert states(kept.trials)["COMPLETE"] == 4
        assert not states(kept.trials).keys() - {"COMPLETE", "LOST"}
        ran = {num: x for num, x, _ in calls(folder)}
        assert len(ran) == len(calls(folder)), "two jobs had one number"
        assert all(ran[trial.number] == trial.params["x"] for trial in kept.ended.values())
        assert len(ran) <= 4 + 2, "more ran than the two that were lost"


def cut(kept: Kept, jobs: int | None, tells: int) -> None:
    """As it was when the process was killed: so many jobs were in the journal, and of so many the study was told."""
    path = kept.place / "jobs.jsonl"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows if jobs is None else rows[:jobs]))
    log = kept.folder / "optuna.log"
    lines = log.read_bytes().splitlines(keepends=True)
    ends = [k for k, line in enumerate(lines) if is_end(line)]
    log.write_bytes(b"".join(lines[: ends[tells]]))
    kept.client.update_run(kept.parent.info.run_id, status="RUNNING")


def is_end(line: bytes) -> bool:
    """Of a trial, by itself."""
    entry = json.loads(line)
    done = {TrialState.COMPLETE.value, TrialState.FAIL.value, TrialState.PRUNED.value}
    return entry["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES and entry["state"] in done


PRUNED = ["hydra/sweeper/pruner=successive_halving", "hydra.sweeper.pruner.reduction_factor=2", "trainer.max_epochs=4"]
SEARCH = quadratic(8, *PRUNED, "optimizer.lr=choice(0.9,1e300,0.1,1.0,0.5,1.9,1.2,1.5)", sampler="grid", n_jobs=8)
SEARCH = [*SEARCH, "hydra.sweeper.sampler.seed=null", "hydra.sweeper.confirm=0"]  # the second diverges


@pytest.fixture
def ended(command, folder) -> Kept:
    """Eight jobs that ran together: some are pruned, one has failed. In a process that has died since."""
    command.together(folder, [SEARCH])[0].succeeded()
    kept = Kept(folder)
    check_whole(kept, 8)
    assert {trial.state.name for trial in kept.trials} == {"COMPLETE", "PRUNED", "FAIL"}
    return kept


def runs(kept: Kept) -> dict[str, Any]:
    parent = kept.parent.info.run_id
    return {run.info.run_id: run.to_dictionary() for run in kept.runs if run.info.run_id != parent}


def outcomes(kept: Kept) -> list[Any]:
    """Of a pruned trial Optuna takes the last report for the value, and reports that were not stored are gone."""
    trials = [trial for _, trial in sorted(kept.ended.items())]
    return [(t.state, t.params, t.values if t.state == TrialState.COMPLETE else None) for t in trials]


@pytest.mark.parametrize("tells", every(2, [0, 3]))
def test_in_the_journal_and_not_told(command, ended, tells):
    """Nothing runs again: what they returned stands in the journal of the sweep."""
    before, rows, was = runs(ended), journal(ended.place), outcomes(ended)
    cut(ended, None, tells)
    command(ended.folder, *SEARCH).succeeded()
    check_whole(ended, 8)
    assert runs(ended) == before
    assert journal(ended.place) == rows
    assert outcomes(ended) == was


@pytest.mark.parametrize("jobs", every(2, [5, 0]))
@pytest.mark.soak
def test_in_mlflow_and_not_in_the_journal(command, ended, jobs):
    """These run again, as other trials; their runs are KILLED, whatever they said."""
    was = outcomes(ended)
    cut(ended, jobs, 0)
    command(ended.folder, *SEARCH).succeeded()
    check_whole(ended, 8)
    assert states(ended.trials)["LOST"] == 8 - jobs
    killed = [run for run in ended.runs if run.data.tags.get("failure") == "its process ended before it"]
    assert len(killed) == 8 - jobs
    assert [params for _, params, _ in outcomes(ended)] == [params for _, params, _ in was]


@pytest.mark.soak
def test_the_parent_was_not_written_down(command, ended):
    """MLflow knows it, the folder does not yet."""
    (ended.place / "parents.json").unlink()
    command(ended.folder, *SEARCH, "hydra.sweeper.n_trials=8").succeeded()
    check_whole(ended, 8)
