"""Copies of requests to shadow versions, which can never be felt by a client.

A copy has its own pool, its own bounds and nobody who waits for it. It begins when the request is
complete, not when the answer is: otherwise a fast client's next request would meet the copy of the
one before. Whatever exceeds a bound is dropped and counted by cause; nothing is ever retried.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from router.core.rollout.traffic import bucket_of
from router.core.wire.outcomes import Outcome
from router.http1 import SHADOW_LINE
from router.proxy.coin import coin
from router.proxy.ending import StreamEnding
from router.proxy.faults import FAULTS
from router.proxy.keys import unit_in
from router.proxy.matching import BodyDocument, plain_path
from router.proxy.pairing import AHEAD_BYTES, LARGER, Kept, Pairing, coding_of
from router.proxy.streams import event_stream
from router.proxy.tracing import passed
from router.upstream import Failure, Receiver
from router.upstream.waiter import Unavailable

if TYPE_CHECKING:
    from router.core.wire.table import Mirror, MirrorLimits, RoutingTable
    from router.http1 import Peer, RequestHead, ResponseHead
    from router.proxy.serving import ServedRoute, ServedVersion, Target
    from router.proxy.tracing import CopySpan, Spans
    from router.telemetry.recorder import Recorder
    from router.upstream import Connection, Endpoint

BURST_S: Final = 0.1
"""Of copies that come together, where a second has a bound: as many as in so much time."""
HEAD_BYTES: Final = 1_024
"""Counted for the head of each copy, which it shares with the request and often with others."""


class Original(NamedTuple):
    """The request that is copied, as it was sent to the version that answers."""

    head: RequestHead
    body: bytes
    peer: Peer
    request_id: bytes
    spans: Spans | None
    """Its trace, where that is recorded."""


class Copy(Receiver):
    """One request on its way to one shadow; what waits for a connection and receives the answer."""

    __slots__ = ("again", "coding", "connection", "deadline", "ended", "ending", "far",
                 "head", "held_bytes", "kept", "lane", "original", "pairing", "seconds", "since",
                 "status", "target", "traced", "waiting")  # fmt: skip

    def __init__(
        self, lane: Lane, target: Target, original: Original, pairing: Pairing | None
    ) -> None:
        self.lane = lane
        self.target = target
        self.head = original.head
        self.original: Original | None = original
        """What may still have to be sent; None from the first byte of its answer on."""
        self.again = False
        """It met a connection that was just being closed, and was sent once more."""
        self.held_bytes = len(original.body) + HEAD_BYTES
        """What it keeps in memory: the request until the end, and what is kept of the answer."""
        self.pairing = pairing
        self.since = monotonic()
        self.deadline = self.since + lane.limits.deadline_s
        self.connection: Connection | None = None
        self.traced: CopySpan | None = None
        self.ended = False
        self.status = 0
        self.seconds = 0.0
        self.coding = ""
        self.kept = Kept()
        self.ending: StreamEnding | None = None
        self.far = False
        """Its answer is far larger than stable's: that much is known of it."""
        self.waiting = False
        """Its answer is far ahead of stable's."""

    uploaded = True
    batch = False
    """It begins when the request is whole; copies have queues of their own."""

    def whole(self) -> bytes:
        """Its body."""
        return self.original.body if self.original is not None else b""

    def start(self) -> None:
        """Ask for a connection."""
        self.target.counts.begin()
        self._ask()

    def _ask(self) -> None:
        self.since = monotonic()
        try:
            connection = self.target.pool.acquire(self)
        except Unavailable as why:
            self.on_unavailable(why.failure, None)
            return
        if connection is not None:
            self.on_connection(connection)

    def on_turn(self, since: float, /) -> None:
        """The wait was not the shadow's."""
        self.since += monotonic() - since

    def on_connection(self, connection: Connection, /) -> None:
        """Send everything at once."""
        self.connection = connection
        if (one := self.original) is not None:
            head, body, host, lines = one.head, one.body, b"", SHADOW_LINE
            if (edit := self.target.edit) is not None:
                head, body, host, lines = edit.of(head, body, True, lines)
            if one.spans is None:
                trace = passed(head)
            else:
                self.traced = one.spans.copied(head, self.target)
                trace = self.traced.lines
            connection.start(self, head, body, True, one.peer, one.request_id, trace, lines, host)

    def on_unavailable(self, failure: Failure, endpoint: Endpoint | None, /) -> None:  # noqa: ARG002 - a copy is never tried again
        """The shadow cannot be reached, or this router will not send to it any more."""
        fault = FAULTS[failure]
        if fault.outcome is Outcome.SHED:
            self.give_up("drain" if failure is Failure.CLOSED else "concurrency")
        else:
            self._end(fault.outcome)

    def on_interim(self, head: ResponseHead, /) -> None:
        """Of no interest."""

    def on_response(self, head: ResponseHead, body: bytes, complete: bool, /) -> None:
        """The shadow answers."""
        self.original = None
        self.status = head.status
        if self.pairing is None and complete:  # there is nothing to keep it for
            self._complete()
            return
        self.coding = coding_of(head)
        if not complete and event_stream(head):
            self.ending = StreamEnding()
        self._received(body, complete)

    def on_body(self, piece: bytes, complete: bool, chunk: bytes = b"", /) -> None:  # noqa: ARG002 - nothing goes on
        """More of its answer."""
        self._received(piece, complete)

    def _received(self, piece: bytes, complete: bool) -> None:
        self._collect(piece)
        if self.ending is not None and self.ending.more(piece) and not (complete or self.ended):
            complete = True  # whatever its framing is still short of
            if self.connection is not None:
                self.connection.abandon()
        if complete:
            self._complete()
        elif self.kept.size > AHEAD_BYTES and not (self.ended or self.waiting):
            self._wait_for_stable()

    def _wait_for_stable(self) -> None:
        if self.pairing is not None and self.pairing.status < 0 and self.connection is not None:
            self.waiting = True
            self.connection.pause_reading()

    def go_on(self) -> None:
        """Stable's answer is complete: read the rest, unless it is no answer of that kind."""
        if self.pairing is None or self.kept.size <= AHEAD_BYTES:
            return
        if self.kept.size > LARGER * self.pairing.kept.size:
            self._enough()
        else:
            self._resume()

    def _resume(self) -> None:
        if self.waiting and self.connection is not None:
            self.waiting = False
            self.connection.resume_reading()

    def _collect(self, piece: bytes) -> None:
        """Keep what will be compared; an answer that is too large is not read to its end."""
        if self.ended:
            return
        lane, size = self.lane, len(piece)
        if not self.kept.add(piece, self._most()):
            self._enough()
        elif lane.held_bytes + size > 2 * lane.limits.queue_bytes:
            self.give_up("bytes")
        else:
            self.held_bytes += size
            lane.held_bytes += size

    def _enough(self) -> None:
        """It will not be read to its end: it says something else, or is larger than is compared."""
        pairing, size = self.pairing, self.kept.size
        if (
            pairing is None
            or pairing.status <= 0
            or pairing.coding != self.coding
            or size <= max(AHEAD_BYTES, LARGER * pairing.kept.size)
        ):
            self.give_up("body")
            return
        self.far = True
        if self.connection is not None:
            self.connection.abandon()
        self._complete()

    def _most(self) -> int:
        """Bytes of its answer that are kept, as far as is known by now."""
        most, pairing = self.lane.limits.body_bytes, self.pairing
        if pairing is None or pairing.status < 0:
            return most
        return min(most, max(AHEAD_BYTES, LARGER * pairing.kept.size))

    def _complete(self) -> None:
        if not self.ended:
            if not self.far and self.ending is None:
                self._resume()  # it ended within the very read that was too much
            error = self.status >= 500
            self._end(Outcome.SERVER_ERROR if error else Outcome.OK)

    def on_failure(self, failure: Failure, /) -> None:
        """Its connection is gone.

        Some services close kept connections without a word, after an error for one; a copy that
        meets this is repeated, as methods that are copied may be, and then nobody's failure.
        """
        self.connection = None
        if failure is Failure.STALE and self.original is not None:
            if self.again:
                self.give_up("stale")
            else:
                self.again = True
                self._ask()
            return
        self.status = 0
        self._end(FAULTS[failure].outcome)

    def pause_upload(self) -> None:
        """It reads slowly; everything is in its buffer already, bounded by the copy's size."""

    def resume_upload(self) -> None:
        """It caught up."""

    def time_out(self) -> None:
        """Its deadline passed."""
        if self.waiting:  # for stable: no fault of the shadow
            self.give_up("deadline")
            return
        if self.connection is not None:
            self.connection.abandon()
        else:
            self.target.pool.cancel(self)
        self.status = 0
        self._end(Outcome.TIMEOUT)

    def give_up(self, cause: str) -> None:
        """This router ends it: a dropped copy like those that never began, and nobody's failure."""
        if self.connection is not None:
            self.connection.abandon()
        else:
            self.target.pool.cancel(self)
        self.status = 0
        self.kept.forget()
        self.ended = True
        self.connection = None
        self.pairing = None
        self.target.counts.end(Outcome.SHED, 0, monotonic() - self.since, -1.0)
        if self.traced is not None:
            self.traced.ended(Outcome.SHED, 0)
        self.target.stats.drop(cause)
        self.lane.ended(self)

    def _end(self, outcome: Outcome) -> None:
        self.ended = True
        self.connection = None
        self.seconds = monotonic() - self.since
        self.target.counts.end(outcome, self.status, self.seconds, -1.0)
        if self.traced is not None:
            self.traced.ended(outcome, self.status)
        if outcome is Outcome.OK:
            self.target.stats.delivered += 1
        else:
            self.target.stats.failed += 1
        if self.pairing is not None:
            self.pairing.join(self)
            self.pairing = None  # it knows us: the two would wait for the garbage collector
        self.lane.ended(self)


