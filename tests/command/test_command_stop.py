"""A signal whose exception is lost on its way, in somebody's own measurement."""

import pytest

from command_line import runs
from soaked import every

EXPERIMENT = "# @package _global_\ntask: measure\n"
LOSSES = {
    "replaced": "try:\n        os.kill(os.getpid(), signal.SIGTERM)\n    finally:\n        float('none')",
    "swallowed": "try:\n        os.kill(os.getpid(), signal.SIGTERM)\n    except SystemExit:\n        pass",
}
CODE = "import os, signal\n\ndef measure(cfg):\n    {}\n    return {{'one': 1.0}}\n"


@pytest.fixture
def lost(command, tmp_path):
    """The command with a measurement that stops itself, and loses the exception in this way."""

    def run(how, *arguments):
        (tmp_path / "own" / "experiment").mkdir(parents=True)
        (tmp_path / "own" / "experiment" / "mine_own.yaml").write_text(EXPERIMENT)
        (tmp_path / "experiments").mkdir()
        (tmp_path / "experiments" / "mine_own.py").write_text(CODE.format(LOSSES[how]))
        return command(tmp_path, "--config-dir", "own", *arguments, "experiment=mine_own")

    return run


@pytest.mark.parametrize("how", LOSSES)
def test_a_single_run(tmp_path, lost, how):
    result = lost(how)
    assert (result.status, result.err) == (143, "")
    (run,) = runs(tmp_path)
    assert run.info.status == {"replaced": "KILLED", "swallowed": "FINISHED"}[how]


@pytest.mark.parametrize("launcher", every(2, ["vectorized", "basic"]))
@pytest.mark.parametrize("how", LOSSES)
def test_a_sweep_does_not_go_on(tmp_path, lost, how, launcher):
    """No second job; the parent says why."""
    result = lost(how, "-m", "seed=1,2", f"hydra/launcher={launcher}")
    assert result.status == 143
    assert "Traceback" not in result.err
    parent, children = (
        [run for run in runs(tmp_path) if ("mlflow.parentRunId" in run.data.tags) == child] for child in (False, True)
    )
    assert [run.info.status for run in parent] == ["KILLED"]
    assert parent[0].data.tags["failure"] == "stopped from outside"
    assert len(children) <= 1
    assert {run.info.status for run in children} <= {"KILLED", "FINISHED"}
