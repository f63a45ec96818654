"""Values, and what the jobs of a sweep get for them."""

import math
import random
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from study_spaces import hydras, random_text, same

from hydra_members.search.space import Space


def test_hydra_reads_back_every_string() -> None:
    chance = random.Random(0)
    for wanted in {random_text(chance) for _ in range(1500)}:
        line = f"key=choice({QuotedString(text=wanted, quote=Quote.double).with_quotes()})"
        space = Space.read([line])
        assert same(hydras(space.overrides(space.points()[0])[0]), wanted), line


def random_value(chance: random.Random, depth: int = 2) -> Any:
    kind = chance.randrange(7 if depth else 5)
    if kind == 0:
        return chance.choice([None, True, False, math.inf, -math.inf, 0, 1, -1, 10**30, 1e-05, 1e22, 5e-324, -0.0])
    if kind == 1:
        return chance.randint(-(10 ** chance.randint(0, 20)), 10**20)
    if kind == 2:
        return chance.uniform(-1, 1) * 10.0 ** chance.randint(-300, 300)
    if kind < 5:
        return random_text(chance)
    length = chance.randint(0, 3)
    if kind == 5:
        return [random_value(chance, depth - 1) for _ in range(length)]
    return {chance.choice(["a", "b c", "d:e", "f,g"]): random_value(chance, depth - 1) for _ in range(length)}


def test_hydra_reads_back_numbers_lists_and_mappings() -> None:
    chance = random.Random(1)
    for _ in range(500):
        wanted = random_value(chance)
        space = Space.read([], search_space={"key": {"type": "categorical", "choices": [wanted]}})
        (line,) = space.overrides(space.points()[0])
        assert same(hydras(line), wanted), line


def test_every_choice_of_many_reaches_a_job() -> None:
    # also where some are equal to Python and to Optuna: 1, 1.0 and true; or have the same text: 1 and "1"
    chance = random.Random(2)
    likely = [
        0,
        0.0,
        False,
        "0",
        1,
        1.0,
        True,
        "1",
        "true",
        "1.0",
        None,
        "null",
        "",
        "nan",
        "[1]",
        [1],
        ["1"],
        math.nan,
    ]
    for _ in range(100):
        wanted = {repr(value): value for value in chance.sample(likely, 8)}
        space = Space.read([], search_space={"key": {"type": "categorical", "choices": [*wanted.values()]}})
        assert [repr(hydras(space.overrides(point)[0])) for point in space.points()] == [*wanted]


def test_params_that_are_not_searched_here() -> None:
    # those of custom_search_space; text that stands for a value stands for it, as it did in hydra-optuna-sweeper
    params = {"+w": 0.25, "z": -1e-7, "n": 3, "none": None, "yes": True, "words": "a b", "more": "a, b"}
    lines = Space.read(["x=1,2"]).overrides({**params, "list": "[1,2]", "x": 2})
    assert lines[0] == "x=2"
    assert {line.partition("=")[0]: hydras(line) for line in lines[1:]} == {**params, "list": [1, 2]}


def test_values_of_a_trial_that_was_queued_with_others_than_those_searched() -> None:
    space = Space.read(["a=interval(0,1)", "b=range(0,1,0.1)", "c=x,y"])
    assert space.overrides({"a": 1, "b": 0.30000000000000004, "c": "other"}) == ["a=1.0", "b=0.3", "c=other"]
