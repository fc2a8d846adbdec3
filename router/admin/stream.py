"""``GET /api/v1/events``: server-sent events (WHATWG HTML, section 9.2) for people who watch.

One ring of the last events is shared by all listeners; a listener is only a position in it. So a
slow one costs no memory, and one that fell out of the ring, or comes back after too long, simply
gets a snapshot again.

    event: snapshot     everything: {"routes": [...], "rollouts": {route: status}}
    event: announcement one thing that happened, as the control plane announced it
    event: status       one route as it stands now, sent when it changed, about once a second
    event: summary      the same in one line, for listeners who asked for no more than that

A thousand routes in full are megabytes, so a page of all of them asks for ``brief``, and what
nobody listens to in full is not put together.

An id is ``EPOCH-NUMBER``; the epoch tells a restarted router's ids from an old one's.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from router.admin.commands import offered
from router.control.state.answers import Announcement
from router.control.state.errors import ControlError
from router.control.told.answers import SnapshotView, StatusView
from router.control.told.controller import Controller
from router.control.told.views import OfferedRollout, RouteSummary, VersionView
from router.loops import background, forever, my_turn, net
from router.telemetry.log import get_logger

RING_EVENTS = 512
"""Events kept for listeners that are behind or come back."""
LISTENERS_MAX = 64
"""Open streams; more are answered 503."""
COMMENT_S = 5.0
"""A comment line after this much silence keeps proxies and browsers from giving up."""
LOOK_S = 1.0
"""How long the place of a listener that left in silence may stay taken."""
STATUS_S = 1.0
"""How often the state is compared with what was last sent, while anybody listens."""
ENCODED_A_TURN = 32
"""Rollouts in full that are encoded in one turn of the loop, some 0.05 ms each."""
WRITE_S = 10.0
"""A listener that takes nothing for this long is disconnected."""

BRIEF = "*"
"""Instead of a route, which has no star in its name: one line of each."""

log = get_logger("router.admin")

COMMENT = b": still here\n\n"


class Frame:
    """One event, encoded once for all listeners."""

    __slots__ = ("data", "kind", "number", "route")

    def __init__(self, number: int, kind: str, route: str, data: bytes) -> None:
        self.number = number
        self.kind = kind
        self.route = route
        self.data = data

    def encode(self, epoch: str) -> bytes:
        """The bytes on the wire. JSON has no raw line breaks, so one data line is enough."""
        return b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (
            epoch.encode(), self.number, self.kind.encode(), self.data,
        )  # fmt: skip


class Hub:
    """Turns announcements and changes of state into frames, and wakes the listeners."""

    def __init__(self, controller: Controller, *, status_s: float = STATUS_S) -> None:
        self._controller = controller
        self._status_s = status_s
        self._epoch = secrets.token_hex(4)
        self._ring: deque[Frame] = deque(maxlen=RING_EVENTS)
        self._number = 0
        self._news = asyncio.Event()
        self._sent: dict[tuple[str, str], bytes] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.listeners = 0
        self._watched: Counter[str] = Counter()
        """Listeners by what they hear in full: a route, ``""``: all; :data:`BRIEF`: nothing."""
        self.admissions = 0
        """Grows when everybody must ask to be let in again; every stream of before ends."""

    def __repr__(self) -> str:
        return f"<Hub {self.listeners} listeners, {len(self._ring)} events up to {self._number}>"

    @contextmanager
    def listening(self, route: str, *, brief: bool) -> Iterator[None]:
        """Somebody listens, as long as this lasts."""
        heard = BRIEF if brief else route
        self.listeners += 1
        self._watched[heard] += 1
        try:
            yield
        finally:
            self.listeners -= 1
            self._watched[heard] -= 1

    def start(self) -> None:
        """Begin listening to the control plane."""
        self._tasks = [
            background("stream", forever("stream", self._announcements)),
            background("stream", forever("stream", self._statuses)),
        ]

    async def close(self) -> None:
        """End all streams; listeners return at once."""
        self.end_streams()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def end_streams(self) -> None:
        """Listeners are sent away; they come back with their last id and the token they have."""
        self.admissions += 1
        self._wake()

    async def snapshot(self, route: str = "", *, brief: bool = False) -> bytes:
        """The frame a new listener starts with; its id is that of the newest event before it."""
        number = self._number
        told = self._snapshot_of(route, brief) if route else await self._snapshot(brief)
        return Frame(number, "snapshot", route, told).encode(self._epoch)

    def _snapshot_of(self, route: str, brief: bool) -> bytes:
        routes = self._summaries(route)
        statuses = {one.name: self._status(one.name) for one in routes}
        versions = self._versions(routes[0]) if routes else None
        return msgspec.json.encode(
            SnapshotView(routes=routes, rollouts=None if brief else statuses, versions=versions)
        )  # fmt: skip

    async def _snapshot(self, brief: bool) -> bytes:
        """Of all routes; a thousand in full are megabytes, so each is encoded by itself."""
        if brief:
            return msgspec.json.encode(SnapshotView(routes=await self._controller.routes()))
        routes: list[RouteSummary] = []
        rollouts: dict[str, msgspec.Raw] = {}
        for name, (summary, rollout) in (await self._controller.rollouts()).items():
            routes.append(summary)
            status = msgspec.json.encode(offered(rollout) if rollout is not None else None)
            rollouts[name] = msgspec.Raw(status)
            if not len(rollouts) % ENCODED_A_TURN:
                await my_turn()
        return msgspec.json.encode({"routes": routes, "rollouts": rollouts})

    def position(self, last_event_id: str) -> int | None:
        """Where a returning listener goes on; None: it needs a snapshot."""
        epoch, _, number = last_event_id.partition("-")
        if epoch != self._epoch or not number.isdecimal():
            return None
        position = int(number)
        return position if self._number - len(self._ring) <= position <= self._number else None

    @property
    def newest(self) -> int:
        """Number of the newest event."""
        return self._number

    def after(self, position: int, route: str = "", *, brief: bool = False) -> list[bytes] | None:
        """Frames behind ``position``; None when some of them are gone already."""
        if position < self._number - len(self._ring):
            return None
        return [
            frame.encode(self._epoch)
            for frame in self._ring
            if frame.number > position
            and frame.kind != ("status" if brief else "summary")
            and (not route or frame.route in ("", route))
        ]

    async def wait(self, timeout_s: float) -> bool:
        """Until something is new (True) or ``timeout_s`` passed in silence (False)."""
        news = self._news
        with suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), timeout_s)
        return news.is_set()

    def _add(self, kind: str, route: str, data: bytes) -> None:
        self._number += 1
        self._ring.append(Frame(self._number, kind, route, data))
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _announcements(self) -> None:
        async for said in self._controller.subscribe():
            with net("stream"):
                self._announce(said)
            await asyncio.sleep(0)  # many may be said at once

    def _announce(self, said: Announcement) -> None:
        self._add("announcement", said.route, msgspec.json.encode(said))
        if self.listeners and said.route:
            for summary in self._summaries(said.route):
                self._compare(summary)

    async def _statuses(self) -> None:
        await asyncio.sleep(self._status_s)
        if self.listeners:
            for name in self._controller.names():
                await my_turn()  # 1,000 routes must not hold up a decision
                with net("stream"), suppress(ControlError):  # a route may be gone by now
                    self._compare(self._controller.summary(name))
        else:
            self._sent.clear()  # whoever comes next starts with a snapshot

    def _compare(self, summary: RouteSummary) -> None:
        name = summary.name
        if self._watched[BRIEF]:
            self._send("summary", name, msgspec.json.encode({"summary": summary}))
        if not (self._watched[""] or self._watched[name]):
            return
        status = StatusView(
            route=name, summary=summary, rollout=self._status(name),
            versions=self._versions(summary) if self._watched[name] else None,
        )  # fmt: skip
        self._send("status", name, msgspec.json.encode(status))

    def _send(self, kind: str, name: str, data: bytes) -> None:
        """Once; what nobody has not heard yet is not sent again."""
        if self._sent.get((kind, name)) != data:
            self._sent[(kind, name)] = data
            self._add(kind, name, data)

    def _versions(self, summary: RouteSummary) -> dict[str, VersionView] | None:
        """Of a route without a rollout; a rollout has its own."""
        if summary.candidate is not None:
            return None
        return self._controller.route(summary.name).versions

    def _summaries(self, route: str) -> list[RouteSummary]:
        with suppress(ControlError):
            return [self._controller.summary(route)]
        return []

    def _status(self, name: str) -> OfferedRollout | None:
        """A route's rollout, or None where it has none."""
        try:
            return offered(self._controller.rollout(name))
        except ControlError:
            return None
