"""What can become of the gzip and of the tar around the members."""

from __future__ import annotations

import gzip
import random
import tarfile
from collections.abc import Callable, Mapping, Sequence

from build import END_MARK, EXPORTER_FOLDER, entry, header, pax
from lines import Lines

from grt_batch.schema.members import Kind

OUTSIDE = "grt_batch-was-here"
"""A name that would be found, had it been written."""

Members = Mapping[Kind, Lines]
Damage = Callable[[Sequence[bytes], random.Random], bytes]
"""Makes a tar.gz of the entries of a tar."""


def _packed(tar: bytes) -> bytes:
    return gzip.compress(tar, 1, mtime=0)


def _tar(entries: Sequence[bytes]) -> bytes:
    return b"".join(entries) + END_MARK


def _flipped(content: bytes, randomly: random.Random, bound: int | None = None) -> bytes:
    result = bytearray(content)
    for _ in range(randomly.randint(1, 4)):
        result[randomly.randrange(bound or len(result))] ^= 1 << randomly.randrange(8)
    return bytes(result)


def flip_gzip(entries: Sequence[bytes], randomly: random.Random) -> bytes:
    """Bits of the tar.gz; of its header, where what must be tested first stands, as often as of all the rest."""
    return _flipped(_packed(_tar(entries)), randomly, randomly.choice((10, None)))


def cut_gzip(entries: Sequence[bytes], randomly: random.Random) -> bytes:
    """An upload that broke off."""
    content = _packed(_tar(entries))
    return content[: randomly.choice((randomly.randrange(len(content)), len(content) - randomly.randint(1, 20)))]


def change_gzip(entries: Sequence[bytes], randomly: random.Random) -> bytes:
    """Garbage before, behind and between, gzip in gzip, a file of another kind, a header without end."""
    tar = _tar(entries)
    content, half = _packed(tar), len(tar) // 2
    noise = randomly.randbytes(randomly.randint(1, 2000))
    named = b"\x1f\x8b\x08\x08" + bytes(6)
    return randomly.choice(
        (
            noise + content, content + noise, content + content, _packed(content), tar, noise, content + b"\0" * 3000, b"\0" * 3000,
            _packed(tar[:half]) + _packed(tar[half:]), _packed(tar[:half]) + noise + _packed(tar[half:]), _packed(b"") * 50 + content,
            content[:10] + noise + content[10:], content[:-8] + noise[:8].ljust(8, b"\0"), _packed(noise), _packed(b""), b"PK\x03\x04" + noise,
            named + b"x" * 3000 + b"\0" + content[10:], named + b"x" * 600_000, b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff" + noise,
        )
    )  # fmt: skip


def flip_tar(entries: Sequence[bytes], randomly: random.Random) -> bytes:
    """Bits of the tar, in a header as often as not, in a gzip that is right."""
    place = randomly.randrange(len(entries))
    damaged = _flipped(entries[place], randomly, randomly.choice((512, None)))
    return _packed(_tar([*entries[:place], damaged, *entries[place + 1 :]]))


