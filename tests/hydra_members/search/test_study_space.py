"""The search space, from overrides in Hydra's grammar to Optuna's distributions."""

import itertools
import json
import math
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler, TPESampler
from study_spaces import grid, jobs, points, same

from hydra_members.search.space import Space


def distribution(line: str) -> BaseDistribution:
    (found,) = Space.read([line]).distributions().values()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2", CategoricalDistribution([1, 2])),
        ("choice(1,2)", CategoricalDistribution([1, 2])),
        ("choice(adam)", CategoricalDistribution(["adam"])),
        ("choice(true, false)", CategoricalDistribution([True, False])),
        ("null,1e-5,inf,-2", CategoricalDistribution([None, 1e-5, math.inf, -2])),
        ("choice('hello', \"two words\")", CategoricalDistribution(["hello", "two words"])),
        ("[1,2],[3]", CategoricalDistribution(["[1,2]", "[3]"])),
        ("choice({a:1,b:[x,'y z']},{})", CategoricalDistribution(["{a:1,b:[x,'y z']}", "{}"])),
        ("'1',1,'a,b'", CategoricalDistribution(["'1'", 1, "a,b"])),
        ("1,1.0,true,'true'", CategoricalDistribution([1, "1.0", "true", "'true'"])),
        ("a,b,a", CategoricalDistribution(["a", "b"])),
        ("${x},b", CategoricalDistribution(["${x}", "b"])),
        ("range(1,4)", IntDistribution(1, 3)),
        ("range(3)", IntDistribution(0, 2)),
        ("range(0,10,3)", IntDistribution(0, 9, step=3)),
        ("range(10,0,-3)", IntDistribution(1, 10, step=3)),
        ("range(5,6)", IntDistribution(5, 5)),
        ("range(0,1,0.1)", FloatDistribution(0, 0.9, step=0.1)),
        ("range(1.5,-1,step=-0.5)", FloatDistribution(-0.5, 1.5, step=0.5)),
        ("range(0.5, 5.5, step=1)", FloatDistribution(0.5, 4.5, step=1)),
        ("range(0,0.25,0.5)", FloatDistribution(0, 0, step=0.5)),
        ("float(range(1,3))", FloatDistribution(1, 2, step=1)),
        ("int(range(0.0,3.0))", IntDistribution(0, 2)),
        ("tag(log,range(1,100))", IntDistribution(1, 99, log=True)),
        ("tag(other,range(1,100,3))", IntDistribution(1, 97, step=3)),
        ("interval(0,1)", FloatDistribution(0, 1)),
        ("interval(1,5)", FloatDistribution(1, 5)),  # Hydra's intervals are of floats
        ("int(interval(1,5))", IntDistribution(1, 5)),
        ("interval(2,2)", FloatDistribution(2, 2)),
        ("tag(log,interval(1e-5,1))", FloatDistribution(1e-5, 1, log=True)),
        ("tag(log,int(interval(1,64)))", IntDistribution(1, 64, log=True)),
        ("int(tag(log,interval(1,64)))", IntDistribution(1, 64, log=True)),
        ("shuffle(range(1,4))", CategoricalDistribution([1, 2, 3])),
        ("shuffle(range(0,0.4,0.1))", CategoricalDistribution([0.0, 0.1, 0.2, 0.3])),
        ("shuffle(3,1,2)", CategoricalDistribution([3, 1, 2])),
        ("shuffle(choice(a,b))", CategoricalDistribution(["a", "b"])),
        ("sort(3,1,2)", CategoricalDistribution([1, 2, 3])),
        ("sort(range(10,0,-2))", IntDistribution(2, 10, step=2)),
        ("int(choice(1.7,2))", CategoricalDistribution([1, 2])),
        ("str(choice(1,2))", CategoricalDistribution(["'1'", "'2'"])),
        ("float(1,2)", CategoricalDistribution([1.0, 2.0])),
        ("bool(choice(True,false))", CategoricalDistribution([True, False])),
    ],
)
def test_distributions(text: str, expected: BaseDistribution) -> None:
    found = distribution(f"key={text}")
    assert found == expected
    assert same(vars(found), vars(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("range(0,10,3)", [0, 3, 6, 9]),
        ("range(10,0,-3)", [10, 7, 4, 1]),
        ("int(interval(1,5))", [1, 2, 3, 4, 5]),
        ("range(-1.0,1.0,step=1)", [-1.0, 0.0]),
        ("range(0,1,0.1)", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
        ("range(0,2.1,0.3)", [0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8]),  # with floats, 7 * 0.3 is below 2.1
        ("range(1,0,-0.25)", [1.0, 0.75, 0.5, 0.25]),
        ("range(1e-7,4e-7,1e-7)", [1e-7, 2e-7, 3e-7]),
        ("tag(log,int(interval(1,3)))", [1, 2, 3]),
        ("shuffle(range(3))", [0, 1, 2]),
        ("interval(2,2)", [2.0]),
        ("1,1.0,true,'true',null,nan,[],[1.0,a b]", [1, 1.0, True, "true", None, math.nan, [], [1.0, "a b"]]),
        ("'',' a','${x}','a=b',\"it's\"", ["", " a", "${x}", "a=b", "it's"]),
    ],
)
def test_the_values_of_a_grid(text: str, expected: list[Any]) -> None:
    assert same(grid(f"key={text}"), expected)


def test_ranges_have_the_values_that_hydra_gives_them() -> None:
    chance = random.Random(0)
    for _ in range(300):
        start, stop, step = chance.randint(-9, 9), chance.randint(-9, 9), chance.choice([-4, -3, -2, -1, 1, 2, 3, 4])
        numbers = list(range(start, stop, step))
        if numbers:
            assert same(grid(f"key=range({start},{stop},{step})"), numbers)
        digits = chance.randint(1, 4)
        texts = [f"{number / 10**digits:.{digits}f}" for number in (start, stop, step)]
        decimals = list(_decimals(*map(Decimal, texts)))
        if decimals:
            assert same(grid(f"key=range({','.join(texts)})"), list(map(float, decimals)))


def _decimals(start: Decimal, stop: Decimal, step: Decimal) -> Iterator[Decimal]:
    for k in itertools.count():
        value = start + k * step
        if value >= stop if step > 0 else value <= stop:
            return
        yield value


def test_no_value_but_those_of_the_range_reaches_a_job() -> None:
    # Optuna's upper end is a value, Hydra's stop is none; and 3 * 0.1 is 0.30000000000000004
    ranges = {
        "a=range(0,10)": range(10),
        "b=range(0,1,0.1)": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        "c=range(0,10,3)": [0, 3, 6, 9],
        "d=int(interval(1,5))": [1, 2, 3, 4, 5],
        "e=range(-5.5,5.5,0.5)": [k / 2 for k in range(-11, 11)],
    }
    for sampler, n_trials in ((RandomSampler(seed=0), 200), (TPESampler(seed=0), 60)):
        found = jobs(Space.read([*ranges]), sampler, n_trials)
        for line, values in ranges.items():
            missing = {repr(value) for value in values} ^ {repr(job[line[0]]) for job in found}
            assert not missing if n_trials == 200 else missing <= {repr(value) for value in values}


def test_ranges_that_floats_cannot_count_through_are_choices() -> None:
    assert isinstance(distribution("key=range(0,1,0.1)"), FloatDistribution)
    found = distribution("key=range(1e16,10000000000000008,0.5)")  # floats there are 2 apart
    assert isinstance(found, CategoricalDistribution)
    assert found.choices == (1e16, 10000000000000002.0, 10000000000000004.0, 10000000000000006.0, 10000000000000008.0)
    inclusive = {"type": "float", "low": 1e16, "high": 10000000000000004.0, "step": 1}
    assert Space.read([], search_space={"key": inclusive}).distributions() == {
        "key": CategoricalDistribution([1e16, 10000000000000002.0, 10000000000000004.0])
    }
    long = distribution("key=range(0.1234567890123456,1e3,100)")
    assert isinstance(long, CategoricalDistribution)
    assert long.choices[1] == 100.1234567890123456


def test_shuffle_does_not_change_the_space_from_start_to_start() -> None:
    spaces = []
    for seed in range(5):
        random.seed(seed)
        spaces.append(Space.read(["a=shuffle(range(20))", "b=shuffle(x,y,z,u,v)", "c=shuffle(choice(1,2,3,4))"]))
    assert all(space.digest_source() == spaces[0].digest_source() for space in spaces)
    assert all(space.points() == spaces[0].points() for space in spaces)
    assert spaces[0].shuffled
    assert not Space.read(["a=range(20)", "b=shuffle([1,2,3])"]).shuffled  # that is a value


def test_a_search_is_of_all_keys_but_the_fixed_ones() -> None:
    lines = ["x=1,2", "y='a b'", "+new=interval(0,1)", "++forced=range(3)", "~gone", "~db=mysql", "z=${x}", "w="]
    space = Space.read([*lines, "db@backup=a,b", "db/engine=c,d", "sub.key=1"])
    assert space.fixed == ["y='a b'", "~gone", "~db=mysql", "z=${x}", "w=", "sub.key=1"]
    assert space.names == ["x", "+new", "++forced", "db@backup", "db/engine"]
    assert not space.is_finite()
    params = {"+new": 0.5, "x": 2, "db@backup": "a", "++forced": 1, "db/engine": "d"}
    assert space.overrides(params) == ["x=2", "+new=0.5", "++forced=1", "db@backup=a", "db/engine=d"]


@pytest.mark.parametrize(
    ("lines", "fixed", "names"),
    [
        (["x=1,2", "y=3", "x=5"], ["x=5", "y=3"], []),
        (["x=5", "y=1,2", "x=1,2"], [], ["x", "y"]),
        (["x=interval(0,1)", "x=1,2"], [], ["x"]),
        (["x=1,2", "+x=3"], ["+x=3"], []),
        (["+x=1", "++x=2,3"], [], ["++x"]),
        (["x=1,2", "~x"], ["~x"], []),
        (["~x", "x=1,2"], [], ["x"]),
        (["~x", "+x=1,2"], ["~x"], ["+x"]),
        (["db=a,b", "db@other=c"], ["db@other=c"], ["db"]),
    ],
)
def test_the_last_override_of_a_key_counts(lines: list[str], fixed: list[str], names: list[str]) -> None:
    space = Space.read(lines)
    assert (space.fixed, space.names) == (fixed, names)


def test_the_last_range_of_a_key_counts() -> None:
    assert Space.read(["x=interval(0,1)", "x=3,4"]).points() == [{"x": 3}, {"x": 4}]


@pytest.fixture
def loader(tmp_path: Path) -> ConfigLoader:
    for option in ("mysql", "postgres", "postgres_old"):
        (tmp_path / "db").mkdir(exist_ok=True)
        (tmp_path / "db" / f"{option}.yaml").write_text("port: 1\n")
    return ConfigLoaderImpl(config_search_path=create_config_search_path(str(tmp_path)))


def test_glob(loader: ConfigLoader) -> None:
    space = Space.read(["db=glob(*)", "db@b=glob(post*,exclude=*_old)"], config_loader=loader)
    assert space.distributions() == {
        "db": CategoricalDistribution(["mysql", "postgres", "postgres_old"]),
        "db@b": CategoricalDistribution(["postgres"]),
    }
    with pytest.raises(HydraException, match=r"'db=glob\(sql\*\)' matches no option of the config group db"):
        Space.read(["db=glob(sql*)"], config_loader=loader)


# What cannot be


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lr=range(5,1)", r"'lr=range\(5,1\)' has no values: its stop lies beyond its start"),
        ("lr=range(0)", r"'lr=range\(0\)' has no values"),
        ("lr=range(0,1,-0.1)", r"has no values"),
        ("lr=range(0,5,0)", r"a range has finite ends and a step other than 0, not 0"),
        ("lr=range(0,inf)", r"finite ends"),
        (
            "lr=interval(5,1)",
            r"'lr=interval\(5,1\)': an interval ends at .* not below its start, not at 1.0 \(5.0\)",
        ),
        ("lr=interval(0,inf)", r"not at inf"),
        ("lr=interval(nan,1)", r"an interval ends"),
        ("lr=tag(log,interval(0,1))", r"on a log scale the lower end is above 0, not 0.0"),
        ("lr=tag(log,int(interval(0,9)))", r"on a log scale the lower end is 1 or more, not 0"),
        ("lr=tag(log,range(0,9))", r"on a log scale the lower end is 1 or more, not 0"),
        ("lr=tag(log,range(1,9,2))", r"on a log scale a range has whole numbers and the step 1"),
        ("lr=tag(log,range(1.0,9.0))", r"on a log scale a range has whole numbers"),
        ("lr=1,range(3)", r"'lr=1,range\(3\)' has a sweep inside a sweep"),
        ("lr=shuffle(range(1000000))", r"a choice of 1000000 values; 10000 are the most"),
        ("lr=range(0,1,1e-20)", r"a choice of 100000000000000000000 values"),
        ("db=glob(*)", r"ConfigLoader is not set"),
        ("lr=choice()", r"empty choice"),
        ("lr=[1", r"lr=\[1|mismatched|no viable|missing"),
    ],
)
def test_overrides_that_are_no_search(line: str, expected: str) -> None:
    with pytest.raises(HydraException, match=expected):
        Space.read([line])


