"""The ready queries over HTTP: the same bytes as the command gives, in pages, and as public as the caller is."""

from __future__ import annotations

import httpx
import pytest
from answering import Answering, refusal
from calling import Call
from places import ROOT

from grt_batch.queries.definitions import read

QUERIES = read(ROOT / "config" / "sql")
GIVEN = {"tool": "fastqc", "tools": "fastqc,Cut1"}
"""What the parameters get that have no default."""


def path(name: str, **given: object) -> str:
    wanted = {one.name: GIVEN[one.name] for one in QUERIES[name].parameters if one.default is None}
    return str(httpx.URL(f"/api/queries/{name}", params={**wanted, **given}))


def test_the_list_says_what_there_is(answering: Answering) -> None:
    answer = answering.anyone.get("/api/queries")
    listed = {query["name"]: query for query in answer.json()["queries"]}
    assert listed.keys() == QUERIES.keys()
    assert listed["tool-metrics"]["question"] == QUERIES["tool-metrics"].question
    assert listed["tool-metrics"]["parameters"][0] == {
        "name": "tool",
        "description": "part of the tool's id",
        "kind": "tool",
        "values": "any part of the id of a tool, in full or as a table shows it",
        "default": None,
        "required": True,
    }
    again = answering.anyone.get("/api/queries", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_answers_everybody_and_administrators(answering: Answering, name: str) -> None:
    for client, cache in ((answering.anyone, "public"), (answering.admin, "private")):
        answer = client.get(path(name))
        assert answer.status_code == 200, answer.text
        assert isinstance(answer.json(), list)
        assert answer.headers["cache-control"] == f"{cache}, max-age=60"
        assert answer.headers["vary"] == "Authorization"


def test_no_query_has_a_parameter_of_the_name_of_one_of_the_service() -> None:
    assert not {one.name for query in QUERIES.values() for one in query.parameters} & {"format", "page", "page_size"}


@pytest.mark.parametrize("form", ["json", "csv", "tsv"])
def test_the_answer_is_that_of_the_command(answering: Answering, call: Call, form: str) -> None:
    database = answering.config.database
    told = call("query", "tool-usage", "--param", "tool=fastq", "--format", form, "--database", database)
    answer = answering.admin.get(path("tool-usage", tool="fastq", format=form))
    assert answer.text == told.out
    assert len(answer.content.splitlines()) > 2


def instances_seen_by(client: httpx.Client) -> set[str]:
    return {row["instance_id"] for row in client.get(path("instance-popularity", limit=0)).json()}


def test_who_is_not_public_is_seen_by_administrators_alone(answering: Answering) -> None:
    public, hidden = set(answering.public), set(answering.hidden)
    assert instances_seen_by(answering.anyone) == public
    assert instances_seen_by(answering.admin) == public | hidden
    with answering.asking(answering.hidden[0]) as client:
        assert instances_seen_by(client) == public


def test_pages_together_are_the_whole(answering: Answering) -> None:
    asked = {"version": "each", "limit": 0, "format": "tsv"}
    whole = answering.anyone.get(path("tool-usage", **asked, page_size=500))
    lines, following = [], path("tool-usage", **asked, page_size=61)
    while following:
        answer = answering.anyone.get(following)
        lines += answer.text.splitlines()[1:]
        further = answer.links.get("next")
        following = str(answer.url.join(further["url"])) if further else ""
    assert whole.text.splitlines()[1:] == lines[:500]
    assert len(set(lines)) == len(lines) > 300
    beyond = answering.anyone.get(path("tool-metrics", tool="", page=1_000_000, page_size=500))
    assert (beyond.status_code, beyond.json()) == (200, [])


def test_an_answer_is_the_same_until_another_run_publishes(answering: Answering) -> None:
    asked = path("tool-usage", limit=2)
    answer = answering.anyone.get(asked)
    tag = answer.headers["etag"]
    for header in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = answering.anyone.get(asked, headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert answering.anyone.get(asked, headers={"If-None-Match": '"other"'}).content == answer.content
    assert answering.anyone.get(asked, headers={"If-Match": tag}).content == answer.content
    assert "begin again" in refusal(answering.anyone.get(asked, headers={"If-Match": '"other"'}), 412)
    others = [
        path("tool-usage", limit=3),
        path("tool-usage", limit=2, format="csv"),
        path("tool-usage", limit=2, page=2),
    ]
    assert len({tag, *(answering.anyone.get(other).headers["etag"] for other in others)}) == 4
    assert answering.admin.get(asked).headers["etag"] != tag


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ("/api/queries/nothing", 404, "There is no query 'nothing': see /api/queries"),
        ("/api/queries/tool-metrics", 400, "tool is missing: part of the tool's id"),
        ("/api/queries/tool-usage?tol=x", 400, "it has no parameter 'tol'"),
        ("/api/queries/tool-usage?limit=-1", 400, "limit is a whole number from 0, not '-1'"),
        ("/api/queries/tool-usage?limit=1&limit=2", 400, "'limit' is given twice"),
        ("/api/queries/tool-usage?tool=%00", 400, "tool is any part of the id of a tool"),
        ("/api/queries/tool-usage?format=xml", 400, "format is json or csv or tsv, not 'xml'"),
        ("/api/queries/tool-usage?page=0", 400, "page is a whole number from 1 to 1000000, not '0'"),
        ("/api/queries/tool-usage?page=" + "9" * 5000, 400, "page is a whole number"),
        ("/api/queries/tool-usage?page_size=501", 400, "page_size is a whole number from 1 to 500"),
        ("/api/queries/", 404, "Not Found"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
def test_a_wrong_question_is_refused_in_a_sentence(answering: Answering, asked: str, status: int, said: str) -> None:
    assert said in refusal(answering.anyone.get(asked), status)


def test_a_wrong_key_is_no_answer(answering: Answering) -> None:
    answer = answering.anyone.get(path("tool-usage"), headers={"Authorization": "*:wrong"})
    assert refusal(answer, 400) == "Bad authentication credentials"


def test_an_address_may_have_a_prefix(answering: Answering) -> None:
    assert answering.anyone.get(f"/grt{path('tool-usage')}").content == answering.anyone.get(path("tool-usage")).content


def test_the_map_has_the_public_instances_that_say_where_they_are(answering: Answering) -> None:
    answer = answering.anyone.get("/api/instances.geojson")
    assert answer.headers["content-type"] == "application/geo+json"
    placed = {
        one.instance_id: [one.metadata.longitude, one.metadata.latitude]
        for one in answering.uploads.instances
        if one.metadata.public and one.metadata.latitude is not None
    }
    features = answer.json()["features"]
    assert {one["id"]: one["geometry"]["coordinates"] for one in features} == placed
    assert features[0]["properties"]["jobs"] > 0
    again = answering.anyone.get("/api/instances.geojson", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
