"""The command that compares report sets."""

from __future__ import annotations

import json
from collections.abc import Callable

from calling import NOWHERE, Call
from coming_and_going import AS_OF, Site

from grt_batch.core.work_folder import lock


def test_sets_and_what_a_run_would_publish(site: Site, call: Call) -> None:
    site.run(as_of=AS_OF.replace(day=29))
    site.write("a", "4", [7])
    site.run()
    config = site.config
    reports: list[object] = ["--reports", config.reports]
    same = call("diff", *reports, "latest", AS_OF)
    assert (same.code, same.out, same.err) == (0, "no row differs\n", "")
    answer = call("diff", *reports, "2024-06-29", "latest")
    assert (answer.code, answer.err) == (1, "")
    assert answer.out.splitlines()[0].split() == ["table", "row", "what", "column", "before", "after", "by"]
    assert "archive" in answer.out
    assert len(answer.out.splitlines()) <= 22
    # One set is compared with what is published.
    assert call("diff", *reports, "2024-06-29").out == answer.out
    folders = call("diff", config.reports / "2024-06-29", config.reports / "latest", "--by", "table")
    assert folders.code == 1
    rows = json.loads(call("diff", *reports, "2024-06-29", "--format", "json", "--ratio", "0.5").out)
    assert {"table": "archive", "key": {"instance_id": "a", "archive": "4"}} in [
        {name: row[name] for name in ("table", "key")} for row in rows
    ]
    assert min(row["ratio"] for row in rows) > 0.5
    lines = call("diff", *reports, "2024-06-29", "--format", "tsv").out.splitlines()
    assert lines[0].startswith("table\tkey\t")
    for wrong, code in ((["2024-01-01"], 4), (["latest", "latest", "latest"], 2), (["--ratio", "1", "latest"], 2)):
        assert call("diff", *reports, *wrong).code == code
    # What a run would publish.
    options = [*reports, "--uploads", config.uploads, "--work", config.work, "--database", config.database]
    options += ["--as-of", AS_OF]
    told = call("diff", *options, "--by", "table")
    # The site's runs leave modules out, of which all rows would come.
    assert told.code == 1
    assert {line.split()[2] for line in told.out.splitlines()[1:-1]} == {"0"}
    with lock(config.work):
        assert call("diff", *options).code == 5
        assert call("diff", *options, "latest").code == 0
    assert call("diff", *options, "--database", NOWHERE).code == 4


def test_a_table_of_no_module_is_named(site: Site, call: Call) -> None:
    site.run()
    (site.config.reports / "latest" / "mine.tsv").write_text("key\n")
    answer = call("diff", "--reports", site.config.reports, "latest", "latest")
    assert (answer.code, answer.err) == (0, "not compared, since no module has such a table: mine\n")


def test_ranks_see_the_same(site: Site, call: Call, grt_batch: Callable[..., object]) -> None:
    site.run()
    site.write("a", "4", [7])
    config = site.config
    options = ["--uploads", config.uploads, "--work", config.work, "--reports", config.reports]
    options += ["--database", config.database, "--as-of", AS_OF, "--format", "tsv"]
    done = grt_batch("diff", "--ranks", 3, *options)
    assert (done.returncode, done.stderr) == (1, "")  # type: ignore[attr-defined]
    assert call("diff", *options).out == done.stdout  # type: ignore[attr-defined]
