"""What is known of owners: asked for once in some days, kept where nobody answers, lost where nobody is there."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from slapd import BASE, Server, bound

from grt_batch.core.config import Config
from grt_batch.core.errors import BadConfig, CannotWrite
from grt_batch.directory.asking import Answer, ask
from grt_batch.directory.people import FILE, find_people, people_of, remembered_people
from grt_batch.directory.settings import Directory, directory_of
from grt_batch.ledger.people import Person, nobody

DAY = date(2024, 6, 30)
JANE = Person("Jane Doe", "jane@example.org")
NO_MAIL = Person("Nobody's Mail")


class Listening:
    """Asks the server, and knows for whom; nothing is asked once it is `dead`."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.dead = False

    def __call__(self, directory: Directory, owners: Sequence[str], seconds: float) -> list[Answer]:
        self.asked.append(list(owners))
        return [Answer(problem="dead")] if self.dead else ask(directory, owners, seconds)

    def taken(self) -> list[list[str]]:
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
def listening() -> Listening:
    return Listening()


def found(config: Config, *owners: str, day: int = 0, listening: Listening | None = None) -> dict[str, Person]:
    directory = directory_of(config)
    assert directory is not None
    return dict(find_people(config, directory, owners, DAY + timedelta(day), listening or ask))


def kept(config: Config) -> dict[str, dict[str, object]]:
    """What the work folder has, by owner."""
    owners: dict[str, dict[str, object]] = json.loads((config.work / FILE).read_bytes())["owners"]
    return owners


def test_an_answer_is_kept_for_some_days(asking: Config, listening: Listening) -> None:
    for day, asked in ((0, [["jane.doe", "no.mail"]]), (0, []), (6, []), (7, [["jane.doe", "no.mail"]]), (13, [])):
        assert found(asking, "jane.doe", "no.mail", day=day, listening=listening) == {
            "jane.doe": JANE,
            "no.mail": NO_MAIL,
        }
        assert listening.taken() == asked
    # The clock was wrong.
    found(asking, "jane.doe", day=-1, listening=listening)
    assert listening.taken() == [["jane.doe"]]


def test_with_0_days_each_run_asks(asking: Config, listening: Listening) -> None:
    for _ in range(2):
        found(replace(asking, directory_days=0), "jane.doe", listening=listening)
    assert listening.taken() == [["jane.doe"]] * 2


def test_who_is_not_there_is_asked_for_the_next_day(asking: Config, listening: Listening) -> None:
    for day, asked in ((0, [["nobody"]]), (0, []), (1, [["nobody"]])):
        assert found(asking, "nobody", day=day, listening=listening) == {}
        assert listening.taken() == asked


def test_who_has_left_loses_name_and_mail(ldap: Server, asking: Config, caplog: pytest.LogCaptureFixture) -> None:
    with ldap.person("guest", cn="Guest", mail="g@example.org"):
        assert found(asking, "guest", "jane.doe") == {"guest": Person("Guest", "g@example.org"), "jane.doe": JANE}
    assert found(asking, "guest", "jane.doe", day=7) == {"jane.doe": JANE}
    assert kept(asking)["guest"] == {"asked": "2024-07-07", "found": False, "name": None, "mail": None}
    assert caplog.messages == []


@pytest.mark.parametrize(
    "changes",
    [
        {"directory_base": f"ou=none,{BASE}"},
        {"directory_base": f"ou=away,{BASE}"},
        {"directory_start_tls": True},
        {"directory_filter": "(uid={name}"},
        {"directory_bind": "wrong"},
        {"directory_url": "dead"},
    ],
    ids=lambda changes: " ".join(map(str, changes.values())),
)
def test_without_an_answer_the_old_one_stays(
    asking: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, object]
) -> None:
    found(asking, "jane.doe", "no.mail", "nobody")
    before = kept(asking)
    if "directory_bind" in changes:
        broken = bound(asking, tmp_path, "wrong")
    elif "directory_url" in changes:
        with socket.create_server(("localhost", 0)) as gone:
            broken = replace(asking, directory_url=f"ldap://localhost:{gone.getsockname()[1]}")
    else:
        broken = replace(asking, **changes)  # type: ignore[arg-type]
    assert found(broken, "jane.doe", "no.mail", "nobody", day=7) == {"jane.doe": JANE, "no.mail": NO_MAIL}
    assert {owner: it["name"] for owner, it in kept(asking).items()} == {it: before[it]["name"] for it in before}
    (said,) = caplog.messages
    assert said.startswith(f"the directory {broken.directory_url} has not answered for 3 of 3 owners, who stay as they")
    # It answers again, as on the first day.
    assert found(asking, "jane.doe", "no.mail", "nobody", day=7) == {"jane.doe": JANE, "no.mail": NO_MAIL}
    assert {it["asked"] for it in kept(asking).values()} == {"2024-07-07"}


