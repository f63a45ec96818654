"""Keys that are searched only where other keys have certain values."""

import math
from typing import Any

import optuna
import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from study_spaces import hydras, jobs, points

from hydra_members.search.space import Space

SGD = {"when": {"optimizer": "sgd"}, "params": {"momentum": "choice(0,0.9)"}}


def test_a_key_is_searched_where_its_condition_holds() -> None:
    space = Space.read(["optimizer=sgd,adam", "seed=1,2"], [SGD])
    assert space.names == ["optimizer", "seed", "momentum"]
    assert space.is_conditional
    for job in jobs(space, RandomSampler(seed=0), 30):
        assert ("momentum" in job) == (job["optimizer"] == "sgd")
    assert [tuple(point.values()) for point in space.points()] == [
        ("sgd", 1, 0),
        ("sgd", 1, 0.9),
        ("sgd", 2, 0),
        ("sgd", 2, 0.9),
        ("adam", 1),
        ("adam", 2),
    ]


@pytest.mark.parametrize(
    ("line", "wanted", "holds"),
    [
        ("k=sgd", "sgd", True),
        ("k=sgd", ["adam", "sgd"], True),
        ("k=sgd", "SGD", False),
        ("k=true", True, True),
        ("k=True", "true", True),
        ("k=1", True, False),
        ("k=true", 1, False),
        ("k=1", "1", True),
        ("k='1'", 1, True),
        ("k=1", 1.0, True),
        ("k=1e-3", 0.001, True),
        ("k=null", None, True),
        ("k=", "", True),
        ("k='a b'", "a b", True),
        ("k='a,b'", "a,b", True),
        ("k=[1,2]", "[1, 2]", True),
        ("k=sgd", [], None),
        ("+k=sgd", "sgd", True),
    ],
)
@pytest.mark.parametrize("searched", [False, True])
def test_values_are_compared_as_hydra_reads_them(line: str, wanted: Any, holds: bool | None, searched: bool) -> None:
    if searched:  # a choice of one value
        key, _, value = line.partition("=")
        line = f"{key}=choice({value or repr('')})" if value != "null" else f"{key}=null,null"
    block = {"when": {"k": wanted}, "params": {"x": "1,2"}}
    if holds is None:
        with pytest.raises(HydraException, match=r"conditional\[0\]: when.k=\[\] must be a value, or a list of values"):
            Space.read([line], [block])
    else:
        assert any("x" in point for point in points([line], block)) is holds


def test_steps_are_compared_without_their_rounding_errors() -> None:
    space = Space.read(["a=range(0,1,0.1)"], [{"when": {"a": 0.3}, "params": {"b": "1,2"}}])
    study = optuna.create_study()
    study.enqueue_trial({"a": 0.1 + 0.2, "b": 2})
    trial = study.ask()
    space.suggest(trial)
    assert trial.params == {"a": 0.1 + 0.2, "b": 2}
    assert space.overrides(trial.params) == ["a=0.3", "b=2"]


def test_two_optimizers_have_their_own_ranges_of_one_key() -> None:
    conditional = [
        {"when": {"optimizer": "sgd"}, "params": {"lr": "range(0,1,0.1)", "batch": 8}},
        {"when": {"optimizer": ["adam", "sgd"]}, "params": {"lr": "range(10,20,0.25)", "batch": "range(1,4)"}},
    ]
    space = Space.read(["optimizer=sgd,adam,exact"], conditional)
    assert space.names == ["optimizer", "lr", "batch"]
    assert space.distributions()["lr"] == FloatDistribution(0, 0.9, step=0.1)
    for job in jobs(space, RandomSampler(seed=0), 60):
        if job["optimizer"] == "sgd":  # the first condition that holds decides
            assert job["lr"] in {k / 10 for k in range(10)}
            assert job["batch"] == 8
        elif job["optimizer"] == "adam":
            assert job["lr"] >= 10
            assert job["lr"] % 0.25 == 0
        else:
            assert job.keys() == {"optimizer"}
    assert len(space.points()) == 10 * 1 + 40 * 3 + 1


