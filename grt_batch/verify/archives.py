"""Check single archives, without a database."""

from __future__ import annotations

from dataclasses import dataclass

from grt_batch.core.config import Config
from grt_batch.core.timing import Clock
from grt_batch.core.wording import counted
from grt_batch.ledger.account import Account
from grt_batch.ledger.ledger import miscount
from grt_batch.pipeline.plan import mismatch
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import run_here
from grt_batch.uploads.scan import Archive


@dataclass(frozen=True)
class ArchiveCheck:
    """The result of a check, on one line."""

    text: str
    quarantined: bool = False


def check_archive(archive: Archive, config: Config) -> ArchiveCheck:
    """Read an archive as a run would, without storing anything."""
    if archive.incomplete:
        return ArchiveCheck(f"incomplete: {archive.incomplete}")
    if archive.quarantine:
        return ArchiveCheck(f"quarantine: {archive.quarantine}", quarantined=True)
    if archive.cold and archive.is_cold:
        return ArchiveCheck(f"not read, since it is in cold storage: {archive.cold.url}")
    account, _, _ = read_archive(archive.tar, config, (), run_here, Clock(), lambda _: None)
    reason = mismatch(archive, account)
    if reason:
        return ArchiveCheck(f"quarantine: {reason}", quarantined=True)
    return ArchiveCheck("; ".join(filter(None, (_accounted(account), miscount(archive, account)))))


def _accounted(account: Account) -> str:
    accepted = {kind: members.accepted for kind, members in account.members.items()}
    members = ", ".join(counted(count, kind.removesuffix("s"), kind) for kind, count in accepted.items())
    odd = {name: account.total(name) for name in ("salvaged", "rejected", "fragments", "orphans")}
    nothing = "no records" if account.found else "no records, its tar has no member that could hold any"
    parts = [f"good: {members or nothing}", *(f"{count} {name}" for name, count in odd.items() if count)]
    parts += [f"{n} × {kind}: {reason}" for kind, reason, n in account.reasons]
    parts += [f"implausible: {account.impossible}"] if account.impossible else []
    return "; ".join(parts)
