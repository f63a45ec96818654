"""Applications of other people, as `python app.py` runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from command_here import Command
from command_line import Result

APP = """
import json, os, sys
import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback

def say(**facts):
    with open(os.path.join(os.environ["TOLD"], "told.jsonl"), "a") as file:
        file.write(json.dumps(facts) + "\\n")

class Listener(Callback):
    def on_job_start(self, config, *, task_function, **kwargs):
        say(start=config.hydra.job.num, n=config.n, folder=HydraConfig.get().runtime.output_dir)

    def on_job_end(self, config, job_return, **kwargs):
        say(end=config.hydra.job.num, n=config.n, cfg=job_return.cfg.n, status=job_return.status.name)

def task(cfg):
    say(alone=cfg.n, cwd=os.getcwd(), env=os.environ.get("WITH"))
    if cfg.n == 13:
        raise ValueError("unlucky")
    return cfg.n

def run_batch(batch):
    say(
        nums=[job.num for job in batch.jobs],
        n=[job.config["n"] for job in batch.jobs],
        overrides=[job.overrides for job in batch.jobs],
        folders=[job.output_dir for job in batch.jobs],
        made=[os.path.isdir(job.output_dir) for job in batch.jobs],
        choices=[job.choices.get("size") for job in batch.jobs],
        memory_gib=batch.memory_gib, job_folders=batch.job_folders, dry_run=batch.dry_run, sweep_dir=batch.sweep_dir,
        mode=HydraConfig.get().mode.name, env=os.environ.get("WITH"),
    )
    if batch.jobs[0].config["n"] == 99:
        return []
    return [ValueError("unlucky") if job.config["n"] == 13 else job.config["n"] for job in batch.jobs]

if "ALONE" not in os.environ:
    task.run_batch = run_batch
if "TELL" in os.environ:
    task.sweep_begins = lambda config: say(begins=config.hydra.sweep.dir, there=os.path.isdir(config.hydra.sweep.dir))
    task.study_opened = lambda study: say(study=study.study_name, trials=len(study.trials))
if __name__ == "__main__":
    hydra.main(version_base=None, config_path=".", config_name="config")(task)()
"""
CONFIG = """
defaults: [{size: small}, _self_]
n: 1
m: ${n}
hydra:
  sweep: {dir: out, subdir: 'job${hydra.job.num}'}
