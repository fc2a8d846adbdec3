"""The admin interface of a router that follows another one: what it says, and what it passes on.

Its health, readiness and metrics are its own, as are the files of the dashboard. Everything else is
for who leads to answer, so it is passed on, once who asks has shown the right to it here: with the
token, which the leader looks at again, and never with more rights than that.

A token is shown to nobody but a router of the same policy: over TLS one that shows the same
certificate, in the clear one on a loopback address of the same network namespace. Where neither is
so, the refusal says who leads and where.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

from router.admin import handlers
from router.admin.access import ACTOR_HEADER, Access, Caller
from router.admin.bodies import whole_body
from router.admin.operation import Operation
from router.admin.problems import HttpProblem
from router.control.told.answers import HealthView, ReadyView, SessionView
from router.core.policy.server import is_loopback

CONNECT_S: Final = 2.0
SILENCE_S: Final = 20.0
"""Without a byte of the leader; it answers an order within 10 s and comments a stream every 5 s."""
WRITE_S: Final = 10.0
"""Who takes nothing of its answer for so long is disconnected."""
PASSED_BY: Final = "X-Rampway-Passed-By"
"""Names who passed it on; a second time nothing is."""
ASKED: Final = (
    "Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match",
    "Last-Event-ID", ACTOR_HEADER,
)  # fmt: skip
ANSWERED: Final = (
    "Allow", "Cache-Control", "Content-Type", "ETag", "Retry-After", "Vary", "WWW-Authenticate",
    "X-Accel-Buffering",
)  # fmt: skip
"""Fields that go with a request and with an answer; others are between two routers."""


class Leader(Protocol):
    """Who decides."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def admin(self) -> str:
        """URL of its admin interface."""

    @property
    def network(self) -> str:
        """Where its loopback addresses are."""


class Says(Protocol):
    """What a router that follows says itself: :class:`router.control.told.followed.Followed`."""

    @property
    def name(self) -> str:
        """What this router is called."""

    @property
    def network(self) -> str:
        """Where its loopback addresses are."""

    @property
    def leader(self) -> Leader | None:
        """Whom it hears."""

    def health(self) -> HealthView:
        """Liveness."""

    def ready(self) -> ReadyView:
        """Readiness."""

    async def metrics_text(self, *, openmetrics: bool = False) -> str:
        """Of this router."""


def leaf_digest(certificate: str) -> bytes:
    """What tells a certificate (the first of a PEM file) from every other. Raises OSError."""
    text = Path(certificate).read_text()
    first = text[text.index("-----BEGIN CERTIFICATE") :].partition("-----END CERTIFICATE-----")
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert("".join(first[:2]))).digest()


class Following:
    """See the module."""

    def __init__(self, says: Says) -> None:
        self._says = says
        self.certificate = b""
        """Digest of the one that the leader must show; empty without TLS."""
        self._session: aiohttp.ClientSession | None = None
        self._own: dict[str, Callable[[web.Request, Access, Caller], Awaitable[web.Response]]] = {
            "/healthz": self._healthz, "/readyz": self._readyz, "/metrics": self._metrics,
            "/api/v1/session": self._who, "/": self._page, "/static/{file}": self._page,
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"<Following {self._says!r}>"

    async def answer(
        self, route: Operation, request: web.Request, access: Access, identity: Caller
    ) -> web.StreamResponse:
        """Of this router where it can, else of who leads. Raises HttpProblem."""
        if (own := self._own.get(route.path)) is not None:
            return await own(request, access, identity)
        leader = self._reachable(request)
        body = await whole_body(request) if request.can_read_body else b""
        return await self._pass_on(request, leader, body)

    async def close(self) -> None:
        """Nothing more is passed on."""
        if self._session is not None:
            await self._session.close()

    # --- its own ----------------------------------------------------------------------------------

    async def _healthz(self, request: web.Request, access: Access, _who: Caller) -> web.Response:
        return handlers.told(request, access, self._says.health())

    async def _readyz(self, request: web.Request, access: Access, _who: Caller) -> web.Response:
        return handlers.told(request, access, self._says.ready())

    async def _metrics(self, request: web.Request, _access: Access, _who: Caller) -> web.Response:
        return await handlers.exposed(request, self._says.metrics_text)

    async def _who(self, _request: web.Request, access: Access, who: Caller) -> web.Response:
        return handlers.json_response(SessionView(name=who.name, role=who.role, open=access.open))

    async def _page(self, request: web.Request, _access: Access, _who: Caller) -> web.Response:
        return handlers.page_file(request, request.match_info.get("file", "index.html"))

    # --- what is passed on ------------------------------------------------------------------------

    def _reachable(self, request: web.Request) -> Leader:
        """Who leads, if it may be shown what was sent. Raises HttpProblem."""
        says, leader = self._says, self._says.leader
        if leader is None or PASSED_BY in request.headers:
            raise HttpProblem(
                503, f"{says.name} follows, and no router leads just now: ask again",
                code="no_leader", headers={"Retry-After": "1"},
            )  # fmt: skip
        split = urlsplit(leader.admin)
        here = is_loopback(split.hostname or "")
        if here and leader.network != says.network:
            raise _elsewhere(says, leader, "which only its own machine or pod can reach")
        if split.scheme == "https" and not self.certificate:
            raise _elsewhere(says, leader, "and this router has no certificate to know it by")
        if split.scheme != "https" and not here:
            raise _elsewhere(says, leader, "and nothing is passed on without TLS")
        return leader

    async def _pass_on(
        self, request: web.Request, leader: Leader, body: bytes
    ) -> web.StreamResponse:
        fields = {name: request.headers[name] for name in ASKED if name in request.headers}
        fields[PASSED_BY] = self._says.name
        url = URL(leader.admin + request.rel_url.raw_path_qs, encoded=True)
        pinned = aiohttp.Fingerprint(self.certificate) if url.scheme == "https" else True
        asking = self._client().request(
            request.method, url, headers=fields, data=body or None, allow_redirects=False,
            ssl=pinned,
        )  # fmt: skip
        try:
            answer = await asking
        except aiohttp.ServerFingerprintMismatch:
            raise _elsewhere(
                self._says, leader, "and it shows another certificate than this router does"
            ) from None
        except aiohttp.ClientConnectorError as error:
            said = error.os_error.strerror or "no connection"
            raise _elsewhere(self._says, leader, f"and it cannot be reached ({said})") from None
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise HttpProblem(
                504, f"{leader.name}, which leads, was asked at {leader.admin} and did not answer; "
                "what was ordered may be in force: look before you repeat it",
            ) from None  # fmt: skip
        async with answer:
            return await _copied(request, answer)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False,
                headers={"Accept-Encoding": "identity"},
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S
                ),
            )  # fmt: skip
        return self._session


def _elsewhere(says: Says, leader: Leader, why: str) -> HttpProblem:
    """Where to go."""
    return HttpProblem(
        503, f"{says.name} follows {leader.name}, which answers this: ask it at {leader.admin}, "
        f"{why}", code="not_leader",
    )  # fmt: skip


async def _copied(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """The leader's answer as it comes; one that breaks off breaks off here, too."""
    fields = {name: answer.headers[name] for name in ANSWERED if name in answer.headers}
    told = web.StreamResponse(status=answer.status, headers=fields)
    await told.prepare(request)
    try:
        async for piece in answer.content.iter_any():
            await asyncio.wait_for(told.write(piece), WRITE_S)
    except (aiohttp.ClientError, TimeoutError, OSError):
        if request.transport is not None:
            request.transport.abort()  # else it would look like the whole of it
    return told
