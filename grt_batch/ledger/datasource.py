"""The table `datasource`: which data of this installation are where."""

from __future__ import annotations

from grt_batch.schema.tables import Column, Shown, Table, Type
from grt_batch.schema.visibility import ShownToAll

DATASOURCE = Table(
    "datasource",
    "Which data are published where, by the configuration of the last run. It names databases, so it is in each of them"
    " and in no report: the same archives give the same reports, wherever their tables go.",
    ("project", "dataset", "content_type", "target"),
    (
        Column("project", Type.TEXT, "the configured name of all that the program publishes here"),
        Column("dataset", Type.TEXT, "the table, or the export"),
        Column(
            "content_type", Type.TEXT, "table: of a database; tsv: its report; of an export that writes files: its name"
        ),
        Column("target", Type.TEXT, "main, the name of a further database, or reports"),
        Column("schema", Type.TEXT, "the schema of the database; null for files"),
        Column(
            "location",
            Type.TEXT,
            "host:port/name of the database, as far as its URL has them, or embedded; the folder of files",
            shown=Shown.AS_NULL,
        ),
        Column("active", Type.BOOLEAN, "whether every run brings it up to date; others only where they are asked to"),
    ),
    visibility=ShownToAll(),
)
