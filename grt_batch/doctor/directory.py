"""The probe of the directory: whether it can be asked for the owners of instances."""

from __future__ import annotations

from collections.abc import Iterator

from grt_batch.core.config import Config
from grt_batch.directory.asking import ask
from grt_batch.directory.settings import directory_of
from grt_batch.doctor.findings import SECONDS, Finding, ok, warning

_SUBJECT = "directory"


_MARGIN = 2.0
"""Seconds before the end of a probe, in which it tells what it found."""


def directory(config: Config) -> Iterator[Finding]:
    """Report whether the server answers, trusts the account and has the base; nothing where there is no directory.

    Raises NoLdap and BadConfig, with which a run would end.
    """
    asked = directory_of(config)
    if asked is None:
        return
    if asked.password and not asked.start_tls and asked.url.startswith("ldap:"):
        found = f"the password of {asked.bind} goes to {asked.url} as it is"
        yield warning(_SUBJECT, found, "Set directory_start_tls, or use ldaps://.")
    problems = [answer.problem for answer in ask(asked, (), min(config.directory_timeout_seconds, SECONDS - _MARGIN))]
    if problems:
        remedy = "Correct [directory]; until then the owners stay as they were found last."
        yield warning(_SUBJECT, f"{asked.url} cannot be asked: {problems[0]}", remedy)
    else:
        by = asked.bind or "anonymous"
        yield ok(_SUBJECT, f"{asked.url} can be asked below {asked.base or 'its root'} as {by}")
