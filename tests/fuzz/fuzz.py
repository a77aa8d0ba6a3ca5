"""Looks for inputs that break the decoder, or the readers of documents; `make fuzz` calls it.

    python tests/fuzz/fuzz.py decoder|documents SECONDS
    python tests/fuzz/fuzz.py decoder|documents again

libFuzzer makes inputs, and keeps those that lead to code where none has been before. It sees Python alone, so the kernels
run as Python here, which takes a thousand times as long; `again` gives all inputs that were kept to the compiled ones.
They are kept in tests/fuzz/found/TARGET, and one that breaks something as tests/fuzz/found/TARGET-crash-….
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
FOUND = FOLDER / "found"
MOST_BYTES = 300
SEED_BYTES = 120


def decoder(data: bytes) -> None:
    """The first byte chooses the kind of member, whose records are wanted or not, with its own header or the usual one;
    the second says where the text is cut."""
    from properties import check_decoding, check_value, layout_for

    from grt_batch.decode.columns import WANTED
    from grt_batch.schema.members import Kind

    if len(data) < 2:
        return
    choice, cut, text = data[0], data[1], data[2:]
    kind = list(Kind)[choice % len(Kind)]
    try:
        layout = layout_for(kind, text.partition(b"\n")[0] if choice >= 128 else b"")
    except ValueError:
        return
    check_decoding(layout, text, WANTED if choice & 64 else (), [cut])
    if kind is Kind.PARAMS:
        check_value("p", text.decode("utf-8", "replace").encode())


def documents(data: bytes) -> None:
    """The first byte chooses the document."""
    from properties import check_metadata, check_report

    check = check_report if data[:1] >= b"\x80" else check_metadata
    check(data[1:])


TARGETS: dict[str, Callable[[bytes], None]] = {"decoder": decoder, "documents": documents}


def seeds(target: str, count: int = 200) -> Iterator[bytes]:
    """Inputs to begin with: damaged lines of every kind, or damaged documents."""
    import documents as damage
    from corpus import corpus, good

    from grt_batch.schema.members import Kind

    randomly = random.Random(1)
    if target == "decoder":
        damaged = [archive.members for archive in corpus() if archive.members]
        for members in randomly.sample(damaged, count):
            kind, text = randomly.choice(list(members.items()))
            choice = randomly.randrange(256) // len(Kind) * len(Kind) + list(Kind).index(kind)
            begin = 0 if choice >= 128 else text.find(b"\n", randomly.randrange(len(text) + 1)) + 1
            yield bytes([choice % 256, randomly.randrange(SEED_BYTES)]) + text[begin : begin + SEED_BYTES]
    else:
        for raw in damage.damaged(damage.METADATA, count // 2, randomly):
            yield b"\0" + raw[:MOST_BYTES]
        for raw in damage.damaged(json.loads(good().report), count // 2, randomly):
            yield b"\xff" + raw[:MOST_BYTES]


class Text(bytes):
    """Bytes as a kernel sees them, each a number of Python: the fuzzer is told what such a number is compared with."""

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self)


def interpret_kernels() -> None:
    """Put Python in the place of the machine instructions that the kernels ask for by name, and of their arrays of
    bytes."""
    import numpy as np

    from grt_batch.kernels import fields, interning, members, metrics, text_hash, values, words

    def load64(data: Any, index: int) -> Any:
        word = bytes(data[index : index + 8])
        assert len(word) == 8, "a kernel reads behind the end"
        return np.uint64(int.from_bytes(word, "little"))

    def byte(data: Any, index: int) -> Any:
        return np.int64(int(data[index]))

    def trailing_zeros(word: Any) -> Any:
        return np.uint64((int(word) & -int(word)).bit_length() - 1)

    def of_text(kernel: Callable[..., Any]) -> Callable[..., Any]:
        return lambda data, *rest: kernel(Text(data) if isinstance(data, np.ndarray) else data, *rest)

    twins = {"load64": load64, "byte_at": byte, "trailing_zeros": trailing_zeros}
    entries = ("newlines", "integer", "number", "date")
    for module in (words, fields, values, interning, members, metrics, text_hash):
        for name, function in list(vars(module).items()):
            if name in twins:
                setattr(module, name, twins[name])
            elif name in entries or name.startswith("decode_"):
                setattr(module, name, of_text(function))
    # Hashes are meant to overflow.
    np.seterr(over="ignore")


def fuzz(target: str, seconds: int) -> None:
    """Fuzz for some seconds, with every line of grt_batch under the fuzzer's eyes."""
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    import atheris

    with atheris.instrument_imports(include=["grt_batch"]):
        import properties  # noqa: F401

    interpret_kernels()
    folder = FOUND / target
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (folder / f"seed-{number}").write_bytes(seed)
    options = (f"-max_total_time={seconds}", f"-max_len={MOST_BYTES}", f"-artifact_prefix={folder}-", "-timeout=20")
    atheris.Setup(
        [sys.argv[0], *options, "-rss_limit_mb=2048", "-verbosity=0", "-print_final_stats=1", str(folder)],
        TARGETS[target],
    )
    atheris.Fuzz()


def again(target: str) -> int:
    """Give all inputs that were kept to the compiled kernels; returns how many there are."""
    files = sorted([*FOUND.glob(f"{target}-*"), *(FOUND / target).glob("*")])
    for file in files:
        try:
            TARGETS[target](file.read_bytes())
        except Exception as error:
            raise AssertionError(f"{file} breaks the {target}") from error
    return len(files)


if __name__ == "__main__":
    sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]
    if sys.argv[2] == "again":
        print(f"{sys.argv[1]}: {again(sys.argv[1])} inputs, and all hold")  # noqa: T201
    else:
        fuzz(sys.argv[1], int(sys.argv[2]))
