"""The command that runs the ready queries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from grt_batch.commands import FOLDER, cli, database_of, options, text_table
from grt_batch.core.config import load
from grt_batch.core.errors import BadArguments
from grt_batch.core.wording import counted

if TYPE_CHECKING:
    from grt_batch.queries.definitions import Query


@cli.command()
@click.option("--list", "listing", is_flag=True, help="List the queries: what each answers, and its parameters.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "tsv", "csv", "json"]),
    default="table",
    show_default=True,
    help="table is rounded and shortened for people; the others are complete.",
)
@click.option("--sql", type=FOLDER, help="Folder with *.sql files of your own.  [default: config/sql]")
@options("database", "work", "config")
@click.option("--debug", is_flag=True, help="Show the SQL and its time, and the traceback of an error.")
@click.argument("name", required=False)
def query(
    name: str | None,
    listing: bool,
    params: tuple[str, ...],
    form: str,
    sql: Path | None,
    database: str | None,
    work: Path | None,
    config_file: Path | None,
    debug: bool,
) -> None:
    """Run the ready query NAME, one of those in config/sql."""
    from grt_batch.queries.definitions import find_query, queries_folder, read

    config = load(config_file, {"database": database, "work": work})
    queries = read(queries_folder(config_file, sql))
    if listing:
        chosen = queries if name is None else {name: find_query(queries, name)}
        click.echo("\n".join(_described(item) for item in chosen.values()))
        return
    if name is None:
        raise BadArguments(command="query", what="it needs the name of a query; grt-batch query --list shows them")
    asked = find_query(queries, name)
    values = asked.values(_given(params))
    from grt_batch.queries import results as answers

    with database_of(config, borrow=True) as url:
        answer = answers.ask(url, asked, values, _show if debug else _hide)
    if debug:
        _show(f"-- {answer.milliseconds:.1f} ms, {counted(len(answer.rows), 'row')}")
    if form == "table":
        click.echo(text_table(*answers.as_table(answer)) if answer.rows else f"no rows ({', '.join(answer.columns)})")
        return
    forms = {"tsv": answers.as_tsv, "csv": answers.as_csv, "json": answers.as_json}
    click.echo(forms[form](answer), nl=False)


def _given(params: tuple[str, ...]) -> dict[str, str]:
    """Return the parameters by name. A repeated one, or one without =, is an error."""
    given: dict[str, str] = {}
    for param in params:
        name, equals, value = param.partition("=")
        if not equals or name in given:
            what = f"--param {name} is given twice" if equals else f"--param {param!r} is not NAME=VALUE"
            raise BadArguments(command="query", what=what)
        given[name] = value
    return given


def _described(query: Query) -> str:
    rows = [(f"    {parameter}", parameter.kind, parameter.doc) for parameter in query.parameters]
    parameters = text_table(rows[0], rows[1:]) if rows else ""
    return f"{query.name}: {query.question}\n{parameters}".rstrip()


def _show(text: str) -> None:
    click.echo(text, err=True)


def _hide(text: str) -> None:
    pass
