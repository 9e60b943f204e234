"""A request that is turned away, and in which words."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException


class Refused(HTTPException):
    """A request that gets `status` and one line that says why. Routes raise it before they answer."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(int(status), why)
        self.status, self.why = HTTPStatus(status), why