def test_a_server_that_says_nothing_costs_its_time_once(asking: Config, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("localhost", 0)) as silent:
        url = f"ldap://localhost:{silent.getsockname()[1]}"
        assert found(replace(asking, directory_url=url, directory_timeout_seconds=1), "jane.doe", "no.mail") == {}
    assert caplog.messages == [
        f"the directory {url} has not answered for 2 of 2 owners, who stay as they were: no answer within 1 s;"
        " grt-batch doctor examines it"
    ]


def test_where_time_is_short_the_next_run_goes_on(
    asking: Config, listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    found(asking, "jane.doe", listening=listening)
    listening.dead = True
    assert found(asking, "jane.doe", "no.mail", day=7, listening=listening) == {"jane.doe": JANE}
    listening.dead = False
    assert found(asking, "jane.doe", "no.mail", day=7, listening=listening) == {"jane.doe": JANE, "no.mail": NO_MAIL}
    # Who waits the longest comes first.
    assert listening.taken() == [["jane.doe"], ["no.mail", "jane.doe"], ["no.mail", "jane.doe"]]
    assert len(caplog.messages) == 1


def test_nobody_guesses_who_of_several_is_meant(asking: Config, caplog: pytest.LogCaptureFixture) -> None:
    assert found(asking, "twin", "jane.doe") == {"jane.doe": JANE}
    assert caplog.messages == [
        "directory_filter finds several people for 1 owner ('twin'), so nothing is known of them"
    ]
    assert found(asking, "twin", "jane.doe") == {"jane.doe": JANE}
    assert len(caplog.messages) == 1


def test_another_directory_is_asked_anew(asking: Config, listening: Listening) -> None:
    found(asking, "jane.doe", listening=listening)
    other = replace(asking, directory_name_attribute="mail", directory_mail_attribute="cn")
    assert found(other, "jane.doe", listening=listening) == {"jane.doe": Person(*reversed(JANE))}
    assert found(other, "jane.doe", listening=listening) == {"jane.doe": Person(*reversed(JANE))}
    assert listening.taken() == [["jane.doe"]] * 2


def test_only_owners_of_today_are_kept_and_no_endless_name_is_asked(asking: Config, listening: Listening) -> None:
    found(asking, "jane.doe", "no.mail", "x" * 257, listening=listening)
    found(asking, "no.mail", listening=listening)
    assert kept(asking).keys() == {"no.mail"}
    assert listening.taken() == [["jane.doe", "no.mail"]]


def test_nothing_is_written_where_nothing_is_new(asking: Config) -> None:
    found(asking, "jane.doe", "no.mail")
    before = (asking.work / FILE).stat()
    found(asking, "no.mail", "jane.doe", day=1)
    after = (asking.work / FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_answers_that_are_damaged_are_asked_for_again(asking: Config) -> None:
    for damage in (b"{", b'{"owners": {"jane.doe": {"asked": "yesterday"}}}'):
        (asking.work / FILE).write_bytes(damage)
        assert found(asking, "jane.doe") == {"jane.doe": JANE}


def test_answers_that_cannot_be_kept_end_the_run(asking: Config) -> None:
    with pytest.raises(CannotWrite, match=FILE):
        found(replace(asking, work=asking.work / "none"), "jane.doe")


def test_without_a_directory_nobody_is_known(asking: Config) -> None:
    found(asking, "jane.doe")
    off = replace(asking, directory_url="")
    assert people_of(off) is nobody
    assert remembered_people(off)(["jane.doe"]) == {}


def test_a_run_asks_and_what_follows_remembers(asking: Config) -> None:
    assert remembered_people(asking)(["jane.doe"]) == {}
    assert people_of(asking)(["jane.doe", "nobody"]) == {"jane.doe": JANE}
    assert remembered_people(replace(asking, directory_url="ldap://gone.invalid"))(["jane.doe"]) == {"jane.doe": JANE}


def test_what_is_wrong_in_the_configuration_is_said_before_the_run(asking: Config) -> None:
    with pytest.raises(BadConfig):
        people_of(replace(asking, directory_filter="(uid=jane)"))
