"""Who is told of what: once for each event, again if that failed, and owners of theirs alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from report_sets import archive, change, status, write_set

from grt_batch.core.config import Config
from grt_batch.core.config_values import Recipient
from grt_batch.monitoring.notify import TOLD, notify
from grt_batch.monitoring.outcome import Outcome
from grt_batch.monitoring.sending import Message

DAY = date(2024, 6, 30)
OK = Outcome(1, 2, 0, "", 2)
FAILED = Outcome(1, 2, 4, "no room")
ADMIN, BOSS = "mailto://u:secret@mail/?to=admin@x", "slack://a/b/c"


class Post:
    """What was sent, and which addresses cannot be reached."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.dead: set[str] = set()

    def __call__(self, messages: Sequence[Message], _: float) -> list[str]:
        self.sent += [message for message in messages if message.to not in self.dead]
        return ["no answer" if message.to in self.dead else "" for message in messages]

    def taken(self) -> dict[str, str]:
        """The titles of what was sent since, by address."""
        sent, self.sent = self.sent, []
        assert len({message.to for message in sent}) == len(sent)
        return {message.to: message.title.removeprefix("grt-batch: ") for message in sent}


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A site where all is right; the boss wants to know of failures alone."""
    write_set(tmp_path, instance_status=[status("a")], archive=[archive("a", "1")])
    recipients = (Recipient(ADMIN), Recipient(BOSS, ("failed",)))
    return Config(reports=tmp_path, work=tmp_path, notify_recipients=recipients)


def test_who_wants_nothing_is_told_nothing(config: Config, post: Post) -> None:
    assert notify(replace(config, notify_recipients=()), FAILED, DAY, post) == []
    assert (post.sent, (config.work / TOLD).exists()) == ([], False)


def test_an_event_is_told_once_and_again_when_it_comes_back(config: Config, post: Post) -> None:
    told = []
    for ending in (OK, FAILED, FAILED, OK, FAILED, replace_code(FAILED, 6), OK):
        assert notify(config, ending, DAY, post) == []
        told.append(post.taken())
    both = {ADMIN: "The run failed", BOSS: "The run failed"}
    assert told == [{}, both, {}, {}, both, both, {}]


def replace_code(ending: Outcome, code: int) -> Outcome:
    return Outcome(ending.started, ending.ended, code, ending.said)


def test_each_is_told_of_what_he_wants_in_one_message(config: Config, post: Post) -> None:
    write_set(
        config.reports,
        instance_status=[status("a", warning=3, days_silent=99)],
        archive=[archive("a", str(n), state="quarantined", reason="bad") for n in range(30)],
        tool_change=[change("t", 0, 1), change("t", 0, 1, instance_id="a")],
    )
    assert notify(config, FAILED, DAY, post) == []
    (admin, boss) = post.sent
    assert boss.title == "grt-batch: The run failed"
    heads = "The run failed, In quarantine: 30, Late, Warning level rose, Tools that began to fail"
    assert admin.title == f"grt-batch: {heads}"
    assert admin.body.count("\n- Archive ") == 20
    assert "\n- and 10 more, see grt-batch status --fail-if quarantine\n" in admin.body
    assert admin.body.count("at warning level 3 of 3") == 1
    assert admin.body.count("\n  To do: ") == 5
    assert "on instance a: 100%" not in admin.body
    assert post.taken()
    # One more of thirty is told alone.
    rows = [archive("a", str(n), state="quarantined", reason="bad") for n in range(31)]
    write_set(config.reports, archive=rows)
    assert notify(config, FAILED, DAY, post) == []
    assert post.taken() == {ADMIN: "In quarantine"}


def test_a_level_that_falls_is_not_told_and_one_that_rises_is(config: Config, post: Post) -> None:
    told = []
    for level in (1, 2, 3, 2, 3, 1, 3):
        write_set(config.reports, instance_status=[status("a", warning=level)])
        notify(config, OK, DAY, post)
        told.append(bool(post.taken()))
    assert told == [False, True, True, False, True, False, True]


def test_a_tool_at_the_limit_is_told_once_for_long(config: Config, post: Post) -> None:
    told = []
    for days, rate in ((0, 0.5), (10, 0.0), (20, 0.5), (30, 0.0), (70, 0.0), (90, 0.5)):
        write_set(config.reports, tool_change=[change("t", 0.1, rate)])
        notify(config, OK, DAY + timedelta(days), post)
        told.append(bool(post.taken()))
    assert told == [True, False, False, False, False, True]


def test_what_could_not_be_sent_is_tried_again(config: Config, post: Post) -> None:
    post.dead = {ADMIN}
    (problem,) = notify(config, FAILED, DAY, post)
    assert problem.startswith("recipient 1 (mailto, ")
    assert problem.endswith(") could not be told of 1 alarm, the next run tries again: no answer")
    assert "secret" not in problem
    assert post.taken() == {BOSS: "The run failed"}
    assert "secret" not in (config.work / TOLD).read_text()
    post.dead = set()
    assert notify(config, FAILED, DAY, post) == []
    assert post.taken() == {ADMIN: "The run failed"}


def test_nothing_is_over_while_the_reports_are_away(config: Config, post: Post) -> None:
    write_set(config.reports, instance_status=[status("a", days_silent=99)])
    notify(config, OK, DAY, post)
    assert post.taken() == {ADMIN: "Late"}
    (config.reports / "latest").rename(config.reports / "away")
    notify(config, FAILED, DAY, post)
    assert post.taken() == {ADMIN: "The run failed", BOSS: "The run failed"}
    (config.reports / "away").rename(config.reports / "latest")
    notify(config, OK, DAY, post)
    assert post.taken() == {}


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"a": 1}'])
def test_a_damaged_note_is_none(config: Config, post: Post, raw: bytes) -> None:
    (config.work / TOLD).write_bytes(raw)
    notify(config, FAILED, DAY, post)
    assert len(post.taken()) == 2
    notify(config, FAILED, DAY, post)
    assert post.taken() == {}


def test_owners_are_told_of_theirs_by_mail(config: Config, post: Post) -> None:
    write_set(
        config.reports,
        instance=[
            {"instance_id": "a", "title": "Äh", "owners": '["jo@x.org","al@y.org"]'},
            {"instance_id": "b", "title": "", "owners": '["bo@x.org"]'},
            {"instance_id": "c", "title": "", "owners": '["nobody"]'},
        ],
        instance_status=[status("a", days_silent=40), status("b"), status("c", days_silent=40)],
        tool_change=[change("t", 0, 1), change("t", 0, 1, instance_id="b"), change("u", 0, 1, instance_id="a")],
    )
    for owners in ("mailto://u:secret@mail", "mailto://u:secret@mail/?from=grt@x.org"):
        config = replace(config, notify_recipients=(), notify_owners=owners)
        for _ in range(2):
            assert notify(config, FAILED, DAY, post) == []
    assert len(post.sent) == 4
    come = {message.to.rpartition("to=")[2]: (message.title, message.body) for message in post.sent}
    assert [message.to[len("mailto://u:secret@mail") :] for message in post.sent[::2]] == [
        "?to=jo@x.org,al@y.org",
        "/?from=grt@x.org&to=jo@x.org,al@y.org",
    ]
    subject, text = come["jo@x.org,al@y.org"]
    assert subject == "grt-batch: Late, Tools that began to fail"
    assert "Instance a (Äh) has sent no archive for 40 days" in text
    assert "Tool u fails more often" in text
    assert "To do: See on its server" in text
    subject, text = come["bo@x.org"]
    assert subject == "grt-batch: Tools that began to fail"
    assert "instance a" not in text
