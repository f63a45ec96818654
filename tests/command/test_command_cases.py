"""Small tables on which noiseworks once was wrong, by the command: the right value, or a sentence that is true."""

from __future__ import annotations

import re
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from command_line import MUTE, QUIET, read, runs

CASES = Path(__file__).parents[1] / "cases"
EXACT = ["optimizer=exact", *MUTE]


def table(name: str, target: str = "y") -> list[str]:
    return ["data=table", f"data.path={CASES / name}", f"data.target={target}"]


COEFFICIENTS = {  # R's rlm; EM and Nelder-Mead; pandas with lstsq
    "huber_outlier_1e4.csv": (["noise=huber"], {"intercept": 0.950780186791, "x": 2.019176191864}, 0.136602258822),
    "student_t_outlier_1e6.csv": (["noise=student_t"], {"intercept": 0.94107753, "x": 2.02163369}, 0.09699763),
    "student_t_outlier_1e9.csv": (["noise=student_t"], {"intercept": 0.99785854, "x": 2.00783541}, 0.08915971),
}


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_one_value_far_off(command, tmp_path, name):
    more, expected, scale = COEFFICIENTS[name]
    command(tmp_path, *EXACT, *table(name), *more).succeeded()
    found = read(tmp_path, "coefficients.json")
    assert found["coefficients"] == pytest.approx(expected, rel=2e-8)
    assert found["scale"] == pytest.approx(scale, rel=5e-8)


