"""A tar as a stream: tarfile reads it, its size is known before, and any piece of it is that piece."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from grt_batch.service.tar_stream import BLOCK_BYTES, Changed, TarStream

CONTENTS = {
    "a/archives/1.tar.gz": bytes(range(256)) * 3,
    "a/archives/1.json": b"",
    f"{'long' * 40}/archives/2.json": b"{}" * 256,
    "a/archives/3.tar.gz": b"x" * (BLOCK_BYTES + 1),
}


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[str, Path]]:
    made = [(name, tmp_path / str(number)) for number, name in enumerate(CONTENTS)]
    for name, path in made:
        path.write_bytes(CONTENTS[name])
    return made


def test_tarfile_reads_it(files: list[tuple[str, Path]]) -> None:
    stream = TarStream(files)
    content = b"".join(stream.read())
    assert len(content) == stream.size
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert {member.name: tar.extractfile(member).read() for member in tar} == CONTENTS  # type: ignore[union-attr]


def test_any_piece_of_it_is_that_piece(files: list[tuple[str, Path]]) -> None:
    stream = TarStream(files)
    content = b"".join(stream.read())
    cuts = sorted({0, 1, 511, 512, 513, 1280, 1535, 1536, 2048, 4000, stream.size - 1, stream.size})
    for begin in cuts:
        for end in cuts:
            assert b"".join(stream.read(begin, end)) == content[begin:end]


def test_of_no_file_it_is_an_empty_tar() -> None:
    with tarfile.open(fileobj=io.BytesIO(b"".join(TarStream([]).read()))) as tar:
        assert tar.getmembers() == []


def test_the_tag_is_of_the_files(files: list[tuple[str, Path]]) -> None:
    before = TarStream(files).etag
    assert TarStream(files).etag == before
    assert TarStream(files[1:]).etag != before
    files[0][1].write_bytes(b"other")
    assert TarStream(files).etag != before


@pytest.mark.parametrize("content", [b"", b"longer than it was"])
def test_a_file_that_changed_breaks_the_stream_off(files: list[tuple[str, Path]], content: bytes) -> None:
    stream = TarStream(files)
    files[2][1].write_bytes(content)
    with pytest.raises(Changed):
        list(stream.read())


def test_a_file_that_is_gone_is_an_error_at_once(files: list[tuple[str, Path]]) -> None:
    files[0][1].unlink()
    with pytest.raises(FileNotFoundError):
        TarStream(files)
