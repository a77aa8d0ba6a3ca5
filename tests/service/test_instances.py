"""The folders of instances, and what they say of themselves."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

import pytest
from cold_storage import freeze
from galaxy_client import archive

from grt_batch.core.errors import BadArguments, CannotWrite
from grt_batch.service import instances as module
from grt_batch.service.instances import Instances, give_to_owner_of


@pytest.fixture
def instances(tmp_path: Path) -> Instances:
    return Instances(tmp_path / "uploads")


def metadata(instances: Instances, instance_id: str) -> dict[str, object]:
    return dict(json.loads((instances.uploads / instance_id / "metadata.json").read_text()))


@pytest.mark.parametrize("instance_id", [None, "0", "7", "999999999", "9f1b6a2e-8c57-4d6b-9a70-c9a5d8f6b1e2"])
def test_an_instance_is_a_folder_with_metadata(instances: Instances, instance_id: str | None) -> None:
    made = instances.add(instance_id, {"title": "Galaxy", "public": True})
    assert made == instance_id or uuid.UUID(made).version == 4
    assert metadata(instances, made) == {"title": "Galaxy", "public": True}
    found = instances.describe(made)
    assert (found.metadata.title, found.metadata.public, found.archives, found.newest) == ("Galaxy", True, 0, "")
    assert sorted(path.name for path in instances.folder(made).iterdir()) == ["archives", "metadata.json"]


@pytest.mark.parametrize(
    "instance_id",
    ["", "..", "../7", "a/b", "07", "-1", "1000000000", "x", "*", "9F1B6A2E-8C57-4D6B-9A70-C9A5D8F6B1E2", "7\n"],
)
def test_other_ids_are_refused(instances: Instances, instance_id: str) -> None:
    if instance_id:
        with pytest.raises(BadArguments, match="neither a UUID"):
            instances.add(instance_id, {"title": "x"})
    with pytest.raises(BadArguments, match="there is no instance"):
        instances.folder(instance_id)
    assert not instances.uploads.exists()


def test_an_instance_is_added_once_but_a_folder_that_says_nothing_is_taken(instances: Instances) -> None:
    (instances.uploads / "7").mkdir(parents=True)
    (instances.uploads / "7" / "1.json").touch()
    instances.add("7", {"title": "x"})
    with pytest.raises(BadArguments, match="there is an instance 7"):
        instances.add("7", {"title": "y"})
    assert metadata(instances, "7") == {"title": "x"}


def test_to_edit_keeps_what_is_not_named(instances: Instances) -> None:
    instances.add("7", {"title": "x", "contact": "ops"})
    instances.edit("7", {"title": "y", "latitude": 48.0})
    assert metadata(instances, "7") == {"title": "y", "contact": "ops", "latitude": 48.0}
    (instances.uploads / "8").mkdir()
    instances.edit("8", {"title": "z"})
    assert metadata(instances, "8") == {"title": "z"}


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_damaged_metadata_is_not_overwritten(instances: Instances, content: str) -> None:
    instances.add("7", {"title": "x"})
    (instances.uploads / "7" / "metadata.json").write_text(content)
    with pytest.raises(BadArguments, match=r"metadata.json"):
        instances.edit("7", {"title": "y"})
    assert (instances.uploads / "7" / "metadata.json").read_text() == content


def test_what_a_run_could_not_read_is_not_written(instances: Instances) -> None:
    instances.add("7", {"title": "x"})
    with pytest.raises(BadArguments, match="latitude"):
        instances.edit("7", {"latitude": 91})
    assert metadata(instances, "7") == {"title": "x"}


def test_all_instances_are_described(instances: Instances) -> None:
    assert instances.all() == []
    instances.add("7", {"title": "x"})
    instances.add("10", {"title": "y"})
    (instances.uploads / "file").touch()
    (instances.uploads / ".hidden").mkdir()
    for name in ("9.5", "10.5", "11"):
        (instances.uploads / "7" / f"{name}.json").write_bytes(archive(name).meta)
        if name != "11":
            (instances.uploads / "7" / "archives" / f"{name}.tar.gz").write_bytes(b"12345")
    found = instances.all()
    assert [(one.instance_id, one.archives, one.bytes, one.newest) for one in found] == [
        ("10", 0, 0, ""),
        ("7", 2, 10, "10.5"),
    ]
    freeze(instances.uploads / "7" / "archives" / "10.5.tar.gz")
    assert instances.all() == found


def test_an_instance_is_removed_with_all_that_it_has(instances: Instances) -> None:
    instances.add("7", {"title": "x"})
    instances.remove("7")
    assert list(instances.uploads.iterdir()) == []
    with pytest.raises(BadArguments):
        instances.remove("7")


def test_a_folder_that_cannot_be_written(instances: Instances) -> None:
    instances.uploads.touch()
    with pytest.raises(CannotWrite, match=r"Not a directory|File exists"):
        instances.add("7", {"title": "x"})


def test_what_root_makes_belongs_to_the_owner_of_the_uploads(
    instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(module.os, "chown", lambda path, *_: given.append(Path(path).name))
    monkeypatch.setattr(module.os, "geteuid", lambda: 0)
    instances.uploads.mkdir()
    instances.add("7", {"title": "x"})
    assert given == ["7", "archives", "metadata.json"]
    monkeypatch.setattr(module.os, "geteuid", lambda: 1000)
    give_to_owner_of(instances.uploads, instances.uploads)
    assert len(given) == 3
    assert os.path.lexists(instances.uploads)
