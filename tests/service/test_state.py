"""Who calls, what waits, and what runs in threads."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from starlette.requests import Request

from grt_batch.core.config import Config
from grt_batch.service import state
from grt_batch.service.replies import Refused
from grt_batch.service.state import Service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    (tmp_path / "uploads" / "7").mkdir(parents=True)
    return Service(Config(uploads=tmp_path / "uploads"))


def request(credentials: str | None, address: str | None = "10.0.0.1") -> Request:
    headers = [] if credentials is None else [(b"authorization", credentials.encode())]
    client = (address, 7) if address else None
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers, "client": client})


def test_the_keys_are_beside_the_uploads(service: Service, tmp_path: Path) -> None:
    assert service.keys.file == tmp_path / "uploads.keys.json"


def test_a_caller_is_known_by_its_key(service: Service, tmp_path: Path) -> None:
    header = f"7:{service.keys.add('7')}"
    assert asyncio.run(service.caller(request(header))) == "7"
    assert asyncio.run(service.caller(request(header, None))) == "7"
    assert asyncio.run(service.instance(request(header))) == tmp_path / "uploads" / "7"
    with pytest.raises(Refused, match="Bad authentication credentials"):
        asyncio.run(service.caller(request(None)))


def test_wrong_keys_make_an_address_wait_until_it_has_a_right_one(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    header = f"7:{service.keys.add('7')}"

    async def call(header: str, address: str = "10.0.0.1") -> None:
        await service.caller(request(header, address))

    for _ in range(4):
        with pytest.raises(Refused):
            asyncio.run(call("7:x"))
    assert waits == [0.25, 0.5, 1.0]
    asyncio.run(call(header, "10.0.0.2"))
    assert len(waits) == 3
    asyncio.run(call(header))
    asyncio.run(call(header))
    assert waits == [0.25, 0.5, 1.0, 2.0]


def test_only_a_few_wait_at_a_time(service: Service) -> None:
    async def all_at_once() -> list[object]:
        with pytest.raises(Refused):
            await service.caller(request("7:x"))
        return await asyncio.gather(*(service.caller(request("7:x")) for _ in range(20)), return_exceptions=True)

    found = asyncio.run(all_at_once())
    statuses = [refused.status for refused in found if isinstance(refused, Refused)]
    assert sorted(statuses) == [400] * state._MOST_WAITING + [429] * (20 - state._MOST_WAITING)


def test_a_thread_is_waited_for_when_its_request_is_cancelled(service: Service) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        go_on.wait(10)
        done.append(True)

    async def cancel() -> None:
        task = asyncio.create_task(service.in_thread(work))
        await service.in_thread(begun.wait, 10)
        task.cancel()
        asyncio.get_running_loop().call_soon(go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done

    asyncio.run(cancel())


def test_an_error_in_a_thread_is_the_callers(service: Service) -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(service.in_thread(lambda: 1 // 0))