def cut_tar(entries: Sequence[bytes], randomly: random.Random) -> bytes:
    """A tar that broke off, in a gzip that is right: anywhere, or at the end of a block."""
    tar = _tar(entries)
    size = randomly.randrange(len(tar))
    return _packed(tar[: randomly.choice((size, size // 512 * 512))])


def forge_header(entries: Sequence[bytes], randomly: random.Random) -> bytes:
    """Fields of a header that say what they like, with the right checksum."""
    place = randomly.randrange(len(entries))
    raw = bytearray(entries[place])
    fields = ((0, 100), (100, 108), (124, 136), (136, 148), (156, 157), (157, 257), (257, 265), (345, 500))
    for begin, end in randomly.sample(fields, randomly.randint(1, 3)):
        size = end - begin
        kinds = (bytes([randomly.choice(b"\x00\xff\x80 7/.1LKSxgDMNV")]) * size, randomly.randbytes(size))
        raw[begin:end] = randomly.choice(kinds)
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    return _packed(_tar([*entries[:place], bytes(raw), *entries[place + 1 :]]))


def add_entry(entries: Sequence[bytes], randomly: random.Random) -> bytes:
    """Links, devices, names that lead elsewhere, sizes that cannot be, sparse files, long names, chains of headers."""
    escaping = (
        f"../../{OUTSIDE}.jobs.tsv", f"/{OUTSIDE}.jobs.tsv", f"/tmp/{OUTSIDE}", f"~/{OUTSIDE}", f"a/../../{OUTSIDE}.jobs.tsv",
        "", "/", ".", "..", "jobs.tsv/", "C:\\0.jobs.tsv", "\x1b[2J.jobs.tsv", "\u202e.jobs.tsv", "\xff.jobs.tsv", "x" * 99 + "/",
    )  # fmt: skip
    name, data = randomly.choice(escaping), b"1\t2\t3\n"
    kind = randomly.choice(
        (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"7", b"Z")
    )
    extra = randomly.choice(
        (
            entry(name, data), entry(name, data), entry("0.jobs.tsv", flag=kind, link=name), header("0.params.tsv", 9, flag=kind, link=name),
            header("0.params.tsv", randomly.choice((2**33, 2**62, 2**80, -1, -512))), header("x", 2**80), entry("dir", flag=tarfile.DIRTYPE),
            entry("x", b"x" * 700 + b"/0.params.tsv\0", flag=tarfile.GNUTYPE_LONGNAME) + entry("y", data),
            entry("x", b"x" * 9000, flag=tarfile.GNUTYPE_LONGNAME) + entry("y", data), entry("x", b"12 path=abc\n", flag=b"x") * 300,
            header("0.params.tsv", 5, flag=tarfile.GNUTYPE_SPARSE), pax(GNU__sparse__realsize="3") + entry("0.params.tsv", data * 9),
            pax(GNU__sparse__major="1", GNU__sparse__minor="0") + entry("0.params.tsv", data), pax(size="99999999") + entry("0.params.tsv", data),
            pax(size="-7") + entry("0.params.tsv", data), pax(path=f"a\0\x1b[1m\n{name}.params.tsv") + entry("x", data), entry("x", b"9" * 4000, flag=b"x"),
            pax(path=f"a\0\x1b[1m\n{name}.params.tsv") + header("x", 2**33), pax(path="0.params.tsv", mtime="nan", uid="x", hdrcharset="rot13") + entry("x", data), b"".join(entry(f"{i}.txt", data) for i in range(300)),
            entry("\u00e9.params.tsv", data), pax(comment="x" * 7000) + entry("0.params.tsv", data), entry("0.metric_txt.tsv", b""), entry("0.params.tsv"),
        )
    )  # fmt: skip
    place = randomly.randrange(len(entries) + 1)
    return _packed(_tar([*entries[:place], extra, *entries[place:]]))


def change_entries(entries: Sequence[bytes], randomly: random.Random) -> bytes:
    """Members twice, missing, in another order, behind the end, or none at all."""
    mark = randomly.choice((END_MARK, bytes(512), bytes(513), b""))
    behind = [*entries, mark, entries[0]]
    some = [randomly.choice(entries) for _ in range(randomly.randrange(8))]
    return _packed(_tar(randomly.choice((some, some, behind, [mark, *entries], entries[::-1], [*entries, *entries]))))


def put_zeros(entries: Sequence[bytes], randomly: random.Random) -> bytes:
    """Zeros, that a tar.gz holds a thousand of in one byte: as an entry, in a member, and behind the end."""
    zeros = bytes(randomly.choice((100_000, 3_000_000)))
    bomb = entry(randomly.choice(("zeros", f"{EXPORTER_FOLDER}.params.tsv")), zeros)
    return _packed(randomly.choice((_tar([bomb, *entries]), _tar([*entries, bomb]), _tar(entries) + zeros)))


DAMAGES: Mapping[Damage, int] = {
    flip_gzip: 60,
    cut_gzip: 40,
    change_gzip: 40,
    flip_tar: 60,
    cut_tar: 40,
    forge_header: 60,
    add_entry: 80,
    change_entries: 30,
    put_zeros: 10,
}
"""How many archives are damaged in each way."""
