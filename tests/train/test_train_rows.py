"""Which rows train, how they are scaled, and in which order they come."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from train_helpers import LINEAR, NOISES, problem, settings, synthetic, table

from noiseworks.data.base import split_rows
from noiseworks.data.minibatches import MinibatchBlocks, TrainingRows
from noiseworks.data.scaling import fit_scaling
from noiseworks.errors import UserError
from noiseworks.model import Linear
from noiseworks.noise import Gaussian, LogNormal, Poisson
from noiseworks.problem import make_problem
from noiseworks.streams import generator

NO_INTERCEPT = Linear(intercept=False, init_scale=0.0)


def given(weights=True, offset=True, constant=False, **changes):
    g = np.random.default_rng(3)
    X = torch.from_numpy(g.normal(5.0, 3.0, (60, 3)))
    if constant:
        X[:, 1] = 0.1
    y = torch.from_numpy(g.gamma(4.0, 2.0, 60).round() + 1)
    w = torch.from_numpy(g.uniform(0.2, 3.0, 60)) if weights else None
    o = torch.from_numpy(g.normal(0.5, 0.2, 60)) if offset else None
    return table(X, y, offset=o, weights=w, **changes)


def moments(values, weights):
    center = np.average(values, axis=0, weights=weights)
    return center, np.sqrt(np.average((values - center) ** 2, axis=0, weights=weights))


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("name", NOISES)
def test_centers_and_spreads_by_numpy(name, weights):
    """Of the training rows only, weighted; the target's (of log y for LogNormal) less the offset."""
    noise, data = NOISES[name], given(weights)
    of = make_problem(data, noise, LINEAR, 0.25, 0)
    train, scaling = of.parts["train"], of.scaling
    assert len(train) == 45
    w = None if train.weights is None else train.weights.numpy()
    center, spread = moments(train.X.numpy(), w)
    np.testing.assert_allclose(scaling.x_center.numpy(), center, rtol=1e-12)
    np.testing.assert_allclose(scaling.x_spread.numpy(), spread, rtol=1e-12)
    assert not np.allclose(center, moments(data.given.X.numpy(), None)[0], rtol=1e-3)
    y, offset = train.y.numpy(), train.offset.numpy()
    if noise.location_scale:
        center, spread = moments((np.log(y) if name == "lognormal" else y) - offset, w)
    else:
        mean = np.average(y, weights=w)
        link = {"poisson identity": mean, "poisson softplus": np.log(np.expm1(mean))}.get(name, np.log(mean))
        if name == "interval_lognormal":  # its tests compare it with sums
            link = noise.inverse_mean(torch.tensor([mean])).item()
        center, spread = link - np.average(offset, weights=w), 1.0
    assert scaling.y_center.item() == pytest.approx(center, rel=1e-12)
    assert scaling.y_spread.item() == pytest.approx(spread, rel=1e-12)


@pytest.mark.parametrize("name", ["gaussian", "poisson", "lognormal"])
def test_without_intercept_nothing_is_centred(name):
    of = make_problem(given(), NOISES[name], NO_INTERCEPT, 0.25, 0)
    train = of.parts["train"]
    assert torch.equal(of.scaling.x_center, torch.zeros(3, dtype=torch.float64))
    assert of.scaling.y_center.item() == 0
    w, X = train.weights.numpy(), train.X.numpy()
    rms = np.sqrt(np.average(X**2, axis=0, weights=w))
    np.testing.assert_allclose(of.scaling.x_spread.numpy(), rms, rtol=1e-12)
    np.testing.assert_allclose(train.D.numpy(), X / rms, rtol=1e-12)
    if name != "poisson":
        target = train.y.numpy() if name == "gaussian" else np.log(train.y.numpy())
        expected = np.sqrt(np.average((target - train.offset.numpy()) ** 2, weights=w))
        assert of.scaling.y_spread.item() == pytest.approx(expected, rel=1e-12)


