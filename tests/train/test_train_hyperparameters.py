"""Members that differ in weight decay and momentum too, against torch's own optimizers one by one."""

from functools import partial

import pytest
import torch
from omegaconf import OmegaConf
from torch.nn import Parameter

from noiseworks.train.optimizers import LINEAR_IN_LR, MinibatchSGD, make_stepper, shared_settings
from noiseworks.train.steppers import OneByOne

SGD, Adam, LBFGS = torch.optim.SGD, torch.optim.Adam, torch.optim.LBFGS
STEPS, HALF, STAY = 40, 20, [0, 2, 3]  # of K = 5 members two leave half way: one in the middle, the last one
RATES = {SGD: 0.05, torch.optim.Adadelta: 0.9, torch.optim.Adagrad: 0.3}
DECAYS, MOMENTA = (0.3, 0.1, 0.0, 0.5, 0.01), (0.9, 0.0, 0.0, 0.6, 0.3)


class Squares:
    """sum_i (D_i theta - y_i)^2 / (2 B) for K members: D (K, B, P), y (K, B). `sign` -1 is there to be maximized."""

    def __init__(self, D, y, sign):
        self.D, self.y, self.sign = D, y, sign

    def predict(self, theta):
        return torch.einsum("kbp,kp->kb", self.D, theta)

    def loss(self, theta):
        return self.sign * (self.predict(theta) - self.y).square().mean(1) / 2

    def gradient(self, theta):
        residual = self.predict(theta) - self.y
        return self.sign * torch.einsum("kbp,kb->kp", self.D, residual) / self.y.shape[1]

    def alone(self, k):
        return Squares(self.D[k : k + 1], self.y[k : k + 1], self.sign)


def minibatches(K, sign=1, dtype=torch.float64):
    g = torch.Generator().manual_seed(3)
    for _ in range(STEPS):
        D, noise = (torch.randn(K, 6, *shape, generator=g, dtype=dtype) for shape in ((3,), ()))
        yield Squares(D, D.sum(2) + 2 + 0.3 * noise, sign)


def starts(K, dtype=torch.float64):
    return torch.randn(K, 3, generator=torch.Generator().manual_seed(4), dtype=dtype)


def rate(make, step):
    """The learning rate changes with every step, as a schedule's does."""
    return make([Parameter(torch.zeros(1))]).param_groups[0]["lr"] / (1 + step / STEPS)


def together(makes, objectives, dtype=torch.float64):
    """theta (K, P) at the end, for those that leave at the moment they left."""
    theta = Parameter(starts(len(makes), dtype))
    stepper, now = make_stepper(makes, theta), theta.detach()
    left = list(range(len(makes)))
    end = torch.empty_like(now)
    for step, objective in enumerate(objectives):
        if step == HALF:
            end[:], left, now = now, STAY, now[STAY]
            stepper.keep(torch.tensor(STAY), Parameter(now.clone()))
        objective = Squares(objective.D[left], objective.y[left], objective.sign)
        rates = torch.tensor([[rate(makes[k], step)] for k in left], dtype=dtype)
        now = stepper.step(now, objective, rates)
    end[left] = now
    return end


def alone(make, k, start, objectives):
    """The plain loop of one member."""
    theta = Parameter(start.clone())
    optimizer = make([theta])
    for step, objective in enumerate(objectives):
        if step == HALF and k not in STAY:
            break
        optimizer.param_groups[0]["lr"] = rate(make, step)
        mine = objective.alone(k)

        def closure(mine=mine):
            theta.grad = mine.gradient(theta.detach()[None])[0]
            return mine.loss(theta.detach()[None])[0]

        optimizer.step(closure)
    return theta.detach()


def assert_each_as_if_alone(makes, tolerance=1e-12, dtype=torch.float64, sign=1):
    objectives = list(minibatches(len(makes), sign, dtype))
    ours = together(makes, objectives, dtype)
    for k, make in enumerate(makes):
        theirs = alone(make, k, starts(len(makes), dtype)[k], objectives)
        assert theirs.isfinite().all()
        assert (ours[k] - theirs).norm() <= tolerance * theirs.norm(), f"member {k}"


