"""One report over one archive, in memory: what its author sees before there is any installation."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from grt_batch.core.config import Config
from grt_batch.core.errors import BadArguments, BadModule
from grt_batch.core.timing import Clock
from grt_batch.ledger.account import Account
from grt_batch.ledger.ledger import ArchiveEntry, InstanceEntry, Ledger, State
from grt_batch.modules.base import Module, concat_instances, wanted_by
from grt_batch.modules.export import Export
from grt_batch.modules.registry import blamed_on
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import partials_of, run_here
from grt_batch.schema.records import WINDOW_DAYS, Records
from grt_batch.schema.tables import Table
from grt_batch.uploads.metadata import InstanceMetadata
from grt_batch.uploads.scan import Archive, archive_at


@dataclass(frozen=True)
class Trial:
    """The rows of a table, and the as-of day of its windows."""

    table: Table
    rows: pl.DataFrame
    as_of: date


def try_modules(
    file: Path, modules: Sequence[Module], place: Path, config: Config, as_of: date | None = None
) -> Iterator[Trial]:
    """Yield the rows of each table that the modules of `file` make of the archive at `place`, a N.tar.gz or its N.json.

    The windows end at `as_of`, or at the last day of the archive's jobs. The archive counts as one of a public
    instance. Nothing is written anywhere. Raise BadArguments for an archive that cannot be read, and BadModule for an
    error in the file.
    """
    for module in modules:
        if isinstance(module, Export):
            raise BadModule(file=file, line=_line_of(type(module)), what=f"{module.name} is an export, without rows")
    archive = archive_at(place)
    if archive.is_cold:
        raise BadArguments(
            command="try", what=f"{archive.tar} is in cold storage: bring it back with grt-batch restore"
        )
    account, records, _ = read_archive(archive.tar, config, wanted_by(modules), run_here, Clock(), lambda _: None)
    if records is None:
        raise BadArguments(command="try", what=f"{archive.tar} cannot be read: {account.quarantine}")
    last = as_of or (date.fromisoformat(account.last_day) if account.last_day else date.max)
    ledger = _ledger(archive, account, config, last)
    for module in modules:
        with blamed_on(file, _line_of(type(module).rows)):
            found = _rows(module, records, ledger)
            for table in module.tables:
                if table.name not in found:
                    raise ValueError(f"rows of {module.name} has no table {table.name}")
                yield Trial(table, table.frame(found[table.name]), last)


def _rows(module: Module, records: Records, ledger: Ledger) -> Mapping[str, pl.DataFrame]:
    (instance,) = ledger.instances
    since = ledger.as_of - timedelta(days=WINDOW_DAYS - 1)
    partial = module.gathered([module.empty(), partials_of([module], replace(records, since=since))[module.name]])
    return module.all_rows(concat_instances(module.cubes, {instance.instance_id: partial}), ledger)


def _ledger(archive: Archive, account: Account, config: Config, as_of: date) -> Ledger:
    entry = ArchiveEntry(archive, State.PUBLISHED, account=account)
    instance = InstanceEntry(archive.instance_id, InstanceMetadata(public=True), (entry,))
    return Ledger(as_of, config, (instance,))


def _line_of(item: object) -> int:
    return inspect.getsourcelines(item)[1]  # type: ignore[arg-type]
