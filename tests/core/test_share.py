"""The files that come with the program."""

from __future__ import annotations

from configparser import ConfigParser

from places import ROOT

from grt_batch.core.share import PATTERNS, SHARE, shared_files


def test_they_are_those_of_the_source_tree() -> None:
    files = shared_files()
    assert {str(file.parent) for file in files} == {
        ".",
        "config",
        "config/prometheus",
        "config/sql",
        "config/schemas",
        "config/systemd",
        "docs",
        "docs/modules",
        "docs/pages",
    }
    assert all((SHARE / file).samefile(ROOT / file) for file in files)
    suffixes = {"config": ".toml", "config/prometheus": ".yml", "config/sql": ".sql", "config/schemas": ".json"}
    for folder, suffix in {**suffixes, "docs": ".md"}.items():
        assert {file for file in files if str(file.parent) == folder} == {
            file.relative_to(ROOT) for file in (ROOT / folder).iterdir() if file.suffix == suffix
        }
    assert not [file for file in (ROOT / "config").rglob("*") if file.is_file() and file.relative_to(ROOT) not in files]


def test_a_wheel_has_all_of_them() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    files = setup["options.package_data"]["grt_batch"].split()
    assert [file for file in files if file.startswith("share/")] == [f"share/{pattern}" for pattern in PATTERNS]
