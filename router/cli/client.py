"""A running router as the command line sees it: its admin interface over plain ``http.client``.

aiohttp would cost more start-up time than everything else together, for one request at a time.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

from router.cli.exits import BY_STATUS, Exit, VerbFailed

ANSWER_S = 20.0
"""Longest wait for an answer; a command is answered once every worker has confirmed it."""
SILENCE_S = 40.0
"""An event stream without even a comment for this long is dead; they come every 15 s."""
RECONNECT_S = 0.5
LOST_S = 60.0
"""How long a stream that worked is reconnected before the router counts as gone."""
ANSWER_BYTES_MAX = 67_108_864
LINE_BYTES_MAX = 16_777_216


class Unreachable(VerbFailed):
    """Nobody answers at the admin address."""

    def __init__(self, url: str, cause: Exception) -> None:
        text = f"no router answers at {url} ({cause}); is it running, is --admin right?"
        super().__init__(Exit.UNREACHABLE, text)


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One server-sent event."""

    kind: str
    """snapshot | announcement | status"""
    id: str
    data: dict[str, Any]


class Client:
    """One router's admin interface. Every method raises :class:`VerbFailed` with its exit code."""

    def __init__(self, url: str, token: str = "", ca: str = "", actor: str = "") -> None:
        split = urlsplit(url if "//" in url else f"http://{url}")
        if split.scheme not in ("http", "https") or not split.hostname:
            raise VerbFailed(
                Exit.USAGE, f"--admin: expected a URL like http://127.0.0.1:8081: {url}"
            )
        self._split = split
        self._ca = ca
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        if actor:
            self._headers["X-Rampway-Actor"] = actor

    @property
    def url(self) -> str:
        """Where the router is asked."""
        return f"{self._split.scheme}://{self._split.netloc}"

    def get(self, path: str, **query: object) -> Any:
        """The document at ``path``; query values that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", f"{path}?{urlencode(given)}" if given else path, None, {})

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        """The answer to an order."""
        return self._ask("POST", path, json.dumps(body).encode(), headers)

    def routes(self) -> list[dict[str, Any]]:
        """A summary of every route."""
        found: list[dict[str, Any]] = self.get("/api/v1/routes")["routes"]
        return found

    def rollout(self, route: str) -> dict[str, Any] | None:
        """A route's rollout; None if the route exists and has none."""
        try:
            status: dict[str, Any] = self.get(path_of("rollouts", route))
        except NotFound as missing:
            if missing.problem_code == "no_rollout":
                return None
            raise
        return status

    def events(self, route: str = "", *, deadline: float | None = None) -> Iterator[StreamEvent]:
        """What happens from now on, a snapshot first; never ends by itself.

        A stream that breaks is taken up again where it broke, for up to LOST_S. ``deadline`` is a
        ``time.monotonic()`` after which the stream ends (checked at every event and comment).
        """
        last, alive = "", time.monotonic()
        first = True
        while True:
            try:
                for event in self._stream(route, last, deadline):
                    alive, first = time.monotonic(), False
                    if event is not None:
                        last = event.id
                        yield event
                if deadline is not None and time.monotonic() >= deadline:
                    return
            except Unreachable:
                if first or time.monotonic() - alive > LOST_S:
                    raise
            if deadline is not None and time.monotonic() >= deadline:
                return
            time.sleep(RECONNECT_S)

    # --- underneath -------------------------------------------------------------------------

    def _ask(
        self, method: Literal["GET", "POST"], path: str, body: bytes | None,
        headers: Mapping[str, str],
    ) -> Any:  # fmt: skip
        more = {"Content-Type": "application/json"} if body is not None else {}
        connection = self._connect(ANSWER_S)
        try:
            connection.request(method, path, body, {**self._headers, **more, **headers})
            answer = connection.getresponse()
            raw = answer.read(ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(self.url, error) from None
        finally:
            connection.close()
        document = _json(raw, answer.getheader("Content-Type", ""), self.url)
        if answer.status >= 400 and "ok" not in document:
            raise refusal(answer.status, document)
        return document

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        host = self._split.hostname or ""  # checked at construction
        if self._split.scheme == "http":
            return http.client.HTTPConnection(host, self._split.port or 80, timeout=timeout_s)
        try:
            context = ssl.create_default_context(cafile=self._ca or None)
        except OSError as error:
            raise VerbFailed(Exit.USAGE, f"--ca: {self._ca}: {error}") from None
        return http.client.HTTPSConnection(
            host, self._split.port or 443, timeout=timeout_s, context=context
        )

    def _stream(
        self, route: str, last: str, deadline: float | None
    ) -> Iterator[StreamEvent | None]:
        """Events of one connection; None for a comment, so that callers see time pass."""
        path = "/api/v1/events" + (f"?route={quote(route, safe='')}" if route else "")
        left = SILENCE_S if deadline is None else max(deadline - time.monotonic(), 0.05)
        connection = self._connect(min(SILENCE_S, left))
        resume = {"Last-Event-ID": last} if last else {}
        try:
            connection.request("GET", path, headers={**self._headers, **resume})
            answer = connection.getresponse()
            if answer.status != 200:
                raise refusal(answer.status, _json(answer.read(ANSWER_BYTES_MAX), "json", self.url))
            yield from _events(answer)
        except TimeoutError as error:
            if deadline is None or time.monotonic() < deadline:
                raise Unreachable(self.url, error) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(self.url, error) from None
        finally:
            connection.close()


class NotFound(VerbFailed):
    """404, with the code that tells what is missing."""

    def __init__(self, text: str, problem_code: str) -> None:
        super().__init__(Exit.USAGE, text)
        self.problem_code = problem_code


def refusal(status: int, document: Mapping[str, Any]) -> VerbFailed:
    """A problem document as an ending."""
    text = str(document.get("detail") or document.get("title") or f"status {status}")
    for problem in document.get("problems", ()):
        text += f"\n  {problem.get('file', '')}:{problem.get('line', '')}: {problem.get('message')}"
    if status == 401:
        text += "; set RAMPWAY_TOKEN or give --token-file"
    if status == 404:
        return NotFound(text, str(document.get("code", "")))
    return VerbFailed(BY_STATUS.get(status, Exit.UNEXPECTED), text)


def path_of(kind: str, *parts: str) -> str:
    """``/api/v1/rollouts/NAME/...`` with every part quoted."""
    return "/".join(("/api/v1", kind, *(quote(part, safe="") for part in parts)))


def _json(raw: bytes, content_type: str, url: str) -> Any:
    try:
        return json.loads(raw if "json" in content_type else b"")
    except ValueError:
        raise VerbFailed(Exit.UNREACHABLE, f"what answers at {url} is no router") from None


def _events(answer: http.client.HTTPResponse) -> Iterator[StreamEvent | None]:
    fields: dict[str, str] = {}
    while line := answer.readline(LINE_BYTES_MAX):
        text = line.decode().rstrip("\r\n")
        name, _, value = text.partition(": ")
        if text.startswith(":"):
            yield None
        elif text:
            fields[name] = value
        elif fields:
            yield StreamEvent(fields["event"], fields["id"], json.loads(fields["data"]))
            fields = {}
