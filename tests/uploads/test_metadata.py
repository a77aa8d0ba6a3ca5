"""metadata.json and N.json: every shape of the years is read, and what cannot be trusted ends one archive alone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from grt_batch.core.errors import Quarantine
from grt_batch.ledger.ledger import json_text, utc
from grt_batch.uploads.metadata import InstanceMetadata, Report, read_instance, read_report

HASH = "0123456789abcdef" * 4
NAME = "1501836597.08"

DESIGN = {
    "version": 1,
    "galaxy_version": "17.09",
    "generated": 1501836597,
    "metrics": {"query_time": 8.1, "tarball_time": 0.3},
    "tools": [
        {
            "id": "toolshed.example.org/repos/lab/star/rna_star/2.7",
            "version": "2.7",
            "tool_shed_repository": {
                "toolshed": "toolshed.example.org",
                "name": "star",
                "changeset_revision": "0123456789ab",
            },
        },
        {"id": "upload1", "version": "1.1.4", "tool_shed_repository": None},
    ],
    "users": {"active": 3, "total": 40},
    "jobs": {"ok": 20, "error": 1},
}
REAL = {
    "version": 1,
    "galaxy_version": "18.05",
    "generated": "1501836597.08",
    "report_hash": f"sha256:{HASH}",
    "metrics": {"_times": [["init_end", 0.1], ["galaxy_end", 4.2]]},
    "tools": [
        ["toolshed.example.org/repos/lab/star/rna_star/2.7", "RNA STAR", "2.7", "toolshed.example.org", "star", "0123"],
        ["upload1", "Upload File", "1.1.4", None, None, None],
    ],
    "users": {"active": 3, "total": 40},
    "jobs": {"ok": 20, "error": 1},
}
REAL_WITHOUT_TOOLS = {**REAL, "tools": None}
VERSION_2 = {**{key: value for key, value in REAL.items() if key != "tools"}, "version": 2, "galaxy_version": "18.09"}
VERSION_3 = {**VERSION_2, "version": 3, "galaxy_version": "24.1"}
SHAPES = [DESIGN, REAL, REAL_WITHOUT_TOOLS, VERSION_2, VERSION_3]
SHAPE_NAMES = ["design", "real", "real without tools", "version 2", "version 3"]


def read(**changes: Any) -> Report:
    """The report of a document of version 3 with these keys changed."""
    return read_report(json.dumps({**VERSION_3, **changes}).encode(), NAME)


def quarantined(raw: bytes) -> str:
    """The one line for which this N.json puts its archive in quarantine."""
    with pytest.raises(Quarantine) as caught:
        read_report(raw, NAME)
    reason = caught.value.reason
    assert reason.startswith(f"{NAME}.json")
    assert "\n" not in reason
    assert len(reason) < 200
    return reason


@pytest.mark.parametrize("document", SHAPES, ids=SHAPE_NAMES)
def test_every_shape_of_the_years_is_read(document: dict[str, Any]) -> None:
    report = read_report(json.dumps(document).encode(), NAME)
    assert report.version == document["version"]
    assert report.generated == Decimal(str(document["generated"]))
    assert report.galaxy_version == document["galaxy_version"]
    assert report.sha256 == (HASH if "report_hash" in document else None)
    assert (report.users_active, report.users_total) == (3, 40)
    assert report.jobs == {"ok": 20, "error": 1}
    assert report.document == {key: value for key, value in document.items() if key != "tools"}


def test_a_byte_order_mark_is_no_part_of_a_document() -> None:
    raw = json.dumps({**VERSION_3, "title": "Uni"}).encode()
    assert read_report(b"\xef\xbb\xbf" + raw, NAME) == read_report(raw, NAME)
    assert read_instance(b"\xef\xbb\xbf" + raw) == read_instance(raw)
    assert "is no JSON: written in UTF-16 instead of UTF-8" in quarantined(raw.decode().encode("utf-16"))


@pytest.mark.parametrize(
    ("name", "generated", "is_possible"),
    [
        ("1718000000.5", "1718000000.5", True),
        ("1718000000.5", 1_718_000_000 - 10**8, True),
        ("1718000000", 1_718_086_400, True),
        ("1718000000", 1_718_086_401, False),
        ("1718000000", 0, False),
        ("1718000000", "1104537599.9", False),
        ("1718000000", 1_718_000_000_000 // 7, False),
        ("1", 4_000_000_000, True),
        ("1", 0, True),
        ("1", 4_102_444_800, False),
    ],
)
def test_a_date_that_cannot_be_is_that_of_the_name(name: str, generated: object, is_possible: bool) -> None:
    report = read_report(json.dumps({"version": 3, "generated": generated}).encode(), name)
    assert (report.generated, report.misdated) == (Decimal(str(generated) if is_possible else name), not is_possible)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_only_the_version_is_needed(version: int) -> None:
    report = read_report(json.dumps({"version": version}).encode(), NAME)
    assert report == Report(version, Decimal(NAME), None, None, None, None, {}, {"version": version})


@pytest.mark.parametrize("version", ["4", "0", "-1", '"1"', "true", "null", "3.0", "[3]", "9" * 30, f'"{"9" * 500}"'])
def test_an_unknown_version_is_refused(version: str) -> None:
    assert "version" in quarantined(f'{{"version": {version}}}'.encode())


def test_a_missing_version_is_refused() -> None:
    assert "version None" in quarantined(b'{"generated": "1"}')


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"version": 3',
        b"{'version': 3}",
        b'{"version": NaN}',
        b'{"version": 3} {}',
        b'{"a": "\xff"}',
        b"\0",
    ],
)
def test_broken_json_is_refused(raw: bytes) -> None:
    assert "no JSON" in quarantined(raw)


@pytest.mark.parametrize("raw", [b"[]", b"3", b"null", b'"version"', b'[{"version": 3}]'])
def test_json_that_is_no_object_is_refused(raw: bytes) -> None:
    assert "no JSON object" in quarantined(raw)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("users", [3, 40]),
        ("users", []),
        ("users", "many"),
        ("users", ""),
        ("users", False),
        ("users", {"active": -1}),
        ("users", {"active": "3"}),
        ("users", {"total": 4.5}),
        ("users", {"total": True}),
        ("users", {"total": 2**63}),
        ("jobs", [["ok", 20]]),
        ("jobs", []),
        ("jobs", 21),
        ("jobs", 0),
        ("jobs", {"ok": "20"}),
        ("jobs", {"ok": -20}),
        ("jobs", {"ok": None}),
        ("jobs", {"ok": True}),
        ("jobs", {"ok": 2**63}),
        ("galaxy_version", 24),
        ("galaxy_version", 24.1),
        ("galaxy_version", True),
        ("galaxy_version", ["24", "1"]),
        ("galaxy_version", {"major": 24}),
    ],
)
def test_a_value_of_a_wrong_type_is_refused(key: str, value: object) -> None:
    assert key in quarantined(json.dumps({**VERSION_3, key: value}).encode())


def test_a_wrong_count_is_named_by_its_state() -> None:
    assert quarantined(b'{"version": 3, "jobs": {"ok": 1, "error": -1}}') == f"{NAME}.json: jobs.error is no count: -1"


def test_a_wrong_count_of_a_strange_state_is_one_printable_line() -> None:
    assert quarantined(b'{"version": 3, "jobs": {"\\u001b[31m": -1}}').isprintable()


def test_counts_are_what_postgresql_can_hold() -> None:
    report = read(users={"active": 0, "total": 2**63 - 1}, jobs={"ok": 0, "error": 2**63 - 1})
    assert (report.users_active, report.users_total) == (0, 2**63 - 1)
    assert report.jobs == {"ok": 0, "error": 2**63 - 1}


@pytest.mark.parametrize("tools", ["upload1", {"id": "upload1"}, ["upload1"], [1], 7])
def test_tools_of_version_1_are_a_list(tools: object) -> None:
    assert "tools" in quarantined(json.dumps({**REAL, "tools": tools}).encode())


@pytest.mark.parametrize("key", ["users", "jobs", "galaxy_version", "report_hash"])
def test_null_is_as_good_as_missing(key: str) -> None:
    without = {name: value for name, value in VERSION_3.items() if name != key}
    missing = read_report(json.dumps(without).encode(), NAME)
    assert read(**{key: None}) == replace(missing, document={**without, key: None})


@pytest.mark.parametrize(
    "value",
    [
        "",
        HASH,
        f"sha256:{HASH[1:]}",
        f"sha256:{HASH}0",
        f"sha256:{HASH}\n",
        f"sha256:{'g' * 64}",
        f"sha1:{HASH[:40]}",
        f"SHA256:{HASH}",
        7,
        [f"sha256:{HASH}"],
    ],
)
def test_a_malformed_hash_is_refused(value: object) -> None:
    assert "report_hash" in quarantined(json.dumps({**VERSION_3, "report_hash": value}).encode())


def test_a_hash_is_kept_in_small_letters() -> None:
    assert read(report_hash=f"sha256:{HASH.upper()}").sha256 == HASH


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1501836597, "1501836597"),
        (1501836597.08, "1501836597.08"),
        ("1501836597.08", "1501836597.08"),
        ("1501836597", "1501836597"),
        (0, "0"),
        ("4102444799", "4102444799"),
        ("0.00000000000000000001", "0.00000000000000000001"),
        (0.0001234567890123456, "0.0001234567890123456"),
    ],
)
def test_generated_is_a_number_or_its_text(value: object, expected: str) -> None:
    assert read_report(json.dumps({**VERSION_3, "generated": value}).encode(), "1").generated == Decimal(expected)


@pytest.mark.parametrize(
    "value",
    [
        -1,
        "-1.5",
        253402300800,
        "253402300800",
        1e308,
        "9" * 400,
        "1E+999999999",
        "1E-999999999",
        "2e3",
        "0." + "9" * 21,
        "1501836597." + "9" * 40,
        "NaN",
        "Infinity",
        "",
        "today",
        "1501836597\n",
        " 1501836597",
        "+1501836597",
        "1_501_836_597",
        "1501836597.",
        ".5",
        "\u0661\u0662",
        None,
        True,
        [1],
        {},
    ],
)
def test_generated_that_is_no_time_is_refused(value: object) -> None:
    assert "generated" in quarantined(json.dumps({**VERSION_3, "generated": value}).encode())


@pytest.mark.parametrize("name", ["253402300800", "9" * 30, "1." + "9" * 40])
def test_neither_the_date_nor_the_name_may_be_a_time(name: str) -> None:
    with pytest.raises(Quarantine, match="generated is no time"):
        read_report(json.dumps({**VERSION_3, "generated": 5_000_000_000}).encode(), name)


def test_generated_falls_back_on_the_name() -> None:
    without = {key: value for key, value in VERSION_3.items() if key != "generated"}
    assert read_report(json.dumps(without).encode(), "7").generated == 7
    assert read_report(json.dumps(without).encode(), NAME).generated == Decimal(NAME)


@pytest.mark.parametrize("whole", ["0", "1501836597", "4102444798"])
def test_generated_is_cut_and_not_rounded_to_a_moment(whole: str) -> None:
    document = {**VERSION_3, "generated": f"{whole}.{'9' * 20}"}
    moment = utc(read_report(json.dumps(document).encode(), "1").generated)
    assert moment == utc(Decimal(whole)) + timedelta(microseconds=999999)


def test_nul_characters_are_replaced_everywhere() -> None:
    report = read(**{"galaxy_version": "24\0", "no\0te": ["a\0b", {"c\0": "\0"}], "jobs": {"o\0k": 1}})
    assert report.galaxy_version == "24\ufffd"
    assert report.jobs == {"o\ufffdk": 1}
    assert report.document["no\ufffdte"] == ["a\ufffdb", {"c\ufffd": "\ufffd"}]
    metadata = read_instance(b'{"title": "a\\u0000b", "owners": ["\\u0000"], "k\\u0000": "\\u0000"}')
    assert metadata.title == "a\ufffdb"
    assert metadata.owners == ("\ufffd",)
    assert metadata.other == {"k\ufffd": "\ufffd"}


@pytest.mark.parametrize("depth", [100, 2_000, 1_000_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_nesting_too_deep_is_refused(depth: int, left: str, right: str) -> None:
    deep = left * depth + "1" + right * depth
    assert "no JSON" in quarantined(f'{{"version": 3, "note": {deep}}}'.encode())
    assert "no JSON" in (read_instance(f'{{"note": {deep}}}'.encode()).problem or "")


@pytest.mark.parametrize("depth", [10, 99])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_what_is_read_can_be_written_as_json(depth: int, left: str, right: str) -> None:
    deep = left * depth + "1" + right * depth
    metadata = read_instance(f'{{"note": {deep}}}'.encode())
    assert metadata.problem is None
    assert json_text(metadata.other) == f'{{"note":{deep}}}'
    document = read_report(f'{{"version": 3, "note": {deep}}}'.encode(), NAME).document
    assert json_text(document) == f'{{"note":{deep},"version":3}}'


def test_unknown_keys_are_kept() -> None:
    assert read(site={"room": [1, None]}).document["site"] == {"room": [1, None]}


def test_an_instance_without_a_file_is_not_public() -> None:
    assert read_instance(None) == InstanceMetadata()
    assert read_instance(None).public is False
    assert read_instance(None).problem is None


def test_everything_an_instance_says_is_read() -> None:
    document = {
        "url": "https://galaxy.example.org/",
        "title": "Łódź · 生命科学",
        "description": "for all",
        "public": True,
        "latitude": -37.5,
        "longitude": 144,
        "owners": ["Ada", "Grace"],
        "room": "E 12",
    }
    metadata = read_instance(json.dumps(document).encode())
    assert metadata == InstanceMetadata(
        "https://galaxy.example.org/",
        "Łódź · 生命科学",
        "for all",
        True,
        -37.5,
        144.0,
        ("Ada", "Grace"),
        {"room": "E 12"},
    )


@pytest.mark.parametrize("document", [{}, {"public": None}, {"public": False}, {"title": "a"}])
def test_a_missing_public_is_not_public(document: dict[str, Any]) -> None:
    metadata = read_instance(json.dumps(document).encode())
    assert metadata.public is False
    assert metadata.problem is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("public", "true"),
        ("public", 1),
        ("public", [True]),
        ("url", 5),
        ("title", ["a"]),
        ("description", False),
        ("latitude", 90.001),
        ("latitude", -91),
        ("latitude", "47.3"),
        ("latitude", True),
        ("longitude", 180.5),
        ("longitude", -1000),
        ("longitude", {}),
        ("owners", "Ada"),
        ("owners", ["Ada", None]),
        ("owners", {"Ada": 1}),
    ],
)
def test_a_wrong_value_of_an_instance_is_left_out_and_said(key: str, value: object) -> None:
    good = {"title": "kept", "latitude": 1.5, "owners": ["Ada"], "public": True}
    metadata = read_instance(json.dumps({**good, key: value}).encode())
    expected = read_instance(json.dumps({name: item for name, item in good.items() if name != key}).encode())
    assert metadata.problem is not None
    assert key in metadata.problem
    assert "\n" not in metadata.problem
    assert metadata == replace(expected, problem=metadata.problem)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"public"', b'{"public": tru', b"\xff\xfe", b'{"a": NaN}'])
def test_an_instance_file_that_is_no_object_is_said(raw: bytes) -> None:
    metadata = read_instance(raw)
    assert metadata.problem is not None
    assert metadata.problem.startswith("metadata.json")
    assert metadata.public is False


@pytest.mark.parametrize(("latitude", "longitude"), [(90, 180), (-90, -180), (0, 0.0)])
def test_the_ends_of_the_earth_are_on_it(latitude: float, longitude: float) -> None:
    metadata = read_instance(json.dumps({"latitude": latitude, "longitude": longitude}).encode())
    assert (metadata.latitude, metadata.longitude) == (latitude, longitude)
    assert metadata.problem is None
