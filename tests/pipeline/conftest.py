"""Archives that come and go, and what is merged of the sample, for the tests of several steps of a run."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from coming_and_going import Site, small_site

from grt_batch.core.config import Config
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.export import Export
from grt_batch.modules.registry import chosen, discover
from grt_batch.pipeline.context import RunContext
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.plan import find_uploads, survey
from grt_batch.pipeline.reduce_all import reduce_archives
from grt_batch.pipeline.render import Rendering, RenderOrder
from grt_batch.pipeline.request import RunRequest
from grt_batch.sample import UNTIL
from grt_batch.schema.parts import grouped
from grt_batch.sinks.targets import Targets
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store


@pytest.fixture(scope="session")
def made(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Ledger, dict[str, RenderOrder]]:
    """What is merged of the sample, all that is known of its archives, and the orders to make each module's tables."""
    home = tmp_path_factory.mktemp("made")
    config = Config(uploads=sample, work=home / "work", reports=home / "reports")
    reports = [name for name, module in discover().items() if not isinstance(module, Export)]
    store, index, modules = Store(config.work / "store"), ArchiveIndex(config.work, config.uploads), chosen(reports)
    uploads = find_uploads(config, index, ())
    planned = survey(uploads, store, index, config, modules, UNTIL)
    context = RunContext(RunRequest(config, UNTIL), modules, store, index, SerialExecutor())
    reduced = reduce_archives(context, uploads, planned, Targets(()), lambda _: nullcontext(lambda _: None))
    ledger = reduced.ledger
    public = {instance.instance_id: instance.metadata.public for instance in ledger.instances}
    orders: dict[str, RenderOrder] = {}
    for name, merged in reduced.merged.items():
        tables = discover()[name].tables
        whole = tuple(table.name for table in tables if not table.of_instances)
        orders[name] = RenderOrder(name, tuple(merged), UNTIL, public, whole, Rendering("program"))
        for group in grouped(public):
            single = tuple(table.name for table in tables if table.of_instances)
            order = RenderOrder(name, tuple(merged), UNTIL, public, single, Rendering("program", group))
            orders |= {f"{name} of {group.name}": order} if single else {}
    return store, ledger, orders


@pytest.fixture
def site(tmp_path: Path, database: str) -> Site:
    return small_site(tmp_path, database)
