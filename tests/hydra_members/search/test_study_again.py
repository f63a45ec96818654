"""The same command again, with more trials, with fewer; where it works, and what is confirmed."""

from __future__ import annotations

import shutil

import pytest
from study_runs import UNTRACKED, Kept, artifacts_of, check_whole, journal, quadratic, states

IN_ORDER = ["optimizer.lr=choice(0.2,0.6,1.2,0.9,1.5)", "hydra.sweeper.sampler.seed=null"]  # 1.2 as good as 0.8


def in_order(n: int, *more: str) -> list[str]:
    """Learning rates in the order in which they are given."""
    return [*quadratic(n, sampler="grid"), *IN_ORDER, *more]


@pytest.mark.soak
def test_again(command, folder):
    """More trials: the new ones run. Fewer, or as many: none, and what is in MLflow stays, but for the parent's end."""
    kept = Kept(folder)
    command(folder, *quadratic(4)).succeeded()
    check_whole(kept, 4)
    first = {run.info.run_id: run.to_dictionary() for run in kept.runs}
    command(folder, *quadratic(6)).succeeded()
    check_whole(kept, 6)
    runs = {run.info.run_id: run.to_dictionary() for run in kept.runs}
    parent = kept.parent.info.run_id
    assert {id: runs[id] for id in first if id != parent} == {id: run for id, run in first.items() if id != parent}
    assert len(runs) - len(first) in (2, 3), "two trials, and a better one confirmed"
    assert kept.parent.data.metrics["sweep/jobs"] == len(runs) - 1

    before, rows = (folder / "optuna.log").read_text(), kept.rows
    for n in (6, 2):
        result = command(folder, *quadratic(n)).succeeded()
        assert "Confirming" not in result.out
    after = (folder / "optuna.log").read_text()
    assert '"trial_id"' not in after.removeprefix(before), "a trial was touched"
    assert kept.rows == rows
    again = {run.info.run_id: run.to_dictionary() for run in kept.runs}
    assert {id: run for id, run in again.items() if id != parent} == {
        id: run for id, run in runs.items() if id != parent
    }
    assert again[parent]["data"]["params"] == runs[parent]["data"]["params"]
    assert again[parent]["info"]["status"] == "FINISHED"
    assert len(kept.places) == 1


@pytest.mark.soak
def test_confirmed_once(command, folder):
    """On seeds from a million on, ten of them; one found later that is better is confirmed, too."""
    kept = Kept(folder)
    for n, best in ((2, [1]), (2, [1]), (3, [1, 2]), (4, [1, 2, 3]), (5, [1, 2, 3])):
        command(folder, *in_order(n)).succeeded()
        check_whole(kept, n)
        confirmed = kept.study.user_attrs["confirmed"]
        assert [int(number) for number in confirmed] == best
    for number, (run,) in kept.children("confirm").items():
        config = artifacts_of(run, "config.yaml")
        assert config["seed"] == 1_000_000
        assert config["replicates"] == confirmed[str(number)]["seeds"] == 10
        assert config["optimizer"]["lr"] == kept.trials[number].params["optimizer.lr"]
        assert artifacts_of(kept.children()[number][0], "config.yaml")["seed"] == 0
        assert confirmed[str(number)]["standard_error"] > 0
    assert kept.parent.data.metrics["confirmed/value"] == confirmed["3"]["objective"]


@pytest.mark.soak
def test_confirmed_on_as_many_seeds_as_wanted(command, folder):
    kept = Kept(folder)
    command(folder, *in_order(2, "hydra.sweeper.confirm=0")).succeeded()
    assert kept.children("confirm") == {}
    assert "confirmed" not in kept.study.user_attrs
    command(folder, *in_order(2, "hydra.sweeper.confirm=3", "seed=0")).succeeded()
    (run,) = kept.children("confirm")[1]
    assert artifacts_of(run, "config.yaml")["replicates"] == 3


@pytest.mark.soak
def test_killed_while_it_confirms(command, folder):
    """As one that is run by itself was: its run says RUNNING, and the study knows that somebody began it."""
    arguments = in_order(2, "hydra/launcher=basic", "hydra.sweeper.n_jobs=2")
    kept = Kept(folder)
    command.together(folder, [arguments])[0].succeeded()  # in a process that has died since
    (run,) = kept.children("confirm")[1]
    lines = (kept.place / "jobs.jsonl").read_text().splitlines(keepends=True)
    (kept.place / "jobs.jsonl").write_text("".join(lines[:-1]))
    log = folder / "optuna.log"
    log.write_bytes(b"".join(line for line in log.read_bytes().splitlines(keepends=True) if b'"confirmed"' not in line))
    for left in (run, kept.parent):
        kept.client.update_run(left.info.run_id, status="RUNNING")
    command(folder, *arguments).succeeded()
    check_whole(kept, 2)
    assert sorted(run.info.status for run in kept.children("confirm")[1]) == ["FINISHED", "KILLED"]


