"""The command that lists the modules."""

from __future__ import annotations

from calling import Call

from grt_batch.modules.registry import discover


def test_modules_are_listed_with_their_questions_and_tables(call: Call) -> None:
    answer = call("modules")
    assert (answer.code, answer.err) == (0, "")
    for name, module in discover().items():
        assert f"{name}: {' '.join((module.__doc__ or '').split())}\n" in answer.out.replace(" (opt-in)", "")
        assert f"tables: {', '.join(table.name for table in module.tables)}\n" in answer.out
