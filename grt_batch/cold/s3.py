"""S3 and what speaks like it: copies with the store's own checksums, and the requests that thaw archive classes.

Credentials, region and endpoint come from the usual places of boto3, such as ~/.aws/config and AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from grt_batch.cold.store import Failed, Refused, StoredObject, Tier
from grt_batch.core.wording import on_one_line

PART_BYTES = 64 << 20
"""A larger file is copied in parts of this size, or in larger ones if it would have more than MOST_PARTS."""


MOST_PARTS = 10_000
"""The most parts of an object (Amazon S3, multipart upload limits)."""


PIECE = 1 << 20
"""Bytes that are read at a time."""


READS = 5
"""How often a read is taken up again that gave nothing more before it broke off."""


PART_KEY = "part-bytes"
"""Where an object says how large its parts are: the checksum of the whole is made of theirs."""


_DEEP = ("DEEP_ARCHIVE", "DEEP_ARCHIVE_ACCESS")
"""The archive classes and tiers without an expedited retrieval."""


_FROZEN = ("GLACIER", "DEEP_ARCHIVE")


_NO_CAPACITY = ("GlacierExpeditedRetrievalNotAvailable", "InsufficientCapacity", "InsufficientCapacityException")


_OF_STORE = ("NoSuchBucket", "ExpiredToken", "InvalidStorageClass")
"""Errors beside those with 401, 403 and 5xx that are no matter of one object."""


class S3Store:
    """Buckets of S3."""

    def __init__(self, storage_class: str = "") -> None:
        """`storage_class` is for what is copied there; "" is the bucket's own."""
        self._class = {"StorageClass": storage_class} if storage_class else {}
        # To load it is to open sockets.
        import boto3

        with _blamed("s3://"):
            self._client: Any = boto3.client("s3")

    def find(self, url: str) -> StoredObject | None:
        """Return an object, None where there is none."""
        head = self._head(url)
        return None if head is None else StoredObject(head["ContentLength"], _class_of(head), _state_of(head))

    def put(self, url: str, file: Path, sha256: str) -> None:
        """Copy a file with this hash to a URL where nothing is."""
        size = file.stat().st_size
        part = _part_bytes(size)
        place = _place(url)
        target = {**place, **self._class, "Metadata": {"sha256": sha256, PART_KEY: str(part)}}
        with _blamed(url):
            if size <= part:
                checksum = _text(bytes.fromhex(sha256))
                body = file.read_bytes()
                _to_nothing(url, self._client.put_object, **target, Body=body, **_checksum(checksum))
                return
            self._abort_uploads(url)
            begun = self._client.create_multipart_upload(**target, ChecksumAlgorithm="SHA256")
            upload = {**place, "UploadId": begun["UploadId"]}
            try:
                parts = [self._put_part(upload, number, data) for number, data in enumerate(_parts(file, part), 1)]
                _to_nothing(url, self._client.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts})
            except BaseException:
                with suppress(Failed), _blamed(url):
                    self._client.abort_multipart_upload(**upload)
                raise

    def holds(self, url: str, file: Path, sha256: str) -> bool:
        """Return whether an object has the content of a file with this hash."""
        head = self._head(url)
        if head is None or head["ContentLength"] != file.stat().st_size:
            return False
        # Of several parts, their number follows.
        checksum = head.get("ChecksumSHA256", "").partition("-")[0]
        if checksum:
            size = head["Metadata"].get(PART_KEY, "")
            is_whole = checksum == _text(bytes.fromhex(sha256))
            of_parts = re.fullmatch("[1-9][0-9]{,18}", size) is not None
            return is_whole or (of_parts and checksum == _composite(file, int(size)))
        if _state_of(head) != "readable":
            raise Failed(f"{url} has no SHA-256 checksum of the store, and cannot be read back: its class is frozen")
        found = hashlib.sha256()
        for data in self.read(url):
            found.update(data)
        return found.hexdigest() == sha256

    def remove(self, url: str) -> None:
        """Remove an object that was copied wrongly."""
        with _blamed(url):
            self._client.delete_object(**_place(url))

    def thaw(self, url: str, tiers: Sequence[Tier], days: int) -> Tier | None:
        """Ask that a frozen object can be read for so many days, by the first of the tiers that the store has now."""
        head = self._head(url)
        if head is None:
            raise Failed(f"{url} is not there")
        is_deep = head.get("ArchiveStatus", _class_of(head)) in _DEEP
        left = [tier for tier in tiers if not (is_deep and tier == "expedited")]
        # What is in INTELLIGENT_TIERING comes back for good.
        kept = {} if "ArchiveStatus" in head else {"Days": days}
        for tier in left:
            asked = {**kept, "GlacierJobParameters": {"Tier": tier.capitalize()}}
            try:
                with _blamed(url):
                    self._client.restore_object(**_place(url), RestoreRequest=asked)
                return tier
            except Failed as error:
                if error.code == "RestoreAlreadyInProgress":
                    return None
                if error.code not in _NO_CAPACITY or tier == left[-1]:
                    raise
        raise Failed(f"{url} has no tier {' or '.join(tiers)}")

    def read(self, url: str) -> Iterator[bytes]:
        """Yield the content of a readable object. What breaks off is taken up where it ended."""
        at, left, version = 0, READS, ""
        while True:
            begin = at
            try:
                rest = {"Range": f"bytes={at}-", "IfMatch": version} if at else {}
                with _blamed(url):
                    answer = self._client.get_object(**_place(url), **rest)
                    version = answer["ETag"]
                    for data in answer["Body"].iter_chunks(PIECE):
                        at += len(data)
                        yield data
                return
            except Refused:
                left = READS if at > begin else left - 1
                if not (at and left):
                    raise

    def requests(self, size: int) -> int:
        """Return how many requests it takes to copy a file of so many bytes."""
        parts = -(-size // _part_bytes(size))
        # Three look at the object; of several parts, three more look for old parts, begin and end it.
        return 4 if parts <= 1 else parts + 6

    def _head(self, url: str) -> Mapping[str, Any] | None:
        try:
            with _blamed(url):
                found: Mapping[str, Any] = self._client.head_object(**_place(url), ChecksumMode="ENABLED")
        except Failed as error:
            # Its answer has no body that could say more.
            if error.code == "404":
                return None
            raise
        return found

    def _put_part(self, upload: Mapping[str, Any], number: int, data: bytes) -> dict[str, Any]:
        checksum = _text(hashlib.sha256(data).digest())
        done = self._client.upload_part(**upload, PartNumber=number, Body=data, **_checksum(checksum))
        return {"PartNumber": number, "ETag": done["ETag"], "ChecksumSHA256": checksum}

    def _abort_uploads(self, url: str) -> None:
        """Remove the parts that a killed copy of the same file has left. Without the right to see them they stay."""
        place = _place(url)
        with suppress(Failed), _blamed(url):
            found = self._client.list_multipart_uploads(Bucket=place["Bucket"], Prefix=place["Key"])
            for upload in found.get("Uploads", ()):
                if upload["Key"] == place["Key"]:
                    self._client.abort_multipart_upload(**place, UploadId=upload["UploadId"])


def _place(url: str) -> dict[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


def _class_of(head: Mapping[str, Any]) -> str:
    # S3 says nothing of its standard class.
    return str(head.get("StorageClass", "STANDARD"))


def _state_of(head: Mapping[str, Any]) -> Any:
    restore = head.get("Restore", "")
    if 'ongoing-request="true"' in restore:
        return "thawing"
    frozen = _class_of(head) in _FROZEN or "ArchiveStatus" in head
    return "frozen" if frozen and 'ongoing-request="false"' not in restore else "readable"


def _part_bytes(size: int) -> int:
    return max(PART_BYTES, -(-size // MOST_PARTS))


def _parts(file: Path, size: int) -> Iterator[bytes]:
    with file.open("rb") as content:
        yield from iter(lambda: content.read(size), b"")


def _composite(file: Path, size: int) -> str:
    """Return the checksum of an object of several parts: the hash of the hashes of its parts."""
    whole, left = hashlib.sha256(), file.stat().st_size
    with file.open("rb") as content:
        while left > 0:
            part, end = hashlib.sha256(), left - min(size, left)
            while left > end and (data := content.read(min(PIECE, left - end))):
                part.update(data)
                left -= len(data)
            whole.update(part.digest())
            left = end
    return _text(whole.digest())


def _checksum(text: str) -> dict[str, str]:
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": text}


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _to_nothing(url: str, call: Callable[..., Any], **values: Any) -> None:
    """Make an object where none is. A store that cannot ask for that does it without; it has been looked before."""
    try:
        with _blamed(url):
            call(**values, IfNoneMatch="*")
    except Failed as error:
        if error.code != "NotImplemented":
            raise
        call(**values)


def _translated(url: str, answer: Mapping[str, Any], said: str) -> Failed:
    """Return what an error of the store means for us."""
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "InvalidObjectState":
        return Failed(f"{url} cannot be read: it is frozen", code)
    if code in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
        return Failed(f"{url}: another object has come there meanwhile", code)
    kind = Refused if status in (401, 403) or status >= 500 or code in _OF_STORE else Failed
    return kind(f"{url}: {said}", code)


@contextmanager
def _blamed(url: str) -> Iterator[None]:
    """Say in one line what the store did wrong."""
    from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError, HTTPClientError

    try:
        yield
    except ClientError as error:
        raise _translated(url, error.response, on_one_line(error)) from None
    except FlexibleChecksumError as error:
        raise Failed(f"{url} arrived damaged: {on_one_line(error)}") from None
    except (BotoCoreError, HTTPClientError) as error:
        raise Refused(f"{url}: {on_one_line(error)}") from None
