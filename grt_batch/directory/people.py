"""The people that a directory has behind the names of owners, as far as it was asked: answers are kept for some days,
and where there is no new one, the old one stays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from grt_batch.core.config import Config
from grt_batch.core.digest import digest
from grt_batch.core.errors import CannotWrite, printable
from grt_batch.core.files import rewrite
from grt_batch.core.logs import logger
from grt_batch.core.wording import counted
from grt_batch.directory.asking import Answer, ask
from grt_batch.directory.settings import Directory, directory_of
from grt_batch.ledger.people import FindPeople, Person, nobody

FILE = "directory.json"
"""What was answered, in the work folder."""


_LONGEST = 256
"""Characters of an owner that is asked for: no directory has a longer name."""


_NAMED = 5
"""Owners that a warning names."""


class _Known(msgspec.Struct, frozen=True):
    """What was answered of an owner, and when. Of one that the directory has not, or has several times, nothing is
    known."""

    asked: date
    found: bool
    name: str | None = None
    mail: str | None = None


class _Answers(msgspec.Struct, frozen=True):
    """What was answered by owner, and by which `directory`."""

    directory: str = ""
    owners: dict[str, _Known] = {}


Ask = Callable[[Directory, Sequence[str], float], Sequence[Answer]]


def people_of(config: Config) -> FindPeople:
    """Return what finds out about the owners of a run. It asks the directory at most once, and waits for at most
    `directory_timeout_seconds`; without a directory it knows nobody.

    Raise NoLdap and BadConfig, before anything is asked.
    """
    directory = directory_of(config)
    if directory is None:
        return nobody
    return lambda owners: find_people(config, directory, owners, datetime.now(UTC).date())


def remembered_people(config: Config) -> FindPeople:
    """Return what knows the owners as the last run found them, and asks nobody."""
    return lambda owners: _people(_load(config.work / FILE), owners) if config.directory_url else nobody(owners)


def find_people(
    config: Config, directory: Directory, owners: Collection[str], today: date, ask: Ask = ask
) -> Mapping[str, Person]:
    """Return what is known of owners, after the directory was asked for those that have no answer or an old one.

    Raise CannotWrite where the answers cannot be kept.
    """
    file = config.work / FILE
    before = _load(file)
    known = {owner: before.owners[owner] for owner in owners if owner in before.owners}
    # With another account or filter the same server answers otherwise.
    who, where = (directory.url, directory.bind), (directory.base, directory.filter)
    identity = digest(*who, *where, directory.name_attribute, directory.mail_attribute)
    if before.directory != identity:
        known = {owner: msgspec.structs.replace(it, asked=date.min) for owner, it in known.items()}
    due = [owner for owner in owners if len(owner) <= _LONGEST and _is_due(known.get(owner), today, config)]
    # Where time is too short for all, each run goes on with those that wait the longest.
    due.sort(key=lambda owner: known[owner].asked if owner in known else date.min)
    if due:
        answers = ask(directory, due, config.directory_timeout_seconds)
        known |= {it.owner: _answered(it, today) for it in answers if it.owner and not it.problem}
        _warn(directory, due, answers)
    after = _Answers(identity, {owner: known[owner] for owner in sorted(known)})
    if after != before:
        try:
            rewrite(file, msgspec.json.encode(after))
        except OSError as error:
            raise CannotWrite(folder=file, what=error.strerror or error) from None
    return _people(after, owners)


def _is_due(known: _Known | None, today: date, config: Config) -> bool:
    if known is None:
        return True
    # Who is not there today may be entered tomorrow.
    days = config.directory_days if known.found else min(config.directory_days, 1)
    return not 0 <= (today - known.asked).days < days


def _answered(answer: Answer, today: date) -> _Known:
    return _Known(today, answer.entries == 1, answer.name, answer.mail)


def _people(answers: _Answers, owners: Collection[str]) -> dict[str, Person]:
    known = ((owner, answers.owners.get(owner)) for owner in owners)
    return {owner: Person(it.name, it.mail) for owner, it in known if it and it.found}


def _warn(directory: Directory, due: Sequence[str], answers: Sequence[Answer]) -> None:
    """Say in one line what the directory did not answer, and in another one who cannot be told apart."""
    problems = [it.problem for it in answers if it.problem]
    if problems:
        left = len(due) - sum(not it.problem for it in answers)
        logger.warning(
            "the directory %s has not answered for %s of %s, who stay as they were: %s; grt-batch doctor examines it",
            directory.url,
            left,
            counted(len(due), "owner"),
            printable(problems[0]),
        )
    several = [it.owner for it in answers if it.entries > 1]
    if several:
        named = ", ".join(map(repr, several[:_NAMED])) + (" …" if len(several) > _NAMED else "")
        logger.warning(
            "directory_filter finds several people for %s (%s), so nothing is known of them",
            counted(len(several), "owner"),
            named,
        )


def _load(file: Path) -> _Answers:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Answers)
    except (OSError, msgspec.MsgspecError):
        return _Answers()
