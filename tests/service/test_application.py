"""The application answers everything in JSON, also where its own code fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asgi import ask
from galaxy_client import BOUNDARY, archive, form, parts_of
from starlette.routing import Route

from grt_batch.core.config import Config
from grt_batch.service.application import application
from grt_batch.service.state import Service


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "7").mkdir()
    return Config(uploads=tmp_path, keys_file=str(tmp_path / "keys"))


def test_every_route_has_its_own_address(config: Config) -> None:
    routes = [route for route in application(config).routes if isinstance(route, Route)]
    paths = [(route.path, *sorted(route.methods or ())) for route in routes]
    assert len(paths) == len(set(paths))


def test_an_error_of_the_program_is_answered_in_json(config: Config) -> None:
    def fail(_: object) -> Any:
        raise ZeroDivisionError

    app = application(config)
    app.router.routes.append(Route("/fail", fail))
    reply = ask(app, "/fail")
    assert reply.status == 500
    assert reply.message == "The service failed; its log says why"


def test_what_cannot_be_read_is_answered_in_json(config: Config) -> None:
    app = application(config)
    service: Service = app.state.service
    headers = {
        "authorization": f"7:{service.keys.add('7')}",
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    (config.uploads / "7" / "archives").touch()
    assert ask(app, "/api/whoami", "POST", headers=headers).json == {"galaxy": "7", "uploaded_reports": []}
    # A file stands where the folder of the archives should be.
    body = form(*parts_of(archive("1")))
    assert ask(app, "/api/v2/upload", "POST", body, headers=headers).status == 500
    (config.uploads / "7" / "archives").unlink()
    assert ask(app, "/api/v2/upload", "POST", body, headers=headers).status == 200
    assert ask(app, "/api/v2/upload", "POST", body, headers=headers).status == 200
    assert ask(app, "/api/v2/upload", "POST", body[:-9], headers=headers).status == 400
    size = len(archive("1").data)
    assert service.counts == {"stored": 1, "repeated": 1, "refused_400": 1, "bytes": size}


def test_the_state_of_two_applications_is_their_own(config: Config) -> None:
    one, other = application(config), application(config)
    assert one.state.service is not other.state.service
