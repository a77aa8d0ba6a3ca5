"""The directory of the configuration: what must be right before a server is asked."""

from __future__ import annotations

import stat
from importlib.util import find_spec
from pathlib import Path

import msgspec

from grt_batch.core.config import Config
from grt_batch.core.errors import BadConfig, NoLdap, Reason

PACKAGE = "ldap3"


PLACEHOLDER = "{name}"
"""Stands for the name of an owner in the filter."""


class Directory(msgspec.Struct, frozen=True):
    """An LDAP server, the account that asks it, and how it finds a person there."""

    url: str
    base: str
    filter: str
    name_attribute: str
    mail_attribute: str
    start_tls: bool
    ca_file: str
    bind: str
    password: str


def directory_of(config: Config) -> Directory | None:
    """Return the directory, None where the configuration has none. Raise NoLdap without the package, and BadConfig for
    a file that cannot be used and for settings that contradict each other."""
    if not config.directory_url:
        return None
    if find_spec(PACKAGE) is None:
        raise NoLdap()
    if PLACEHOLDER not in config.directory_filter:
        raise _bad("directory_filter", f"{config.directory_filter!r} has no {PLACEHOLDER}")
    if config.directory_start_tls and config.directory_url.startswith("ldaps:"):
        raise _bad("directory_start_tls", "is for ldap://, and ldaps:// is encrypted already")
    if bool(config.directory_bind) != bool(config.directory_password_file):
        raise _bad("directory_bind", "needs directory_password_file, and that needs directory_bind")
    if config.directory_ca_file:
        _read("directory_ca_file", config.directory_ca_file)
    return Directory(
        url=config.directory_url,
        base=config.directory_base,
        filter=config.directory_filter,
        name_attribute=config.directory_name_attribute,
        mail_attribute=config.directory_mail_attribute,
        start_tls=config.directory_start_tls,
        ca_file=config.directory_ca_file,
        bind=config.directory_bind,
        password=_password(config.directory_password_file) if config.directory_password_file else "",
    )


def _password(file: str) -> str:
    """Return the first line of a file that is not for everybody."""
    key = "directory_password_file"
    try:
        if Path(file).stat().st_mode & stat.S_IROTH:
            raise _bad(key, f"{file} can be read by everybody; run: chmod o= {file}")
        text = _read(key, file).decode().partition("\n")[0].removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(key, error) from None
    if not text:
        # A server takes an account without a password for anonymous, and says yes.
        raise _bad(key, f"{file} has no password in its first line")
    return text


def _read(key: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise _bad(key, error) from None


def _bad(key: str, what: Reason) -> BadConfig:
    return BadConfig(file="of this run", what=f"[directory] {key}: {what}")
