"""Random streams and seeds, also through the configuration."""

import itertools

import numpy as np
import pytest
import torch
from train_helpers import member, problem, settings, synthetic

from fast_configs import configuration
from noiseworks.config.job import make_job
from noiseworks.errors import UserError
from noiseworks.fit import train
from noiseworks.model import Linear
from noiseworks.noise import Gaussian, Laplace
from noiseworks.streams import STREAMS, generator

RANDOM = Linear(intercept=True, init_scale=0.5)
FAST = ("data=synthetic", "data.num_examples=50", "trainer.max_epochs=2", "trainer.progress_bar=false")


def job(*overrides):
    return make_job(*configuration([*FAST, *overrides]))


def fit(*overrides):
    made = job(*overrides)
    members = made.members()
    return members, train(members, made.trainer)


def draws(seed, stream, replicate=0, n=2000):
    return torch.randn(n, generator=generator(seed, stream, replicate), dtype=torch.float64).numpy()


def test_streams_are_unlike_each_other():
    """63 streams of 2,000 normal draws: no correlation beyond 5 standard errors, 5 / sqrt(2000) = 0.112; 1953 pairs,
    so the chance of a false alarm is 1953 * 6e-7."""
    all_draws = np.stack([draws(s, name, r) for s in (0, 1, 2) for name in STREAMS for r in (0, 1, 2)])
    correlation = np.corrcoef(all_draws) - np.eye(len(all_draws))
    assert len(all_draws) == 63
    assert np.abs(correlation).max() < 0.112


def test_streams_are_repeatable_and_those_of_numpy():
    assert np.array_equal(draws(7, "split", 3), draws(7, "split", 3))
    word = np.random.SeedSequence(7, spawn_key=(STREAMS.index("split"), 3)).generate_state(1, np.uint64)[0]
    expected = torch.Generator().manual_seed(int(word))
    assert generator(7, "split", 3).initial_seed() == expected.initial_seed()


def test_the_numbers_of_streams_stay():
    """Results recorded last year can be had again only if nobody reorders them."""
    assert STREAMS == ("data", "noise", "split", "init", "order", "bootstrap", "input")


def test_an_unknown_stream_is_an_error():
    with pytest.raises(ValueError, match="not in tuple"):
        generator(0, "dropout")


def test_another_noise_leaves_the_features():
    gaussian, laplace = (synthetic(noise, seed=5).examples(2) for noise in (Gaussian(), Laplace()))
    assert torch.equal(gaussian.X, laplace.X)
    assert not torch.equal(gaussian.y, laplace.y)
    assert gaussian.digest != laplace.digest


def test_seed_zero_is_a_seed():
    (_, zero), (_, again), (_, one) = (fit(f"seed={s}", "model.init_scale=1") for s in (0, 0, 1))
    assert torch.equal(zero.theta, again.theta)
    assert zero.curves.keys() == again.curves.keys()
    for name, points in zero.curves.items():
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(points, again.curves[name]))
    assert not torch.equal(zero.theta, one.theta)


def test_the_data_follow_the_seed_until_they_have_their_own():
    digests = [fit(*o)[0][0].problem.examples.digest for o in (["seed=1"], ["seed=2"], ["seed=2", "data.seed=1"])]
    assert digests[0] == digests[2] != digests[1]


def test_data_held_still_while_the_seed_varies():
    (a, ours), (b, theirs) = (fit(f"seed={s}", "data.seed=0") for s in (3, 4))
    for name in ("train", "val"):
        assert torch.equal(a[0].problem.parts[name].X, b[0].problem.parts[name].X)
        assert torch.equal(a[0].problem.parts[name].y, b[0].problem.parts[name].y)
    assert torch.equal(ours.exact, theirs.exact)
    assert not torch.equal(ours.theta, theirs.theta)  # the order of minibatches


def test_replicates_have_their_own_data_order_and_initial_values():
    members, outcome = fit("replicates=3", "model.init_scale=1")
    assert len({m.problem.examples.digest for m in members}) == 3
    for a, b in itertools.combinations(range(3), 2):
        assert not torch.equal(outcome.theta[a], outcome.theta[b])
    first = fit("replicates=1", "model.init_scale=1")[1]
    torch.testing.assert_close(outcome.theta[:1], first.theta, rtol=1e-5, atol=1e-6)


def test_replicates_of_a_file_share_it_where_nothing_is_split():
    overrides = ["data=houses", "replicates=3"]
    shared = make_job(*configuration([*overrides, "data.val_fraction=0"])).members()
    split = make_job(*configuration(overrides)).members()
    assert len({id(m.problem) for m in shared}) == 1
    assert len({id(m.problem) for m in split}) == 3


def test_the_order_has_a_stream_of_its_own():
    """With the same initial values (zeros) and data, members of other seeds differ only by their order."""
    of = problem(Gaussian(), batch_size=40)  # all rows: then the order does not matter
    outcome = train([member(of, seed=s) for s in (0, 1)], settings())
    torch.testing.assert_close(outcome.theta[0], outcome.theta[1], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=-1", r"data\.seed=-1|seed=-1"),
        ("seed=1.5", r"seed=1\.5"),
        ("replicates=0", r"replicates=0"),
        ("data.batch_size=0", r"data\.batch_size=0"),
        ("data.order=random", r"data\.order=random"),
        ("data.val_fraction=1", r"data\.val_fraction=1"),
    ],
)
def test_impossible_values_are_refused_by_name(override, message):
    with pytest.raises(UserError, match=message):
        job(override)


def test_a_stream_needs_synthetic_data():
    made = make_job(*configuration(["data=houses", "data.order=stream"]))
    with pytest.raises(UserError, match=r"data\.order=stream .*data=synthetic"):
        train(made.members(), made.trainer)
