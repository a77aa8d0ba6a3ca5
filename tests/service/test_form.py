"""A form is taken in pieces of any size, and only one of three parts is an upload."""

from __future__ import annotations

from collections import defaultdict

import pytest
from build import examples
from galaxy_client import BOUNDARY, END, form, part
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.service.form import PARTS, Form
from grt_batch.service.replies import Refused

KIND = f"multipart/form-data; boundary={BOUNDARY}"


def taken(body: bytes, size: int, kind: str = KIND) -> dict[str, bytes]:
    got: dict[str, bytes] = defaultdict(bytes)

    def sink(name: str) -> object:
        def take(data: memoryview) -> None:
            got[name] += data

        return take

    reader = Form(kind, {name: sink(name) for name in PARTS})  # type: ignore[misc]
    for begin in range(0, len(body), size):
        reader.write(body[begin : begin + size])
    reader.end()
    return got


VALUES = st.binary(max_size=80) | st.lists(
    st.sampled_from([b"\r", b"\n", b"-", f"\r\n--{BOUNDARY[:-1]}".encode(), BOUNDARY.encode()]), max_size=6
).map(b"".join)


@examples(200)
@given(values=st.tuples(VALUES, VALUES, VALUES), order=st.permutations(PARTS), size=st.integers(1, 300))
def test_the_parts_arrive_as_they_were_sent(values: tuple[bytes, bytes, bytes], order: list[str], size: int) -> None:
    sent = dict(zip(PARTS, values, strict=True))
    got = taken(form(*(part(name, sent[name], "a file") for name in order)), size)
    assert {name: got[name] for name in PARTS} == sent


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_other_libraries_write_other_headers(size: int) -> None:
    body = b"".join(
        f"--x\r\nX: y\r\ncontent-disposition: FORM-DATA; filename=a;name={name}\r\n\r\n{name}\r\n".encode()
        for name in PARTS
    )
    body = b"\r\n" + body + b"--x--\r\nan epilogue"
    assert taken(body, size, 'Multipart/Form-Data; charset=utf-8; boundary="x"') == {
        name: name.encode() for name in PARTS
    }


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (form(*(part(name, b"") for name in PARTS))[:-5], "before its last boundary"),
        (form(part("data", b"")), "no part identifier, meta"),
        (form(part("data", b""), part("data", b"")), "a part too many"),
        (form(part("Data", b"")), "a part too many"),
        (form(part("d\xe4ta", b"")), "a part too many"),
        (b"text before" + form(part("data", b"")), "malformed"),
        (part("data", b"")[:-2] + END, "before its last boundary"),
    ],
)
def test_other_forms_are_refused(body: bytes, why: str, size: int) -> None:
    with pytest.raises(Refused, match=why) as caught:
        taken(body, size)
    assert caught.value.status == 400
