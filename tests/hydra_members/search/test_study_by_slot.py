"""Samplers whose k-th point depends on k alone."""

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hydra.errors import HydraException
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.testing.pytest_samplers import BasicSamplerTestCase, MultiObjectiveSamplerTestCase
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy.stats import qmc

from hydra_members.search import slot_samplers as _by_slot
from hydra_members.search.slot_samplers import GridBySlot, QMCBySlot, RandomBySlot, at, uniform
from hydra_members.search.space import Space

KINDS: dict[str, BaseDistribution] = {
    "real": FloatDistribution(-3, 5),
    "real_log": FloatDistribution(1e-5, 1e3, log=True),
    "tenths": FloatDistribution(0, 0.9, step=0.1),
    "whole": IntDistribution(-4, 5),
    "thirds": IntDistribution(0, 9, step=3),
    "whole_log": IntDistribution(1, 40, log=True),
    "words": CategoricalDistribution(["a", "b", None, 1.5, True]),
}
SAMPLERS = ["random", "sobol", "halton", "sobol scrambled", "halton scrambled"]


def number(trial: FrozenTrial) -> int:
    return trial.number


def make(kind: str, slot_of: Callable[[FrozenTrial], int] = number, seed: int = 7) -> optuna.samplers.BaseSampler:
    if kind == "random":
        return RandomBySlot(seed, slot_of)
    name, _, scramble = kind.partition(" ")
    return QMCBySlot(seed, slot_of, KINDS, name, bool(scramble))


def frozen(slot: int) -> FrozenTrial:
    trial = create_trial(state=TrialState.RUNNING)
    trial.number = slot
    return trial