def makers(kind, decays=DECAYS, **settings):
    lr = RATES.get(kind, 0.03)
    return [partial(kind, lr=lr * (1 + k / 3), weight_decay=decay, **settings) for k, decay in enumerate(decays)]


KINDS = {kind.__name__: kind for kind in LINEAR_IN_LR} | {
    f"{kind.__name__} decoupled": partial(kind, decoupled_weight_decay=True)
    for kind in (Adam, torch.optim.NAdam, torch.optim.RAdam)
}


@pytest.mark.parametrize("settings", [{}, {"maximize": True}, {"foreach": True}], ids=str)  # foreach: as on a GPU
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_members_with_their_own_weight_decay(kind, settings):
    assert_each_as_if_alone(makers(kind, **settings), sign=-1 if settings.get("maximize") else 1)


@pytest.mark.parametrize("decays", [DECAYS, [0.2] * 5], ids=["own decay", "the same decay"])
@pytest.mark.parametrize(
    "settings", [{}, {"dampening": 0.3}, {"maximize": True, "foreach": True}, {"nesterov": True}], ids=str
)
def test_members_with_their_own_momentum(settings, decays):
    """Nesterov's needs a momentum above 0, so there every member has one."""
    least = 0.2 if settings.get("nesterov") else 0.0
    makes = makers(SGD, decays, **settings)
    makes = [partial(make, momentum=max(m, least)) for make, m in zip(makes, MOMENTA)]
    assert_each_as_if_alone(makes, sign=-1 if settings.get("maximize") else 1)


@pytest.mark.parametrize("settings", [{}, {"dampening": 0.3}, {"nesterov": True}], ids=str)
def test_members_with_one_momentum_and_their_own_decay(settings):
    assert_each_as_if_alone(makers(SGD, momentum=0.7, **settings))


@pytest.mark.parametrize("kind", [torch.optim.AdamW, partial(SGD, dampening=0.3)], ids=["AdamW", "SGD"])
def test_members_keep_the_precision_they_are_trained_in(kind):
    makes = makers(kind)
    if isinstance(kind, partial):
        makes = [partial(make, momentum=m) for make, m in zip(makes, MOMENTA)]
    assert together(makes, minibatches(5, dtype=torch.float32), torch.float32).dtype == torch.float32
    assert_each_as_if_alone(makes, tolerance=1e-5, dtype=torch.float32)


def test_lbfgs_members_with_settings_of_their_own():
    """Bit by bit: each has an optimizer of its own, whose closure sees one member."""
    makes = [partial(LBFGS, lr=0.1 * (1 + k), max_iter=1 + k, history_size=2 + 3 * k) for k in range(5)]
    makes[4] = partial(LBFGS, max_iter=4, line_search_fn="strong_wolfe")
    assert_each_as_if_alone(makes, tolerance=0.0)


def test_other_members_one_by_one_have_settings_of_their_own():
    makes = [partial(torch.optim.ASGD, lr=0.05, weight_decay=d, alpha=0.5 + d) for d in DECAYS]
    assert_each_as_if_alone(makes, tolerance=0.0)


def test_shared_hyperparameters_stay_with_torch():
    theta = Parameter(starts(4))
    group = make_stepper([partial(SGD, weight_decay=0.2, momentum=0.8)] * 4, theta).optimizers[0].param_groups[0]
    assert (group["weight_decay"], group["momentum"]) == (0.2, 0.8)
    own = [partial(SGD, weight_decay=d, momentum=0.8) for d in DECAYS[:4]]
    group = make_stepper(own, theta).optimizers[0].param_groups[0]
    assert (group["weight_decay"], group["momentum"]) == (0.0, 0.8)


