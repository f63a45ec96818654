"""Every mistake ends in one message that names what is wrong and what would be right."""

from __future__ import annotations

import datetime
import gzip
import math

import pyarrow as pa
import pytest
from data_tables import table, write, write_parquet

from noiseworks.errors import UserError


def message(call) -> str:
    with pytest.raises(UserError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500
    return text


def complaint(path, **settings) -> str:
    return message(lambda: table(path, **settings).examples(0))


def assert_refused(path, *parts: str, **settings) -> None:
    text = complaint(path, **settings)
    for part in parts:
        assert part in text, f"{part!r} is not in {text!r}"


def test_no_such_file(tmp_path, monkeypatch):
    write(tmp_path / "shop.csv", "y\n1\n")
    monkeypatch.chdir(tmp_path)
    assert_refused("shpo.csv", "data.path", str(tmp_path / "shpo.csv"), "did you mean shop.csv?")
    assert_refused("Quite-other.dat", str(tmp_path / "Quite-other.dat") + ".")
    assert_refused("far/shop.csv", str(tmp_path / "far/shop.csv"), "nor a folder")
    assert_refused("shipped:house.csv", "data.path", "did you mean houses.csv?")


def test_a_folder_and_an_unknown_kind(tmp_path):
    assert_refused(tmp_path, "data.path", str(tmp_path), "is a folder")
    assert_refused(write(tmp_path / "t.xlsx", "y\n1\n"), "t.xlsx", ".csv", ".parquet")
    assert_refused(write(tmp_path / "t.parquet.gz", "y\n1\n"), "t.parquet.gz", ".csv")


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file(tmp_path, content):
    assert_refused(write(tmp_path / "t.csv", content), "t.csv is empty")


@pytest.mark.parametrize("content", ["y,a", "y,a\n", "\ny,a\n\n"])
def test_a_header_only(tmp_path, content):
    assert_refused(write(tmp_path / "t.csv", content), "t.csv has no rows")
    assert_refused(write_parquet(tmp_path / "t.parquet", y=pa.array([], pa.int64())), "t.parquet has no rows")


def test_files_that_cannot_be_read(tmp_path):
    assert_refused(
        write(tmp_path / "t.csv", "y,a\n1,2\n3\n"), "t.csv cannot be read", "row 2", "Expected 2 columns, got 1"
    )
    assert_refused(write(tmp_path / "t.parquet", "y,a\n1,2\n"), "t.parquet cannot be read", "Parquet")
    assert_refused(write(tmp_path / "u.parquet", ""), "u.parquet cannot be read", "0 bytes")
    assert_refused(write(tmp_path / "t.csv.gz", "y,a\n1,2\n"), "t.csv.gz cannot be read", "header")
    assert_refused(write(tmp_path / "u.csv.gz", gzip.compress(b"y,a\n1,2\n" * 99)[:20]), "u.csv.gz cannot be read")


def test_a_quote_that_is_not_closed_would_swallow_rows(tmp_path):
    assert_refused(write(tmp_path / "t.csv", 'y,a\n1,u\n2,"v\n3,w\n'), "t.csv has a quote that is not closed", "row 2")
    inches = table(write(tmp_path / "u.csv", 'y,a\n1,5" pipe\n2,"a\nb"\n3,c\n')).examples(0)
    assert inches.columns[0].levels == ('5" pipe', "a\nb", "c")
    closed = table(write(tmp_path / "v.csv", 'y,a\n1,u\n2,"v\nw"\n')).examples(0)
    assert closed.columns[0].levels == ("u", "v\nw")


def test_text_that_is_not_utf8(tmp_path):
    assert_refused(write(tmp_path / "t.csv", "y,é\n1,2\n".encode("latin-1")), "t.csv is not UTF-8", "byte 3")
    assert_refused(write(tmp_path / "u.csv", "y,a\n1,2\n".encode("utf-16")), "u.csv is not UTF-8")
    late = b"y,a\n" + b"1,b\n" * 20_000 + b"1,\xe9\n"
    assert_refused(write(tmp_path / "v.csv", late), "Column a", "v.csv", "not UTF-8")


@pytest.mark.parametrize("role", ["target", "offset", "weights", "features"])
def test_a_column_that_is_not_there(tmp_path, role):
    path = write(tmp_path / "t.csv", "y,price,area\n1,2,3\n")
    assert_refused(
        path,
        f"data.{role}",
        "no column Prise",
        "did you mean price?",
        "y, price, area",
        **{role: ["Prise"] if role == "features" else "Prise"},
    )
    other = complaint(path, **{role: ["zzz"] if role == "features" else "zzz"})
    assert "did you mean" not in other


def test_many_columns_are_not_all_listed(tmp_path):
    names = [f"c{i}" for i in range(30)]
    path = write(tmp_path / "t.csv", ",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    text = complaint(path)
    assert "c9 ... (30 in all)" in text
    assert "c10" not in text


def test_names_twice(tmp_path):
    path = write(tmp_path / "t.csv", "y,a,a\n1,2,3\n")
    assert_refused(path, "more than one column named 'a'")
    assert_refused(write(tmp_path / "u.csv", "y,a, a\n1,2,3\n"), "more than one column named 'a'")
    good = write(tmp_path / "v.csv", "y,a\n1,2\n")
    assert_refused(good, "data.features lists a twice", features=["a", "a"])
    assert_refused(good, "data.features lists y", "target", features=["a", "y"])
    assert_refused(good, "data.offset=y", "target", offset="y")
    assert_refused(good, "data.weights=y", "target", weights="y")
    assert_refused(write(tmp_path / "w.csv", "y,t,t=v\n1,u,2\n1,v,2\n"), "would be called t=v")


def test_a_column_without_a_name(tmp_path):
    path = write(tmp_path / "t.csv", ",y,a\n1,2,3\n")
    assert_refused(path, "Column 1 of", "no name", "data.features")
    assert table(path, features=["a"]).examples(0).features == ("a",)


def test_no_feature_left(tmp_path):
    path = write(tmp_path / "t.csv", "y,w\n1,2\n")
    assert_refused(path, "no column beside y, w", "data.features=[]", weights="w")


@pytest.mark.parametrize(("role", "key"), [("y", "data.target=y"), ("o", "data.offset=o"), ("w", "data.weights=w")])
@pytest.mark.parametrize("bad", ['"12,5"', "none", "$3"])
def test_text_where_numbers_must_be(tmp_path, role, key, bad):
    rows = [{"y": "1", "a": "1", "o": "1", "w": "1"} for _ in range(3)]
    rows[1][role] = bad
    path = write(tmp_path / "t.csv", "y,a,o,w\n" + "\n".join(",".join(row.values()) for row in rows))
    assert_refused(path, key, f"'{bad.strip(chr(34))}' in row 2", offset="o", weights="w")


def test_digits_as_text_are_no_target(tmp_path):
    path = write_parquet(tmp_path / "t.parquet", y=[None, "1", "2"], a=[1, 2, 3])
    assert_refused(path, "data.target=y", "text", "'1' in row 2")


@pytest.mark.parametrize(
    ("cells", "bad"),
    [
        (["1", "", "2", "x", "y", "3"], "'x' in row 4"),
        (["1", "x", "2", "y"], "'x' in row 2"),  # half are numbers
        (["1,5", "2,5", "3,25"], "'1,5' in row 1"),
        (["1.5", "$2.5", "40 %", "7"], "'$2.5' in row 2"),
        (["1,234.50", "big", "7"], "'1,234.50' in row 1"),
        (["$1", "40 %", "big"], "'$1' in row 1"),
        (["1", "2", "3+"], "'3+' in row 3"),
    ],
)
def test_numbers_with_stray_text_are_no_levels(tmp_path, cells, bad):
    path = write(tmp_path / "t.csv", "y;a\n" + "\n".join(f"1;{cell}" for cell in cells))
    assert_refused(path, "Column a of", bad)


def test_text_with_fewer_numbers_than_half_is_text(tmp_path):
    path = write(tmp_path / "t.csv", "y,a\n1,1\n1,2a\n1,2b\n")
    assert table(path).examples(0).features == ("a=2a", "a=2b")


def test_too_many_levels(tmp_path):
    def with_levels(n: int) -> str:
        return "y,a\n" + "".join(f"1,name{i}\n" for i in range(n))

    assert len(table(write(tmp_path / "t.csv", with_levels(100))).examples(0).features) == 99
    assert_refused(write(tmp_path / "u.csv", with_levels(101)), "Text column a", "101 levels", "100", "data.features")


def test_missing_values(tmp_path):
    path = write(tmp_path / "t.csv", "y,a,b\n1,1,1\n2,,2\n3,NA,3\n4,4,\n")
    assert_refused(path, "Column a of", "in row 2", "lacks 2 in all", "data.missing=drop", "(3 of 4)")
    assert_refused(path, "Column b of", "in row 4", "lacks 1 in all", "(1 of 4)", features=["b"])
    assert_refused(path, "Column b of", "in row 4", "lacks 1 in all", "(3 of 4)", features=["b", "a"])
    assert len(table(path, features=[]).examples(0)) == 4
    nan = write_parquet(tmp_path / "t.parquet", y=[1.0, math.nan], a=[1, 2])
    assert_refused(nan, "Column y of", "in row 2")
    assert_refused("shipped:houses.csv", "Column garage_cars", "row 2237", "(1 of 2930)", target="price")


def test_no_row_left(tmp_path):
    path = write(tmp_path / "t.csv", "y,a,b\n1,,1\n2,,\n3,,3\n")
    assert_refused(path, "Every row of", "a in 3 of 3", "choose other columns", missing="drop")
    assert_refused(path, "Every row of", "a in 3 of 3")


@pytest.mark.parametrize("missing", ["error", "drop"])
def test_values_that_are_not_finite(tmp_path, missing):
    gap = ",2\n" if missing == "drop" else "2,2\n"  # rows are counted as in the file, whatever is left out
    assert_refused(
        write(tmp_path / "t.csv", f"y,a\n1,1\n{gap}3,-inf\n"), "Column a of", "-inf in row 3", missing=missing
    )
    assert_refused(
        write(tmp_path / "u.csv", f"y,a\n1,1\n{gap}1e999,1\n"), "Column y of", "inf in row 3", missing=missing
    )


def test_an_infinite_value_in_a_row_that_is_left_out_is_no_matter(tmp_path):
    path = write(tmp_path / "t.csv", "y,a\n1,1\n,inf\n3,3\n")
    assert table(path, missing="drop").examples(0).X.flatten().tolist() == [1, 3]


@pytest.mark.parametrize("weight", ["0", "-1.5"])
def test_weights_that_are_not_positive(tmp_path, weight):
    path = write(tmp_path / "t.csv", f"y,a,w\n1,1,1\n,2,2\n3,3,{weight}\n")
    assert_refused(path, f"data.weights=w is {weight} in row 3", "above 0", weights="w", missing="drop")


def test_types_that_are_neither_numbers_nor_text(tmp_path):
    day = datetime.date(2020, 1, 1)
    path = write_parquet(tmp_path / "t.parquet", y=[1], day=[day], many=[[1, 2]], blob=[b"x"])
    assert_refused(path, "Column day of", "date32", "data.features")
    assert_refused(path, "Column many of", "list<", features=["many"])
    assert_refused(path, "Column blob of", "not UTF-8", features=["blob"])
    assert_refused(path, "Column day of", "date32", target="day", features=[])
    assert_refused(write(tmp_path / "t.csv", "y,day\n1,2020-01-01\n"), "Column day of", "date32")


def test_settings():
    assert "data.missing=omit" in (text := message(lambda: table("t.csv", missing="omit")))
    assert "error, drop" in text
    assert "data.features=[area]" in message(lambda: table("t.csv", features="area"))
    assert "data.path is not set" in message(lambda: table(""))
    assert "data.target is not set" in message(lambda: table("t.csv", target=None))
    assert "data.batch_size=0" in message(lambda: table("t.csv", batch_size=0))