@pytest.mark.soak
def test_its_folder_is_gone(command, folder):
    """Somebody has tidied up: the study goes on in another, and stays there."""
    kept = Kept(folder)
    command(folder, *quadratic(2, UNTRACKED)).succeeded()
    shutil.rmtree(folder / "multirun")
    command(folder, *quadratic(4, UNTRACKED)).succeeded()
    place = kept.place
    assert [row["job"] for row in journal(place) if row["job"] < 1_000_000] == [2, 3]
    command(folder, *quadratic(6, UNTRACKED)).succeeded()
    assert kept.place == place
    assert [row["job"] for row in journal(place) if row["job"] < 1_000_000] == [2, 3, 4, 5]


FIXED = "hydra.sweep.dir=s"


@pytest.mark.soak
def test_in_memory(command, folder):
    """Each is a study of its own, in the same folder too: of the first nothing is left there but in MLflow."""
    arguments = quadratic(3, FIXED, "hydra.sweeper.storage=null", "hydra.sweeper.sampler.seed=null")
    for round in (1, 2):
        command(folder, *arguments).succeeded()
        assert not (folder / "optuna.log").exists()
        rows = journal(folder / "s")
        assert sorted(row["job"] for row in rows if row["job"] < 1_000_000) == [0, 1, 2]
        runs = Kept(folder).runs
        parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        assert len(parents) == round
        assert {run.info.status for run in runs} == {"FINISHED"}
        newest = max(parents, key=lambda run: run.info.start_time).info.run_id
        own = [run.info.run_id for run in runs if run.data.tags.get("mlflow.parentRunId") == newest]
        assert sorted(own) == sorted(row["run"] for row in rows)
        assert len(own) == 4


@pytest.mark.soak
def test_another_study_in_its_folder(command, folder):
    """Nothing of the first is touched."""
    command(folder, *quadratic(2, FIXED, UNTRACKED, "hydra.sweeper.study_name=one")).succeeded()
    rows = journal(folder / "s")
    result = command(folder, *quadratic(2, FIXED, UNTRACKED, "hydra.sweeper.study_name=two"))
    assert result.status == 2
    place = folder / "s"
    said = f"hydra.sweep.dir={place} holds the jobs of another study; name another folder, or remove it."
    assert said in result.err
    assert journal(place) == rows
    command(folder, *quadratic(3, FIXED, UNTRACKED, "hydra.sweeper.study_name=one")).succeeded()
    assert [row["job"] for row in journal(place) if row["job"] < 1_000_000] == [0, 1, 2]


@pytest.mark.parametrize("change", ["another space", "another order"])
@pytest.mark.soak
def test_the_same_study_asked_for_differently(command, folder, change):
    """Its folder keeps what it has, whatever the command says now."""
    first = [*quadratic(2, FIXED, UNTRACKED, "hydra.sweeper.confirm=0"), "seed=0"]
    if change == "another order":
        second = [first[0], "seed=0", *first[1:-1], "hydra.sweeper.n_trials=4"]
    else:
        first += ["hydra.sweeper.study_name=s"]
        second = [*first, "optimizer.lr=interval(0.5,1.5)", "hydra.sweeper.n_trials=4"]
    command(folder, *first).succeeded()
    result = command(folder, *second).succeeded()
    assert ("another space" in result.out) == (change == "another space")
    assert [row["job"] for row in journal(folder / "s")] == [0, 1, 2, 3]
    assert states(Kept(folder).trials) == {"COMPLETE": 4}


@pytest.mark.soak
def test_afresh(command, folder):
    """resume=false begins another study, and leaves the first alone; not if it would have the name of one."""
    command(folder, *quadratic(2, UNTRACKED)).succeeded()
    place = Kept(folder).place
    for _ in range(2):
        command(folder, *quadratic(2, UNTRACKED, "hydra.sweeper.resume=false")).succeeded()
    kept = Kept(folder)
    names = kept.names
    assert [name.removeprefix(names[0]) for name in names] == ["", "-2", "-3"]
    assert len(kept.places) == 3
    settings = [[trial.params for trial in kept.study_of(name).trials] for name in names]
    assert settings[0] == settings[1] == settings[2]
    command(folder, *quadratic(3, UNTRACKED)).succeeded()
    assert [row["job"] for row in journal(place) if row["job"] < 1_000_000] == [0, 1, 2]
    named = ["hydra.sweeper.resume=false", f"hydra.sweeper.study_name={names[0]}"]
    result = command(folder, *quadratic(2, UNTRACKED, *named))
    assert result.status == 2
    assert f"hydra.sweeper.study_name={names[0]} is there already" in result.err