def test_a_grid_over_an_interval() -> None:
    block = {"when": {"x": 2}, "params": {"lr": "interval(0,1)"}}
    for space in (Space.read(["x=1,2", "lr=interval(0,1)"]), Space.read(["x=1,2"], [block])):
        assert not space.is_finite()
        with pytest.raises(HydraException, match=r"lr is searched in an interval, which has no end .* or range\("):
            space.points()
    assert points(["x=1,3"], block) == [{"x": 1}, {"x": 3}]


def test_a_grid_without_end_in_practice() -> None:
    with pytest.raises(HydraException, match="The grid has more than 1000000 points with b; try fewer values"):
        points(["a=range(1000)", "b=range(1000000000)", "c=range(1000)"])


# hydra.sweeper.search_space of Hydra 1.1


@pytest.mark.parametrize(
    ("config", "expected", "values"),
    [
        ({"type": "categorical", "choices": [1, 2, "x y"]}, CategoricalDistribution([1, 2, "x y"]), [1, 2, "x y"]),
        ({"type": "int", "low": 0, "high": 3}, IntDistribution(0, 3), [0, 1, 2, 3]),
        ({"type": "int", "low": 0, "high": 10, "step": 3}, IntDistribution(0, 9, step=3), [0, 3, 6, 9]),
        ({"type": "int", "low": 1, "high": 100, "log": True}, IntDistribution(1, 100, log=True), None),
        ({"type": "float", "low": 0, "high": 1}, FloatDistribution(0, 1), None),
        (
            {"type": "float", "low": -0.2, "high": 0.1, "step": 0.1},
            FloatDistribution(-0.2, 0.1, step=0.1),
            [-0.2, -0.1, 0.0, 0.1],
        ),
        ({"type": "float", "low": 1, "high": 100, "log": True}, FloatDistribution(1, 100, log=True), None),
        ({"type": "int", "low": 0.0, "high": 2.0}, IntDistribution(0, 2), [0, 1, 2]),
    ],
)
def test_search_space(config: Any, expected: BaseDistribution, values: list[Any] | None) -> None:
    space = Space.read([], search_space=OmegaConf.create({"x": config}))
    assert space.distributions() == {"x": expected}
    if values is not None:
        assert same([point["x"] for point in space.points()], values)


