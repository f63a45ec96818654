"""The wheel holds the configurations, and runs where there is no checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from command_line import MUTE, environment, read

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, env=environment())
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_configurations_and_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {f"noiseworks/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.yaml")}
    experiments = {f"noiseworks/{path.relative_to(ROOT)}" for path in (ROOT / "experiments").rglob("*.py")}
    assert "noiseworks/conf/config.yaml" in configs
    assert {"noiseworks/experiments/parts/ex8_measure.py", "noiseworks_experiments/__init__.py"} <= names
    assert configs | experiments <= names
    assert {"noiseworks/data/files/houses.csv", "noiseworks/data/files/apples.csv"} <= names
    assert not [name for name in names if name.startswith("tests/") or name.endswith((".pyc", ".db"))]


def test_the_installed_package_runs_with_its_own_configurations(wheel, tmp_path):
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as archive:  # a wheel of pure Python is installed by unpacking it
        archive.extractall(site)
    code = "from noiseworks import cli, paths; print(cli.__file__, paths.conf_folder()); cli.main()"
    command = [sys.executable, "-c", code, "optimizer=exact", *MUTE]
    done = subprocess.run(
        command, cwd=empty, env=environment(PYTHONPATH=str(site)), capture_output=True, text=True, check=True
    )
    where = done.stdout.splitlines()[0].split()
    assert where == [str(site / "noiseworks/cli.py"), str(site / "noiseworks/conf")]
    assert "fitted on 2930 of 2930 rows" in done.stdout
    assert read(empty, "coefficients.json")["coefficients"].keys() == {"intercept", "area", "age"}


@pytest.mark.soak
def test_an_installed_exercise_finds_its_parts(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "noiseworks", "experiment=ex8_identity", "replicates=5", *MUTE]
    changes = environment(PYTHONPATH=str(tmp_path / "site"))
    subprocess.run(command, cwd=tmp_path / "empty", env=changes, capture_output=True, text=True, check=True)
    assert read(tmp_path / "empty", "metrics.json")["mle/count"] == 5
