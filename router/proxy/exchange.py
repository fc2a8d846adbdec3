"""The life of one request. Start reading here.

    match     which route; none, or too many in flight: answered by the router itself
    assign    which version; by pin, rule, sticky key or coin
    select    a connection to it: at once, when one is free, or never
    forward   the request, written anew; its body as it arrives
    respond   the answer, as it arrives
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
from typing import TYPE_CHECKING, Final

from router.core.outcomes import BAD_OUTCOMES, Outcome
from router.http1 import (
    CONTINUE,
    body_piece,
    child_span,
    interim_head,
    own_response,
    request_head,
    request_id,
    response_head,
)
from router.http1.messages import NO_BODY, TRACE
from router.proxy.assign import assign
from router.proxy.faults import CONNECT, FAULTS, STALLED, TIMEOUT, Again, Fault
from router.proxy.matching import body_matches
from router.proxy.receipt import receipt_line
from router.proxy.replies import reply
from router.upstream import Failure
from router.upstream.pool import Unavailable

if TYPE_CHECKING:
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.downstream import Downstream
    from router.proxy.mirror import Pairing
    from router.proxy.serving import Route, Version
    from router.telemetry.recorder import Arm
    from router.upstream import Connection, Endpoint

SAFE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Methods that may arrive twice without asking the policy (RFC 9110 section 9.2.2)."""
RETRIES_MIN: Final = 3
"""Retries that are always allowed at a time, whatever the budget's share of few requests is."""

_SENT_ID = b"X-Request-Id: %b\r\n"


