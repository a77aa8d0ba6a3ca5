"""The stores of URLs: boto3 serves s3://, and fsspec all others."""

from __future__ import annotations

from urllib.parse import urlsplit

from grt_batch.cold.store import ColdStore
from grt_batch.core.errors import BadColdStore, NoColdPackage

S3 = "s3"
"""The protocol of URLs that boto3 serves."""


class ColdStores:
    """The stores by the protocols of their URLs, each opened when it is first asked for."""

    def __init__(self, storage_class: str = "") -> None:
        """`storage_class` is for what is copied to S3."""
        self._storage_class = storage_class
        self._s3: ColdStore | None = None

    def of(self, url: str) -> ColdStore:
        """Return the store of a URL. Raises BadColdStore and NoColdPackage."""
        check_url(url)
        try:
            if urlsplit(url).scheme != S3:
                from grt_batch.cold.file_systems import FileSystemStore

                return FileSystemStore(url)
            if self._s3 is None:
                from grt_batch.cold.s3 import S3Store

                self._s3 = S3Store(self._storage_class)
            return self._s3
        except ModuleNotFoundError as error:
            raise NoColdPackage(package=error.name) from None


def check_url(url: str) -> None:
    """Raise BadColdStore for what is no URL of a store. One with a password would be written into the markers."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadColdStore(url=url, what=error) from None
    if parts.password is not None:
        shown = url.replace(f":{parts.password}@", "@")
        raise BadColdStore(url=shown, what="it holds a password, which belongs into the settings of the store's client")
    if not parts.scheme or "://" not in url:
        raise BadColdStore(url=url, what="it has no protocol" if url else "there is none")
    if not (parts.netloc or (parts.scheme != S3 and parts.path.strip("/"))):
        raise BadColdStore(url=url, what="it names no bucket" if parts.scheme == S3 else "it names no folder")
