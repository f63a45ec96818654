"""conf/data builds these data sets, with no key too many or too few."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from data_tables import write
from hydra import compose, initialize_config_dir
from hydra.utils import get_class, instantiate

CONF = Path(__file__).parents[2] / "conf"


def node(name: str, *overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=["seed=3", f"data={name}", *overrides]).data


@pytest.mark.parametrize("name", ["houses", "apples", "stocks", "prices", "table"])
def test_keys_bind_to_the_class(name):
    given = node(name, *(["data.path=t.csv", "data.target=y"] if name == "table" else []))
    arguments = {key: value for key, value in given.items() if key != "_target_"}
    assert inspect.signature(get_class(given._target_)).bind(**arguments).arguments == arguments


@pytest.mark.parametrize(
    ("name", "rows", "target", "features"),
    [
        ("houses", 2930, "price", ("area", "age")),
        ("apples", 627, "eco_apples", ("eco_price", "regular_price", "household_size", "family_income")),
        ("stocks", 389, "price", ("last_price",)),
        ("prices", 240, "price", ("last_price",)),
    ],
)
def test_data_sets(name, rows, target, features):
    data = instantiate(node(name))
    examples = data.examples(0)
    assert (len(examples), examples.target, examples.features) == (rows, target, features)
    assert data.seed == 3


def test_table(tmp_path):
    path = write(tmp_path / "t.csv", "y,a,b\n1,2,3\n")
    overrides = [f"data.path={path}", "data.target=y", "data.features=[b,a]"]
    assert instantiate(node("table", *overrides)).examples(0).features == ("b", "a")
    assert instantiate(node("table", *overrides[:2])).examples(0).features == ("a", "b")


def test_a_shipped_file_can_be_asked_for_by_path():
    data = instantiate(node("table", "data.path=shipped:houses.csv", "data.target=price", "data.features=[]"))
    assert data.examples(0).source == "shipped:houses.csv"
