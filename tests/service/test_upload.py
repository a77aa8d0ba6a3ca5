"""One upload, from the pieces of its body to an archive, within the limits of its parts."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from galaxy_client import BOUNDARY, Sent, archive, form, part, parts_of

from grt_batch.core.config import Config
from grt_batch.service import upload as module
from grt_batch.service.receiving import Incoming
from grt_batch.service.replies import Refused
from grt_batch.service.room import Place
from grt_batch.service.upload import Upload

KIND = f"multipart/form-data; boundary={BOUNDARY}"
SENT = archive("1501836597.08", os.urandom(5000))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of an instance, in which nothing hidden is left."""
    folder = tmp_path / "7"
    folder.mkdir()
    yield folder
    assert not list(folder.rglob(".*"))


def send(folder: Path, body: bytes, config: Config | None = None) -> tuple[str, bool]:
    place = Place("7", len(body))
    upload = Upload(folder, KIND, place, config or Config())
    try:
        for begin in range(0, len(body), 1000):
            upload.write(body[begin : begin + 1000])
        name = upload.finish()
        done = name, upload.publish(name)
        assert place.written == len(SENT.meta) + len(SENT.data)
        return done
    finally:
        upload.close()


def refused(folder: Path, sent: Sent, config: Config) -> Refused:
    with pytest.raises(Refused) as caught:
        send(folder, form(*parts_of(sent)), config)
    return caught.value


def test_an_archive_is_stored_once(folder: Path) -> None:
    body = form(*parts_of(SENT))
    assert send(folder, body) == (SENT.name, True)
    assert send(folder, body) == (SENT.name, False)


def test_the_size_of_the_tar_is_limited_to_the_byte(folder: Path) -> None:
    size = len(SENT.data)
    found = refused(folder, SENT, Config(max_upload_bytes=size - 1))
    assert (found.status, f"more than {size - 1} bytes" in found.message) == (413, True)
    assert send(folder, form(*parts_of(SENT)), Config(max_upload_bytes=size))


def test_the_size_of_the_text_is_limited_as_for_a_run(folder: Path) -> None:
    found = refused(folder, SENT, Config(max_archive_bytes=4999))
    assert (found.status, "unpacks to more than 4999 bytes" in found.message) == (400, True)
    bomb = replace(SENT, data=gzip.compress(bytes(70 << 20), 1))
    assert "more than 10 times its size" in refused(folder, bomb, Config(max_ratio=10)).message


def test_replacing_is_allowed_by_the_configuration(folder: Path) -> None:
    send(folder, form(*parts_of(SENT)))
    other = archive(SENT.name, os.urandom(5000))
    assert refused(folder, other, Config()).status == 409
    assert send(folder, form(*parts_of(other)), Config(replace_uploads=True)) == (SENT.name, True)


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EIO, 0)])
def test_a_disk_that_fills_up(folder: Path, number: int, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, "no")

    for name in ("write", "sync"):
        with monkeypatch.context() as patch:
            patch.setattr(Incoming, name, fail)
            if status:
                assert refused(folder, SENT, Config()).status == status
            else:
                with pytest.raises(OSError, match="no"):
                    send(folder, form(*parts_of(SENT)))
    assert list(folder.rglob("*")) == [folder / "archives"]


def test_one_open_file_is_not_left_where_there_is_no_second(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = iter([Incoming, None])

    def limited(place: Path) -> Incoming:
        kind = next(opened)
        if kind is None:
            raise OSError(errno.EMFILE, "Too many open files")
        return kind(place)

    monkeypatch.setattr(module, "Incoming", limited)
    with pytest.raises(OSError, match="Too many"):
        Upload(folder, KIND, Place("7", 1), Config())


def test_a_name_is_refused_before_the_rest_comes(folder: Path) -> None:
    upload = Upload(folder, KIND, Place("7", 1), Config())
    with pytest.raises(Refused, match="identifier is no number"):
        upload.write(part("identifier", b"../1"))
    upload.close()