def test_standardized_training_rows():
    """Mean 0, variance 1 of the design; validation rows are scaled by the training rows' numbers."""
    of = make_problem(given(weights=False, offset=False), Gaussian(), LINEAR, 0.25, 0)
    D = of.parts["train"].D
    torch.testing.assert_close(D[:, :3].mean(0), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(D[:, :3].square().mean(0), torch.ones(3, dtype=torch.float64))
    assert torch.equal(D[:, 3], torch.ones(45, dtype=torch.float64))
    val = of.parts["val"]
    expected = (val.X - of.parts["train"].X.mean(0)) / of.parts["train"].X.std(0, correction=0)
    torch.testing.assert_close(val.D[:, :3], expected)
    y = of.in_fit_units(of.parts["train"])[0]
    torch.testing.assert_close(y.std(correction=0).item(), 1.0)


def test_a_constant_column_has_spread_one():
    """0.1 is no number of the machine, so its mean is not quite itself; the spread is 1 all the same."""
    of = make_problem(given(weights=False, constant=True), Gaussian(), LINEAR, 0.25, 0)
    assert of.scaling.x_spread[1].item() == 1
    assert of.parts["train"].D[:, 1].abs().max() < 1e-12
    assert torch.isfinite(of.parts["val"].D).all()


def test_a_constant_target_has_spread_one():
    examples = replace(given(weights=False, offset=False).given, y=torch.full((60,), 0.3, dtype=torch.float64))
    scaling = fit_scaling(examples, Gaussian(), True)
    assert scaling.y_center.item() == pytest.approx(0.3)
    assert scaling.y_spread.item() == 1
    assert fit_scaling(examples, LogNormal(), True).y_center.item() == pytest.approx(np.log(0.3))


def test_counts_that_are_all_zero():
    """Half an event in all, so that the log of the mean is a number."""
    examples = replace(given(weights=False, offset=False).given, y=torch.zeros(60, dtype=torch.float64))
    assert fit_scaling(examples, Poisson(), True).y_center.item() == pytest.approx(np.log(0.5 / 60))


def test_standardize_false_leaves_everything():
    of = make_problem(given(standardize=False), Gaussian(), LINEAR, 0.25, 0)
    train = of.parts["train"]
    assert torch.equal(train.D[:, :3], train.X)
    y, offset = of.in_fit_units(train)
    assert torch.equal(y, train.y)
    assert torch.equal(offset, train.offset)


# Splits


def rows(data, n=100, val_fraction=0.2, replicate=0):
    return {k: v.tolist() for k, v in split_rows(data, n, val_fraction, replicate).items()}


def test_splits_cover_all_rows_once():
    split = rows(synthetic(Gaussian(), test_fraction=0.15))
    assert {k: len(v) for k, v in split.items()} == {"train": 65, "val": 20, "test": 15}
    assert sorted(split["train"] + split["val"] + split["test"]) == list(range(100))


@pytest.mark.parametrize(("val", "test"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.3)])
def test_fractions_of_zero(val, test):
    split = rows(synthetic(Gaussian(), test_fraction=test), val_fraction=val)
    assert (len(split["val"]), len(split["test"])) == (round(100 * val), round(100 * test))
    if val == test == 0:
        assert split["train"] == list(range(100))  # in the order of the file


def test_splits_follow_the_data_seed_and_the_replicate():
    data = synthetic(Gaussian(), seed=3)
    assert rows(data) == rows(synthetic(Gaussian(), seed=3, batch_size=2, order="replacement"))
    splits = [rows(data), rows(data, replicate=1), rows(synthetic(Gaussian(), seed=4))]
    assert len({tuple(sorted(s["val"])) for s in splits}) == 3


def test_splits_choose_rows_evenly():
    """Each of 20 rows validates with probability 1/5: in 2,000 replicates 400 +- 5 sqrt(2000 * 0.16) = 89."""
    data = synthetic(Gaussian())
    counts = Counter(row for r in range(2000) for row in rows(data, 20, 0.2, r)["val"])
    assert len(counts) == 20
    assert max(abs(count - 400) for count in counts.values()) < 89


def test_no_rows_left():
    with pytest.raises(UserError, match=r"No training rows are left of 2: .*val_fraction=0\.5 takes 1.*takes 1"):
        problem(Gaussian(), val_fraction=0.5, num_examples=2, test_fraction=0.5)


# Blocks


def blocks_of(n, seeds, batch_size, order="shuffle", which=None, weights=None, problems=1):
    """Rows that carry their own number, 100 m + i, as target."""
    y = torch.arange(n).repeat(problems, 1).double() + 100 * torch.arange(problems).unsqueeze(1)
    made = TrainingRows(y.unsqueeze(2).clone(), y, None, weights)
    which = torch.zeros(len(seeds), dtype=torch.long) if which is None else torch.tensor(which)
    blocks = MinibatchBlocks(made, which, seeds, batch_size, order)
    blocks.trainer = settings().lightning([])
    blocks.setup("fit")
    return blocks


