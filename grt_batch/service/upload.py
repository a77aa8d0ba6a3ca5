"""One upload: from the pieces of its body to an archive in the folder of its instance."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grt_batch.core.config import Config
from grt_batch.core.errors import Quarantine
from grt_batch.service.form import Form
from grt_batch.service.gzip_check import GzipCheck
from grt_batch.service.receiving import Incoming, check_and_sync, make_folder, publish
from grt_batch.service.replies import Refused
from grt_batch.service.room import Place, full_disk, too_large
from grt_batch.uploads.metadata import MOST_BYTES
from grt_batch.uploads.scan import ARCHIVES, is_archive_name
from grt_batch.uploads.unpacking import Limits

_MOST_NAME = 64
"""The most characters of an identifier."""


_FULL = (errno.ENOSPC, errno.EDQUOT)


class Upload:
    """An archive that arrives. Its methods block. `close` leaves nothing of it that is hidden."""

    def __init__(self, folder: Path, content_type: str, place: Place, config: Config) -> None:
        self._folder = folder
        self._place = place
        self._config = config
        self._name = b""
        self._gzip = GzipCheck(Limits(max_archive_bytes=config.max_archive_bytes, max_ratio=config.max_ratio))
        self._form = Form(content_type, {"identifier": self._to_name, "meta": self._to_meta, "data": self._to_data})
        archives = folder / ARCHIVES
        make_folder(archives)
        self._meta = Incoming(archives)
        try:
            self._data = Incoming(archives)
        except OSError:
            self._meta.close()
            raise

    def write(self, data: bytes) -> None:
        """Take the next piece of the body. Raises Refused."""
        with _full_disk_refused():
            self._form.write(data)

    def finish(self) -> str:
        """Take the end of the body, wait until the disk has the archive, and return its name. Raises Refused."""
        self._form.end()
        name = self._name.decode("ascii", "replace")
        if not is_archive_name(name):
            raise _bad_name()
        try:
            self._gzip.end()
        except Quarantine as error:
            raise _bad_tar(error) from None
        with _full_disk_refused():
            check_and_sync(name, self._meta, self._data)
        return name

    def publish(self, name: str) -> bool:
        """Give the archive its name, and return whether it was not there before. Raises Refused.

        Of one instance, only one archive may be published at a time.
        """
        with _full_disk_refused():
            return publish(self._folder, name, self._meta, self._data, replace=self._config.replace_uploads)

    @property
    def bytes(self) -> int:
        """Return the bytes of the tar.gz that have arrived."""
        return self._data.size

    def close(self) -> None:
        """Remove what has not got its name."""
        self._meta.close()
        self._data.close()

    def _to_name(self, data: memoryview) -> None:
        self._name += data
        if len(self._name) > _MOST_NAME or not set(self._name) <= set(b"0123456789."):
            raise _bad_name()

    def _to_meta(self, data: memoryview) -> None:
        if self._meta.size + len(data) > MOST_BYTES:
            raise too_large("The json file", MOST_BYTES)
        self._meta.write(data)
        self._place.written += len(data)

    def _to_data(self, data: memoryview) -> None:
        most = self._config.max_upload_bytes
        if most and self._data.size + len(data) > most:
            raise too_large("The tar.gz", most)
        try:
            self._gzip.write(data)
        except Quarantine as error:
            raise _bad_tar(error) from None
        self._data.write(data)
        self._place.written += len(data)


def _bad_name() -> Refused:
    return Refused(400, f"identifier is no number like 1501836597.08, of {_MOST_NAME} characters at most")


def _bad_tar(error: Quarantine) -> Refused:
    return Refused(400, f"The tar.gz cannot be read: {error.reason}; make it again, or send it again")


@contextmanager
def _full_disk_refused() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise full_disk() from None
        raise
