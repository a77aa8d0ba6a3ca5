"""What the fuzzer holds the decoder to, over its seeds and over what it has found before; and that the kernels are the
same in Python, as the fuzzer runs them, and compiled."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import fuzz
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT
from properties import check_decoding, joined_records, joined_rejects, layout_for
from strange import RAW, TEXTS

from grt_batch.decode.columns import WANTED
from grt_batch.decode.decoder import decode
from grt_batch.schema.members import Kind
from grt_batch.uploads.archive import Block

SCRIPT = Path(fuzz.__file__)
FOUND = {
    "metrics without a column, of which some are salvaged": (
        Kind.METRIC_NUM,
        b"job_id\tplugin\tother",
        b"x\n1\t2\tcore\tname\n3\tcore\tname\n",
        [1],
    ),
}
"""What once broke something: the kind, the header, the text, and where it is cut."""


@pytest.mark.parametrize("found", FOUND)
def test_what_was_found_holds(found: str) -> None:
    kind, header, text, cuts = FOUND[found]
    for wanted in ((), WANTED):
        check_decoding(layout_for(kind, header), text, wanted, cuts)


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_the_seeds_hold(target: str) -> None:
    inputs = list(fuzz.seeds(target))
    assert len(set(inputs)) > 150
    for data in inputs:
        fuzz.TARGETS[target](data)


def test_an_input_of_any_length_is_one(tmp_path: Path) -> None:
    for target in fuzz.TARGETS.values():
        for data in (b"", b"\0", b"\xff", bytes(2), b"\xff" * 2, b"\xff" * 3):
            target(data)


FIELDS = st.sampled_from(
    [*(text.encode() for text in TEXTS if len(text) < 60), *RAW, b"1", b"2", b"None", b"1.5", b"input"]
)
LINES = st.lists(st.lists(FIELDS, max_size=9).map(b"\t".join), max_size=6).map(b"\n".join)


@examples(150)
@given(st.sampled_from(list(Kind)), LINES, st.lists(st.integers(0, 200), max_size=3))
def test_any_fields_hold(kind: Kind, text: bytes, cuts: list[int]) -> None:
    for wanted in ((), WANTED):
        check_decoding(layout_for(kind), text, wanted, cuts)


def test_a_decoder_that_loses_a_line_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    import properties

    monkeypatch.setattr(properties, "decode", lambda *a: replace(decode(*a), rejects=()))
    with pytest.raises(AssertionError):
        check_decoding(layout_for(Kind.JOBS), b"broken\n", ())


def digest_of(inputs: Iterable[bytes]) -> str:
    """What the decoder makes of inputs, all of it."""
    digest = hashlib.sha256()
    for data in inputs:
        for kind in Kind:
            found = decode(Block(layout_for(kind), 0, data[2:]), WANTED)
            digest.update(repr((joined_records([found]), joined_rejects([found]))).encode())
    return digest.hexdigest()


CODE = "import fuzz, itertools, test_fuzz; fuzz.interpret_kernels(); print(test_fuzz.digest_of(test_fuzz.some_seeds()))"


def some_seeds() -> list[bytes]:
    return list(fuzz.seeds("decoder", 30))


def test_the_kernels_are_the_same_in_python_and_compiled() -> None:
    """Else the fuzzer would look at something else than what runs."""
    places = f"{SCRIPT.parent}:{ROOT}/tests/support"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": places}
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == digest_of(some_seeds())
