"""The commands for instances and their keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grt_batch.commands import cli, options, text_table
from grt_batch.core.config_file import load

if TYPE_CHECKING:
    from grt_batch.service.instances import Instances
    from grt_batch.service.keys import KeyStore


@cli.group()
def instance() -> None:
    """Manage the instances: their folders, what they say of themselves, and their keys.

    Keys are shown once, when they are made; only their hashes are kept.
    """


def _described(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that are keys of metadata.json."""
    for option in (
        click.option(
            "--public-after-days", type=click.IntRange(0), help="Days until its archives are for everybody; 0 = never."
        ),
        click.option("--owner", "owners", multiple=True, metavar="NAME", help="Who runs it; may be repeated."),
        click.option("--longitude", type=click.FloatRange(-180, 180), help="Where it is, in degrees east."),
        click.option("--latitude", type=click.FloatRange(-90, 90), help="Where it is, in degrees north."),
        click.option("--public/--no-public", default=None, help="Whether readers see it by itself.  [default: no]"),
        click.option("--description", metavar="TEXT", help="What it is, in a sentence."),
        click.option("--url", help="Its address."),
    ):
        command = option(command)
    return command


@instance.command("add")
@click.option("--title", required=True, metavar="TEXT", help="Its name, for people.")
@click.option("--id", "instance_id", metavar="ID", help="A UUID or a small number.  [default: a new UUID]")
@_described
@options("uploads", "config", "debug")
def instance_add(
    instance_id: str | None, uploads: Path | None, config_file: Path | None, debug: bool, **said: Any
) -> None:
    """Make an instance and print its id and its first key, a line each.

    The folder of an instance that says nothing of itself yet is taken as it is.
    """
    instances, keys = _open(uploads, config_file)
    instance_id = instances.add(instance_id, _given(said))
    click.echo(instance_id)
    click.echo(keys.add(instance_id))


@instance.command("list")
@options("uploads", "config", "debug")
def instance_list(uploads: Path | None, config_file: Path | None, debug: bool) -> None:
    """List the instances: id, title, whether public, number of keys, and the archives that are whole."""
    instances, keys = _open(uploads, config_file)
    rows = [
        [
            found.instance_id,
            found.metadata.title or "",
            "yes" if found.metadata.public else "no",
            str(len(keys.of(found.instance_id))),
            str(found.archives),
            str(found.bytes),
            found.newest,
        ]
        for found in instances.all()
    ]
    click.echo(text_table(["id", "title", "public", "keys", "archives", "bytes", "newest"], rows))


@instance.command("show")
@click.argument("instance_id", metavar="ID")
@options("uploads", "config", "debug")
def instance_show(instance_id: str, uploads: Path | None, config_file: Path | None, debug: bool) -> None:
    """Show what an instance says of itself, its archives, and the names of its keys."""
    instances, keys = _open(uploads, config_file)
    found = instances.describe(instance_id)
    said = found.metadata
    rows = [
        ["folder", str(instances.folder(instance_id))],
        ["title", said.title or ""],
        ["url", said.url or ""],
        ["description", said.description or ""],
        ["public", "yes" if said.public else "no"],
        ["latitude", "" if said.latitude is None else str(said.latitude)],
        ["longitude", "" if said.longitude is None else str(said.longitude)],
        ["owners", ", ".join(said.owners)],
        *([name, str(value)] for name, value in said.other.items()),
        ["archives", f"{found.archives}, {found.bytes} bytes, the newest {found.newest or 'none'}"],
        *([f"key {key.name}", f"made {key.created}"] for key in keys.of(instance_id)),
    ]
    click.echo(text_table(["id", instance_id], rows))
    if said.problem:
        click.echo(said.problem, err=True)


@instance.command("edit")
@click.argument("instance_id", metavar="ID")
@click.option("--title", metavar="TEXT", help="Its name, for people.")
@_described
@options("uploads", "config", "debug")
def instance_edit(instance_id: str, uploads: Path | None, config_file: Path | None, debug: bool, **said: Any) -> None:
    """Change what an instance says of itself; what no option names stays as it is."""
    _open(uploads, config_file)[0].edit(instance_id, _given(said))


@instance.command("key")
@click.argument("instance_id", metavar="ID", required=False)
@click.option("--admin", is_flag=True, help="A key of the administrators, in place of an instance's.")
@click.option("--revoke", metavar="NAME", help="Take away the key of this name; grt-batch instance show names them.")
@click.option("--revoke-all", is_flag=True, help="Take away all keys.")
@options("uploads", "config", "debug")
def instance_key(
    instance_id: str | None,
    admin: bool,
    revoke: str | None,
    revoke_all: bool,
    uploads: Path | None,
    config_file: Path | None,
    debug: bool,
) -> None:
    """Give an instance one more key and print it, or take keys away.

    The old keys stay good until they are revoked, so that a server can be given the new one in between. A service that
    runs notices at once. Administrators show their keys with the instance `*`.
    """
    from grt_batch.core.errors import BadArguments
    from grt_batch.core.wording import counted
    from grt_batch.service.keys import ADMIN

    if (instance_id is None) != admin or (revoke is not None and revoke_all):
        what = "it takes either ID or --admin, and either --revoke or --revoke-all"
        raise BadArguments(command="instance key", what=what)
    instances, keys = _open(uploads, config_file)
    whose = instance_id or ADMIN
    if not (revoke or revoke_all):
        if not admin:
            instances.folder(whose)
        click.echo(keys.add(whose))
        return
    count = keys.revoke(whose, revoke)
    if revoke and not count:
        raise BadArguments(command="instance key", what=f"{whose} has no key {revoke}")
    click.echo(f"{counted(count, 'key', 'keys')} revoked")


@instance.command("remove")
@click.argument("instance_id", metavar="ID")
@click.option("--archives", is_flag=True, help="Remove the folder too, with all archives and metadata.json.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@options("uploads", "config", "debug")
def instance_remove(
    instance_id: str, archives: bool, yes: bool, uploads: Path | None, config_file: Path | None, debug: bool
) -> None:
    """Take away the keys of an instance, and with --archives everything that it has sent."""
    from grt_batch.core.wording import counted

    instances, keys = _open(uploads, config_file)
    if archives:
        found = instances.describe(instance_id)
        if not yes:
            click.confirm(f"Remove {counted(found.archives, 'archive')} of {instance_id}?", abort=True, err=True)
    count = keys.revoke(instance_id)
    if not count:
        instances.folder(instance_id)
    click.echo(f"{counted(count, 'key', 'keys')} revoked")
    if archives:
        instances.remove(instance_id)


def _open(uploads: Path | None, config_file: Path | None) -> tuple[Instances, KeyStore]:
    """Return the folders of the instances, and their keys."""
    from grt_batch.core.work_folder import set_umask
    from grt_batch.service.instances import Instances
    from grt_batch.service.keys import KeyStore

    config = load(config_file, {"uploads": uploads})
    set_umask(config)
    return Instances(config.uploads), KeyStore(config.keys_path, config.uploads)


def _given(said: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in said.items() if value not in (None, ())}