class Exchange:
    """See the module. Made by a client connection for each request."""

    __slots__ = ("arm", "arrived", "attempt_at", "attempts", "body", "client", "client_since",
                 "collecting", "connection", "continued", "cookie", "deadline", "end_by",
                 "ended", "endpoint", "first_byte_s", "framing", "head", "held", "id", "keep",
                 "kept", "pairing", "passed", "plane", "rescuing", "retrying", "route", "size",
                 "started", "status", "unit", "uploaded", "version", "waiting")  # fmt: skip

    route: Route
    version: Version

    def __init__(self, client: Downstream, head: RequestHead, body: bytes, uploaded: bool) -> None:
        self.client = client
        self.plane = client.plane
        self.head = head
        self.body = body
        """Everything of the request's body that may have to be sent (again)."""
        self.uploaded = uploaded
        self.size = len(body)
        self.kept = True
        """``body`` is the whole body so far."""
        self.arrived = self.client_since = monotonic()
        self.id = request_id(head) or self.plane.next_id()
        self.arm: Arm | None = None
        self.unit = self.passed = self.attempts = self.status = 0
        self.endpoint: Endpoint | None = None
        self.connection: Connection | None = None
        self.waiting = self.collecting = self.held = False
        self.started = self.ended = self.continued = False
        self.retrying = self.rescuing = False
        self.keep = False
        self.framing = NO_BODY
        self.attempt_at = 0.0
        self.first_byte_s = -1.0
        self.deadline = self.end_by = inf
        self.cookie = b""
        self.pairing: Pairing | None = None

    # --- match ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Find the route; collect the body first where the choice depends on it."""
        plane, head = self.plane, self.head
        plane.exchanges.add(self)
        serving = plane.serving
        route = serving.index.find(head)
        if route is None:
            self.refuse(404, "no_route", "no route takes this request")
            return
        self.route = route
        if len(plane.exchanges) > serving.limits.in_flight:
            self.refuse(503, "overload", "the router is busy", retry_after_s=1)
        elif self._too_large():
            self.refuse(413, "body_size", "the body is larger than this route accepts")
        elif head.max_forwards == 0:
            self._answer_options()
        elif route.needs_body and not self.uploaded and self.size < route.entry.buffer_bytes:
            self.collecting = True
            self._continue()
        else:
            self.assign()

    def _too_large(self) -> bool:
        limit = self.route.entry.body_limit_bytes
        return bool(limit) and max(self.head.length, self.size) > limit

    def _answer_options(self) -> None:
        """OPTIONS with Max-Forwards 0 is for us (RFC 9110 section 7.6.2)."""
        self._forget()
        self.client.write(own_response(204, keep_alive=self.uploaded, minor=self.head.minor))
        self.client.done(keep=self.uploaded and self.head.keep_alive)

    # --- assign -----------------------------------------------------------------------------------

    def assign(self) -> None:
        """Choose the version and, where a coin chose, remember which evidence it belongs to."""
        if self.route.match.body:
            self._match_body()
            if self.ended:
                return
        route = self.route
        choice = assign(route, self.head, self.body)
        self.version = choice.version
        self.unit = choice.unit
        self.cookie = choice.cookie
        if choice.drawn and route.cell is not None:
            if choice.version is route.candidate:
                self.arm = route.cell.candidate
            elif choice.version is route.stable:
                self.arm = route.cell.stable
            if self.arm is not None:
                self.arm.arrive()
        if total_s := route.entry.timeouts.total_s:
            self.end_by = self.arrived + total_s
        self.select()

    def _match_body(self) -> None:
        """The first route whose body conditions hold too; those without any always do."""
        for route in self.plane.serving.index.all(self.head):
            if body_matches(route.match.body, self.body):
                self.route = route
                return
        self.refuse(404, "no_route", "no route takes this request")

    # --- select -----------------------------------------------------------------------------------

    def select(self) -> None:
        """Begin an attempt at the version."""
        self.attempt_at = monotonic()
        self.version.stats.begin()
        self.connect(None)

    def connect(self, avoid: Endpoint | None) -> None:
        """Ask for a connection; the body stops flowing until there is one."""
        try:
            connection = self.version.pool.acquire(self, avoid)
        except Unavailable as why:
            self.failed(FAULTS[why.failure])
            return
        if connection is None:
            self.waiting = True
            self.client.hold()
        else:
            self.forward(connection)

    def on_connection(self, connection: Connection, /) -> None:
        """The pool's answer to a waiting exchange."""
        self.waiting = False
        self.forward(connection)
        self.client.unhold()

    def on_unavailable(self, failure: Failure, /) -> None:
        """The pool's other answer."""
        self.waiting = False
        self.client.unhold()
        self.failed(FAULTS[failure])

    # --- forward ----------------------------------------------------------------------------------

    def forward(self, connection: Connection) -> None:
        """Write the request anew, with what there is of its body, in one write."""
        self.connection = connection
        self.endpoint = connection.endpoint
        head = self.head
        data = self.written(connection.endpoint.authority)
        if self.body or self.uploaded:
            data += body_piece(head.framing, self.body, self.uploaded)
        self._set_deadline(monotonic())
        connection.start(self, data, to_head=head.method == b"HEAD", last=self.uploaded)
        if not self.uploaded:
            self._continue()
            self._forget_body()
        elif self.route.mirrors:
            self.mirror()

    def written(self, authority: bytes, head: RequestHead | None = None) -> bytes:
        """The head for upstream; ``head`` stands in for the client's in mirrored copies."""
        head = head or self.head
        trace = b""
        if head.kinds & TRACE:
            trace = child_span(head, self.plane.trace_id(), self.plane.span_id())
        return request_head(
            head, host=head.host or authority, peer=self.client.peer, request_id=self.id,
            trace=trace,
        )  # fmt: skip

    def _set_deadline(self, now: float) -> None:
        entry = self.route.entry
        deadline = now + entry.timeouts.response_s
        rescue = entry.rescue
        if rescue and rescue.candidate_deadline_s and self.version is self.route.candidate:
            deadline = min(deadline, self.attempt_at + rescue.candidate_deadline_s)
        self.deadline = deadline

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
        if self._too_large():
            self.client_broke(413, "body_size", "the body is larger than this route accepts")
            return
        if self.kept:
            self.body += piece
        if self.collecting:
            if complete or self.size >= self.route.entry.buffer_bytes:
                self.collecting = False
                self.assign()
            return
        if self.connection is None:
            return
        self.connection.write(body_piece(self.head.framing, piece, complete), last=complete)
        if not self.started:
            self._set_deadline(self.client_since)
        self._forget_body()
        if complete and self.kept and self.route.mirrors:
            self.mirror()

    def _forget_body(self) -> None:
        """What was sent and is too large for a replay need not stay in memory."""
        if self.kept and self.size > self.route.keep_bytes:
            self.kept = False
            self.body = b""

    def pause_upload(self) -> None:
        """The version reads slower than the client sends."""
        if not self.uploaded:
            self.held = True
            self.deadline = monotonic() + self.route.entry.timeouts.response_s
            self.client.hold()

    def resume_upload(self) -> None:
        """It caught up."""
        if self.held:
            self.held = False
            self.client_since = monotonic()
            self.client.unhold()

    # --- respond ----------------------------------------------------------------------------------

    def on_interim(self, head: ResponseHead, /) -> None:
        """A 1xx answer; 100 is ours to give and was given."""
        if head.status != 100 and not self.started:
            data = interim_head(head, self.head)
            if data:
                self.client.write(data)

    def on_response(self, head: ResponseHead, body: bytes, complete: bool, /) -> None:
        """The version answers."""
        now = monotonic()
        self.status = status = head.status
        self.first_byte_s = now - self.attempt_at
        if complete:
            self.connection = None
        outcome = Outcome.SERVER_ERROR if self.route.is_error(status) else Outcome.OK
        if outcome and self.rescue(outcome, status):
            return
        self.started = True
        extra = self.version.line + _SENT_ID % self.id + self.cookie
        if self.route.entry.receipt_secret:
            extra += receipt_line(self)
        data, self.framing, self.keep = response_head(
            head, self.head, keep_alive=self.uploaded and self.plane.accepting, extra=extra
        )
        if body or complete:
            data += body_piece(self.framing, body, complete)
        self.client.write(data)
        self.version.stats.bytes_out += len(body)
        if self.pairing is not None:
            self.pairing.primary(body)
        if complete:
            self.finish(outcome)
        else:
            self.deadline = now + self.route.entry.timeouts.body_s

    def on_body(self, piece: bytes, complete: bool, /) -> None:
        """More of the answer."""
        self.client.write(body_piece(self.framing, piece, complete))
        self.version.stats.bytes_out += len(piece)
        if self.pairing is not None:
            self.pairing.primary(piece)
        if complete:
            self.connection = None
            error = self.route.is_error(self.status)
            self.finish(Outcome.SERVER_ERROR if error else Outcome.OK)
        else:
            self.deadline = monotonic() + self.route.entry.timeouts.body_s

    def pause_download(self) -> None:
        """The client reads slower than the version sends."""
        if self.connection is not None:
            self.connection.pause_reading()
        self.deadline = inf

    def resume_download(self) -> None:
        """It caught up."""
        self.deadline = monotonic() + self.route.entry.timeouts.body_s
        if self.connection is not None:
            self.connection.resume_reading()

    # --- failure, retry, rescue -------------------------------------------------------------------

    def on_failure(self, failure: Failure, /) -> None:
        """The version's connection is gone before its answer was complete."""
        self.connection = None
        fault = FAULTS[failure]
        if not self.started:
            self.failed(fault)
            return
        lost = fault.outcome is Outcome.RESET
        self.cut(Outcome.TRUNCATED if lost else fault.outcome)

    def failed(self, fault: Fault) -> None:
        """The attempt gave nothing that a client has seen: again, on stable, or an error."""
        if self.endpoint is not None:
            self._observe(bad=fault.outcome in BAD_OUTCOMES)
        if self._retry(fault) or self.rescue(fault.outcome, 0):
            return
        self.status = 0
        keep = self.uploaded and self.plane.accepting and self.head.keep_alive
        self.keep = keep
        self.client.write(self._reply(fault.status, fault.cause, fault.text, keep=keep,
                                      retry_after_s=fault.retry_after_s))  # fmt: skip
        self.started = True
        self.finish(fault.outcome)

    def _retry(self, fault: Fault) -> bool:
        retry, plane = self.route.entry.retry, self.plane
        if fault.again is Again.NEVER or self.attempts >= retry.attempts:
            return False
        if fault.again is Again.IDEMPOTENT and not (
            self.kept and (retry.idempotent or self.head.method in SAFE)
        ):
            return False
        if plane.retrying >= max(RETRIES_MIN, len(plane.exchanges) * retry.budget_bp // 10_000):
            return False
        if not self.retrying:
            self.retrying = True
            plane.retrying += 1
        self.attempts += 1
        self.version.stats.retries += 1
        self.connect(self.endpoint)
        return True

    def rescue(self, outcome: Outcome, status: int) -> bool:
        """Replay a failed candidate attempt on stable, if the policy wants it and it can be done.

        The attempt is settled first: counted against the candidate, once. The replay's arm is
        forced, hence no evidence.
        """
        route, plane = self.route, self.plane
        rescue = route.entry.rescue
        if rescue is None or self.version is not route.candidate or self.started or not self.kept:
            return False
        if status:
            wanted = status in rescue.statuses or status // 100 in rescue.statuses
        else:
            wanted = rescue.timeout if outcome is Outcome.TIMEOUT else (
                rescue.connect and outcome in CONNECT
            )  # fmt: skip
        budget = max(rescue.budget_min, len(plane.exchanges) * rescue.budget_bp // 10_000)
        if not wanted or plane.rescuing >= budget:
            return False
        if self.connection is not None:
            self.connection.abandon()
            self.connection = None
        self.version.stats.rescued += 1
        self._settle(outcome)
        self.arm = None
        self.rescuing = True
        plane.rescuing += 1
        self.version = route.stable
        self.endpoint = None
        self.attempts = self.status = 0
        self.first_byte_s = -1.0
        self.select()
        return True

    # --- mirror -----------------------------------------------------------------------------------

    def mirror(self) -> None:
        """Copy the request to shadows; only what stable answers is copied, and never a replay."""
        if self.version is self.route.stable and not self.rescuing and self.pairing is None:
            self.pairing = self.plane.mirrors.copy(self)

    # --- the ends ---------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Called every 50 ms or so: slow by age, and whatever deadline has passed."""
        arm = self.arm
        if arm is not None and self.passed < len(arm.limits_s):
            self.passed = arm.pass_limits(now - self.arrived, self.passed, self.unit)
        if now > self.end_by:
            self._timed_out(TIMEOUT)
        elif self.waiting:
            self._sweep_queue(now)
        elif not self.uploaded and not self.held and self._client_stalled(now):
            self.client_broke(408, "body_timeout", "the body stopped arriving")
        elif now > self.deadline and (self.uploaded or self.held or self.started):
            self._timed_out(STALLED if self.started else TIMEOUT)

    def _client_stalled(self, now: float) -> bool:
        return now - self.client_since > self.plane.serving.limits.body_timeout_s

    def _sweep_queue(self, now: float) -> None:
        pool = self.version.pool
        if now - self.attempt_at > pool.entry.queue_timeout_s and pool.queued(self):
            pool.cancel(self)
            self.on_unavailable(Failure.QUEUE_TIMEOUT)

    def _timed_out(self, fault: Fault) -> None:
        self.deadline = self.end_by = inf
        self._release()
        if self.started:
            self.cut(fault.outcome)
        else:
            self.failed(fault)

    def _release(self) -> None:
        """Let go of the version: its connection is reset, the queue forgets us."""
        if self.connection is not None:
            self.connection.abandon()
            self.connection = None
        elif self.waiting:
            self.waiting = False
            self.version.pool.cancel(self)
            self.client.unhold()

    def client_left(self) -> None:
        """The client is gone: its work is cancelled and counts against nobody."""
        if not self.ended:
            self._release()
            self.endpoint = None
            self.record(Outcome.CLIENT_ABORT)

    def client_broke(self, status: int, cause: str, text: str) -> None:
        """The client's message turned out bad after it was begun: never finish it upstream."""
        if self.ended:
            return
        self._release()
        self.endpoint = None
        self.plane.recorder.reject(cause)
        started = self.started
        self.record(Outcome.CLIENT_ABORT)
        if started:
            self.client.abort()
        else:
            self.client.write(self._reply(status, cause, text, keep=False))
            self.client.done(keep=False)

    def refuse(self, status: int, cause: str, text: str, *, retry_after_s: int = 0) -> None:
        """The router's own answer to a request that no version has seen."""
        self.plane.recorder.reject(cause)
        self._forget()
        keep = self.uploaded and self.head.keep_alive and self.plane.accepting
        self.client.write(self._reply(status, cause, text, keep=keep, retry_after_s=retry_after_s))
        self.client.done(keep=keep)

    def _reply(
        self, status: int, cause: str, text: str, *, keep: bool, retry_after_s: int = 0
    ) -> bytes:
        head = self.head
        return reply(
            status, cause, text, keep_alive=keep, minor=head.minor,
            to_head=head.method == b"HEAD", request_id=self.id, retry_after_s=retry_after_s,
        )  # fmt: skip

    def cut(self, outcome: Outcome) -> None:
        """The answer had begun and will never be complete: the only honest sign is a reset."""
        self.record(outcome)
        self.client.abort()

    def finish(self, outcome: Outcome) -> None:
        """The answer went out whole."""
        self.record(outcome)
        self.client.done(keep=self.keep)

    # --- record -----------------------------------------------------------------------------------

    def record(self, outcome: Outcome) -> None:
        """The one end of every exchange that chose a version."""
        if self.ended:
            return
        self._forget()
        if self.attempt_at:
            self._settle(outcome)
            if self.endpoint is not None and self.status:
                self._observe(bad=outcome in BAD_OUTCOMES)
        if self.pairing is not None:
            self.pairing.primary_done(self.status, monotonic() - self.arrived)
        if self.plane.access_log is not None:
            self.plane.access_log.line(self, outcome)

    def _settle(self, outcome: Outcome) -> None:
        """Count an attempt: for its version always, as evidence where a coin chose it."""
        now = monotonic()
        stats = self.version.stats
        stats.end(outcome, self.status, now - self.attempt_at, self.first_byte_s)
        stats.bytes_in += self.size
        if self.arm is not None:
            self.arm.end(outcome, now - self.arrived, self.passed, self.unit)

    def _observe(self, *, bad: bool) -> None:
        if self.endpoint is not None:
            self.version.pool.observed(self.endpoint, bad=bad, now=monotonic())

    def _forget(self) -> None:
        self.ended = True
        plane = self.plane
        plane.exchanges.discard(self)
        plane.retrying -= self.retrying
        plane.rescuing -= self.rescuing
        self.retrying = self.rescuing = False

    def __repr__(self) -> str:
        state = "ended" if self.ended else "waiting" if self.waiting else "open"
        return f"<Exchange {self.head!r} {state} status={self.status} attempts={self.attempts}>"
