"""A running router as the command line sees it: its admin interface, one question at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from router.cli.connection import CliAnswer, ask
from router.cli.exits import BY_STATUS, Exit, VerbFailed

if TYPE_CHECKING:
    from ssl import SSLContext

    from router.control.told.answers import (
        AnnouncementView,
        ProblemDocument,
        SnapshotView,
        StatusView,
    )
    from router.control.told.view import View
    from router.control.told.views import OfferedRollout, RouteSummary

    Heard = SnapshotView | StatusView | AnnouncementView

Told = TypeVar("Told", bound="View")

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


class StreamEvent(NamedTuple):
    """One server-sent event."""

    id: str
    data: Heard


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

    def get(self, kind: type[Told], path: str, **query: object) -> Told:
        """What is at ``path``; query values that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask(kind, "GET", f"{path}?{urlencode(given)}" if given else path, None, {})

    def post(
        self, kind: type[Told], path: str, body: Mapping[str, object],
        headers: Mapping[str, str] = {},
    ) -> Told:  # fmt: skip
        """The answer to an order."""
        return self._ask(kind, "POST", path, json.dumps(body).encode(), headers)

    def routes(self) -> list[RouteSummary]:
        """A summary of every route."""
        from router.control.told.views import RoutesView  # noqa: PLC0415 - offline verbs have none

        return self.get(RoutesView, "/api/v1/routes").routes

    def rollout(self, route: str) -> OfferedRollout | None:
        """A route's rollout; None if the route exists and has none."""
        from router.control.told.views import OfferedRollout  # noqa: PLC0415 - as above

        try:
            return self.get(OfferedRollout, path_of("rollouts", route))
        except NotFound as missing:
            if missing.problem_code == "no_rollout":
                return None
            raise

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
        self, kind: type[Told], method: Literal["GET", "POST"], path: str, body: bytes | None,
        headers: Mapping[str, str],
    ) -> Told:  # fmt: skip
        more = {"Content-Type": "application/json"} if body is not None else {}
        try:
            answer = self._put(ANSWER_S, method, path, {**more, **headers}, body)
            try:
                raw = answer.read(ANSWER_BYTES_MAX)
            finally:
                answer.close()
        except OSError as error:
            raise Unreachable(self.url, error) from None
        said = answer.fields.get("content-type", "")
        if "problem+json" in said:
            raise self._refusal(answer.status, raw)
        if "json" not in said:
            raise self._no_router()
        return _read(raw, kind, self.url)

    def _refusal(self, status: int, raw: bytes) -> VerbFailed:
        from router.control.told.answers import ProblemDocument  # noqa: PLC0415 - as above

        try:
            return refusal(status, msgspec.json.decode(raw, type=ProblemDocument))
        except msgspec.MsgspecError:
            return self._no_router()

    def _no_router(self) -> VerbFailed:
        return VerbFailed(Exit.UNREACHABLE, f"what answers at {self.url} is no router")

    def _put(
        self, timeout_s: float, method: str, path: str, headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> CliAnswer:  # fmt: skip
        secure, host = self._split.scheme == "https", self._split.hostname or ""
        address = host, self._split.port or (443 if secure else 80)
        context = self._context() if secure else None
        said = {**self._headers, **headers}
        return ask(context, address, timeout_s, f"{method} {path}", said, body=body)

    def _context(self) -> SSLContext:
        import ssl  # noqa: PLC0415 - a tenth of a verb's whole time, for https only

        try:
            return ssl.create_default_context(cafile=self._ca or None)
        except OSError as error:
            raise VerbFailed(Exit.USAGE, f"--ca: {self._ca}: {error}") from None

    def _stream(
        self, route: str, last: str, deadline: float | None
    ) -> Iterator[StreamEvent | None]:
        """Events of one connection; None for a comment, so that callers see time pass."""
        path = "/api/v1/events" + (f"?route={quote(route, safe='')}" if route else "")
        left = SILENCE_S if deadline is None else max(deadline - time.monotonic(), 0.05)
        resume = {"Last-Event-ID": last} if last else {}
        answer = None
        try:
            answer = self._put(min(SILENCE_S, left), "GET", path, resume)
            if answer.status != 200:
                raise self._refusal(answer.status, answer.read(ANSWER_BYTES_MAX))
            yield from _events(answer.lines(LINE_BYTES_MAX), self.url)
        except TimeoutError as error:
            if deadline is None or time.monotonic() < deadline:
                raise Unreachable(self.url, error) from None
        except OSError as error:
            raise Unreachable(self.url, error) from None
        finally:
            if answer is not None:
                answer.close()


class NotFound(VerbFailed):
    """404, with the code that tells what is missing."""

    def __init__(self, text: str, problem_code: str) -> None:
        super().__init__(Exit.USAGE, text)
        self.problem_code = problem_code


def refusal(status: int, told: ProblemDocument) -> VerbFailed:
    """A problem document as an ending."""
    text = told.detail or told.title
    for problem in told.problems:
        text += f"\n  {problem.file}:{problem.line or ''}: {problem.message}"
    if status == 401:
        text += "; set RAMPWAY_TOKEN or give --token-file"
    if status == 404:
        return NotFound(text, told.code)
    return VerbFailed(BY_STATUS.get(status, Exit.UNEXPECTED), text)


def path_of(kind: str, *parts: str) -> str:
    """``/api/v1/rollouts/NAME/...`` with every part quoted."""
    return "/".join(("/api/v1", kind, *(quote(part, safe="") for part in parts)))


def _read(raw: bytes, kind: type[Told], url: str) -> Told:
    """What a router said, as its type."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise VerbFailed(
            Exit.UNREACHABLE,
            f"what answers at {url} is no router, or one of another release: {error}",
        ) from None
    except msgspec.DecodeError:
        raise VerbFailed(Exit.UNREACHABLE, f"what answers at {url} is no router") from None


def _events(lines: Iterable[bytes], url: str) -> Iterator[StreamEvent | None]:
    from router.control.told import answers  # noqa: PLC0415 - as above

    kinds: dict[str, type[Heard]] = {
        "snapshot": answers.SnapshotView,
        "status": answers.StatusView,
        "announcement": answers.AnnouncementView,
    }
    fields: dict[str, str] = {}
    for line in lines:
        text = line.decode().rstrip("\r\n")
        name, _, value = text.partition(": ")
        if text.startswith(":"):
            yield None
        elif text:
            fields[name] = value
        elif fields:
            kind = kinds[fields["event"]]
            yield StreamEvent(fields["id"], _read(fields["data"].encode(), kind, url))
            fields = {}