def test_ten_thousand_members_of_fifty_makers_build_few_optimizers():
    built = []

    def make(params, lr=0.1, *, weight_decay):
        built.append(weight_decay)
        return Adam(params, lr=lr, weight_decay=weight_decay)

    distinct = [partial(make, weight_decay=k / 50) for k in range(50)]
    stepper = make_stepper([distinct[k % 50] for k in range(10_000)], Parameter(torch.zeros(10_000, 2)))
    assert len(built) == 51
    assert len(stepper.optimizers) == 1


# Settings in a row can train side by side, those of different rows cannot.
TOGETHER = [
    [partial(SGD, lr=0.1), partial(SGD, lr=2.0, momentum=0.9), partial(SGD, lr=0.1, momentum=0.0, weight_decay=0.3)],
    [partial(SGD, momentum=0.9, nesterov=True), partial(SGD, lr=3.0, momentum=0.5, nesterov=True, weight_decay=1)],
    [partial(SGD, momentum=0.9, dampening=0.2), partial(SGD, dampening=0.2)],
    [partial(SGD, maximize=True)],
    [torch.optim.NAdam, *(partial(torch.optim.NAdam, betas=b) for b in ([0.9, 0.999], OmegaConf.create([0.9, 0.999])))],
    [Adam, partial(Adam, betas=[0.9, 0.999])],
    [partial(Adam, betas=[0.8, 0.999]), partial(Adam, lr=torch.tensor(0.2), betas=(0.8, 0.999), weight_decay=0.3)],
    [partial(Adam, eps=1e-6)],
    [partial(Adam, amsgrad=True)],
    [partial(Adam, decoupled_weight_decay=True)],
    [torch.optim.AdamW, partial(torch.optim.AdamW, weight_decay=0.0)],
    [torch.optim.RMSprop, partial(torch.optim.RMSprop, lr=0.3, weight_decay=0.1)],
    [partial(torch.optim.RMSprop, momentum=0.5)],
    [partial(MinibatchSGD, lr=0.1), partial(MinibatchSGD, lr=0.7)],
    [LBFGS, partial(LBFGS, max_iter=3, history_size=2, line_search_fn="strong_wolfe")],
    [torch.optim.ASGD, partial(torch.optim.ASGD, lambd=0.1, weight_decay=0.1)],
    [torch.optim.Rprop, partial(torch.optim.Rprop, etas=[0.4, 1.3])],
]


def test_shared_settings_are_equal_where_members_can_train_side_by_side():
    answers = [{shared_settings(make) for make in row} for row in TOGETHER]
    assert [len(of_row) for of_row in answers] == [1] * len(TOGETHER)
    assert len(set.union(*answers)) == len(TOGETHER)
    for row in TOGETHER:
        make_stepper(row, Parameter(torch.zeros(len(row), 2)))


@pytest.mark.parametrize("row", range(1, len(TOGETHER)))
def test_members_with_unequal_shared_settings_are_refused(row):
    with pytest.raises(ValueError, match="cannot be trained side by side"):
        make_stepper([SGD, SGD, TOGETHER[row][0]], Parameter(torch.zeros(3, 2)))


def test_the_refusal_names_what_differs():
    makes = [partial(Adam, betas=[0.9, b]) for b in (0.99, 0.999)]
    with pytest.raises(ValueError, match=r"\[\('betas', \(0.9, 0.99\)\)\] and members with \[\('betas', \(0.9, 0.999"):
        make_stepper(makes, Parameter(torch.zeros(2, 2)))


def test_makers_and_members_are_as_many():
    with pytest.raises(ValueError, match="2 makers of optimizers for 3 members"):
        make_stepper([Adam, Adam], Parameter(torch.zeros(3, 2)))


def test_optimizers_that_couple_their_parameters_go_one_by_one():
    assert isinstance(make_stepper([LBFGS, LBFGS], Parameter(torch.zeros(2, 2))), OneByOne)
