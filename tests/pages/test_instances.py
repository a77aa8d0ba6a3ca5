"""The pages of instances say what the tables say."""

from __future__ import annotations

from grt_batch.modules.base import INSTANCE
from grt_batch.pages.instances import MONTHS, instance_pages, instances, jobs_by_month
from grt_batch.pages.report_tables import ReportTables


def test_instances(shown: ReportTables, everything: ReportTables) -> None:
    for tables in (shown, everything):
        found = instances(tables)
        rows = tables.rows("instance_status", columns=(INSTANCE, "warning", "days_silent"))
        assert [each.instance_id for each in found] == rows[INSTANCE].to_list()
        assert [each.late for each in found] == (rows["warning"] > 1).to_list()
        assert [each.status[1] for each in found] == rows["days_silent"].to_list()
        assert all(each.label for each in found)
    assert len(instances(shown)) < len(instances(everything))


def test_their_pages(everything: ReportTables) -> None:
    known = instances(everything)
    pages = instance_pages(everything, known, {})
    assert pages.keys() == {each.instance_id for each in known}
    for each in known:
        page = pages[each.instance_id]
        assert sum(row[1] for row in page["months"]) == each.row["jobs"]
        jobs = [row[1] for row in page["tools"]]
        assert jobs == sorted(jobs, reverse=True)
        assert 0 < len(jobs) <= 50


def test_jobs_by_month(everything: ReportTables) -> None:
    months = jobs_by_month(everything)
    assert months["month"].is_sorted()
    assert (months["ok"] + months["error"] + months["other"]).to_list() == months["jobs"].to_list()
    rows = everything.rows("instance_month", columns=MONTHS)
    assert months["jobs"].sum() == rows.drop_nulls("month")["jobs"].sum()
