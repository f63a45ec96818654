"""Every command of the README, as typed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from soaked import all_but

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line]
RUN = [command for command in COMMANDS if command.startswith("noiseworks")]
LONG = [line for line in RUN if re.search(r"optuna|range\(|bootstrap|replicates=100|seed=0,1", line)]
# The environment of these tests stands in for the .venv that make would set up first.
MAKE = ["make", "-s", f"BIN={Path(sys.executable).parent}", "READY="]
SHOP = """price,weather,sold
2.5,sun,12
2.4,rain,8
2.2,sun,15
2.9,rain,4
2.0,sun,18
2.1,rain,11
2.6,snow,6
2.3,sun,14
"""


def shop(folder: Path) -> None:
    """A week after week of sales: enough rows for a batch of 32."""
    head, *rows = SHOP.splitlines()
    (folder / "shop.csv").write_text("\n".join([head, *rows * 6]) + "\n")


def environment() -> dict[str, str]:
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    others = ("MLFLOW_T", "MAKE", "MFLAGS", "ARGS")  # of other tests, and of the make that started these
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return {**kept, "PATH": paths, "PYTHONWARNINGS": "default"}


def test_the_commands_are_found():
    assert len(RUN) >= 10
    assert {"make train", "make test", "make ui"} <= set(COMMANDS)


def test_a_shell_can_read_them():
    """What has parentheses or blanks is quoted."""
    read = subprocess.run(["bash", "-n"], input="\n".join(COMMANDS), capture_output=True, text=True)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("line", all_but(RUN, *LONG))
def test_command(command, line, tmp_path):
    """In this process; the first also as the shell finds it, below."""
    shop(tmp_path)
    done = command(tmp_path, *shlex.split(line)[1:]).succeeded()
    assert "Traceback" not in done.err
    if "--" not in line:
        assert ("jobs in" if " -m " in line else "nll per example") in done.out
        assert (tmp_path / "mlflow.db").exists() != ("dry_run" in line)
    if " -m " in line and "dry_run" not in line:
        assert re.search(r"^over the seeds:|^the best:|^the best is trial |^the Pareto front, ", done.out, re.MULTILINE)


@pytest.mark.soak
def test_a_command_as_the_shell_finds_it(tmp_path):
    shop(tmp_path)
    done = subprocess.run(shlex.split(RUN[0]), cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "nll per example" in done.stdout


@pytest.mark.soak
def test_make_train(tmp_path):
    shutil.copy2(ROOT / "Makefile", tmp_path)
    done = subprocess.run(
        [*MAKE, "train"], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"area +\d+\.\d+ +\d+\.\d+", done.stdout)
    assert (tmp_path / "mlflow.db").exists()


def test_make_test_runs_pytest_on_all_tests():
    done = subprocess.run(
        [*MAKE, "-n", "test"], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    assert shlex.split(done.stdout)[1:] == ["-m", "pytest"]


@pytest.mark.soak
def test_make_ui_serves_the_runs(tmp_path):
    shutil.copy2(ROOT / "Makefile", tmp_path)
    makefile = (tmp_path / "Makefile").read_text()
    (tmp_path / "Makefile").write_text(makefile.replace("--port 5000", "--port 5917"))
    server = subprocess.Popen([*MAKE, "ui"], cwd=tmp_path, env=environment(), start_new_session=True)
    try:
        assert b"<title>MLflow</title>" in page("http://127.0.0.1:5917")
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def page(url: str) -> bytes:
    for _ in range(120):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read()
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} does not answer")
