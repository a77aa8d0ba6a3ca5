"""Which rows of a table differ between two files of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.core.errors import BadReports
from grt_batch.differences.rows import differing_rows
from grt_batch.schema.tables import Column, Table, Type

TABLE = Table(
    "table",
    "a table",
    ("name", "day"),
    (
        Column("name", Type.TEXT, "name"),
        Column("day", Type.DATE, "day"),
        Column("state", Type.TEXT, "state"),
        Column("jobs", Type.BIGINT, "jobs"),
        Column("hours", Type.DOUBLE, "hours"),
        Column("last", Type.TIMESTAMP, "last"),
    ),
    nullable=("day",),
)
NAMES = Table("names", "names", ("name",), (Column("name", Type.TEXT, "name"),))
Row = tuple[str, ...]


def file(place: Path, *rows: Row, header: str = "name\tday\tstate\tjobs\thours\tlast") -> Path:
    place.write_text(
        "".join(
            f"{line}\n"
            for line in (header, *("\t".join((*row, *[""] * (header.count("\t") + 1 - len(row)))) for row in rows))
        ),
        encoding="utf-8",
    )
    return place


def found(
    before: Path | None, after: Path | None, ratio: float = 0.0, table: Table = TABLE
) -> list[tuple[object, ...]]:
    return [tuple(row)[1:] for row in differing_rows(table, before, after, ratio).iter_rows()]


def test_rows_come_go_and_change(tmp_path: Path) -> None:
    before = file(
        tmp_path / "a",
        ("a", "", "ok", "10", "1.5"),
        ("b", "2024-06-01", 'a "quoted" text', "30", ""),
        ("c", "", "", "40", "1"),
        ("d", "", "é\\t", "20", "1"),
    )
    after = file(
        tmp_path / "b",
        ("a", "", "ok", "5", "1.2"),
        ("b", "2024-06-01", 'a "quoted" text', "30", "0"),
        ("d", "", "é\\t", "20", "1"),
        ("e", "", "", "0", ""),
    )
    assert found(before, after) == [
        (["a", ""], "changed", "jobs", "10", "5", 2, 0.5, 0.1),
        (["b", "2024-06-01"], "changed", "hours", "", "0", 1, 1.0, 0.3),
        (["c", ""], "went", "", "", "", 0, 1.0, 0.4),
        (["e", ""], "came", "", "", "", 0, 1.0, 0.0),
    ]
    assert [row[0] for row in found(before, after, 0.5)] == [["b", "2024-06-01"], ["c", ""], ["e", ""]]
    assert {row[1] for row in found(None, after)} == {"came"}
    assert {row[1] for row in found(after, None)} == {"went"}


def test_rows_that_move_are_no_differences(tmp_path: Path) -> None:
    rows = [(f"{i:02}", "", "ok", "1", "") for i in range(50)]
    new: Row = ("000", "", "ok", "1", "")
    before, after = file(tmp_path / "a", *rows), file(tmp_path / "b", new, *rows[:20], *rows[30:])
    differ = [(row[0][0], row[1]) for row in found(before, after)]  # type: ignore[index]
    assert sorted(differ) == sorted([("000", "came"), *((f"{i}", "went") for i in range(20, 30))])


@pytest.mark.parametrize(
    ("column", "before", "after", "ratio"),
    [
        ("jobs", "9007199254740993", "9007199254740992", 1e-18),
        ("jobs", "1", "4", 0.75),
        ("jobs", "4", "1", 0.75),
        ("jobs", "0", "4", 1.0),
        ("jobs", "", "4", 1.0),
        ("jobs", "-1", "4", 1.0),
        ("hours", "0.1", "0.100000001", 1e-8),
        ("state", "ok", "okay", 1.0),
        ("last", "2024-06-01 00:00:00.000000", "2024-06-02 00:00:00.000000", 1e-18),
    ],
)
def test_how_much_a_value_changed(tmp_path: Path, column: str, before: str, after: str, ratio: float) -> None:
    values = {"state": "ok", "jobs": "1", "hours": "1", "last": ""}
    files = (
        file(tmp_path / name, ("a", "", *(values | {column: value}).values()))  # type: ignore[arg-type]
        for name, value in (("a", before), ("b", after))
    )
    ((_, what, most, old, new, columns, by, share),) = found(*files)
    assert (what, most, old, new, columns, share) == ("changed", column, before, after, 1, 1.0)
    assert by == pytest.approx(ratio)


def test_a_table_without_counts_has_shares_of_rows(tmp_path: Path) -> None:
    for name, text in (("a", "name\nx\ny\n"), ("b", "name\ny\nz\n")):
        (tmp_path / name).write_text(text)
    shares = found(tmp_path / "a", tmp_path / "b", table=NAMES)
    assert shares == [
        (["x"], "went", "", "", "", 0, 1.0, 1 / 2),
        (["z"], "came", "", "", "", 0, 1.0, 1 / 2),
    ]


def test_columns_that_only_one_version_has_are_left_out(tmp_path: Path) -> None:
    before = file(tmp_path / "a", ("a", "", "1", "ok", ""), header="name\tday\tjobs\told\tolder\toldest")
    after = file(tmp_path / "b", ("a", "", "ok", "1", "1"))
    assert found(before, after) == []
    # The same line may say something else.
    after = file(tmp_path / "b", ("a", "", "1", "ok", ""))
    assert [row[2:5] for row in found(before, after)] == [("jobs", "1", "ok")]


@pytest.mark.parametrize(
    "content",
    [
        b"name\tstate\na\tb\n",
        b"",
        b"name\tday\tstate\tjobs\thours\n\xff\n",
        b"name\tday\tstate\tjobs\thours\na\tb\tc\td\te\tf\n",
    ],
)
def test_what_no_run_wrote_is_named(tmp_path: Path, content: bytes) -> None:
    good = file(tmp_path / "good", ("a", "", "ok", "1", "1"))
    (tmp_path / "bad").write_bytes(content)
    for pair in ((good, tmp_path / "bad"), (tmp_path / "bad", good)):
        with pytest.raises(BadReports, match=r"bad.* cannot be compared"):
            found(*pair)


ROWS = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.sampled_from(["", "x"]), st.integers(0, 3)), max_size=4)


@examples(40)
@given(ROWS, ROWS)
def test_exactly_the_rows_that_differ_are_found(
    tmp_path_factory: pytest.TempPathFactory, old: dict[str, tuple[str, int]], new: dict[str, tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    files = [
        file(folder / name, *((key, "", text, str(jobs), "") for key, (text, jobs) in rows.items()))
        for name, rows in (("a", old), ("b", new))
    ]
    differ = {row[0][0]: row[1] for row in found(*files)}  # type: ignore[index]
    assert differ == {
        **dict.fromkeys(old.keys() - new.keys(), "went"),
        **dict.fromkeys(new.keys() - old.keys(), "came"),
        **{key: "changed" for key in old.keys() & new.keys() if old[key] != new[key]},
    }
