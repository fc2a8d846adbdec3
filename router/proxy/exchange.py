"""The life of one request. Start reading here.

    match     which route; none, or too many in flight: answered by the router itself
    assign    which version; by pin, rule, sticky key or coin
    select    a connection to it: at once, when one is free, or never
    forward   the request, written anew; its body as it arrives
    respond   the answer, as it arrives, or once it was read where the policy wants that
    rescue    a failed candidate attempt is replayed on stable, and still counted against it
    mirror    copies to shadows, once the request is complete
    record    always, exactly once: what happened and whose fault it was

An exchange is both what waits for a connection and what receives the answer; callbacks move it on.
There is no task, future or lock in it. Its deadlines are looked at by the plane's sweeper. Once a
byte of an answer has gone out, an error closes the client's connection: it is no second answer.
"""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING, cast

from router.core.wire.outcomes import BAD_OUTCOMES, Outcome
from router.http1 import (
    CONTINUE,
    body_piece,
    child_span,
    interim_head,
    response_head,
)
from router.http1.messages import NO_BODY, TRACE, UNTIL_CLOSE, VIA
from router.proxy.assign import assign, at_once, place
from router.proxy.buffers import crowded, keep, slim, whole
from router.proxy.choosing import choose_by_body, look, too_large
from router.proxy.cookies import without_own
from router.proxy.faults import FAULTS, Fault
from router.proxy.inspection import inspect
from router.proxy.matching import NO_DOCUMENT
from router.proxy.receipt import receipt_line
from router.proxy.record import left, observe, record
from router.proxy.replies import (
    BODY_SIZE,
    NO_ROUTE,
    OVERLOAD,
    answer,
    refuse,
    unwanted,
)
from router.proxy.rescue import may_retry, rescue
from router.proxy.streams import StreamEnding, event_stream
from router.upstream.pool import Unavailable

if TYPE_CHECKING:
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.assign import Assignment
    from router.proxy.downstream import Downstream
    from router.proxy.inspection import Inspection
    from router.proxy.pairing import Pairing
    from router.proxy.record import Doubt
    from router.proxy.serving import ServedRoute, ServedVersion
    from router.proxy.streams import FirstToken
    from router.telemetry.slices import Arm
    from router.upstream import Connection, Endpoint, Failure

_OK = Outcome.OK
_ERROR = Outcome.SERVER_ERROR


