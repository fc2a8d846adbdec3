"""Errors as problem documents (RFC 9457): the only form in which the admin interface refuses.

``type`` is ``about:blank``, so that ``title`` is the status phrase and ``detail`` says what to do
about it (RFC 9457 section 4.2.1); ``code`` is an extension that machines may rely on. What aiohttp
or this package refuse never repeats what the client sent, so a page or log that shows it cannot be
written to by a stranger.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from router.control.state import errors
from router.control.told.answers import ProblemDocument

MEDIA_TYPE = "application/problem+json"

STATUSES: Mapping[type[errors.ControlError], int] = {
    errors.UnknownRoute: 404,
    errors.NoRollout: 404,
    errors.NotPermitted: 403,
    errors.NotPossible: 409,
    errors.Conflict: 412,
    errors.PolicyRejected: 422,
    errors.KeyReused: 422,
    errors.NotAnswered: 504,
    errors.Busy: 503,
    errors.LogUnreadable: 503,
    errors.NotLogged: 404,
    errors.StoreUnavailable: 507,
}
"""How each refusal of the control plane is answered."""

_FRAMEWORK = {
    404: "there is nothing here; /api/v1/openapi.json lists what is",
    405: "this path answers other methods; see the Allow header",
    413: "the request body is too large",
}


class HttpProblem(Exception):  # noqa: N818 - named as the RFC names it
    """A refusal on its way to the client."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str = "",
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code or HTTPStatus(status).name.lower()
        self.headers = dict(headers or {})
        self.extensions = extensions

    def response(self) -> web.Response:
        """The document with its status."""
        document = ProblemDocument(
            title=HTTPStatus(self.status).phrase, status=self.status, detail=self.detail,
            code=self.code, **self.extensions,
        )  # fmt: skip
        return web.Response(
            status=self.status,
            body=msgspec.json.encode(document),
            headers=self.headers,
            content_type=MEDIA_TYPE,
        )


def of_http_exception(error: web.HTTPException) -> HttpProblem:
    """What aiohttp itself refuses (no such path, method, size), in our form."""
    detail = _FRAMEWORK.get(error.status) or HTTPStatus(error.status).description
    allow = error.headers.get("Allow")
    return HttpProblem(error.status, detail, headers={"Allow": allow} if allow else None)


def of_control_error(error: errors.ControlError) -> HttpProblem:
    """What the control plane refuses; its sentence is passed on unchanged."""
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)
    headers = {"Retry-After": "1"} if status == 503 else None
    if isinstance(error, errors.Conflict):
        revisions = {"expected": error.expected, "actual": error.actual}
        return HttpProblem(status, str(error), code=error.code, headers=headers, **revisions)
    if isinstance(error, errors.PolicyRejected):
        problems = list(error.problems)
        return HttpProblem(
            status, str(error), code=error.code, headers=headers, problems=problems
        )  # fmt: skip
    return HttpProblem(status, str(error), code=error.code, headers=headers)