"""
LISTENING = "+hydra.callbacks.listener._target_=__main__.Listener"


class App:
    def __init__(self, folder: Path, command: Command) -> None:
        self.folder, self.command = folder, command
        (folder / "size").mkdir()
        (folder / "size" / "small.yaml").write_text("width: 1\n")
        (folder / "size" / "large.yaml").write_text("width: 9\n")
        (folder / "app.py").write_text(APP)
        (folder / "config.yaml").write_text(CONFIG)

    def run(self, *arguments: str, status: int = 0, **environment: str) -> Result:
        (self.folder / "told.jsonl").unlink(missing_ok=True)
        environment |= {"TOLD": str(self.folder)}
        done = self.command.script(self.folder, self.folder / "app.py", "-m", *arguments, **environment)
        assert done.status == status, done.err
        assert "Warning" not in done.err
        return done

    def told(self) -> list[dict[str, Any]]:
        file = self.folder / "told.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def app(tmp_path: Path, command: Command) -> App:
    return App(tmp_path, command)


VECTORIZED = ("hydra/launcher=vectorized", "hydra/sweeper=grid")


def test_a_batch_gets_all_jobs_at_once(app: App) -> None:
    done = app.run(*VECTORIZED, "n=3,4", "size=small,large", "hydra.launcher.memory_gib=2", "+hydra.job.env_set.WITH=x")
    (batch,) = app.told()
    out = app.folder / "out"
    assert batch == {
        "nums": [0, 1, 2, 3],
        "n": [3, 3, 4, 4],
        "overrides": [[f"n={n}", f"size={size}"] for n in (3, 4) for size in ("small", "large")],
        "folders": [str(out / f"job{num}") for num in range(4)],
        "made": [False] * 4,
        "choices": ["small", "large"] * 2,
        "memory_gib": 2.0,
        "job_folders": False,
        "dry_run": False,
        "sweep_dir": str(out),
        "mode": "MULTIRUN",
        "env": "x",
    }
    assert sorted(path.name for path in out.iterdir()) == ["multirun.yaml"]
    assert done.out == ""


@pytest.mark.soak
def test_batches_count_on_and_all_run_before_a_failure_is_raised(app: App) -> None:
    done = app.run(*VECTORIZED, "n=13,4,5,6,7", "hydra.sweeper.max_batch_size=2", status=1)
    assert [batch["nums"] for batch in app.told()] == [[0, 1], [2, 3], [4]]
    assert "unlucky" in done.err
    assert "n=13" in done.err
    app.run("hydra/sweeper=grid", "n=13,4,5", "hydra.sweeper.max_batch_size=1", status=1)
    assert [job["alone"] for job in app.told()] == [13, 4, 5]


def test_too_few_results(app: App) -> None:
    assert "0 results for 2 jobs" in app.run(*VECTORIZED, "n=99,1", status=1).err


def test_dry_run(app: App) -> None:
    app.run(
        *VECTORIZED, "n=3,13", "hydra.launcher.dry_run=true", "hydra.launcher.job_folders=true", LISTENING, status=1
    )
    (batch,) = app.told()
    assert batch["dry_run"]
    assert batch["made"] == [False, False]
    done = app.run(*VECTORIZED, "n=3,13", "size=large", "hydra.launcher.dry_run=true", ALONE="1")
    assert done.out == "n=3 size=large\nn=13 size=large\n"
    assert app.told() == []


@pytest.mark.soak
def test_job_folders_are_those_of_the_basic_launcher(app: App) -> None:
    app.run(*VECTORIZED, "n=3,4", "hydra.launcher.job_folders=true")
    app.run("hydra/sweeper=grid", "n=3,4", "hydra.sweep.dir=basic")
    for file in ("config.yaml", "overrides.yaml", "hydra.yaml"):
        for num in range(2):
            ours = (app.folder / "out" / f"job{num}" / ".hydra" / file).read_text()
            basic = (app.folder / "basic" / f"job{num}" / ".hydra" / file).read_text()
            if file == "hydra.yaml":
                ours, basic = (_without_what_differs(text) for text in (ours, basic))
            assert ours == basic
    app.run(*VECTORIZED, "n=3", "hydra.launcher.job_folders=true", "hydra.output_subdir=null", "hydra.sweep.dir=bare")
    assert list((app.folder / "bare" / "job0").iterdir()) == []


def _without_what_differs(text: str) -> Any:
    hydra: Any = OmegaConf.to_container(OmegaConf.create(text.replace("/basic/", "/out/")))["hydra"]
    del hydra["launcher"], hydra["overrides"]["hydra"], hydra["sweep"], hydra["runtime"]["choices"]["hydra/launcher"]
    return hydra


def test_callbacks_hear_of_each_job(app: App) -> None:
    app.run(*VECTORIZED, "n=3,13", LISTENING, status=1)
    starts, (batch, *ends) = app.told()[:2], app.told()[2:]
    assert starts == [{"start": num, "n": n, "folder": f"{app.folder}/out/job{num}"} for num, n in ((0, 3), (1, 13))]
    assert batch["nums"] == [0, 1]
    assert ends == [
        {"end": 0, "n": 3, "cfg": 3, "status": "COMPLETED"},
        {"end": 1, "n": 13, "cfg": 13, "status": "FAILED"},
    ]


def test_a_working_folder_for_each_job_needs_jobs_one_by_one(app: App) -> None:
    app.run(*VECTORIZED, "n=3,4", "hydra.job.chdir=true", "+hydra.job.env_set.WITH=x")
    expected = [{"alone": n, "cwd": f"{app.folder}/out/job{num}", "env": "x"} for num, n in ((0, 3), (1, 4))]
    assert app.told() == expected


def test_a_task_without_run_batch(app: App) -> None:
    done = app.run(*VECTORIZED, "n=3,4", ALONE="1")
    assert [job["alone"] for job in app.told()] == [3, 4]
    assert "Launching 2 jobs locally" in done.out
    assert "#1 : n=4" in done.out


@pytest.mark.parametrize(
    "arguments",
    [
        [*VECTORIZED],
        ["hydra/launcher=vectorized", "hydra/sweeper=grid", "hydra.sweeper.max_batch_size=1"],
        ["hydra/sweeper=grid", "hydra.sweeper.max_batch_size=1"],
    ],
)
@pytest.mark.parametrize("alone", [{}, {"ALONE": "1"}])
@pytest.mark.soak
def test_a_bad_job_stops_the_sweep_before_any_has_run(app: App, arguments: list[str], alone: dict[str, str]) -> None:
    done = app.run(*arguments, "n=3,4", "size=small,huge", status=1, **alone)
    assert "Could not find 'size/huge'" in done.err
    assert app.told() == []
    assert "Could not override 'nn'" in app.run(*arguments, "n=3,4", "nn=1", status=1, **alone).err
    assert app.told() == []


def test_intervals_are_refused(app: App) -> None:
    done = app.run("hydra/sweeper=grid", "n=interval(0,1)", status=1)
    assert "hydra/sweeper=grid (GridSweeper)" in done.err
    assert "n=choice(...) or n=range(...)" in done.err


@pytest.mark.soak
def test_joblib_with_the_grid_sweeper(app: App) -> None:
    """In processes, and so in one itself."""
    arguments = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra/sweeper=grid", "n=range(3,6)"]
    environment = os.environ | {"TOLD": str(app.folder)}
    command = [sys.executable, "-W", "error", "app.py", "-m", *arguments]
    subprocess.run(command, cwd=app.folder, env=environment, capture_output=True, timeout=100, check=True)
    assert sorted(job["alone"] for job in app.told()) == [3, 4, 5]


def test_params_of_the_sweeper(app: App) -> None:
    with (app.folder / "config.yaml").open("a") as file:
        file.write("  sweeper:\n    params: {n: '1,2', size: large}\n")
    app.run(*VECTORIZED)
    assert app.told()[0]["overrides"] == [["n=1", "size=large"], ["n=2", "size=large"]]
    assert (app.folder / "out" / "multirun.yaml").exists()


@pytest.mark.parametrize("sweeper", ["grid", "optuna"])
def test_the_task_is_told_of_the_sweep(app: App, sweeper: str) -> None:
    """That it begins, before there is a folder; then of the study; then the jobs come."""
    more = ["hydra.sweeper.study_name=s", "hydra.sweeper.storage=null", "hydra.sweeper.n_trials=2"]
    app.run(
        "hydra/launcher=vectorized", f"hydra/sweeper={sweeper}", "n=3,4", *more[: 3 * (sweeper == "optuna")], TELL=""
    )
    first, *then, last = app.told()
    assert first == {"begins": "out", "there": False}
    assert then == ([{"study": "s", "trials": 0}] if sweeper == "optuna" else [])
    assert last["nums"] == [0, 1]
