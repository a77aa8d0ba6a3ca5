"""The URLs of cold stores, and who serves them."""

from __future__ import annotations

import sys

import pytest
from frozen import Bucket

from grt_batch.cold.file_systems import FileSystemStore
from grt_batch.cold.s3 import S3Store
from grt_batch.cold.stores import ColdStores, check_url
from grt_batch.core.errors import BadColdStore, NoColdPackage


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "there is none"),
        ("/tape", "it has no protocol"),
        ("s3:bucket", "it has no protocol"),
        ("s3:///prefix", "it names no bucket"),
        ("file://", "it names no folder"),
        ("file:///", "it names no folder"),
        ("sftp://grt:hunter2@tape.example.org/raw", "it holds a password"),
        ("sftp://[tape/raw", "Invalid IPv6 URL"),
    ],
)
def test_what_is_no_url_of_a_store_is_an_error(url: str, said: str) -> None:
    with pytest.raises(BadColdStore, match=said) as caught:
        check_url(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/raw", "file:///tape", "sftp://grt@tape.example.org/raw"])
def test_these_are_urls(url: str) -> None:
    check_url(url)


def test_boto3_serves_s3_and_fsspec_all_others(bucket: Bucket) -> None:
    stores = ColdStores()
    assert isinstance(stores.of("s3://bucket"), S3Store)
    assert stores.of("s3://bucket/a") is stores.of("s3://other/b")
    assert isinstance(stores.of("file:///tape"), FileSystemStore)


def test_an_unknown_protocol_is_an_error() -> None:
    with pytest.raises(BadColdStore, match="nobody"):
        ColdStores().of("nobody://has/this")


@pytest.mark.parametrize(
    ("url", "package", "file"),
    [("s3://bucket", "boto3", "grt_batch.cold.s3"), ("file:///tape", "fsspec", "grt_batch.cold.file_systems")],
)
def test_a_missing_package_is_named(url: str, package: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, file, raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Lacks(package), *sys.meta_path])
    with pytest.raises(NoColdPackage, match=f"needs the package {package}.*grt-batch.cold.") as caught:
        ColdStores().of(url)
    assert caught.value.exit_code == 2


class _Lacks:
    """An installation without a package."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
