"""The command that demonstrates the program on sample uploads."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from grt_batch.commands import FOLDER, cli, options
from grt_batch.commands.sample import write_uploads


def _called() -> str:
    """Return the name that this program was called by."""
    program = Path(sys.argv[0])
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)


@cli.command()
@click.option("--folder", type=FOLDER, default=Path("demo"), show_default=True, help="Where everything goes.")
@click.option("--jobs", default=50_000, show_default=True, type=click.IntRange(min=12), help="Job lines, in all.")
@click.option("--ranks", default=3, show_default=True, type=click.IntRange(min=1), help="MPI ranks.")
@options("debug")
def demo(folder: Path, jobs: int, ranks: int, debug: bool) -> int:
    """Write sample uploads, run all modules on them with several ranks, and show where the results are."""
    import shutil
    from importlib.util import find_spec

    from grt_batch.modules.registry import discover
    from grt_batch.ranks.launcher import launch

    uploads = folder / "uploads"
    shutil.rmtree(uploads, ignore_errors=True)
    until = write_uploads(uploads, 4, 3, jobs, 1)
    places = ["--uploads", str(uploads), "--reports", str(folder / "reports"), "--work", str(folder / "work")]
    modules = [name for name, module in discover().items() if all(map(find_spec, module.packages))]
    arguments = [*places, "--database", "embedded", "--as-of", until.isoformat(), *modules]
    code = launch(ranks, arguments, folder / "work")
    if code:
        return code
    latest = folder / "reports" / "latest"
    click.echo(f"\nThe reports are in {latest}/:")
    for file in sorted(latest.iterdir()):
        click.echo(f"  {file.name}{'/' if file.is_dir() else ''}")
    for name in ("tool_usage.tsv", "instance_status.tsv"):
        click.echo(f"\nThe first lines of {name}:")
        with (latest / name).open(encoding="utf-8") as lines:
            for _, line in zip(range(6), lines, strict=False):
                click.echo(f"  {line.rstrip()[:150]}")
    work = folder / "work"
    click.echo(f"\nThe tables are in the embedded database: {_called()} db psql --work {work}")
    click.echo(f"Ask it: {_called()} query --list; {_called()} query tool-memory-efficiency --work {work}")
    instance = min(path.name for path in uploads.iterdir())
    click.echo(f"Take archives over HTTP: {_called()} serve {' '.join(places)}")
    click.echo(f"Give a Galaxy server its key: {_called()} instance key {instance} --uploads {uploads}")
    return 0