def test_conditions_on_conditional_keys() -> None:
    found = points(
        ["optimizer=sgd,adam"],
        SGD,
        {"when": {"momentum": 0.9, "optimizer": "sgd"}, "params": {"+nesterov": "true,false"}},
    )
    assert found == [
        {"optimizer": "sgd", "momentum": 0},
        {"optimizer": "sgd", "momentum": 0.9, "+nesterov": True},
        {"optimizer": "sgd", "momentum": 0.9, "+nesterov": False},
        {"optimizer": "adam"},
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.9, FloatDistribution(0.9, 0.9)),
        ("0.9", FloatDistribution(0.9, 0.9)),
        (3, IntDistribution(3, 3)),
        (None, CategoricalDistribution([None])),
        ("two words", CategoricalDistribution(["two words"])),
        ("[1,2]", CategoricalDistribution(["[1,2]"])),
        ("inf", CategoricalDistribution([math.inf])),
    ],
)
def test_a_value_under_a_condition(value: Any, expected: BaseDistribution) -> None:
    space = Space.read(["optimizer=sgd,adam"], [{"when": {"optimizer": "sgd"}, "params": {"k": value}}])
    assert space.distributions()["k"] == expected
    assert hydras(space.overrides(space.points()[0])[1]) == (hydras(f"k={value}") if value is not None else None)


def test_what_is_set_is_not_searched_under_a_condition() -> None:
    for line in ("momentum=0.5", "+momentum=0.5", "~momentum"):
        space = Space.read(["optimizer=sgd,adam", line], [SGD])
        assert space.names == ["optimizer"]
        assert space.fixed == [line]
        assert points(["optimizer=sgd", line], SGD) == [{}]


def test_conditions_of_omegaconf() -> None:
    block = {"when": {"optimizer": "${which}"}, "params": {"m": "0,0.9"}}
    config = OmegaConf.create({"which": "sgd", "conditional": [block]})
    assert Space.read(["optimizer=sgd"], config.conditional).points() == [{"m": 0}, {"m": 0.9}]


BAD_WHEN: list[tuple[Any, str]] = [
    ({}, r".when=\{\} must map keys to values"),
    ("optimizer=sgd", r".when='optimizer=sgd' must map keys to values"),
    ({"optimiser": "sgd", "lr": 1}, r": when names optimiser, lr, which must be searched, or set"),
    ({"a": 1}, r": when names a, which must be searched"),
    ({"optimizer": {"a": 1}}, r": when.optimizer=\{'a': 1\} must be a value, or a list"),
]
BAD_PARAMS: list[tuple[Any, str]] = [
    ({}, r".params=\{\} must map keys to values"),
    (None, r".params=None must map keys to values"),
    ({"a": [1, 2]}, r": params.a=\[1, 2\] must be text, as choice"),
    ({"a": "range(0)"}, r": 'a=range\(0\)' has no values"),
    ({"a": "[1"}, r": .*\[1"),
    ({"~a": "1"}, r": '~a=1' deletes a key"),
    ({"seed": "5,6"}, r": seed is searched without a condition as well"),
    ({"momentum": "1,2"}, r": momentum is a Categorical.* here and a Categorical"),
    ({"momentum": "interval(0,1)"}, r": momentum is a FloatDistribution.* here and a Categorical"),
]
BAD_BLOCKS: list[tuple[Any, str]] = [
    ({"when": {"optimizer": "sgd"}}, " has when; it must have the keys when and params"),
    ({"when": {"optimizer": "a"}, "params": {"a": "1,2"}, "than": 1}, " has when, params, than; it must"),
    ({}, " has nothing; it must"),
    ("sgd", " has 'sgd'; it must"),
    (None, " has None; it must"),
    *(({"when": when, "params": {"a": "1,2"}}, expected) for when, expected in BAD_WHEN),
    *(({"when": {"optimizer": "adam"}, "params": params}, expected) for params, expected in BAD_PARAMS),
]


@pytest.mark.parametrize(("block", "expected"), BAD_BLOCKS)
def test_conditions_that_are_none(block: Any, expected: str) -> None:
    with pytest.raises(HydraException, match=rf"^hydra\.sweeper\.conditional\[1\]{expected}"):
        Space.read(["optimizer=sgd,adam", "seed=1,2"], [SGD, block])
