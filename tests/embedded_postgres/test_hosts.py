"""Which host a server runs on, and where a lock does not tell it."""

from __future__ import annotations

from pathlib import Path

import pytest

from grt_batch.embedded_postgres import hosts

LINE = "36 25 0:32 / {folder} rw,relatime shared:1 - {system} server:/share rw,{options}\n"


@pytest.mark.parametrize(
    ("name", "boot", "other"),
    [("", "", False), ("x", "", False), ("", "x", False), ("x", "x", True)],
    ids=["this", "a container", "restarted", "another"],
)
def test_another_host_has_another_name_and_another_kernel(name: str, boot: str, other: bool) -> None:
    this_host, _, this_boot = hosts.here().partition(" ")
    assert hosts.other_host(f"{this_host}{name} {this_boot}{boot}") == (f"{this_host}x" if other else None)


def test_nothing_noted_is_no_other_host() -> None:
    assert hosts.other_host("") is None


@pytest.mark.parametrize(
    ("system", "options", "by_host"),
    [
        ("nfs4", "vers=4.2,local_lock=none", False),
        ("nfs", "vers=3,local_lock=all", True),
        ("nfs", "vers=3,nolock", True),
        ("lustre", "flock,lazystatfs", False),
        ("lustre", "localflock", True),
        ("cifs", "vers=3.1.1,nobrl", True),
        ("fuse.sshfs", "user_id=0", True),
        ("ext4", "nolock", False),
    ],
)
def test_locks_of_each_host_are_known_by_the_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, options: str, by_host: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    share = tmp_path / "a b"
    lines = [
        ("/", "ext4", "discard"),
        (str(share).replace(" ", r"\040"), system, options),
        (f"{tmp_path}/a", "nfs", "nolock"),
    ]
    mounts.write_text("".join(LINE.format(folder=folder, system=kind, options=given) for folder, kind, given in lines))
    monkeypatch.setattr(hosts, "MOUNTS", mounts)
    assert hosts.locked_by_host(share / "work") == by_host
    assert not hosts.locked_by_host(tmp_path)


def test_without_a_list_of_mounts_locks_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "MOUNTS", tmp_path / "none")
    assert not hosts.locked_by_host(tmp_path)