SENTENCES = {
    "rowno_after_drop.csv": (["noise=poisson", "data.missing=drop"], "column 'y' is -1 in row 10."),
    "rowno_separated_after_drop.csv": (["noise=poisson", "data.missing=drop"], "the first of them row 51."),
    "all_zero_counts.csv": (["noise=poisson"], "no finite optimum: all 60 counts are zero"),
    "duplicate_names.parquet": ([], "more than one column named 'x'"),
    "thousands_nbsp.csv": ([], "Column x of .* holds numbers, but '1\u00a0051' in row 1"),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_sentence_that_is_true(command, tmp_path, name):
    more, said = SENTENCES[name]
    result = command(tmp_path, *EXACT, *table(name), *more)
    assert result.status == 2
    assert re.search(said, result.err), result.err


def test_numbers_that_are_levels(command, tmp_path):
    """lm(Price ~ factor(Cylinders) + Horsepower): five indicators, of 4, 5, 6, 8 and rotary, and a slope."""
    own = ["data.features=[Cylinders,Horsepower]", "data.categorical=[Cylinders]"]
    command(tmp_path, *EXACT, *table("Cars93_cylinders_rotary.csv", "Price"), *own).succeeded()
    frame = pd.read_csv(CASES / "Cars93_cylinders_rotary.csv")
    columns = {"intercept": np.ones(len(frame))}
    columns |= {f"Cylinders={v}": (frame["Cylinders"] == v).to_numpy(float) for v in ("4", "5", "6", "8", "rotary")}
    columns |= {"Horsepower": frame["Horsepower"].to_numpy(float)}
    expected = np.linalg.lstsq(np.column_stack(list(columns.values())), frame["Price"], rcond=None)[0]
    assert read(tmp_path, "coefficients.json")["coefficients"] == pytest.approx(dict(zip(columns, expected)), rel=1e-9)
    wrong = command(tmp_path, *EXACT, *table("Cars93_cylinders_rotary.csv", "Price"), "data.categorical=[Cylindres]")
    assert wrong.status == 2
    assert "data.categorical: Cylindres is no feature of" in wrong.err
    assert "did you mean Cylinders?" in wrong.err


def test_rows_that_were_left_out_are_counted(command, tmp_path):
    result = command(tmp_path, *EXACT, *table("na_level_dropped.csv"), "data.missing=drop").succeeded()
    assert "fitted on 24 of 30 rows, 6 lack a value, in " in result.out
    assert "no value (an empty cell, NA, null): g in 6\n" in result.out  # a group called NA
    assert read(tmp_path, "metrics.json")["data/lacking"] == 6


def test_a_level_that_vanishes_whole_is_named(command, tmp_path):
    rows = "g,x,y\n" + "".join(f"{'abc'[i % 3]},{'' if i % 3 == 1 else i},{i % 7}\n" for i in range(30))
    (tmp_path / "t.csv").write_text(rows)
    result = command(
        tmp_path, *EXACT, "data=table", "data.path=t.csv", "data.target=y", "data.missing=drop"
    ).succeeded()
    assert "no value (an empty cell, NA, null): x in 10\n" in result.out
    assert "levels that are left out whole, with all their rows: g=b\n" in result.out


def test_a_category_of_numbers_is_a_category(command, tmp_path):
    """An indicator for each level but the first, in their order; as pandas' codes give them to lstsq."""
    command(tmp_path, *EXACT, *table("pd_cat_int.parquet")).succeeded()
    frame = pd.read_parquet(CASES / "pd_cat_int.parquet")
    columns = {"intercept": np.ones(len(frame))}
    for name in frame.columns.drop("y"):
        levels = []
        # k is a category in the file's own words, which pandas and Arrow may read back as numbers
        if name == "k" or not pd.api.types.is_numeric_dtype(frame[name]):
            levels = sorted(frame[name].unique())
        if levels:
            columns |= {f"{name}={level}": (frame[name] == level).to_numpy(float) for level in levels[1:]}
        else:
            columns[name] = frame[name].to_numpy(float)
    expected = np.linalg.lstsq(np.column_stack(list(columns.values())), frame["y"].to_numpy(float), rcond=None)[0]
    assert read(tmp_path, "coefficients.json")["coefficients"] == pytest.approx(dict(zip(columns, expected)), rel=1e-9)


def test_blanks_around_text(command, tmp_path):
    command(tmp_path, *EXACT, *table("space_after_comma_text.csv")).succeeded()
    assert list(read(tmp_path, "coefficients.json")["coefficients"]) == ["intercept", "x", "g=red"]


def test_fewer_rows_than_a_batch(command, tmp_path):
    result = command(tmp_path, *MUTE, *table("mtcars_32_rows.csv", "mpg"), "data.features=[wt,hp]").succeeded()
    assert "data.batch_size=32 is more than the 26 training rows: each step takes all of them\n" in result.out
    assert read(tmp_path, "metrics.json")["trainer/steps"] == read(tmp_path, "metrics.json")["trainer/epochs"] == 50


def test_training_says_where_there_is_no_optimum(command, tmp_path):
    arguments = ["data.features=[meters,habitat]", "noise=poisson", "data.batch_size=16", "data.val_fraction=0"]
    result = command(tmp_path, *MUTE, *table("moths_separated.csv", "A"), *arguments).succeeded()
    assert "\nno finite optimum: poisson noise has no finite optimum" in result.out


def test_the_smallest_table(command, tmp_path):
    tiny = [*table("tiny_table.csv"), "data.test_fraction=0.3", "data.batch_size=1"]
    result = command(tmp_path, *MUTE, *tiny).succeeded()
    assert "Traceback" not in result.err
    assert "distance to the exact coefficients" in result.out


def test_the_model_takes_the_table_it_was_fitted_on(command, tmp_path):
    """Whole numbers, too."""
    made = [*table("model_int_column.csv"), "noise=poisson", "data.offset=logE", "optimizer=exact"]
    command(tmp_path, *made, QUIET).succeeded()
    (run,) = runs(tmp_path)
    frame = pd.read_csv(CASES / "model_int_column.csv")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    try:
        found = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(frame)
    finally:
        mlflow.set_tracking_uri(before)
    b = read(tmp_path, "coefficients.json")["coefficients"]
    eta = b["intercept"] + b["size"] * frame["size"] + b["flag"] * frame["flag"] + frame["logE"]
    for name in b.keys() - {"intercept", "size", "flag"}:
        eta += b[name] * (frame["city"] == name.removeprefix("city="))
    assert np.asarray(found).ravel() == pytest.approx(np.exp(eta).to_numpy(), rel=1e-12)
