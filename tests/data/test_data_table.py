"""What a file becomes, against values worked out by hand."""

from __future__ import annotations

import csv
import gzip
import os
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import torch
from data_tables import table, write, write_parquet

from noiseworks.data import reading
from noiseworks.data import table as module
from noiseworks.data.base import Column
from noiseworks.data.columns import level_text
from noiseworks.data.reading import delimiter
from noiseworks.runs.predictor import _features

FILES = Path(module.__file__).with_name("files")
SHOP = """y,size,town,open,unused,log_days,count
1.5,10,Rome,true,a,0.5,1
2.5,20,"Ely, Cambs",false,b,1.5,2
-3,30,Oslo,True,c,2.5,4
4,40,Rome,False,d,3.5,8
"""
SHOP_FEATURES = ["size", "town", "open"]
SHOP_X = [[10, 0, 1, 1], [20, 0, 0, 0], [30, 1, 0, 1], [40, 0, 1, 0]]


def f64(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def equal(a: torch.Tensor | None, b: list) -> bool:
    return a is not None and a.dtype == torch.float64 and torch.equal(a, f64(b))


def test_a_csv_becomes_the_numbers_worked_out_by_hand(tmp_path):
    path = write(tmp_path / "shop.csv", SHOP)
    examples = table(path, features=SHOP_FEATURES, offset="log_days", weights="count").examples(0)
    assert equal(examples.X, SHOP_X)
    assert equal(examples.y, [1.5, 2.5, -3, 4])
    assert equal(examples.offset, [0.5, 1.5, 2.5, 3.5])
    assert equal(examples.weights, [1, 2, 4, 8])
    assert examples.features == ("size", "town=Oslo", "town=Rome", "open")
    assert examples.columns == (Column("size"), Column("town", ("Ely, Cambs", "Oslo", "Rome")), Column("open"))
    assert (examples.target, examples.offset_name, examples.source) == ("y", "log_days", str(path))
    assert len(examples) == 4


def test_features_null_are_all_columns_without_another_role_in_the_order_of_the_file(tmp_path):
    path = write(tmp_path / "t.csv", "b,w,y,o,a\n1,2,3,4,5\n6,7,8,9,10\n")
    assert table(path).examples(0).features == ("b", "w", "o", "a")
    examples = table(path, offset="o", weights="w").examples(0)
    assert examples.features == ("b", "a")
    assert equal(examples.X, [[1, 5], [6, 10]])


def test_features_keep_the_order_they_are_given_in(tmp_path):
    path = write(tmp_path / "t.csv", "b,y,2020,a\n1,2,3,4\n5,6,7,8\n")
    examples = table(path, features=["a", 2020, "b"]).examples(0)  # a bare 2020 arrives as a number
    assert examples.features == ("a", "2020", "b")
    assert equal(examples.X, [[4, 3, 1], [8, 7, 5]])


def test_no_features_is_a_design_without_columns(tmp_path):
    examples = table(write(tmp_path / "t.csv", "y\n1\n2\n"), features=[]).examples(0)
    assert examples.X.shape == (2, 0)
    assert equal(examples.y, [1, 2])


def test_parquet_equals_csv(tmp_path):
    whole = write(tmp_path / "shop.csv", SHOP)
    arrow = pa.csv.read_csv(whole)
    arrow = arrow.set_column(2, "town", arrow["town"].dictionary_encode())
    arrow = arrow.set_column(1, "size", arrow["size"].cast(pa.decimal128(21, 2)))
    pa.parquet.write_table(arrow, tmp_path / "shop.parquet")
    settings = {"features": SHOP_FEATURES, "offset": "log_days", "weights": "count"}
    a, b = (table(tmp_path / name, **settings).examples(0) for name in ("shop.csv", "shop.parquet"))
    assert equal(b.X, SHOP_X)
    assert (a.features, a.columns, a.digest) == (b.features, b.columns, b.digest)
    assert torch.equal(a.offset, b.offset)
    assert torch.equal(a.weights, b.weights)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.tsv", b"y\ta,b\tc\n1\t2\tu,v\n3\t4\tw\n"),
        ("t.txt", b'y;"a,b";c\n1;2;u,v\n3;4;w\n'),
        ("t.CSV", b'\xef\xbb\xbfy,"a,b",c\r\n1,2,"u,v"\r\n3,4,w\r\n'),
        ("t.csv", b'\n y , "a,b" ,c\n\n1,2,"u,v"\n3,4,w'.replace(b' "a,b" ', b'"a,b"')),
        ("t.csv.gz", gzip.compress(b'y,"a,b",c\n1,2,"u,v"\n3,4,w\n', mtime=0)),
    ],
    ids=["tabs", "semicolons", "byte order mark", "blank lines", "gzip"],
)
def test_delimiters_byte_order_mark_blank_lines_and_gzip(tmp_path, name, content):
    examples = table(write(tmp_path / name, content)).examples(0)
    assert examples.features == ("a,b", "c=w")
    assert equal(examples.X, [[2, 0], [4, 1]])
    assert equal(examples.y, [1, 3])


