"""Which jobs are trained side by side, and what memory they are thought to take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sweep_jobs import BASE, Bar, make_jobs, run_group
from sweep_runs import DOUBLE, SMALL, assert_same_runs, sweep

from command_line import environment
from noiseworks.sweep.groups import GIB, make_groups
from noiseworks.train.module import Minibatch

SHARED = [
    (["seed=1"], ["seed=2"]),
    (["data.seed=1"], ["data.seed=2"]),
    (["optimizer.lr=0.1"], ["optimizer.lr=0.2"]),
    (["optimizer=sgd", "optimizer.momentum=0"], ["optimizer=sgd", "optimizer.momentum=0.9"]),
    (["optimizer=sgd", "optimizer.weight_decay=0"], ["optimizer=sgd", "optimizer.weight_decay=0.1"]),
    (["optimizer=adam", "optimizer.weight_decay=0"], ["optimizer=adam", "optimizer.weight_decay=0.1"]),
    (["optimizer=lbfgs", "optimizer.max_iter=2"], ["optimizer=lbfgs", "optimizer.max_iter=20"]),
    (["data.noise.scale=1"], ["data.noise.scale=2"]),
    (["noise@data.noise=laplace"], ["noise@data.noise=student_t"]),
    (["noise.scale=1"], ["noise.scale=2"]),
    (["schedule=cosine"], ["schedule=inverse_sqrt"]),
    (["schedule.averaging=true"], ["schedule.averaging=false"]),
    (["model.init_scale=0"], ["model.init_scale=1"]),
    (["replicates=1"], ["replicates=3"]),
    (["data.true_intercept=0"], ["data.true_intercept=9"]),
    (["trainer.progress_bar=true"], ["trainer.progress_bar=false"]),
    (["optimizer=exact", "data.batch_size=8"], ["optimizer=exact", "data.batch_size=16"]),
    (["optimizer=exact", "trainer.max_epochs=8"], ["optimizer=exact", "trainer.max_epochs=16"]),
    (["optimizer=exact", "optimizer.ridge=0.1"], ["optimizer=exact", "optimizer.ridge=1"]),
]
SPLIT = [
    (["noise=gaussian"], ["noise=laplace"]),
    (["noise=student_t", "noise.df=3"], ["noise=student_t", "noise.df=4"]),
    (["noise=huber", "noise.delta=1"], ["noise=huber", "noise.delta=2"]),
    (["noise=poisson", "noise.link=log"], ["noise=poisson", "noise.link=softplus"]),
    (["noise.scale=null"], ["noise.scale=2"]),
    (["model=linear"], ["model=quadratic"]),
    (["model.intercept=true"], ["model.intercept=false"]),
    (["model=two_layer", "model.width=3"], ["model=two_layer", "model.width=4"]),
    (["optimizer=sgd"], ["optimizer=minibatch_sgd"]),
    (["optimizer=sgd"], ["optimizer=exact"]),
    (["optimizer=exact", "optimizer.ridge=0"], ["optimizer=exact", "optimizer.ridge=1"]),
    (["optimizer=sgd", "optimizer.nesterov=false"], ["optimizer=sgd", "optimizer.dampening=0.1"]),
    (["optimizer=adam", "optimizer.betas=[0.9,0.99]"], ["optimizer=adam", "optimizer.betas=[0.8,0.99]"]),
    (["optimizer=adam", "optimizer.eps=1e-8"], ["optimizer=adam", "optimizer.eps=1e-7"]),
    (["data.batch_size=16"], ["data.batch_size=17"]),
    (["data.order=shuffle"], ["data.order=replacement"]),
    (["data.num_examples=60"], ["data.num_examples=61"]),
    (["data.num_features=2"], ["data.num_features=3"]),
    (["data.val_fraction=0.2"], ["data.val_fraction=0.3"]),
    (["data.test_fraction=0.2"], ["data.test_fraction=0.3"]),
    (["data.standardize=true"], ["data.standardize=false"]),
    (["trainer.max_epochs=3"], ["trainer.max_epochs=4"]),
    (["trainer.precision=32-true"], ["trainer.precision=64-true"]),
    (["trainer.patience=null"], ["trainer.patience=1"]),
    (["tracking.curve_points=5"], ["tracking.curve_points=6"]),
    (["tracking.trajectory=true"], ["tracking.trajectory=false"]),
]


def name(pair) -> str:
    return " | ".join(" ".join(side) for side in pair)


@pytest.mark.parametrize("pair", SHARED, ids=name)
def test_these_share_a_group(pair):
    (group,) = make_groups(make_jobs(pair), GIB)
    assert len(group.jobs) == 2
    assert group.members == sum(of.job.replicates for of in group.jobs)
    assert all(ended.failure is None for ended in run_group(group, Bar()))


@pytest.mark.parametrize("pair", SPLIT, ids=name)
def test_these_do_not(pair):
    assert [len(group.jobs) for group in make_groups(make_jobs(pair), GIB)] == [1, 1]


def test_jobs_of_a_group_need_not_be_neighbours():
    jobs = make_jobs([[f"noise={noise}", f"seed={seed}"] for seed in (0, 1) for noise in ("gaussian", "laplace")])
    assert [[of.num for of in group.jobs] for group in make_groups(jobs, GIB)] == [[0, 2], [1, 3]]


def test_what_is_shared_is_counted_once():
    own, shared = make_jobs([["seed=1"], ["seed=2"]]), make_jobs([["seed=1"], ["seed=2", "data.seed=1"]])
    (of_own,), (of_shared,) = make_groups(own, GIB), make_groups(shared, GIB)
    alone = make_groups(own[:1], GIB)[0]
    fixed = make_groups(make_jobs([["data=table", "data.path=none.csv", "data.target=y"]], BASE[2:]), GIB)[0]
    assert fixed.shape is None
    assert fixed.bytes == 0
    problem = of_own.bytes - of_shared.bytes
    assert problem >= 60 * 8 * 6  # X, D and y in float64
    assert of_own.bytes - alone.bytes > problem


def test_memory_splits_a_group():
    jobs = make_jobs([[f"seed={seed}"] for seed in range(5)])
    one, two = (make_groups(jobs[:n], GIB)[0].bytes for n in (1, 2))
    groups = make_groups(jobs, 2 * two - one)  # three fit, a fourth does not
    assert [[of.num for of in group.jobs] for group in groups] == [[0, 1, 2], [3, 4]]
    assert [group.members for group in groups] == [3, 2]
    assert groups[0].bytes == 2 * two - one
    assert groups[1].bytes == two


def test_a_job_that_is_too_large_stays_alone():
    assert [len(group.jobs) for group in make_groups(make_jobs([["seed=1"], ["replicates=50"], ["seed=2"]]), 1)] == [
        1
    ] * 3


@pytest.mark.soak
def test_groups_split_by_memory_end_the_same(command, tmp_path):
    seeds = [*SMALL, DOUBLE, "seed=range(0,5)", "trainer.patience=1"]
    jobs = make_jobs([[f"seed={seed}", DOUBLE, "trainer.patience=1"] for seed in range(5)])
    one, two = (make_groups(jobs[:n], GIB)[0].bytes for n in (1, 2))
    whole = sweep(command, tmp_path, *seeds, name="whole")
    limits = {"[3, 2]": (2 * two - one) / GIB, "[1, 1, 1, 1, 1]": 0.001}
    assert "5 jobs in 1 group\n" in whole.result.out
    for sizes, limit in limits.items():
        parts = sweep(command, tmp_path, *seeds, f"hydra.launcher.memory_gib={limit!r}", name=f"limit{limit:.3f}")
        parts.result.succeeded()
        assert f"5 jobs in {len(json.loads(sizes))} groups" in parts.result.out
        assert ("more than is allowed" in parts.result.out) == (limit == 0.001)
        assert_same_runs(whole, parts, 1e-9)


@pytest.mark.soak
@pytest.mark.parametrize("rows", ["own", "shared"])
def test_the_estimate_of_memory(rows):
    """Within a factor of three of what 300 jobs of 5,000 x 10 take, in a process that has imported everything."""
    script = Path(__file__).with_name("sweep_memory.py")
    done = subprocess.run([sys.executable, str(script), rows], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    estimated, measured = json.loads(done.stdout)
    assert 0.3 < estimated / measured < 3, f"{estimated / GIB:.2f} GiB estimated, {measured / GIB:.2f} measured"


@pytest.fixture
def work(monkeypatch) -> list[int]:
    """How many members each gradient was taken for."""
    sizes: list[int] = []
    gradient = Minibatch.gradient

    def counted(self, theta):
        sizes.append(len(theta))
        return gradient(self, theta)

    monkeypatch.setattr(Minibatch, "gradient", counted)
    return sizes


def test_members_that_diverge_cost_nothing_afterwards(work):
    """3 minibatches an epoch; two of six are gone after the first of five."""
    rates = [0.1, 1e300, 0.01, 0.02, 1e300, 0.05]
    jobs = make_jobs([[f"optimizer.lr={lr}", "trainer.max_epochs=5", DOUBLE] for lr in rates])
    (group,) = make_groups(jobs, GIB)
    bar = Bar()
    ended = list(run_group(group, bar))
    assert work == [6] * 3 + [4] * 12
    assert [e.failure is None for e in ended] == [True, False, True, True, False, True]
    assert sum(bar.told) == pytest.approx(6)
    assert bar.told[0] == pytest.approx(6 / 5 + 2 * 4 / 5)


def test_members_out_of_patience_cost_nothing_afterwards(work):
    jobs = make_jobs([[f"seed={seed}", "trainer.patience=1", "trainer.max_epochs=12", "optimizer.lr=0.9",
                       "schedule=constant"] for seed in range(8)])  # fmt: skip
    (group,) = make_groups(jobs, GIB)
    bar = Bar()
    epochs = [e.metrics["trainer/epochs"] for e in run_group(group, bar)]
    assert min(epochs) < max(epochs)
    assert sum(work) == 3 * sum(epochs)
    assert sum(bar.told) == pytest.approx(8)


def test_the_bar_counts_jobs_that_their_data_stop():
    jobs = make_jobs([["data.val_fraction=0.999", "replicates=2"], ["data.val_fraction=0.999", "seed=1"]])
    (group,) = make_groups(jobs, GIB)
    bar = Bar()
    ended = list(run_group(group, bar))
    assert ["No training rows are left" in e.failure for e in ended] == [True, True]
    assert sum(bar.told) == 3


def test_an_error_of_the_program_stops_only_its_group(monkeypatch):
    def broken(*given, **named):
        raise RuntimeError("no more")

    (group,) = make_groups(make_jobs([["seed=1"], ["seed=2"]]), GIB)
    monkeypatch.setattr("noiseworks.runs.execution.train", broken)
    assert [(e.status, e.failure) for e in run_group(group, Bar())] == [("FAILED", "RuntimeError: no more")] * 2


def test_replicates_have_rows_of_their_own():
    """In a sweep, too; with the rows of the first all would have its exact answer."""
    (group,) = make_groups(make_jobs([["optimizer=exact", "replicates=3", f"seed={seed}"] for seed in (0, 1)]), GIB)
    answers = {tuple(row) for ended in run_group(group, Bar()) for row in ended.outcome.coefficients.tolist()}
    assert len(answers) == 6