class Lane:
    """The copies for one shadow of one route: those under way, and a bounded queue.

    Bytes are counted from the copy's making to its end, wherever they are: ``queue_bytes`` bounds
    the requests, and as much again may be kept of the answers.
    """

    __slots__ = ("active", "filling", "held_bytes", "limits", "paced_s", "queue")

    def __init__(self, limits: MirrorLimits) -> None:
        self.limits = limits
        self.active: set[Copy] = set()
        self.queue: deque[Copy] = deque()
        self.held_bytes = 0
        self.paced_s = 0.0
        """When the next copy would be due at the bound of a second, monotonic clock."""
        self.filling = False
        """Copies are being started: one that fails at once must not start the next by recursion."""

    def full(self, size: int) -> str:
        """Why one more copy of ``size`` bytes must be dropped, or an empty string."""
        limits = self.limits
        if self.held_bytes + size > limits.queue_bytes:
            return "bytes"
        if limits.per_second and self.paced_s > monotonic() + BURST_S:
            return "rate"
        if len(self.active) < limits.concurrency:
            return ""
        if not limits.queue:
            return "concurrency"
        return "queue" if len(self.queue) >= limits.queue else ""

    def add(self, one: Copy) -> None:
        """Start a copy, or let it wait."""
        self.held_bytes += one.held_bytes
        if self.limits.per_second:
            self.paced_s = max(self.paced_s, monotonic()) + 1 / self.limits.per_second
        if self.filling or self.queue or len(self.active) >= self.limits.concurrency:
            self.queue.append(one)
            return
        self.filling = True
        self.active.add(one)
        one.start()
        self.filling = False

    def ended(self, one: Copy) -> None:
        """A copy is over: the next one."""
        self.active.discard(one)
        self.held_bytes -= one.held_bytes
        if self.queue and not self.filling:
            self._fill()

    def _fill(self) -> None:
        self.filling = True
        while self.queue and len(self.active) < self.limits.concurrency:
            following = self.queue.popleft()
            self.active.add(following)
            following.start()
        self.filling = False

    def sweep(self, now: float) -> None:
        """Drop copies that waited too long, then end those that took too long."""
        while self.queue and now > self.queue[0].deadline:
            self._drop("deadline")
        for one in [one for one in self.active if now > one.deadline]:
            one.time_out()

    def close(self) -> None:
        """End everything."""
        self.forget()
        for one in list(self.active):
            one.give_up("drain")

    def forget(self) -> None:
        """Drop what waits: its shadow gets no more requests."""
        while self.queue:
            self._drop("drain")

    def _drop(self, cause: str) -> None:
        late = self.queue.popleft()
        self.held_bytes -= late.held_bytes
        late.target.stats.drop(cause)


