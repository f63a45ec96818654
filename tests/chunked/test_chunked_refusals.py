"""What a stream cannot give, and what is wrong with its rows, is one message that says where."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from chunked_fits import LINEAR, drawn, streamed, streamed_problem, write

from noiseworks.chunked.fit import check_chunkable
from noiseworks.errors import UserError
from noiseworks.exact import Exact
from noiseworks.model import Linear, TwoLayer
from noiseworks.noise import Gaussian, Huber, Laplace, NegativeBinomial, Poisson, StudentT

POISSON = Poisson(link="log")


def message(call) -> str:
    with pytest.raises(UserError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


def given(n: int = 4_000, **changed):
    return drawn(POISSON, n) | changed


def complaint(tmp_path, columns, noise=POISSON, **settings) -> str:
    path = write(tmp_path / "t.parquet", columns)
    return message(lambda: streamed(path, noise, **settings))


def with_value(n: int, row: int, value: float) -> np.ndarray:
    values = drawn(POISSON, n)["y"].copy()
    values[row] = value
    return values


@pytest.mark.parametrize("noise", [Huber(), StudentT()], ids=lambda n: n.name)
def test_other_noise_models(noise):
    assert f"noise={noise.name}" in message(lambda: check_chunkable(noise, LINEAR, Exact(), 1, "big"))


def test_what_takes_all_rows_at_a_time():
    two = TwoLayer(intercept=True, init_scale=1.0, width=2, activation="tanh")
    assert "optimizer=exact can" in message(lambda: check_chunkable(Gaussian(), LINEAR, lambda p: None, 1, "big"))
    assert "model=two_layer" in message(lambda: check_chunkable(Gaussian(), two, Exact(), 1, "big"))
    assert "replicates=3" in message(lambda: check_chunkable(Gaussian(), LINEAR, Exact(), 3, "big"))
    assert "optimizer.ridge" in message(lambda: check_chunkable(Gaussian(), LINEAR, Exact(ridge=0.1), 1, "big"))
    for noise, method in ((POISSON, "iid"), (Laplace(), "iid"), (Gaussian(), "HC3"), (POISSON, "HC2")):
        said = message(lambda: check_chunkable(noise, LINEAR, Exact(method), 1, "big"))  # noqa: B023
        assert f"optimizer.standard_errors={method}" in said


def test_values_out_of_the_support(tmp_path):
    """Rows are counted from the first of the file on, not from that of their block."""
    assert "is -2 in row 3334" in complaint(tmp_path, given(y=with_value(4_000, 3333, -2.0)))
    assert "is 1.5 in row 3334" in complaint(tmp_path, given(y=with_value(4_000, 3333, 1.5)))


def test_rows_are_those_of_the_file_after_some_were_left_out(tmp_path):
    """And after each was written out as often as it was counted."""
    bad, gaps = with_value(4_000, 3333, -2.0), given()["a"].copy()
    gaps[[5, 1500, 2047]] = np.nan
    assert "is -2 in row 3334" in complaint(tmp_path, given(y=bad, a=gaps), missing="drop")
    copies = np.arange(4_000) % 3 + 1.0
    counted = {"weights": "weight", "weight_kind": "frequency", "missing": "drop"}
    assert "is -2 in row 3334" in complaint(tmp_path, given(y=bad, a=gaps, weight=copies), **counted)


def test_values_that_are_missing_or_no_numbers(tmp_path):
    weights = given()["weight"].copy()
    weights[2050] = 0.0
    assert "data.weights=weight is 0 in row 2051" in complaint(tmp_path, given(weight=weights), weights="weight")
    assert "a of" in (said := complaint(tmp_path, given(a=with_value(4_000, 2049, np.nan))))
    assert "no value in row 2050" in said
    assert "is inf in row 2050" in complaint(tmp_path, given(a=with_value(4_000, 2049, np.inf)))
    assert "data.target=y" in complaint(tmp_path, given(y=given()["town"]), Gaussian())
    assert "Every row" in complaint(tmp_path, given(a=np.full(4_000, np.nan)), missing="drop")


def test_text_that_is_no_factor(tmp_path):
    numbers = np.arange(4_000).astype(str)
    assert "4000 levels" in complaint(tmp_path, given(town=np.char.add("house ", numbers)))
    numbers[7] = "n/a"
    assert "holds numbers, but also 'n/a'" in complaint(tmp_path, given(town=numbers))


def test_files_that_do_not_go_together(tmp_path):
    folder = write(tmp_path / "folder", given(), files=2)
    pa.parquet.write_table(pa.table({"y": ["text"], "a": [1.0]}), folder / "part-9.parquet")
    assert "part-9.parquet does not go together" in message(lambda: streamed_problem(folder, POISSON))


def test_a_split_that_does_not_fit(tmp_path):
    path = write(tmp_path / "t.parquet", {"y": np.zeros(120_000), "a": np.zeros(120_000)}, group=50_000)
    said = message(lambda: streamed_problem(path, Gaussian(), test_fraction=0.1))
    assert "data.test_fraction=0.1" in said
    assert "data.memory_mb must be at least 2" in said


def test_rows_near_a_quantile_fit_that_do_not_fit(tmp_path):
    said = complaint(tmp_path, drawn(Laplace(), 100_000), Laplace())
    assert "rows near the fit" in said
    assert "data.memory_mb must be at least" in said


def test_a_quantile_of_nothing(tmp_path):
    path = write(tmp_path / "t.parquet", drawn(Laplace(), 20_000))
    nothing = Linear(intercept=False, init_scale=0.0)
    assert "nothing to fit" in message(lambda: streamed(path, Laplace(), nothing, features=[]))


def test_a_file_that_breaks_off(tmp_path):
    """The footer is whole, the head of a page is not."""
    path = write(tmp_path / "t.parquet", given(20_000), group=20_000)
    content = bytearray(path.read_bytes())
    content[4:204] = b"\xff" * 200
    path.write_bytes(content)
    assert "cannot be read" in message(lambda: streamed(path, POISSON))


def test_counts_without_a_finite_optimum(tmp_path):
    """No event in a whole town."""
    columns = given()
    columns["y"][columns["town"] == "west"] = 0
    assert "no finite optimum" in complaint(tmp_path, columns)


def test_counts_that_vary_less_than_poisson(tmp_path):
    columns = given(y=np.random.default_rng(0).integers(2, 5, 4_000).astype(float))
    assert "noise=poisson would do" in complaint(tmp_path, columns, NegativeBinomial())
