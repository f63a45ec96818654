"""Nothing that a configuration, an artifact or a folder says is imported or called unless it is on the list."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import mlflow.pyfunc
import pytest

from fast_configs import configuration
from noiseworks.config.experiment import file_of
from noiseworks.config.job import make_job
from noiseworks.config.trust import Trust
from noiseworks.errors import UserError
from noiseworks.paths import experiments_folder
from noiseworks.runs.predictor import build
from noiseworks.tracking.live_run import git_commit
from soaked import only

TRUST = Trust(("mylab",))
LISTED = [
    "noiseworks.noise.Gaussian",
    "torch.optim.Adam",
    "optuna.samplers.TPESampler",
    "optuna.storages.RDBStorage",
    "optuna.storages.journal.JournalFileBackend",
    "pytorch_lightning.callbacks.EarlyStopping",
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
    "mylab.noise.Cauchy",
]
FOREIGN = [
    "os.system",
    "builtins.eval",
    "torch.hub.load",
    "torch.load",
    "torch.optim.adam.torch.hub.load",
    "optuna.samplers._base.os.system",
    "pytorch_lightning.Trainer",
    "logging.os.system",
    "noiseworks",
    "noiseworksx.Noise",
    "mylabx.noise",
    "hydra.utils.call",
    "hydra_plugins.evil.Evil",
    "",
    "a b",
    "noiseworks.noise.Gaussian()",
]


@pytest.mark.parametrize("target", LISTED)
def test_listed(target: str) -> None:
    assert TRUST.name(target) is None


@pytest.mark.parametrize("target", FOREIGN)
def test_foreign(target: str) -> None:
    if target == "noiseworks":  # no name in it: as an object it is none
        with pytest.raises(UserError):
            TRUST.of_kind(target, ("builtins.object",))
        return
    with pytest.raises(UserError, match="names nothing that noiseworks calls"):
        TRUST.name(target)


@pytest.mark.parametrize(
    "target",
    [
        "noiseworks.data.reading.hashlib.sha256",  # a function of another package
        "noiseworks.signals.signal.signal",
        "noiseworks.data.reading.Path",  # a class of another package
        "noiseworks.config.trust.re.compile",
        "noiseworks.noise.base.weighted_mean",  # no class
        "torch.optim.lr_scheduler",  # a module
        "noiseworks.noise.Nope",
    ],
)
def test_the_object_counts_not_the_name(target: str) -> None:
    with pytest.raises(UserError, match=r"names nothing that noiseworks calls|there is no such class"):
        TRUST.of_kind(target, ("builtins.object",))


@pytest.mark.parametrize(
    ("group", "target"),
    [
        ("noise", "noiseworks.model.Linear"),
        ("model", "noiseworks.noise.Gaussian"),
        ("data", "noiseworks.noise.Gaussian"),
        ("optimizer", "noiseworks.train.settings.Settings"),
        ("trainer", "torch.optim.Adam"),
        ("tracking", "noiseworks.model.Linear"),
        ("schedule", "noiseworks.exact.Exact"),
    ],
)
def test_each_group_takes_its_own_kind(group: str, target: str) -> None:
    config, choices = configuration([f"{group}._target_={target}"])
    with pytest.raises(UserError, match=r"is of another kind; here it must be a (noiseworks|torch)"):
        make_job(config, choices)


def test_logging_takes_its_own_handlers_and_formatters() -> None:
    for name in ("logging.StreamHandler", "logging.handlers.RotatingFileHandler", "logging.Formatter"):
        TRUST.of_logging(name)
    for name in ("logging.os.system", "logging.handlers.os", "subprocess.Popen", "logging.config.dictConfig"):
        with pytest.raises(UserError):
            TRUST.of_logging(name)


def test_what_the_environment_names_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOISEWORKS_TRUST", "mylab, otherlab")
    assert set(Trust.of_this_process().packages) >= {"mylab", "otherlab"}


COPY = ["+hydra.callbacks.x._target_=shutil.copyfile", "+hydra.callbacks.x.src=t.csv", "+hydra.callbacks.x.dst=stolen"]
POPEN = "{class: subprocess.Popen, args: [touch, stolen]}"
HOSTILE = {
    "callback": COPY,
    "noise": ["noise._target_=os.system"],
    "data": ["data._target_=no.such"],
    "handler": [f"+hydra.job_logging.handlers.x={POPEN}"],
    "hydra's handler": [f"+hydra.hydra_logging.handlers.x={POPEN}"],
    "formatter": ["+hydra.job_logging.formatters.x={class: subprocess.Popen, format: a}"],
    "stream": ["+hydra.job_logging.handlers.x={class: logging.StreamHandler, stream: ext://os.environ}"],
    "searchpath": ["hydra.searchpath=[pkg://antigravity]", "+evil=x"],
    "env_set": ["+hydra.job.env_set.NOISEWORKS_TRUST=os"],
    "launcher": ["-m", "hydra.launcher._target_=subprocess.Popen"],
    "sweeper": ["-m", "hydra.sweeper._target_=subprocess.Popen"],
    "search space": ["-m", "hydra/sweeper=optuna", "hydra.sweeper.custom_search_space=os.system"],
    "sampler": ["-m", "hydra/sweeper=optuna", "hydra.sweeper.sampler._target_=subprocess.Popen"],
    "pickle": ["--experimental-rerun=job.pickle"],
}


@pytest.mark.parametrize("place", only(HOSTILE, "callback", "handler", "searchpath", "sampler", "pickle"))
def test_in_every_place_of_a_configuration(command, tmp_path, place) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,2\n2,3\n4,4\n")
    table = ["optimizer=exact", "data=table", "data.path=t.csv", "data.target=y", "tracking=none"]
    result = command(tmp_path, *table, *HOSTILE[place])
    assert result.status == 2, result.out + result.err
    assert result.err.count("noiseworks: ") == 1
    assert "Traceback" not in result.err
    assert not (tmp_path / "stolen").exists()


def test_an_artifact_names_only_noise_and_models(tmp_path) -> None:
    for name in ("os:system", "noiseworks.signals:Signals", "noiseworks.noise.base:math.sqrt"):
        with pytest.raises(UserError):
            build({"class": name})
    (tmp_path / "predictor.json").write_text(json.dumps({"noise": {"class": "os:system", "command": "touch stolen"}}))
    (tmp_path / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: noiseworks.tracking.predictor\n    data: predictor.json\n"
    )
    with pytest.raises(UserError, match="names nothing that noiseworks calls"):
        mlflow.pyfunc.load_model(str(tmp_path))


def test_a_shipped_name_is_the_shipped_file(tmp_path, monkeypatch) -> None:
    (tmp_path / "experiments").mkdir()
    for name in ("ex1_descent.py", "mine_pi.py", "mine.py", "mine_other.py"):
        (tmp_path / "experiments" / name).write_text("raise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    assert file_of("ex1_descent").parent == experiments_folder()
    assert file_of("mine_pi_fine").name == "mine_pi.py"
    assert file_of("mine_circle").name == "mine.py"


def test_git_runs_nothing_that_a_repository_names(tmp_path, monkeypatch) -> None:
    (tmp_path / "evil.sh").write_text(f"#!/bin/sh\ntouch {tmp_path}/stolen\n")
    (tmp_path / "evil.sh").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    author = {**os.environ, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["config", "core.fsmonitor", "./evil.sh"]):
        subprocess.run(["git", *words], check=True, env={**author, "GIT_COMMITTER_EMAIL": "a@b"})
    assert git_commit() is not None
    assert not Path("stolen").exists()