class Mirrors:
    """Every lane of a plane."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.accepting = True
        """False from the beginning of a drain: nothing more is copied."""
        self.lanes: dict[tuple[str, str], Lane] = {}

    def copy(
        self, route: ServedRoute, version: ServedVersion, original: Original, size: int, *,
        kept: bool, unit: int = 0,
    ) -> Pairing | None:  # fmt: skip
        """Send the copies that are due; what collects the answers, when they are compared.

        ``size``: bytes of the body; ``kept``: they are there. ``unit``: whose request it is, where
        a draw has said it.
        """
        head = original.head
        if head.method not in route.copied or not _wanted(route.entry.mirror_limits, head):
            return None
        unit = _unit_of(route, version, original, unit)
        if head.has_any(route.stripped):
            original = original._replace(head=head.without(route.stripped))
        pairing: Pairing | None = None
        recorder, limits = self.recorder, route.entry.mirror_limits
        for target in version.mirrors:
            if _place(route, target.mirror, unit) >= target.mirror.share_bp:
                continue
            lane = self._lane(route, target)
            if cause := self._refusal(lane, size, kept=kept):
                target.stats.drop(cause)
                continue
            due = pairing is None and coin() < limits.compare_bp
            if due and recorder.room_for_pair(0):
                pairing = Pairing(route, version, head, original.request_id, recorder)
                pairing.unit = unit
                if route.entry.pair_requests:
                    pairing.asked(head, original.body)
            one = Copy(lane, target, original, pairing)
            if pairing is not None:
                pairing.copies.append(one)
            lane.add(one)
        return pairing

    def _refusal(self, lane: Lane, size: int, *, kept: bool) -> str:
        if not self.accepting:
            return "drain"
        if size > lane.limits.body_bytes or not kept:
            return "body"
        return lane.full(size)

    def _lane(self, route: ServedRoute, target: Target) -> Lane:
        key = (route.entry.name, target.version)
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = Lane(route.entry.mirror_limits)
        lane.limits = route.entry.mirror_limits
        return lane

    def keep(self, table: RoutingTable) -> None:
        """Drop what waits for mirrors that are gone; what is under way may end."""
        kept = {(r.name, r.versions[m.version].name) for r in table.routes for m in r.mirrors}
        for key in [key for key in self.lanes if key not in kept]:
            self.lanes[key].forget()
            if not self.lanes[key].active:
                self.lanes.pop(key).close()

    def sweep(self, now: float) -> None:
        """Deadlines of every lane."""
        for lane in self.lanes.values():
            lane.sweep(now)

    @property
    def active(self) -> int:
        """Copies under way."""
        return sum(len(lane.active) for lane in self.lanes.values())

    def close(self) -> None:
        """End everything; what waited is dropped."""
        for lane in self.lanes.values():
            lane.close()


def _unit_of(route: ServedRoute, version: ServedVersion, asked: Original, drawn: int) -> int:
    """Whose request it is, where whole users are copied; else 0.

    ``drawn``: as its draw says; 0 of one that was pinned or ruled.
    """
    if not any(target.mirror.users for target in version.mirrors):
        return 0
    coding = asked.head.get(b"content-encoding") or b""
    document = BodyDocument(asked.body, coding, route.entry.buffer_bytes)
    return drawn or unit_in(route.entry, asked.head, document)


def _place(route: ServedRoute, mirror: Mirror, unit: int) -> int:
    """Of the coin, 0..9999: the request's, or that of its user, who keeps it."""
    return bucket_of(unit.to_bytes(8), route.mirror_salt) if mirror.users else coin()


def _wanted(limits: MirrorLimits, head: RequestHead) -> bool:
    if not limits.paths:
        return True
    path = plain_path(head.path).decode("latin-1")
    return any(
        path.startswith(glob[:-1]) if glob.endswith("*") else path == glob for glob in limits.paths
    )
