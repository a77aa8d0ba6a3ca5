"""The instances as their folders: made, described, listed, removed."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from grt_batch.core.errors import BadArguments, CannotWrite
from grt_batch.core.files import atomic_write, sync_folder
from grt_batch.uploads.metadata import InstanceMetadata, read_instance
from grt_batch.uploads.scan import (
    ARCHIVES,
    METADATA,
    archive_files,
    instance_metadata,
    is_instance_id,
    is_whole,
)
from grt_batch.uploads.storage import packed_bytes

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


_INTEGER = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Described:
    """An instance: what it says of itself, and how many whole archives it has, of how many bytes."""

    instance_id: str
    metadata: InstanceMetadata
    archives: int
    bytes: int
    newest: str


class Instances:
    """The folders below the uploads folder."""

    def __init__(self, uploads: Path) -> None:
        self.uploads = uploads

    def folder(self, instance_id: str) -> Path:
        """Return the folder of an instance. Raises BadArguments where there is none."""
        folder = self.uploads / instance_id
        if not is_instance_id(instance_id) or not folder.is_dir():
            raise BadArguments(command="instance list", what=f"there is no instance {instance_id!r} in {self.uploads}")
        return folder

    def add(self, instance_id: str | None, metadata: Mapping[str, Any]) -> str:
        """Make the folder of an instance, or take one that says nothing of itself, and return its id.

        Raises BadArguments where the id is none, or taken, and CannotWrite.
        """
        instance_id = instance_id or str(uuid.uuid4())
        if not (_UUID.fullmatch(instance_id) or _INTEGER.fullmatch(instance_id)):
            what = f"{instance_id!r} is neither a UUID in small letters nor a whole number below 10^9"
            raise BadArguments(command="instance add", what=what)
        folder = self.uploads / instance_id
        if os.path.lexists(folder / METADATA):
            what = f"there is an instance {instance_id}; grt-batch instance key gives it a key, edit describes it"
            raise BadArguments(command="instance add", what=what)
        try:
            (folder / ARCHIVES).mkdir(parents=True, exist_ok=True)
            sync_folder(self.uploads)
        except OSError as error:
            raise CannotWrite(folder=folder, what=error.strerror or error) from None
        self._write(folder, dict(metadata))
        for path in (folder, folder / ARCHIVES, folder / METADATA):
            give_to_owner_of(self.uploads, path)
        return instance_id

    def edit(self, instance_id: str, changes: Mapping[str, Any]) -> None:
        """Change keys of metadata.json and keep the others. Raises BadArguments and CannotWrite."""
        folder = self.folder(instance_id)
        try:
            document = orjson.loads((folder / METADATA).read_bytes())
        except FileNotFoundError:
            document = {}
        except (OSError, orjson.JSONDecodeError) as error:
            what = f"{folder / METADATA} cannot be read: {error}"
            raise BadArguments(command="instance edit", what=what) from None
        if not isinstance(document, dict):
            raise BadArguments(command="instance edit", what=f"{folder / METADATA} is no JSON object")
        self._write(folder, {**document, **changes})

    def remove(self, instance_id: str) -> None:
        """Remove the folder of an instance with its archives. Raises BadArguments and CannotWrite."""
        folder = self.folder(instance_id)
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise CannotWrite(folder=folder, what=error.strerror or error) from None

    def describe(self, instance_id: str) -> Described:
        """Describe an instance. Raises BadArguments and CannotWrite."""
        folder = self.folder(instance_id)
        whole = {name: files for name, files in archive_files(folder).items() if is_whole(files)}
        return Described(
            instance_id,
            instance_metadata(folder),
            len(whole),
            sum(map(packed_bytes, whole.values())),
            max(whole, key=Decimal, default=""),
        )

    def all(self) -> list[Described]:
        """Describe every instance, in the order of their ids."""
        names = sorted(path.name for path in self.uploads.iterdir()) if self.uploads.is_dir() else []
        return [self.describe(name) for name in names if is_instance_id(name) and (self.uploads / name).is_dir()]

    def _write(self, folder: Path, document: dict[str, Any]) -> None:
        raw = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        if problem := read_instance(raw).problem:
            raise BadArguments(command="instance edit", what=problem)
        try:
            atomic_write(folder / METADATA, [raw], folder / f".{METADATA}.new")
            sync_folder(folder)
        except OSError as error:
            raise CannotWrite(folder=folder, what=error.strerror or error) from None


def give_to_owner_of(model: Path, path: Path | int) -> None:
    """Give a file that root has made to whom `model` belongs, so that the service, which is not root, can use it."""
    if os.geteuid() == 0 and model.exists():
        stat = model.stat()
        os.chown(path, stat.st_uid, stat.st_gid)
