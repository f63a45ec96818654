"""What is said and checked before anything is trained."""

from __future__ import annotations

import re

import pytest
from sweep_runs import SMALL, sweep

from command_line import MUTE, runs
from soaked import every

THREE = ["seed=0,1,2"]
MISTAKES = [  # what one job of several has, and what the sentence names
    (["optimizer.lrr=0.1,0.2"], ["optimizer.lrr", "optimizer.lr"]),
    (["noise=gaussian,laplac"], ["noise=laplac", "nearest is noise=laplace"]),
    (["optimizer.lr=0.1,fast"], ["optimizer.lr=fast", "number"]),
    (["data.batch_size=8,0"], ["data.batch_size=0", "1"]),
    (["data.batch_size=8,1.5"], ["data.batch_size=1.5", "whole number"]),
    (["seed=0,-1"], ["seed=-1", "0"]),
    (["replicates=1,0"], ["replicates=0"]),
    (["trainer.max_epochs=3,0"], ["trainer.max_epochs=0"]),
    (["trainer.devices=1,0"], ["trainer.devices=0"]),
    (["noise=gaussian,student_t", "noise.df=4"], ["noise.df"]),
    (["tracking.uri=http://127.0.0.1:9"], ["tracking.uri=http://127.0.0.1:9", "server"]),
    (["tracking.uri=null,http://127.0.0.1:9"], ["tracking.uri=http://127.0.0.1:9", "server"]),
    (["optimizer=adam", "optimizer.betas=[0.9,0.99],[0.9,1.5]"], ["optimizer=adam", "1.5"]),
    (["optimizer=adam", "optimizer.lr=0.1,-1"], ["optimizer=adam", "-1"]),
    (["schedule.averaging_start=0.5,1"], ["schedule.averaging_start=1"]),
    (["noise.scale=1,-2"], ["noise.scale=-2"]),
    (["data=synthetic,table"], ["data.path", "not set"]),
    (["seed=interval(0,1)"], ["seed=interval(0,1)", "choice"]),
]


@pytest.mark.parametrize(("arguments", "parts"), every(6, MISTAKES), ids=str)
def test_a_mistake_stops_the_sweep_before_it_starts(command, tmp_path, arguments, parts):
    small = SMALL if not any(a.startswith("data=") for a in arguments) else [SMALL[0]]
    left = sweep(command, tmp_path, *small, *arguments)
    assert left.result.status == 2, left.result
    assert left.result.out == "" or "trainer.devices" in arguments[0] or "tracking.uri" in arguments[0]
    assert re.fullmatch(r"noiseworks: [^\n]{10,700}\n", left.result.err), left.result.err
    assert "Traceback" not in left.result.err
    for part in parts:
        assert part in left.result.err
    assert runs(tmp_path) == []
    assert not (left.path / "jobs.jsonl").exists()
    assert not (left.path / "sweep.parquet").exists()


def test_the_job_at_fault_is_named(command, tmp_path):
    left = sweep(command, tmp_path, *SMALL, "seed=0,1", "optimizer.lr=0.1,fast")
    assert "Job 1 (" in left.result.err
    assert "seed=0" in left.result.err
    assert "Nothing was started" in left.result.err


@pytest.fixture(scope="module")
def dry(command, tmp_path_factory):
    several = ["noise=gaussian,laplace", "optimizer=sgd,lbfgs", "replicates=2", "hydra.launcher.dry_run=true"]
    return sweep(command, tmp_path_factory.mktemp("dry"), *SMALL, *THREE, *several)


def test_a_dry_run_leaves_nothing(dry):
    assert dry.result.status == 0
    assert dry.result.err == ""
    assert list(dry.folder.glob("ml*")) == []
    assert {path.name for path in dry.path.iterdir()} <= {"multirun.yaml", "sweep.json"}
    assert "FINISHED" not in dry.result.out


def test_the_plan(dry):
    lines = dry.result.out.splitlines()
    assert "12 jobs in 4 groups" in lines
    table = [line.split() for line in lines if re.match(r"  \d ", line)]
    assert [row[:3] for row in table] == [[str(k), "3", "6"] for k in range(4)]
    assert {tuple(row[3:10]) for row in table} == {
        ("synthetic", "60", "x", "2", noise, "linear", optimizer)
        for noise in ("gaussian", "laplace")
        for optimizer in ("sgd", "lbfgs")
    }
    memory = [float(row[10]) for row in table]
    assert f"memory at the peak: about {max(memory):.2f} GiB; hydra.launcher.memory_gib=4" in dry.result.out


def test_the_plan_comes_before_the_training(command, tmp_path):
    left = sweep(command, tmp_path, *SMALL, "tracking=none", "seed=0,1,2", "data.num_examples=60,70")
    out = left.result.succeeded().out
    assert 0 <= out.index("6 jobs in 2 groups") < out.index("memory at the peak") < out.index("6 FINISHED")


def test_many_groups_are_cut(command, tmp_path):
    many = ["data.num_examples=range(50,65)", "hydra.launcher.dry_run=true"]
    out = sweep(command, tmp_path, *SMALL, *many).result.succeeded().out
    assert "15 jobs in 15 groups (15 of a single job)" in out
    assert "... and 5 more" in out
    assert len(re.findall(r"^  \d+ .* GiB$", out, re.MULTILINE)) == 10


def test_data_that_cannot_be_read_fail_alone(command, tmp_path):
    """What only the data reveal is a failed job, not a mistake in the configuration."""
    (tmp_path / "t.csv").write_text("y,a\n" + "".join(f"{k % 7},{k % 5}\n" for k in range(40)))
    both = [*MUTE, "data=table", "data.path=t.csv,none.csv", "data.target=y", "trainer.max_epochs=2"]
    left = sweep(command, tmp_path, *both)
    assert left.result.status == 1
    assert "unreadable" in left.result.out
    assert [row["status"] for row in left.table] == ["FINISHED", "FAILED"]
    assert "none.csv" in left.table[1]["failure"]
