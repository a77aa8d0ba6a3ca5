"""Why a request is refused."""

from __future__ import annotations

from collections.abc import Mapping


class Refused(Exception):
    """A request that is refused: the status, and one sentence that says what to do."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers
