"""Parquet folders, and their rows in blocks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from data_tables import table, write_parquet

from noiseworks.chunked.problem import Passes
from noiseworks.data.chunks import LEAST, ahead
from noiseworks.data.reading import ParquetRows
from noiseworks.errors import UserError


def folder(path, files: int = 3, rows: int = 2_000, **columns):
    path.mkdir()
    for k in range(files):
        rng = np.random.default_rng(k)
        given = {"y": rng.normal(size=rows), "a": rng.integers(0, 9, rows), "c": rng.choice(["u", "v", "w"], rows)}
        write_parquet(path / f"{k}.parquet", **(given | columns))
    return path


def chunks(path, **settings):
    return table(path, memory_mb=1, **settings).chunks(Passes(0, quiet=True))


def test_a_folder_is_read_whole_in_the_order_of_its_names(tmp_path):
    path = folder(tmp_path / "t")
    (path / "_SUCCESS").write_text("")
    write_parquet(path / ".hidden.parquet", other=[1])
    examples = table(path).examples(0)
    assert examples.features == ("a", "c=v", "c=w")
    pieces = [table(path / f"{k}.parquet").examples(0) for k in range(3)]
    assert torch.equal(examples.X, torch.cat([piece.X for piece in pieces]))
    assert torch.equal(examples.y, torch.cat([piece.y for piece in pieces]))


def test_a_changed_file_of_a_folder_is_read_again(tmp_path):
    path = folder(tmp_path / "t")
    before = table(path).examples(0)
    write_parquet(path / "3.parquet", y=[1.0], a=[2], c=["u"])
    assert len(table(path).examples(0)) == len(before) + 1


def test_whole_numbers_in_one_file_and_fractions_in_another(tmp_path):
    path = folder(tmp_path / "t", files=1)
    write_parquet(path / "1.parquet", y=[1, 2], a=[0.5, 1.5], c=["u", "v"])
    assert table(path).examples(0).X[-2:, 0].tolist() == [0.5, 1.5]
    assert torch.cat([block.X for block in chunks(path).blocks()])[-2:, 0].tolist() == [0.5, 1.5]


def test_blocks_are_the_rows_in_memory(tmp_path):
    path = folder(tmp_path / "t")
    held, blocks = table(path).examples(0), list(chunks(path).blocks())
    assert max(map(len, blocks)) <= LEAST
    assert len(blocks) >= 6
    assert torch.equal(held.X, torch.cat([block.X for block in blocks]))
    assert torch.equal(held.y, torch.cat([block.y for block in blocks]))
    assert blocks[0].features == held.features
    assert blocks[0].columns == held.columns


def test_dictionaries_booleans_and_the_index_of_pandas(tmp_path):
    frame = pd.DataFrame({"y": [1.0, 2.0, 3.0], "c": pd.Categorical(["b", "a", "b"]), "t": [True, False, True]})
    frame.index = [5, 6, 7]
    frame.to_parquet(tmp_path / "t.parquet")
    held = table(tmp_path / "t.parquet").examples(0)
    (block,) = chunks(tmp_path / "t.parquet").blocks()
    assert held.features == block.features == ("c=b", "t")
    assert torch.equal(held.X, block.X)


def test_what_is_read_in_chunks(tmp_path):
    """More than memory_mb at 64 bytes a number: 16,384 numbers a mebibyte. Columns that are not used do not count."""
    path = write_parquet(tmp_path / "t.parquet", y=np.zeros(8_193), a=np.zeros(8_193), b=np.zeros(8_193))
    assert table(path, memory_mb=1).in_chunks
    assert not table(path, memory_mb=2).in_chunks
    assert not table(path, memory_mb=None).in_chunks
    assert table(path, memory_mb=1, features=["a"]).in_chunks
    assert not table(path, memory_mb=1, features=[]).in_chunks
    (tmp_path / "t.csv").write_text("y,a\n" + "1,2\n" * 20_000)
    assert not table(tmp_path / "t.csv", memory_mb=1).in_chunks
    with pytest.raises(UserError, match=r"data\.memory_mb=0"):
        table(path, memory_mb=0)


def test_the_digest_follows_the_values(tmp_path):
    digests = set()
    for k, values in enumerate(([1.0, 2.0], [1.0, 3.0])):
        write_parquet(tmp_path / f"{k}.parquet", y=values)
        digests.add(ParquetRows.of(tmp_path / f"{k}.parquet").digest())
    write_parquet(tmp_path / "2.parquet", y=[1.0, 2.0])
    digests.add(ParquetRows.of(tmp_path / "2.parquet").digest())
    assert len(digests) == 2


def test_a_broken_file_of_a_folder(tmp_path):
    path = folder(tmp_path / "t")
    (path / "9.parquet").write_bytes(b"PAR1 no more")
    for call in (lambda: table(path).examples(0), lambda: table(path, memory_mb=1).in_chunks):
        with pytest.raises(UserError, match=r"data\.path=.* cannot be read"):
            call()


def test_two_columns_of_one_name(tmp_path):
    twice = pa.table([pa.array([1.0]), pa.array([2.0])], names=["y", "y"])
    pa.parquet.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(UserError, match="more than one column named 'y'"):
        chunks(tmp_path / "t.parquet")


def test_items_are_made_ahead_in_order_and_errors_come_through():
    assert list(ahead(iter(range(1, 20)))) == list(range(1, 20))

    def failing():
        yield 1
        raise UserError("row 7")

    items = ahead(failing())
    assert next(items) == 1
    with pytest.raises(UserError, match="row 7"):
        next(items)
