"""Digests: of values, and of source code wherever it is installed."""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
import zipfile
from itertools import combinations
from pathlib import Path

from build import examples
from hypothesis import given
from hypothesis import strategies as st

import grt_batch
from grt_batch.core.digest import digest, source_digest
from grt_batch.pipeline.keys import READ_BY

PARTS = st.lists(st.text() | st.integers(), max_size=3)


@examples(100)
@given(one=PARTS, other=PARTS)
def test_other_parts_have_another_digest(one: list[object], other: list[object]) -> None:
    same_text = [str(part) for part in one] == [str(part) for part in other]
    assert (digest(*one) == digest(*other)) == same_text


def test_a_digest_depends_on_each_part_their_order_and_their_borders() -> None:
    parts = [(), ("",), ("ab",), ("a", "b"), ("b", "a"), ("ab", ""), ("", "ab"), ("a,b",), ('a","b',)]
    assert all(digest(*one) != digest(*other) for one, other in combinations(parts, 2))


def test_a_digest_is_the_same_in_every_version() -> None:
    assert digest("partial", 1, "tools") == "ca854c2ca173d9ff0fc244138c8f2d9527e70893"


PACKAGE = Path(grt_batch.__file__).parent


DIGEST = "import sys; from grt_batch.core.digest import source_digest as digest; print(digest(*sys.argv[1:]), end='')"


def digest_in(place: Path, *options: str) -> str:
    """The digest of the code that reads, in another process that has the package from there."""
    start = f"import sys; sys.path.insert(0, {str(place)!r}); sys.dont_write_bytecode = True; {DIGEST}"
    command = [sys.executable, "-I", *options, "-c", start, *READ_BY]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place.parent, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_digest_is_that_of_the_sources_wherever_they_are_installed(tmp_path: Path) -> None:
    copy, packed = tmp_path / "copy", tmp_path / "packed.zip"
    shutil.copytree(PACKAGE, copy / "grt_batch", ignore=shutil.ignore_patterns("__pycache__"))
    with zipfile.ZipFile(packed, "w") as archive:
        for file in copy.rglob("*.py"):
            archive.write(file, file.relative_to(copy))
    expected = source_digest(*READ_BY)
    assert {digest_in(copy), digest_in(copy, "-OO"), digest_in(packed)} == {expected}
    decoder = copy / "grt_batch" / "decode" / "decoder.py"
    decoder.write_text(f"{decoder.read_text()}# changed\n")
    assert digest_in(copy) != expected


def test_the_digest_is_of_the_bytecode_where_that_is_all(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(PACKAGE, copy / "grt_batch", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(copy, legacy=True, quiet=1)
    for file in copy.rglob("*.py"):
        file.unlink()
    found = digest_in(copy)
    assert len(found) == 40
    decode = copy / "grt_batch" / "decode"
    (decode / "decoder.pyc").write_bytes((decode / "columns.pyc").read_bytes())
    assert digest_in(copy) != found
