"""Jobs that fail in a sweep: the others go on, and end as without them."""

from __future__ import annotations

import pytest
from sweep_runs import DOUBLE, SMALL, Left, artifacts, assert_same_contents, read_any, sweep

from command_line import QUIET

DIVERGE, NO_ROWS = {3, 11, 12, 30, 49}, {0, 20, 41}
RATES = [1e200 if k in DIVERGE else round(0.01 + 0.01 * k, 2) for k in range(50)]
FRACTIONS = [0.999 if k in NO_ROWS else 0.2 for k in range(50)]
GOOD = [k for k in range(50) if k not in DIVERGE | NO_ROWS]
SETTINGS = [
    QUIET, DOUBLE, "data=synthetic", "data.num_examples=60", "trainer.max_epochs=3", "schedule=constant",
    f"+rates={RATES}", "optimizer.lr='${oc.select:rates.${seed}}'",
    f"+fractions={FRACTIONS}", "data.val_fraction='${oc.select:fractions.${seed}}'",
]  # fmt: skip


@pytest.fixture(scope="module")
def fifty(command, tmp_path_factory) -> Left:
    return sweep(command, tmp_path_factory.mktemp("fifty"), *SETTINGS, "seed=range(0,50)", name="fifty")


@pytest.fixture(scope="module")
def without(command, fifty) -> Left:
    """The same jobs without those that fail."""
    return sweep(command, fifty.folder, *SETTINGS, f"seed={','.join(map(str, GOOD))}", name="without")


def test_exit_status_and_statuses(fifty):
    assert fifty.result.status == 1
    assert "Traceback" not in fifty.result.err
    assert "42 FINISHED, 8 FAILED" in fifty.result.out
    statuses = {job: run.info.status for job, run in fifty.children.items()}
    assert {job for job, status in statuses.items() if status == "FAILED"} == DIVERGE | NO_ROWS
    assert {job for job, status in statuses.items() if status == "FINISHED"} == set(GOOD)
    assert fifty.parent.info.status == "FINISHED"
    assert fifty.parent.data.metrics["sweep/jobs"] == 50
    assert fifty.parent.data.metrics["sweep/failed"] == 8
    assert fifty.parent.data.metrics["sweep/finished"] == 42


def test_each_says_why(fifty):
    for job, run in fifty.children.items():
        reason = run.data.tags.get("failure")
        assert fifty.table[job]["failure"] == reason
        assert fifty.journal[job]["failure"] == reason
        if job in DIVERGE:
            assert reason.startswith(("train/loss stopped being finite at step ", "the parameters stopped being"))
            assert "optimizer.lr" in reason
        elif job in NO_ROWS:
            assert reason.startswith("No training rows are left of 60: data.val_fraction=0.999 takes 60")
        else:
            assert reason is None


def test_the_printed_reasons(fifty):
    lines = [line for line in fifty.result.out.splitlines() if line.startswith("job ")]
    assert [line.split(":")[0] for line in lines] == [f"job {k} failed" for k in sorted(DIVERGE | NO_ROWS)[:5]]
    assert "... and 3 more" in fifty.result.out


def test_what_failed_keeps_no_coefficients(fifty):
    for job, run in fifty.children.items():
        names = {name for name in artifacts(run) if not name.startswith("figures/")}
        if job in NO_ROWS:
            assert names == {"config.yaml"}
            assert run.data.metrics == {}
        elif job in DIVERGE:
            assert names == {"config.yaml", "metrics.json"}
            assert "val/nll" not in read_any(artifacts(run)["metrics.json"])
        else:
            assert names == {"config.yaml", "metrics.json", "coefficients.json"}


@pytest.mark.soak
def test_the_others_end_as_without_them(fifty, without):
    without.result.succeeded()
    assert len(without.children) == 42
    for job, run in without.children.items():
        assert_same_contents(fifty.children[GOOD[job]], run, fifty.folder, 1e-9)


def test_a_sweep_in_which_all_fail(command, tmp_path):
    left = sweep(command, tmp_path, *SETTINGS, "seed=3,20")
    assert left.result.status == 1
    assert "Traceback" not in left.result.err
    assert left.parent.info.status == "FAILED"
    assert {run.info.status for run in left.children.values()} == {"FAILED"}
    assert [row["status"] for row in left.table] == ["FAILED", "FAILED"]
    assert not (left.path / "best").exists()


@pytest.mark.parametrize("bad", ["noise.scale=1,1e-46", "data.signal=1,1e300"])
def test_a_job_that_a_group_cannot_begin_with_fails_by_itself(command, tmp_path, bad):
    """Its group is fitted again by halves; the reason is its own, without a tensor in it."""
    left = sweep(command, tmp_path, *SMALL, "tracking=none", bad, "seed=0,1")
    assert left.result.status == 1
    assert [row["status"] for row in left.table] == ["FINISHED", "FINISHED", "FAILED", "FAILED"]
    assert "2 of 4 jobs failed; job 2: noise.scale=" in left.result.err
    assert "(in the units and the precision of the fit) is no scale" in left.result.err
    assert "tensor" not in left.result.err
    assert ".." not in left.result.err
