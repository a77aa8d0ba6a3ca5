"""The command that compares the published tables with the raw archives."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from calling import NOWHERE, Call
from coming_and_going import AS_OF, Site
from places import ROOT

from grt_batch.core.errors import NothingPublished
from grt_batch.core.work_folder import lock


def test_the_command_says_all_on_a_page(site: Site, call: Call) -> None:
    site.run()
    config = site.config
    options: list[object] = ["--uploads", config.uploads, "--work", config.work, "--reports", config.reports]
    options += ["--database", config.database]
    good = call("verify", *options)
    assert (good.code, good.out.splitlines()[-1].partition(",")[2]) == (0, f" as of {AS_OF}: all 13 are the same")
    (config.reports / AS_OF.isoformat() / "tool.tsv").unlink()
    bad = call("verify", *options)
    assert bad.code == 1
    assert "tool             lost     same" in bad.out
    assert bad.out.endswith("1 of 13 differ\n")
    with lock(config.work):
        assert call("verify", *options).code == 5
    assert call("verify", *options, "--database", NOWHERE).code == 4
    assert call("verify", *options, "--reports", config.work).complaint == str(NothingPublished(reports=config.work))
    shutil.rmtree(config.uploads)
    assert call("verify", *options).code == 3
    assert call("verify", *options, "nothing").code == 2


def test_ranks_verify_the_same(site: Site, grt_batch: Callable[..., object]) -> None:
    site.run()
    config = site.config
    done = grt_batch(
        "verify", "--ranks", 3, "--uploads", config.uploads, "--work", config.work, "--reports", config.reports,
        "--database", config.database,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")  # type: ignore[attr-defined]
    assert done.stdout.endswith("all 13 are the same\n")  # type: ignore[attr-defined]


def test_the_line_for_a_crontab_says_something_only_if_something_is_wrong(tmp_path: Path) -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if "grt-batch verify >" in line)
    command = line.split(maxsplit=5)[5].replace("/path/to/grt_batch", str(tmp_path))
    program = tmp_path / ".venv" / "bin" / "grt-batch"
    program.parent.mkdir(parents=True)
    for code in (0, 1, 5):
        program.write_text(f'#!/bin/sh\necho told "$@"\necho logged >&2\nexit {code}\n')
        program.chmod(0o755)
        done = subprocess.run(["sh", "-c", command], cwd="/", capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("told verify\nlogged\n" if code else "", "")
