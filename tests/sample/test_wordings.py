"""Parameters as the exporter of each release writes them."""

from __future__ import annotations

import json

from sample_archives import Archive

from grt_batch.sample.names import NUMBER, PARAMETERS
from grt_batch.sample.releases import RELEASE_1805, RELEASE_2401
from grt_batch.sample.wordings import wordings_of


def test_parameters_come_in_every_shape(archives: list[Archive]) -> None:
    by_release: dict[str, set[str]] = {}
    rows = jobs = 0
    for archive in archives:
        if "params" not in archive.members:
            continue
        jobs += sum(archive.report["jobs"].values())
        release = ("design " if archive.is_design else "") + archive.report["galaxy_version"]
        release += "" if archive.headers else " without headers"
        for _, name, value in archive.whole("params"):
            rows += 1
            assert value
            if name == "dbkey":
                by_release.setdefault(release, set()).add(value)
            elif release == "18.09" and value != "None":
                json.loads(value)
    assert '{"dbkey": "hg38"}' in by_release["17.09 without headers"]
    assert r'"\"hg38\""' in by_release["17.09"]
    assert r'"{\"dbkey\": \"\\\"hg38\\\"\"}"' in by_release["18.09"]
    assert all('"null"' in values for values in by_release.values())
    texts = {value for archive in archives for *_, value in archive.members.get("params", [])}
    assert {"null", "None"} < texts
    assert any("大腸菌" in value for value in texts)
    assert max(map(len, texts)) > 100_000
    assert 4 < rows / jobs < 6


def test_every_value_has_a_wording_in_the_shape_of_its_parameter() -> None:
    wordings = wordings_of(RELEASE_1805)
    for place, (name, values) in enumerate(PARAMETERS.items()):
        first, last = wordings.first[place : place + 2].tolist()
        shape = RELEASE_1805.shapes[place % len(RELEASE_1805.shapes)]
        found = zip(wordings.head[first:last], wordings.tail[first:last], strict=True)
        written = [head if tail is None else f"{head}{NUMBER}{tail}" for head, tail in found]
        assert written == [f"{name}\t{shape.write(name, value)}" for value in values]


def test_a_release_without_shapes_writes_no_parameters() -> None:
    wordings = wordings_of(RELEASE_2401)
    assert wordings.first.tolist() == [0]
    assert wordings.head.is_empty()
