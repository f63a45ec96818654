"""A search or a grid that goes on: the content of the table belongs to the question, versions are told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from soaked import every

TABLE = ["data=table", "data.path=t.csv", "data.target=y", "optimizer=exact", "tracking=none"]
GRID = ["-m", *TABLE, "noise=gaussian,laplace", "hydra.sweep.dir=grid"]
SEARCH = ["-m", *TABLE, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.confirm=0"]
SEARCH += ["optimizer.ridge=interval(0,1)"]
DIGESTS = r"the data were \S+t\.csv \(digest [0-9a-f]{16}\), and are \S+t\.csv \(digest [0-9a-f]{16}\) now"


def write(folder: Path, last: int) -> None:
    rows = [f"{i},{2 * i + i % 3}" for i in range(20)]
    (folder / "t.csv").write_text("\n".join(["x,y", *rows, f"20,{last}", ""]))


@pytest.mark.parametrize("launcher", every(2, ["vectorized", "basic"]))
def test_a_grid_does_not_go_on_with_other_data(command, tmp_path, launcher):
    write(tmp_path, 40)
    again = [*GRID, f"hydra/launcher={launcher}", "hydra.sweeper.resume=true"]
    command(tmp_path, *GRID).succeeded()
    command(tmp_path, *again).succeeded()
    write(tmp_path, 41)
    refused = command(tmp_path, *again)
    assert refused.status == 2
    assert re.search(rf"resume=true goes on with a sweep in which job 0 has ended, but {DIGESTS}", refused.err)
    write(tmp_path, 40)
    command(tmp_path, *again).succeeded()


def test_other_data_are_another_study(command, tmp_path):
    names = []
    for last in (40, 41):
        write(tmp_path, last)
        said = command(tmp_path, *SEARCH).succeeded()
        names += re.findall(r"Study name: (\S+)", said.out + said.err)
    assert names[0] != names[1]


def test_a_study_of_a_name_refuses_other_data(command, tmp_path):
    write(tmp_path, 40)
    own = [*SEARCH, "hydra.sweeper.study_name=mine"]
    command(tmp_path, *own).succeeded()
    write(tmp_path, 41)
    refused = command(tmp_path, *own)
    assert refused.status == 2
    assert re.search(rf"hydra\.sweeper\.study_name=mine has trials on other data: {DIGESTS}", refused.err)
    write(tmp_path, 40)
    (tmp_path / "t.csv").rename(tmp_path / "moved.csv")
    command(tmp_path, *own, "data.path=moved.csv").succeeded()  # the same content under another name


@pytest.mark.soak
def test_other_versions_are_told(command, tmp_path):
    write(tmp_path, 40)
    command(tmp_path, *GRID).succeeded()
    begun = json.loads((tmp_path / "grid/sweep.json").read_text())
    begun["versions"]["torch"] = "1.0"
    (tmp_path / "grid/sweep.json").write_text(json.dumps(begun))
    assert "it began with torch 1.0 (" in command(tmp_path, *GRID, "hydra.sweeper.resume=true").succeeded().out

    own = [*SEARCH, "hydra.sweeper.study_name=mine"]
    command(tmp_path, *own).succeeded()
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "optuna.log")))
    study = optuna.load_study(study_name="mine", storage=storage)
    about = study.user_attrs["sweep"]
    study.set_user_attr("sweep", {**about, "versions": {**about["versions"], "torch": "1.0"}})
    said = command(tmp_path, *own).succeeded()
    assert "The study mine was begun with torch 1.0 (" in said.out + said.err
