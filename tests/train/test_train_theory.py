"""Training against statistics: the exact answers, and the noise floor of stochastic gradients."""

from functools import partial

import pytest
import torch
from train_helpers import CONF, LBFGS, NOISES, member, problem, settings

from fast_configs import configuration
from noiseworks.config.job import make_job
from noiseworks.data.synthetic import Synthetic
from noiseworks.fit import train
from noiseworks.model import Linear
from noiseworks.noise import Gaussian
from noiseworks.problem import make_problem
from soaked import all_but, every

TRUTH = {
    "poisson": ["data.true_intercept=4.6"],
    "negative_binomial": ["data.true_intercept=4.6", "data.noise.dispersion=0.01"],
}


@pytest.mark.parametrize("name", all_but(sorted(path.stem for path in CONF.glob("noise/*.yaml")), "interval_lognormal"))
def test_default_settings_reach_the_exact_weights(name):
    """10,000 x 5, noise a tenth of the signal: within 1 % of the exact weights with every default of conf/
    but 20 epochs, not 50, to save time."""
    truth = TRUTH.get(name, ["data.noise.scale=0.1"])
    quick = ["trainer.max_epochs=20", "trainer.progress_bar=false"]
    size = ["data.num_examples=10000", "data.num_features=5"]
    job = make_job(*configuration(["data=synthetic", f"noise={name}", *size, *truth, *quick]))
    members = job.members()
    outcome = train(members, job.trainer)
    trained, exact = outcome.coefficients[0, :5], outcome.exact[0, :5]
    assert ((trained - exact).norm() / exact.norm()).item() < 0.01
    w_true = members[0].problem.data.w_true
    assert ((exact - w_true).norm() / w_true.norm()).item() < 0.02  # 0.1 sqrt(5 / 8000) = 0.0025, times a few


@pytest.mark.parametrize("name", every(2, NOISES))
def test_lbfgs_reaches_the_exact_answer(name):
    """All rows, double precision. The absolute loss has kinks, at which its line search gives up early."""
    of = problem(NOISES[name], num_examples=100)
    outcome = train([member(of, LBFGS, 1.0)], settings(max_epochs=60))
    kinked = NOISES[name].quantile_level is not None
    assert outcome.metrics["param/relative_error"].item() < (0.02 if kinked else 1e-6)


def steady_state(order, lr, d, batch_size, K):
    """Member means of |w - w_true|^2 over the second half of 400 steps, after 400 to forget the start."""
    data = Synthetic(
        seed=1,
        batch_size=batch_size,
        order=order,
        val_fraction=0.0,
        test_fraction=0.0,
        standardize=False,
        allow_fractions=False,
        num_examples=20 * batch_size,
        num_features=d,
        correlation=0.0,
        rank=None,
        true_weights=None,
        true_intercept=0.0,
        signal=1.0,
        noise=Gaussian(scale=1.0),
    )
    of = make_problem(data, Gaussian(), Linear(intercept=False, init_scale=0.0), 0.0, 0)
    outcome = train([member(of, lr=lr, seed=s) for s in range(K)], settings(max_epochs=20), keep_path=True)
    assert len(outcome.path) == 400
    return (outcome.path[200:] - data.w_true).square().sum(2).mean(0)  # (K,)


@pytest.mark.parametrize(("lr", "d", "batch_size"), every(3, [(0.1, 4, 2), (0.3, 2, 1), (0.5, 6, 8)]))
def test_noise_floor_of_stochastic_gradients(lr, d, batch_size):
    """e' = (I - lr S) e + lr g, S = X'X / B, g = X'eps / B with fresh X ~ N(0, I), eps ~ N(0, 1): E S = I,
    E S^2 = (1 + (d + 1) / B) I, E |g|^2 = d / B, so E |e|^2 = lr d / (B (2 - lr (1 + (d + 1) / B))) once the start is
    forgotten: (1 - 2 lr + lr^2 (1 + (d + 1) / B))^200 < 1e-10 here. The 400 members are independent; the mean over
    them is within 4.5 of its standard errors, measured between members (chance of a false alarm 7e-6)."""
    mean_squares = steady_state("stream", lr, d, batch_size, K=400)
    expected = lr * d / (batch_size * (2 - lr * (1 + (d + 1) / batch_size)))
    error = (mean_squares.std() / 400**0.5).item()
    assert error < 0.04 * expected  # else the test could not tell a wrong formula
    assert abs(mean_squares.mean().item() - expected) < 4.5 * error


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["gaussian", "poisson", "student_t"])
def test_the_gpu_gives_what_the_cpu_gives(name):
    """Orders differ between devices, since generators live on them, so all rows are a minibatch: K = 4."""
    problems = [problem(NOISES[name], Linear(intercept=True, init_scale=0.5), batch_size=40, seed=s) for s in (0, 1)]
    for make, lr in ((torch.optim.Adam, 0.05), (partial(LBFGS, max_iter=5), 1.0)):
        members = [member(problems[k % 2], make, lr, k) for k in range(4)]
        cpu, gpu = (train(members, settings(accelerator=where, max_epochs=20)) for where in ("cpu", "gpu"))
        torch.testing.assert_close(gpu.coefficients, cpu.coefficients, rtol=1e-6, atol=1e-8)
        assert gpu.metrics.keys() == cpu.metrics.keys()
        for metric, values in cpu.metrics.items():
            torch.testing.assert_close(gpu.metrics[metric], values, rtol=1e-5, atol=1e-7)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("order", ["shuffle", "replacement", "stream"])
def test_minibatches_on_the_gpu_come_near_the_exact_answer(order):
    of = problem(Gaussian(), num_examples=500, batch_size=16, order=order)
    members = [member(of, lr=0.05, seed=s) for s in range(4)]
    errors = [train(members, settings(accelerator=a, max_epochs=20)).metrics["param/error"] for a in ("cpu", "gpu")]
    assert errors[1].mean().item() < 2 * errors[0].mean().item() + 0.01
