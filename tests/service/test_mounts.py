"""The type of a file system, as the kernel lists the mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from grt_batch.service.mounts import file_system, is_network

MOUNTS = r"""22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /data rw - nfs4 server:/data rw
31 30 8:17 / /data/local rw shared:7 master:1 - xfs /dev/sdb1 rw
32 22 0:41 / /with\040blank rw - fuse.sshfs host:/ rw
33 22 0:42 / /twice rw - tmpfs tmpfs rw
34 22 0:43 / /twice rw - cifs //host/share rw
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS)
    return file


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv", "ext4"),
        ("/data", "nfs4"),
        ("/data/uploads/1", "nfs4"),
        ("/data/local/uploads", "xfs"),
        ("/database", "ext4"),
        ("/with blank/x", "fuse.sshfs"),
        ("/twice", "cifs"),
    ],
)
def test_the_nearest_mount_counts(mounts: Path, folder: str, kind: str) -> None:
    assert file_system(Path(folder), mounts) == kind


def test_where_the_kernel_does_not_say_it_is_unknown(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "none") == ""


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse", "lustre", "9p"])
def test_network_file_systems(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", ""])
def test_local_file_systems(kind: str) -> None:
    assert not is_network(kind)