def flat(lists):
    return [row for rows in lists for row in rows]


def epoch(blocks):
    """For each member its minibatches, as lists of row numbers."""
    members = [[] for _ in blocks.seeds]
    for block in blocks.train_dataloader():
        assert torch.equal(block.D[..., 0], block.y)
        for k, minibatches in enumerate(block.y.tolist()):
            members[k] += [[int(row) for row in minibatch] for minibatch in minibatches]
    return members


@pytest.mark.parametrize(("n", "batch_size"), [(10, 3), (12, 3), (7, 7), (5, 1), (300, 1), (601, 2)])
def test_every_row_once_an_epoch(n, batch_size):
    blocks = blocks_of(n, [(0, 0), (1, 0)], batch_size)
    for _ in range(2):
        for minibatches in epoch(blocks):
            assert len(minibatches) == blocks.steps_per_epoch == -(-n // batch_size)
            assert [len(m) for m in minibatches[:-1]] == [batch_size] * (len(minibatches) - 1)
            assert sorted(flat(minibatches)) == list(range(n))
    assert len(blocks.train_dataloader()) == len(list(blocks.train_dataloader()))


def test_orders_differ_between_epochs_members_and_replicates():
    blocks = blocks_of(50, [(0, 0), (1, 0), (0, 1), (0, 0)], 7)
    first, second = epoch(blocks), epoch(blocks)
    assert first[0] == first[3]  # the same seed and replicate
    assert len({str(m) for m in first[:3] + second[:3]}) == 6


def test_orders_are_the_documented_stream():
    blocks = blocks_of(20, [(5, 2)], 6)
    g = generator(5, "order", 2)
    for _ in range(2):
        assert flat(epoch(blocks)[0]) == torch.randperm(20, generator=g).tolist()


def test_members_go_through_their_own_rows():
    blocks = blocks_of(10, [(0, 0), (1, 0), (2, 0)], 4, which=[1, 0, 1], problems=2)
    members = epoch(blocks)
    assert [sorted(flat(m)) for m in members] == [[*range(100, 110)], [*range(10)], [*range(100, 110)]]


def test_those_kept_go_on_in_their_order():
    whole, cut = (blocks_of(10, [(s, 0) for s in range(3)], 4, which=[1, 0, 1], problems=2) for _ in range(2))
    epoch(whole), epoch(cut)
    cut.keep(torch.tensor([0, 2]))
    cut.seeds = cut.seeds[:2]  # only the length matters, to `epoch` above
    expected = epoch(whole)
    assert epoch(cut) == [expected[0], expected[2]]


def test_replacement_draws_all_rows_alike():
    """Counts are Poisson-like of mean 400 over 400 epochs: within 5 standard errors of 20; one epoch lacks 1/e of the
    rows, for 50 rows 18.4 +- 2.2, averaged over 400 epochs +- 0.11."""
    blocks = blocks_of(50, [(3, 0)], 8, order="replacement")
    epochs = [flat(epoch(blocks)[0]) for _ in range(400)]
    assert all(len(rows) == 50 for rows in epochs)
    counts = Counter(flat(epochs))
    assert set(counts) == set(range(50))
    assert max(abs(count - 400) for count in counts.values()) < 100
    lacking = np.mean([50 - len(set(rows)) for rows in epochs])
    assert lacking == pytest.approx(50 * (1 - 1 / 50) ** 50, abs=0.55)


def test_weights_travel_with_their_rows():
    weights = torch.arange(10).double().unsqueeze(0) / 10
    for block in blocks_of(10, [(0, 0)], 3, weights=weights).train_dataloader():
        assert torch.equal(block.weights, block.y / 10)


def test_a_block_holds_many_minibatches():
    """At most 256, and less where they would take more than 16 MiB; the short one is a block of its own."""
    blocks = blocks_of(1000, [(0, 0)], 3)
    assert blocks.block_sizes() == [(256, 3), (77, 3), (1, 1)]
    wide = MinibatchBlocks(
        TrainingRows(torch.zeros(1, 100, 2**14), torch.zeros(1, 100), None, None), torch.zeros(4), [], 8, "shuffle"
    )
    sizes = wide.block_sizes()  # 4 members * 8 rows * 65,540 bytes = 2 MiB a step
    assert sizes == [(7, 8), (5, 8), (1, 4)]