def test_params_replace_search_space() -> None:
    search_space = {"x": {"type": "float", "low": 0, "high": 1}, "y": {"type": "int", "low": 0, "high": 1}}
    space = Space.read(["y=5", "z=1,2", "x=3,4"], search_space=search_space)
    assert space.distributions() == {"x": CategoricalDistribution([3, 4]), "z": CategoricalDistribution([1, 2])}
    assert space.fixed == ["y=5"]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"type": "int", "low": 0},
        {"type": "real", "low": 0, "high": 1},
        {"type": "categorical"},
        {"type": "int", "low": "a", "high": 1},
    ],
)
def test_search_spaces_that_are_none(config: Any) -> None:
    with pytest.raises(HydraException, match=r"sweeper\.search_space\.x needs type: int or float with numbers"):
        Space.read([], search_space={"x": config})


# The study's name


def test_equal_spaces_have_equal_digests() -> None:
    def digest(lines: Sequence[str], *conditional: Any) -> str:
        return json.dumps(Space.read(lines, conditional).digest_source())

    base = ["x=1,2", "y=interval(0,1)", "seed=3", "~z"]
    equal = [
        ["x=choice(1,2)", "y=interval(0.0, 1)", "~z", "seed=3"],
        ["x=5", "y=1,2", "seed=4", "x=1,2", "y=interval(0,1)", "seed=3", "~z"],
    ]
    assert {digest(lines) for lines in equal} == {digest(base)}
    for other in (
        ["x=1,2", "y=interval(0,1)", "seed=4", "~z"],
        ["x=1,2", "y=interval(0,1)", "seed=3"],
        ["x=1.0,2", "y=interval(0,1)", "seed=3", "~z"],
        ["x=2,1", "y=interval(0,1)", "seed=3", "~z"],
        ["y=interval(0,1)", "x=1,2", "seed=3", "~z"],
        ["x=1,2", "y=tag(log,interval(0.1,1))", "seed=3", "~z"],
        ["x=1,2", "+y=interval(0,1)", "seed=3", "~z"],
        ["x=shuffle(1,2)", "y=interval(0,1)", "seed=3", "~z"],
    ):
        assert digest(other) != digest(base)
    assert digest(["x=range(3)"]) != digest(["x=range(2,-1,-1)"])
    assert digest(["x=1,nan"]) == digest(["x=1,nan"])
    one = {"when": {"x": ["a", "b"], "y": 1}, "params": {"k": "1,2"}}
    same_one = {"params": {"k": "choice(1,2)"}, "when": {"y": "1", "x": ["b", "a"]}}
    lines = ["x=a,b,c", "y=1,2"]
    assert digest(lines, one) == digest(lines, same_one)
    for when in ({"x": "a", "y": 1}, {"x": ["a", "b"], "y": 2}, {"x": ["a", "b"]}):
        assert digest(lines, one) != digest(lines, {**one, "when": when})
