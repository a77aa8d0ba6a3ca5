"""Frames as bytes: dictionaries are stored once, and single frames and columns can be read alone."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.frames.ipc import pack_frame, pack_frames, unpack_frame, unpack_frames

TEXTS = st.lists(st.text(max_size=4), unique=True, max_size=6)
LONG = [f"a long text with the number {number}, like that of no other" for number in range(2000)]
FRAME = pl.DataFrame(
    {
        "tool": pl.Series(["a", None, "b"], dtype=pl.Enum(["b", "a", "never used"])),
        "jobs": [1, None, -(2**63)],
        "bytes": pl.Series([2**100, 0, None], dtype=pl.Int128),
        "day": [date(2024, 1, 1), None, None],
        "flag": [True, False, None],
    }
)


def encoded(name: str, texts: list[str], rows: int = 3) -> pl.DataFrame:
    """A column by a dictionary, of which the rows need not have all texts, and one of numbers."""
    values = [None, *texts][:rows]
    return pl.DataFrame({name: pl.Series(values, dtype=pl.Enum(texts)), "n": pl.Series([*range(len(values))])})


@examples(50)
@given(st.dictionaries(st.text(max_size=3), st.builds(encoded, st.sampled_from(["a", "b"]), TEXTS), max_size=4))
def test_frames_come_back_with_their_dictionaries(frames: dict[str, pl.DataFrame]) -> None:
    found = unpack_frames(pack_frames(frames))
    assert list(found) == list(frames)
    for name, frame in frames.items():
        assert found[name].schema == frame.schema
        assert found[name].equals(frame)


def test_a_dictionary_that_frames_share_is_stored_once() -> None:
    alone = len(pack_frame(encoded("a", LONG), "uncompressed"))
    shared = pack_frames({"one": encoded("a", LONG), "two": encoded("a", LONG)}, "uncompressed")
    apart = pack_frames({"one": encoded("a", LONG), "two": encoded("a", LONG[1:])}, "uncompressed")
    assert len(shared) < 1.2 * alone
    assert len(apart) > 1.8 * alone


@pytest.mark.parametrize("names", [[], ["two"], ["three", "one"], ["one", "unknown"]])
def test_only_the_frames_that_are_asked_for_are_read(names: list[str]) -> None:
    frames = {"one": encoded("a", ["x"]), "two": encoded("a", ["y", "x"]), "three": encoded("b", ["x"])}
    found = unpack_frames(pack_frames(frames), names)
    assert list(found) == [name for name in frames if name in names]
    assert all(found[name].equals(frames[name]) for name in found)


def test_an_encoded_column_can_be_read_alone_or_left_out() -> None:
    frame = encoded("a", ["y", "x"])
    packed = pack_frame(frame)
    assert unpack_frame(packed, ["a"]).equals(frame.select("a"))
    assert unpack_frame(packed, ["n"]).equals(frame.select("n"))


def test_what_is_packed_is_the_same_bytes_every_time() -> None:
    assert pack_frame(encoded("a", ["y", "x"])) == pack_frame(encoded("a", ["y", "x"]))


@pytest.mark.parametrize("compression", ["lz4", "uncompressed"])
def test_a_frame_comes_back_with_its_types_and_nulls(compression) -> None:
    for frame in (FRAME, FRAME.clear(), FRAME[1:]):
        found = unpack_frame(pack_frame(frame, compression))
        assert found.schema == frame.schema
        assert found.equals(frame)


@pytest.mark.parametrize("rows", [0, 10_000, 10_001])
def test_a_frame_of_any_size_comes_back(rows: int) -> None:
    frame = pl.DataFrame({"n": range(rows), "text": ["some text"] * rows}, schema={"n": pl.Int64, "text": pl.String})
    halves = pl.concat([frame[: rows // 2], frame[rows // 2 :]], rechunk=False)
    assert unpack_frame(pack_frame(halves)).equals(frame)
    assert unpack_frame(pack_frame(halves), ["n"]).equals(frame.select("n"))


def test_single_columns_of_a_frame_can_be_read() -> None:
    assert unpack_frame(pack_frame(FRAME), ["day", "jobs"]).equals(FRAME.select("day", "jobs"))


@pytest.mark.parametrize("partial", [{}, {"one": FRAME}, {"two": FRAME.clear(), "one": FRAME}], ids=len)
def test_a_partial_comes_back_with_its_frames_in_order(partial: dict[str, pl.DataFrame]) -> None:
    found = unpack_frames(pack_frames(partial))
    assert list(found) == list(partial)
    assert all(found[name].equals(frame) and found[name].schema == frame.schema for name, frame in partial.items())