def share_up_to(value: Any, distribution: BaseDistribution) -> float:
    """The share of the values up to this one, from the definition of each distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return (distribution.choices.index(value) + 1) / len(distribution.choices)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high = distribution.low, distribution.high
    if isinstance(distribution, IntDistribution) and distribution.log:  # that of i is log((i + 1/2) / (i - 1/2))
        return math.log((value + 0.5) / (low - 0.5)) / math.log((high + 0.5) / (low - 0.5))
    if distribution.step is not None:
        return (round((value - low) / distribution.step) + 1) / (round((high - low) / distribution.step) + 1)
    if distribution.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def gap(values: Sequence[Any], distribution: BaseDistribution) -> float:
    """The largest difference between the shares found and those of the distribution, at any value that occurs."""
    shares = np.sort([share_up_to(value, distribution) for value in values])
    last = np.append(np.flatnonzero(np.diff(shares)), len(shares) - 1)
    return float(np.abs((last + 1) / len(shares) - shares[last]).max())


class TestRandomKeepsOptunasContract(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], optuna.samplers.BaseSampler]:
        return lambda: make("random")


class TestQMCKeepsOptunasContract(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], optuna.samplers.BaseSampler]:
        return lambda: QMCBySlot(0, number, {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_trial_depends_on_its_slot_alone(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_by_slot, "BLOCK", 16)
    monkeypatch.setattr(_by_slot, "KEPT_BLOCKS", 2)
    study = optuna.create_study(sampler=make(kind))
    in_order = [study.ask(KINDS).params for _ in range(60)]
    assert len({tuple(params.items()) for params in in_order}) == 60
    optuna.create_study(storage=_journal(tmp_path), study_name="shared")
    processes = [
        optuna.load_study(study_name="shared", storage=_journal(tmp_path), sampler=make(kind, _slot)) for _ in range(2)
    ]
    for slot in random.Random(0).sample(range(60), 60):
        trial = processes[slot % 2].ask()
        trial.set_user_attr("slot", slot)
        for name in random.Random(slot).sample([*KINDS], len(KINDS)):  # nor does the order of the keys matter
            trial._suggest(name, KINDS[name])
        processes[slot % 2].tell(trial, slot) if slot % 3 else None
    assert {trial.user_attrs["slot"]: trial.params for trial in processes[0].trials} == dict(enumerate(in_order))


def _journal(folder: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(folder / "optuna.log")))


def _slot(trial: FrozenTrial) -> int:
    return int(trial.user_attrs["slot"])


@pytest.mark.parametrize("kind", ["random", "sobol scrambled", "halton scrambled"])
def test_the_seed_matters(kind: str) -> None:
    one, other = (make(kind, seed=seed).sample_independent(None, frozen(5), "real", KINDS["real"]) for seed in (1, 2))  # type: ignore[arg-type]
    assert one != other


def test_random_numbers_stay_what_they_are() -> None:
    # A study that an earlier version began goes on with the same trials.
    # python3 -c 'import hashlib; d = hashlib.blake2b(b"3 5 lr", digest_size=8).hexdigest(); print(int(d, 16) / 2**64)'
    assert uniform(3, 5, "lr") == pytest.approx(0.37776011431771406, abs=2**-52)


@pytest.mark.parametrize("name", KINDS)
def test_random_values_have_the_shares_of_their_distribution(name: str) -> None:
    # Dvoretzky, Kiefer and Wolfowitz, with Massart's constant, for any distribution:
    # P(gap > e) <= 2 exp(-2 n e^2), here 0.001 with e = sqrt(log(2000) / (2 n)).
    n = 20_000
    values = [at(uniform(11, slot, name), KINDS[name]) for slot in range(n)]
    assert gap(values, KINDS[name]) < math.sqrt(math.log(2000) / (2 * n))


def test_random_values_of_different_slots_and_names_have_nothing_to_do_with_each_other() -> None:
    # sqrt(n) times the correlation of independent values is nearly standard normal: |z| > 4 has the probability 6e-5
    n = 20_000
    x, y = (np.array([uniform(0, slot, name) for slot in range(n)]) for name in ("x", "y"))
    z = np.array([uniform(1, slot, "x") for slot in range(n)])
    for one, other in ((x, y), (x, z), (x[1:], x[:-1]), (x[1:], y[:-1])):
        assert abs(np.corrcoef(one, other)[0, 1]) * math.sqrt(n) < 4


@pytest.mark.parametrize("kind", SAMPLERS[1:])
def test_qmc_is_scipys_sequence(kind: str) -> None:
    name, _, scramble = kind.partition(" ")
    engine = {"sobol": qmc.Sobol, "halton": qmc.Halton}[name]
    points = engine(len(KINDS), scramble=bool(scramble), seed=np.random.default_rng(7)).random(2048)
    sampler = make(kind)
    for slot in (*range(20), 1023, 1024, 1025, 2047):
        found = {name: sampler.sample_independent(None, frozen(slot), name, KINDS[name]) for name in KINDS}  # type: ignore[arg-type]
        u = dict(zip(KINDS, points[slot]))
        assert found["real"] == pytest.approx(-3 + 8 * u["real"], abs=1e-14)
        assert found["real_log"] == pytest.approx(1e-5 * 1e8 ** u["real_log"], rel=1e-13)
        assert found["tenths"] == int(10 * u["tenths"]) / 10
        assert found["whole"] == -4 + int(10 * u["whole"])
        assert found["thirds"] == 3 * int(4 * u["thirds"])
        assert found["whole_log"] == min(round(0.5 * 81 ** u["whole_log"]) or 1, 40)
        assert found["words"] == ["a", "b", None, 1.5, True][int(5 * u["words"])]


@pytest.mark.parametrize("name", KINDS)
def test_qmc_gives_equal_shares(name: str) -> None:
    # Of 2^m points of a coordinate of Sobol's sequence, one lies in each interval [k, k + 1) / 2^m: the number of those
    # below any u is 2^m u, to less than 1. A value that occurs last at u has all points below the next one's before it.
    n = 1024
    sampler = make("sobol")
    values = [sampler.sample_independent(None, frozen(slot), name, KINDS[name]) for slot in range(n)]  # type: ignore[arg-type]
    assert gap(values, KINDS[name]) <= 1 / n + 1e-12


@pytest.mark.parametrize("name", KINDS)
def test_a_larger_u_means_no_smaller_value(name: str) -> None:
    n = 3000
    distribution = KINDS[name]
    values = [at(k / n, distribution) for k in range(n)] + [at(1 - 2**-53, distribution)]
    shares = [share_up_to(value, distribution) for value in values]
    assert shares == sorted(shares)
    assert all(distribution._contains(distribution.to_internal_repr(value)) for value in values)
    assert gap(values[:n], distribution) <= 2 / n
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        assert values[0] == pytest.approx(distribution.low, rel=1e-12)
        assert max(values) < distribution.high


@pytest.mark.parametrize(
    "distribution",
    [FloatDistribution(-1e308, 1e308), IntDistribution(0, 10**18), FloatDistribution(9, 10, log=True)],
)
def test_extreme_ends(distribution: FloatDistribution | IntDistribution) -> None:
    for u in (0.0, 0.3, 1 - 2**-53):
        value = at(u, distribution)
        assert distribution._contains(distribution.to_internal_repr(value))
        assert isinstance(value, int) or value < distribution.high


def test_steps_are_exact() -> None:
    tenths = FloatDistribution(0, 0.9, step=0.1)
    assert {at(k / 100, tenths) for k in range(100)} == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}


@pytest.mark.parametrize("kind", SAMPLERS[1:])
def test_slots_out_of_order_are_not_drawn_again_and_again(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = make(kind)
    assert isinstance(sampler, QMCBySlot)
    drawn: list[int] = []
    draw = sampler._draw
    monkeypatch.setattr(sampler, "_draw", lambda first: drawn.append(first) or draw(first))
    for slot in random.Random(1).sample(range(10_000), 10_000):
        sampler.value(slot, "real", KINDS["real"])
    assert len(drawn) == 10


def test_names_that_qmc_does_not_know_are_random() -> None:
    study = optuna.create_study(sampler=QMCBySlot(3, number, {"x": KINDS["real"]}))
    for slot in range(5):
        trial = study.ask()
        trial.suggest_float("x", -3, 5)
        assert trial.suggest_float("y", 0, 1) == pytest.approx(uniform(3, slot, "y"))
    assert QMCBySlot(3, number, {}).value(4, "y", FloatDistribution(0, 1)) == pytest.approx(uniform(3, 4, "y"))


def test_a_sequence_that_there_is_not() -> None:
    with pytest.raises(HydraException, match=r"qmc_type=sobel is unknown; it must be sobol or halton"):
        QMCBySlot(0, number, {}, "sobel")


CONDITIONAL = [
    {"when": {"optimizer": "sgd"}, "params": {"momentum": "choice(0,0.9)"}},
    {"when": {"momentum": 0.9}, "params": {"nesterov": "true,false"}},
    {"when": {"optimizer": ["adam", "lbfgs"]}, "params": {"lr": "range(1,3)"}},
]


@pytest.mark.parametrize("kind", ["random", "sobol", "grid"])
def test_conditional_keys(kind: str) -> None:
    space = Space.read(["optimizer=sgd,adam", "note=fixed"], CONDITIONAL)
    points = space.points()
    samplers = {"random": RandomBySlot(1, number), "grid": GridBySlot(points, number)}
    samplers["sobol"] = QMCBySlot(1, number, space.distributions())
    study = optuna.create_study(sampler=samplers[kind])
    found = []
    for _ in range(64):
        trial = study.ask()
        space.suggest(trial)
        found.append(trial.params)
    expected = [
        {"optimizer": "sgd", "momentum": 0},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": False},
        {"optimizer": "adam", "lr": 1},
        {"optimizer": "adam", "lr": 2},
    ]
    assert points == expected
    assert all(params in expected for params in found)
    assert all(params in found for params in expected)
    if kind == "grid":
        assert found == [expected[slot % 5] for slot in range(64)]


def test_a_grid_of_all_kinds_of_values() -> None:
    lines = ["a=1,1.0,true,null,nan,inf", "b='x, y',[1,2],{k:v}", "c=range(0,0.4,0.1)", "+d=range(3,0,-1)", "e=5"]
    space = Space.read(lines)
    points = space.points()
    assert len(points) == 6 * 3 * 4 * 3
    study = optuna.create_study(sampler=GridBySlot(points, number))
    for point in points:
        trial = study.ask()
        space.suggest(trial)
        assert space.overrides(trial.params) == space.overrides(point)
        assert {repr(value) for value in trial.params.values()} == {repr(value) for value in point.values()}


def test_a_grid_is_asked_for_a_key_that_it_has_no_values_of() -> None:
    trial = optuna.create_study(sampler=GridBySlot([{"x": 1}], number)).ask()
    assert trial.suggest_int("x", 0, 3) == 1
    with pytest.raises(HydraException, match=r"no values for z; name them in hydra\.sweeper\.params, as z: choice"):
        trial.suggest_float("z", 0, 1)