class Exchange:
    """See the module. Made by a client connection for each request."""

    __slots__ = ("arm", "arrived", "asked", "attempt_at", "attempts", "blank", "body", "charged",
                 "client", "client_since", "collecting", "connection", "continued", "cookie",
                 "deadline", "doubt", "end_by", "ended", "ending", "endpoint",
                 "first_byte_s", "framing", "head", "held", "id", "inspection", "keep",
                 "kept", "mirrored", "nth", "pairing", "passed", "plane", "rescuing",
                 "retrying", "route", "size", "started", "status", "tail", "unit", "uploaded",
                 "verdict", "version", "waiting")  # fmt: skip

    route: ServedRoute
    version: ServedVersion

    def __init__(self, client: Downstream, head: RequestHead, body: bytes, uploaded: bool) -> None:
        self.client = client
        self.plane = client.plane
        self.head = head
        self.body, self.tail = body, cast("bytearray | None", None)
        """Everything of the request's body that may have to be sent (again); see `buffers`."""
        self.uploaded = uploaded
        self.size = len(body)
        self.kept = True
        """``body`` is the whole body so far."""
        self.arrived = self.asked = self.client_since = monotonic()
        self.id = head.request_id or self.plane.next_id()
        self.arm: Arm | None = None
        self.unit = self.nth = self.passed = self.attempts = self.status = self.charged = 0
        self.endpoint: Endpoint | None = None
        self.connection: Connection | None = None
        self.collecting = False
        """The choice depends on the body, which is still arriving."""
        self.waiting = self.held = False
        """No connection yet; the version reads slower than the client sends. Both stop reading."""
        self.started = self.ended = self.continued = self.mirrored = False
        self.retrying = self.rescuing = False
        self.keep = self.blank = False
        self.framing = NO_BODY
        self.attempt_at, self.first_byte_s = 0.0, -1.0
        self.deadline = self.end_by = inf
        self.cookie = b""
        self.pairing: Pairing | None = None
        self.ending: StreamEnding | None = None
        """Of a stream of events: whether its protocol has said that this was all."""
        self.inspection: Inspection | FirstToken | None = None
        """Reads the answer; what it holds back, the client has not seen."""
        self.verdict = _OK
        """How it ends if the answer is whole."""
        self.doubt: Doubt | None = None
        """A failure of a drawn arm that is the payload's if stable's replay fails as well."""

    # --- match ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Find the route; collect the body first where the choice depends on it."""
        plane, head, serving = self.plane, self.head, self.plane.serving
        plane.exchanges.add(self)
        choice: Assignment | None = None
        if head.size > 0:
            known = serving.places.get(head) or place(serving, head)
            route, now = (known.route, known.at_once) if known is not None else (None, False)
            choice = known.choice if known is not None else None
        else:
            route = serving.index.find(head)
            now = route is not None and at_once(route, head)
        why = unwanted(head) if head.kinds & VIA else None
        if route is None or why is not None:
            refuse(self, why or NO_ROUTE)
            return
        self.route = route
        if len(plane.exchanges) > serving.limits.in_flight:
            refuse(self, OVERLOAD)
        elif now:
            self.take(choice or assign(route, head, NO_DOCUMENT))
        else:
            look(self, choice)

    # --- assign -----------------------------------------------------------------------------------

    def collect(self) -> None:
        """The choice needs the body: wait for it."""
        self.collecting = True
        self._continue()

    def take(self, choice: Assignment) -> None:
        """This version it is; where a coin chose, its arm is told of the arrival."""
        self.version, self.unit, self.cookie = choice.version, choice.unit, choice.cookie
        if choice.drawn and (arm := choice.version.arm) is not None:
            self.arm = arm
            if arm.users is None:
                arm.arrived += 1
            else:
                self.nth = arm.arrive(choice.unit)
        elif not choice.drawn and (arm := choice.version.forced) is not None:
            self.arm, arm.arrived = arm, arm.arrived + 1
        self.end_by = self.arrived + (self.route.total_s or inf)
        self.select()

    # --- select -----------------------------------------------------------------------------------

    def select(self) -> None:
        """Begin an attempt at the version."""
        now = self.attempt_at = monotonic()
        stats = self.version.stats
        stats.in_flight += 1
        stats.dirty = True
        self.connect(None, now)

    def connect(self, avoid: Endpoint | None, now: float) -> None:
        """Ask for a connection; the body stops flowing until there is one."""
        self.endpoint = None
        try:
            connection = self.version.pool.acquire(self, avoid)
        except Unavailable as why:
            self.failed(FAULTS[why.failure])
            return
        if connection is None:
            self.waiting = True
            self.deadline = self.attempt_at + self.version.chance_s
            self.client.flow()
        else:
            self.forward(connection, now)

    def on_turn(self, since: float, /) -> None:
        """The wait was in our own queue: nobody was slow."""
        self.asked += monotonic() - max(since, self.asked)

    def on_connection(self, connection: Connection, /) -> None:
        """The pool's answer to a waiting exchange."""
        self.waiting = False
        now = self.client_since = monotonic()
        self.forward(connection, now)
        self.client.flow()

    def on_unavailable(self, failure: Failure, endpoint: Endpoint | None, /) -> None:
        """The pool's other answer; it has observed the endpoint's part itself."""
        self.waiting = False
        self.client.flow()
        self.failed(FAULTS[failure], avoid=endpoint)

    # --- forward ----------------------------------------------------------------------------------

    def forward(self, connection: Connection, now: float) -> None:
        """Write the request anew, with what there is of its body, in one write."""
        self.connection = connection
        self.endpoint = connection.endpoint
        head = self.head
        trace = self.trace() if head.kinds & TRACE else b""
        if now == self.attempt_at:
            self.deadline = now + self.version.answer_s
        else:
            self._expect_answer(now)
        connection.start(
            self, head, whole(self), self.uploaded, self.client.peer, self.id, trace
        )  # fmt: skip
        if not self.uploaded:
            self._continue()
            slim(self)
        elif self.version.mirrors:
            self.mirror()

    def trace(self) -> bytes:
        """The lines of a trace that the client takes part in, or wants to."""
        return child_span(self.head, self.plane.trace_id, self.plane.span_id())

    def _expect_answer(self, now: float) -> None:
        self.deadline = min(now + self.route.response_s, self.attempt_at + self.version.chance_s)

    def _continue(self) -> None:
        """Tell a client that waits for it that its body is wanted (RFC 9110 section 10.1.1)."""
        if self.head.expect_continue and not self.continued:
            self.continued = True
            self.client.write(CONTINUE)

    def on_upload(self, piece: bytes, complete: bool) -> None:
        """More of the request's body."""
        self.client_since = monotonic()
        self.size += len(piece)
        self.uploaded = complete
        if complete:
            self.asked = self.client_since  # what the client took to say it is no age of ours
        if too_large(self):
            self.client_broke(BODY_SIZE.status, BODY_SIZE.cause, BODY_SIZE.text)
            return
        if self.kept:
            keep(self, piece)
        if self.collecting:
            if crowded(self):
                refuse(self, OVERLOAD)
            elif complete or self.size >= self.route.entry.buffer_bytes:
                self.collecting = False
                choose_by_body(self)
            return
        if self.connection is None:
            return
        self.connection.write(piece, last=complete)
        if not self.started:
            self._expect_answer(self.client_since)
        slim(self)
        if complete and self.version.mirrors:
            self.mirror()

    def pause_upload(self) -> None:
        """The version reads slower than the client sends."""
        if not self.uploaded:
            self.held = True
            if not self.started:
                self._expect_answer(monotonic())
            self.client.flow()

    def resume_upload(self) -> None:
        """It caught up, or is no longer there."""
        if self.held:
            self.held = False
            self.client_since = monotonic()
            self.client.flow()

    # --- respond ----------------------------------------------------------------------------------

    def on_interim(self, head: ResponseHead, /) -> None:
        """A 1xx answer; 100 is ours to give and was given."""
        if head.status != 100 and not self.started:
            self.client.write(interim_head(without_own(head, self), self.head))

    def on_response(self, head: ResponseHead, body: bytes, complete: bool, /) -> None:
        """The version answers."""
        now = monotonic()
        route = self.route
        self.status = status = head.status
        self.first_byte_s = now - self.attempt_at
        if complete:
            self.connection = None
        if status in route.errors:
            if rescue(self, Outcome.SERVER_ERROR, status):
                return
            self.verdict = _ERROR
        elif route.holds and inspect(self, head, body, complete):
            return
        self.respond(head, body, complete, now)

    def respond(self, head: ResponseHead, body: bytes, complete: bool, now: float) -> None:
        """The answer goes out."""
        route, version = self.route, self.version
        if route.own_cookie:
            head = without_own(head, self)
        self.started = True
        extra = b"".join((version.line, self.id, b"\r\n", self.cookie))
        if route.receipts:
            extra += receipt_line(self)
        data, framing, self.keep = response_head(
            head, self.head, self.uploaded and self.plane.accepting, extra, body, complete
        )
        self.framing = framing
        # Before the write, which may find the client slow: its silence is not the version's.
        self.deadline = now + route.body_s
        self.client.transport.write(data)
        version.stats.bytes_out += len(body)
        if self.pairing is not None:
            self.pairing.begun(head, body)
        if complete:
            self.blank = not body and head.status == 200 and self.head.method != b"HEAD"
            record(self, self.verdict, 0, now)
            self.client.done(self.keep)
        elif event_stream(head):
            self.ending = StreamEnding()
            self.ending.more(body)

    def on_body(self, piece: bytes, complete: bool, /) -> None:
        """More of the answer."""
        now = monotonic()
        self.deadline = now + self.route.body_s
        if complete:
            self.connection = None
        if self.inspection is not None and self.inspection.more(piece, complete):
            return
        if self.ending is not None:
            self.ending.more(piece)
        self.client.write(body_piece(self.framing, piece, complete))
        self.version.stats.bytes_out += len(piece)
        if self.pairing is not None:
            self.pairing.primary(piece)
        if complete:
            record(self, self.verdict, 0, now)
            self.client.done(self.keep)

    def pause_download(self) -> None:
        """The client reads slower than the version sends."""
        if self.connection is not None:
            self.connection.pause_reading()
        self.deadline = inf
        self.client_since = monotonic()

    def resume_download(self) -> None:
        """It caught up; the time in which it did not read is no age."""
        now = monotonic()
        self.asked += now - self.client_since
        self.deadline = now + self.route.body_s
        if self.connection is not None:
            self.connection.resume_reading()

    # --- failure, retry, rescue -------------------------------------------------------------------

    def on_failure(self, failure: Failure, /) -> None:
        """The version's connection is gone before its answer was complete."""
        self.connection = None
        self.resume_upload()
        outcome = FAULTS[failure].outcome
        if self.started:
            self.cut(Outcome.TRUNCATED if outcome is Outcome.RESET else outcome)
        else:
            self.failed(FAULTS[failure])

    @property
    def said_all(self) -> bool:
        """Its protocol says that the answer is complete, whatever its framing is still short of."""
        return self.started and self.ending is not None and self.ending.said

    def failed(self, fault: Fault, avoid: Endpoint | None = None) -> None:
        """The attempt gave nothing that a client has seen: again, on stable, or an error."""
        if self.endpoint is not None:
            observe(self, bad=fault.outcome in BAD_OUTCOMES)
            avoid = self.endpoint
        if self._retry(fault, avoid) or rescue(self, fault.outcome, 0):
            return
        self.status = 0
        record(self, fault.outcome, fault.status)
        answer(self, fault.status, fault.cause, fault.text, retry_after_s=fault.retry_after_s)

    def _retry(self, fault: Fault, avoid: Endpoint | None) -> bool:
        """Another connection to the same version, another endpoint first."""
        if not may_retry(self, fault):
            return False
        if not self.retrying:
            self.retrying = True
            self.plane.retrying += 1
        self.attempts += 1
        self.version.stats.retries += 1
        self.connect(avoid, monotonic())
        return True

    # --- mirror -----------------------------------------------------------------------------------

    def mirror(self) -> None:
        """Copy the request to the shadows of the version it was routed to; never a replay."""
        if not self.rescuing and not self.mirrored:
            self.mirrored = True
            self.pairing = self.plane.mirrors.copy(self)

    # --- the ends ---------------------------------------------------------------------------------

    def timed_out(self, fault: Fault) -> None:
        """A deadline has passed."""
        self.release()
        if self.started:
            self.cut(fault.outcome)
        else:
            self.failed(fault)

    def release(self) -> None:
        """Let go of the version: its connection is reset, the queue forgets us."""
        if self.connection is not None:
            self.connection.abandon()
            self.connection = None
            self.resume_upload()
        elif self.waiting:
            self.waiting = False
            self.version.pool.cancel(self)
            self.client.flow()

    def client_left(self) -> None:
        """The client is gone: its work is cancelled, and may have taken too long for it."""
        if not self.ended:
            self.release()
            if not self.said_all:
                self.endpoint = None
            record(self, self.verdict if self.said_all else left(self))

    def client_broke(self, status: int, cause: str, text: str) -> None:
        """The client's message turned out bad after it was begun: never finish it upstream."""
        if self.ended:
            return
        self.release()
        self.endpoint = None
        self.plane.recorder.reject(cause)
        record(self, Outcome.CLIENT_ABORT)
        if self.started:
            self.client.abort()
        else:
            answer(self, status, cause, text, keep=False)

    def cut(self, outcome: Outcome) -> None:
        """The answer will never be complete: close behind what the version did say of it.

        Where the connection's end would make it look complete, reset instead.
        """
        record(self, self.verdict if self.said_all else outcome)
        if self.framing == UNTIL_CLOSE:
            self.client.abort()
        else:
            self.client.cut()

    def __repr__(self) -> str:
        state = "ended" if self.ended else "waiting" if self.waiting else "open"
        return f"<Exchange {self.head!r} {state} status={self.status} attempts={self.attempts}>"
