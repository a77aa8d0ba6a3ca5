"""The files of an archive: equal contents give equal bytes, and N.json has the hash of N.tar.gz."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

from sample_archives import Archive

from grt_batch.sample.archive import EXPORTER_FOLDER, SETTLED, write_json, write_tar


def test_hashes_verify(archives: list[Archive]) -> None:
    for archive in archives:
        expected = "sha256:" + hashlib.sha256(archive.packed.read_bytes()).hexdigest()
        assert archive.report.get("report_hash") == (None if archive.is_design else expected)


def test_equal_contents_give_equal_bytes_and_settled_files(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"1\tcat1\tok\n")
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        write_tar(folder / "7.tar.gz", {"jobs": text}, 1_700_000_000)
        write_json(folder / "7.json", {"title": "Zürich"})
        assert {file.stat().st_mtime for file in folder.iterdir()} == {SETTLED}
    one, other = ({file.name: file.read_bytes() for file in folder.iterdir()} for folder in folders)
    assert one == other
    with tarfile.open(folders[0] / "7.tar.gz") as tar:
        (info,) = tar
        stream = tar.extractfile(info)
        assert stream is not None
        assert (info.name, info.mtime) == (f"{EXPORTER_FOLDER}/7.jobs.tsv", 1_700_000_000)
        assert stream.read() == text.read_bytes()