def test_the_delimiter_is_the_one_that_the_rows_share():
    assert delimiter(["price;size (m2, net)", "1;2", "3;4"]) == ";"
    assert delimiter(["a\tb,c\td", "1\t2\t3"]) == "\t"
    assert delimiter(['"a;b;c",d', "1,2"]) == ","
    assert delimiter(["y", "1"]) == ","
    assert delimiter(["a,b,c;d", "1,2"]) == ","  # ragged: the reader names the row


def test_a_row_longer_than_a_usual_block(tmp_path):
    path = write(tmp_path / "t.csv", "y,a\n1,u\n2," + "v" * 3_000_000 + "\n")
    assert table(path).examples(0).X.tolist() == [[0], [1]]


def test_types_are_guessed_from_the_whole_file(tmp_path):
    n = 300_000  # over a megabyte, Arrow's usual block
    path = write(tmp_path / "long.csv", "y,a\n" + "1,2\n" * n + "0.5,2.5\n")
    examples = table(path).examples(0)
    assert equal(examples.X[-2:], [[2], [2.5]])
    assert len(examples) == n + 1


def test_a_header_longer_than_what_is_looked_at_first(tmp_path):
    names = [f"column_{i:06d}" for i in range(6000)]
    path = write(tmp_path / "wide.csv", ",".join(names) + "\n" + ",".join(map(str, range(6000))) + "\n")
    examples = table(path, target=names[-1], features=names[:2]).examples(0)
    assert equal(examples.X, [[0, 1]])
    assert equal(examples.y, [5999])


def test_a_letter_of_two_bytes_where_the_first_look_ends(tmp_path):
    for shift in "", "x":
        path = write(tmp_path / f"t{shift}.csv", f"y,a\n1,{shift}" + "é" * 40_000 + "\n2,b\n")
        assert table(path).examples(0).X.shape == (2, 1)


def test_a_quoted_cell_may_hold_a_line_end(tmp_path):
    examples = table(write(tmp_path / "t.csv", 'y,c\n1,"a\nb"\n2,a\n')).examples(0)
    assert examples.columns == (Column("c", ("a", "a\nb")),)


def test_number_types_of_parquet(tmp_path):
    path = write_parquet(
        tmp_path / "t.parquet",
        y=pa.array([2**53 + 1, 0], pa.int64()),
        half=pa.array([0.5, 2], pa.float16()),
        unsigned=pa.array([2**64 - 1, 1], pa.uint64()),
        decimal=pa.array([Decimal("1.25"), Decimal("-3")], pa.decimal128(6, 2)),
        yes=[True, False],
        codes=pa.array([7, 9]).dictionary_encode(),
    )
    examples = table(path).examples(0)
    assert equal(examples.y, [2.0**53, 0])  # rounded to the nearest float64
    assert equal(examples.X, [[0.5, 2.0**64, 1.25, 1, 7], [2, 1, -3, 0, 9]])


def test_text_of_digits_in_parquet_stays_text(tmp_path):
    path = write_parquet(tmp_path / "t.parquet", y=[1, 2], zip=pa.array(["0700", "1000"], pa.large_string()))
    assert table(path).examples(0).features == ("zip=1000",)


def test_an_index_that_pandas_wrote_is_no_feature_and_a_folder_is_no_column(tmp_path):
    folder = tmp_path / "seed=3"
    folder.mkdir()
    path = write_parquet(folder / "t.parquet", y=[1, 2], a=[3, 4], __index_level_0__=[0, 1])
    assert table(path).examples(0).features == ("a",)


def test_drop_keeps_the_rest_aligned_and_ignores_columns_without_a_role(tmp_path):
    lines = [
        "y,a,t,o,w,other",
        "1,1,u,1,1,",
        ",2,u,2,2,",
        "3,,u,3,3,",
        "4,4,,4,4,",
        "5,5,v,,5,",
        "6,6,v,6,NA,",
        "7,7,w,7,7,",
    ]
    path = write(tmp_path / "t.csv", "\n".join(lines))
    examples = table(path, features=["a", "t"], offset="o", weights="w", missing="drop").examples(0)
    assert examples.columns[1] == Column("t", ("u", "w"))  # v is in no row that is left
    assert equal(examples.X, [[1, 0], [7, 1]])
    assert equal(examples.y, [1, 7])
    assert equal(examples.offset, [1, 7])
    assert equal(examples.weights, [1, 7])


