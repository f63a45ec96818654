"""Starting study_app.py, and what it leaves."""

from __future__ import annotations

from pathlib import Path

from study_runs import Kept

from command_here import Command
from command_line import Result

APP = Path(__file__).with_name("study_app.py")
SEARCH = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.study_name=toy", "hydra.sweep.dir=s"]


def toy(command: Command, folder: Path, *arguments: str, **environment: str) -> Result:
    return command.script(folder, APP, *arguments, **environment)


def search(command: Command, folder: Path, n: int, *arguments: str, **environment: str) -> Result:
    return toy(command, folder, *SEARCH, f"hydra.sweeper.n_trials={n}", *arguments, **environment)


def grid(n: int) -> list[str]:
    """x = 0, 1, 2 ... in this order."""
    return [f"x=range(0,{n})", "hydra/sweeper/sampler=grid"]


def calls(folder: Path) -> list[tuple[int, float, float]]:
    """Job, x and y of all that ran, in this order."""
    path = folder / "calls.txt"
    words = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(int(num), float(x), float(y)) for num, x, y in words]


def tried(folder: Path) -> list[float]:
    return [x for _, x, _ in calls(folder)]


def failures(folder: Path) -> dict[int, str]:
    """Trial -> why it failed."""
    trials = Kept(folder).trials
    return {trial.number: trial.user_attrs["failure"] for trial in trials if "failure" in trial.user_attrs}
