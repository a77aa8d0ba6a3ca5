"""The command that runs the ready queries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from grt_batch.commands import FOLDER, cli, database_of, named_values, options, or_what_is_held, text_table
from grt_batch.core.config_file import load
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
    type=click.Choice(["table", "tsv", "csv", "json", "influx"]),
    default="table",
    show_default=True,
    help="table is rounded and shortened for people; the others are complete. influx is InfluxDB's line protocol.",
)
@click.option("--full-ids", is_flag=True, help="Show ids of tools in full in a table, as other formats do.")
@click.option("--short", is_flag=True, help="Write ids of tools without the Tool Shed, in any format.")
@click.option("--no-version", is_flag=True, help="The same as --param version=*: tools over all their versions.")
@click.option("--sql", type=FOLDER, help="Folder with *.sql files of your own.  [default: config/sql]")
@options("database", "work", "config")
@click.option("--debug", is_flag=True, help="Show the SQL and its time, and the traceback of an error.")
@click.argument("name", required=False)
def query(
    name: str | None,
    listing: bool,
    params: tuple[str, ...],
    form: str,
    full_ids: bool,
    short: bool,
    no_version: bool,
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
    if full_ids and short:
        raise BadArguments(command="query", what="--full-ids and --short exclude each other")
    values = asked.values(named_values("query", (*params, "version=*") if no_version else params, "--param "))
    from grt_batch.queries import results as answers
    from grt_batch.queries.influx import as_influx
    from grt_batch.schema.tool_ids import told_apart, without_shed

    with or_what_is_held(config), database_of(config, borrow=True) as url:
        answer = answers.ask(url, asked, values, _show if debug else _hide)
    if debug:
        _show(f"-- {answer.milliseconds:.1f} ms, {counted(len(answer.rows), 'row')}")
    if short or (form == "table" and not full_ids):
        answer = answers.with_ids(answer, without_shed if short else told_apart)
    if form == "table":
        click.echo(text_table(*answers.as_table(answer)) if answer.rows else f"no rows ({', '.join(answer.columns)})")
    elif form == "influx":
        lines, left_out = as_influx(asked, answer)
        click.echo(lines, nl=False)
        if left_out:
            _show(f"left out: {counted(left_out, 'row')} without a field")
    else:
        forms = {"tsv": answers.as_tsv, "csv": answers.as_csv, "json": answers.as_json}
        click.echo(forms[form](answer), nl=False)


def _described(query: Query) -> str:
    rows = [(f"    {parameter}", parameter.kind, parameter.doc) for parameter in query.parameters]
    parameters = text_table(rows[0], rows[1:]) if rows else ""
    return f"{query.name}: {query.question}\n{parameters}".rstrip()


def _show(text: str) -> None:
    click.echo(text, err=True)


def _hide(text: str) -> None:
    pass