def test_nan_in_parquet_is_missing(tmp_path):
    path = write_parquet(tmp_path / "t.parquet", y=[1.0, 2.0, 3.0], a=[float("nan"), 5.0, None])
    assert equal(table(path, missing="drop").examples(0).X, [[5]])


def test_digest_depends_on_values_names_and_roles(tmp_path):
    path = write(tmp_path / "t.csv", "y,a,b\n1,2,2\n3,4,4\n")
    other = write(tmp_path / "u.csv", "y,a,b\n1,2,2\n3,4,5\n")
    choices = [
        {"features": ["a"]},
        {"features": ["b"]},
        {"features": ["a", "b"]},
        {"offset": "b"},
        {"weights": "b"},
    ]
    digests = [table(path, **choice).examples(0).digest for choice in choices]
    assert len({*digests, table(other).examples(0).digest}) == 6
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in digests)
    assert table(write(tmp_path / "copy.csv", "b,a,y\n2,2,1\n4,4,3\n"), features=["a"]).examples(0).digest == digests[0]


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    read, calls = reading.read, []
    monkeypatch.setattr(module, "read", lambda path: calls.append(path) or read(path))
    path = write(tmp_path / "t.csv", "y,a\n1,2\n")
    first = table(path).examples(0)
    assert table(path, batch_size=1).examples(5) is first
    assert len(calls) == 1
    assert table(path, features=[]).examples(0).X.shape == (1, 0)
    stat = path.stat()
    write(path, "y,a\n1,3\n")  # of the same size
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1000))
    assert equal(table(path).examples(0).X, [[3]])
    write(path, "y,a\n1,33\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1000))  # of the same time
    assert equal(table(path).examples(0).X, [[33]])


def test_a_relative_path_starts_where_the_command_was_typed(tmp_path, monkeypatch):
    write(tmp_path / "t.csv", "y,a\n1,2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert table("t.csv").examples(0).source == str(tmp_path / "t.csv")
    assert table("~/t.csv").examples(0).source == str(tmp_path / "t.csv")


def shipped(name: str) -> list[dict[str, str]]:
    with (FILES / name).open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_houses_are_the_numbers_in_the_file():
    rows = shipped("houses.csv")
    examples = table("shipped:houses.csv", "price", features=["area", "age"]).examples(0)
    assert examples.X.shape == (2930, 2)
    assert examples.source == "shipped:houses.csv"
    assert equal(examples.y, [float(row["price"]) for row in rows])
    assert equal(examples.X, [[float(row["area"]), float(row["age"])] for row in rows])
    assert examples.y.mean().item() == pytest.approx(180796.06, abs=0.005)


def test_all_columns_of_houses_with_indicators_of_neighborhoods():
    rows = [row for row in shipped("houses.csv") if row["garage_cars"]]
    examples = table("shipped:houses.csv", "price", missing="drop").examples(0)
    names = sorted({row["neighborhood"] for row in rows})
    assert len(examples) == len(rows) == 2929
    assert examples.features[-len(names) + 1 :] == tuple(f"neighborhood={name}" for name in names[1:])
    column = examples.X[:, examples.features.index("neighborhood=NAmes")]
    assert column.tolist() == [row["neighborhood"] == "NAmes" for row in rows]


def test_apples_are_the_numbers_in_the_file():
    rows = shipped("apples.csv")
    names = ["eco_price", "regular_price", "household_size", "family_income"]
    examples = table("shipped:apples.csv", "eco_apples", features=names).examples(0)
    assert len(examples) == 627
    assert equal(examples.y, [int(row["eco_apples"]) for row in rows])
    assert equal(examples.X, [[float(row[name]) for name in names] for row in rows])


@pytest.mark.parametrize("kind", ["float", "int", "bool", "ordered"])
def test_a_category_has_the_names_that_its_predictions_look_for(tmp_path, kind):
    """4.0 and 4, True and true are one level, whoever writes them."""
    values = {"float": [4.0, 4.5, 10.0], "int": [4, 5, 10], "bool": [True, False, True], "ordered": [10, 4, 5]}[kind]
    frame = pd.DataFrame({"k": pd.Categorical(values * 4, ordered=kind == "ordered"), "y": range(12)})
    frame.to_parquet(tmp_path / "t.parquet")
    (column,) = table(tmp_path / "t.parquet").examples(0).columns
    found = _features([column], frame)
    assert found.sum(1).tolist() == [float(level_text(value) != column.levels[0]) for value in values * 4]
