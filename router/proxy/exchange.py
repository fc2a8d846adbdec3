"""The life of one request. Start reading here.

    match     which route; none, or too many in flight: answered by the router itself
    assign    which version; by pin, rule, sticky key or coin
    select    a connection to it: at once, when one is free, or never
    forward   the request, written anew; its body as it arrives
    respond   the answer, as it arrives, or once it was read where the policy wants that
    rescue    a failed candidate attempt is replayed on stable, and still counted against it
    mirror    copies to shadows, once the request is complete
    record    always, exactly once: what happened and whose fault it was

How far it has come is its :class:`Stage`; what it asks of a version is an :class:`Attempt`, and a
rescue is another one. It is both what waits for a connection and what receives the answer;
callbacks move it on. There is no task, future or lock in it. Its deadlines are looked at by the
plane's sweeper. Once a byte of an answer has gone out, an error closes the client's connection: it
is no second answer.
"""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from router.core.wire.outcomes import Outcome
from router.http1 import CONTINUE, UNTIL_CLOSE, body_piece, interim_head, response_head
from router.http1.messages import CHUNKED, TRACE
from router.http1.writer import EXPECT
from router.proxy.admission import collected, too_large
from router.proxy.attempt import Attempt
from router.proxy.coin import coin
from router.proxy.cookies import without_own
from router.proxy.ending import StreamEnding
from router.proxy.extraction import watch
from router.proxy.faults import FAULTS, Fault
from router.proxy.inspection import reading_of
from router.proxy.loads import asking, for_client
from router.proxy.mirror import Original
from router.proxy.quota import seen
from router.proxy.receipt import told_lines
from router.proxy.record import answer, ask_people, left, record
from router.proxy.replies import BODY_SIZE, Refusal
from router.proxy.rescue import failed, fall_back, may_rescue, rescue, withhold
from router.proxy.sampling import sampled
from router.proxy.stage import Stage
from router.proxy.streams import event_stream
from router.proxy.tracing import Spans, passed
from router.proxy.upload import Upload
from router.upstream.connection import Receiver
from router.upstream.waiter import Unavailable

if TYPE_CHECKING:
    from router.http1 import RequestHead, ResponseHead
    from router.proxy.pairing import Pairing
    from router.proxy.reading import AnswerReading
    from router.proxy.sampling import Sampling
    from router.proxy.serving import Assignment, ServedRoute
    from router.proxy.shared import ClientSide, Shared
    from router.upstream import Connection, Endpoint, Failure

_ERROR: Final = Outcome.SERVER_ERROR
_ARRIVED: Final = Stage.ARRIVED
_WAITING: Final = Stage.WAITING
_SENT: Final = Stage.SENT
_ANSWERING: Final = Stage.ANSWERING


class Exchange(Receiver):
    """See the module. Made by a client connection for each request."""

    __slots__ = ("arrived", "asked", "attempt", "body", "client", "cookie", "end_by", "ending",
                 "first", "framing", "head", "id", "keep", "mirrored", "pairing", "plane",
                 "quiet_until", "reading", "route", "sample", "size", "spans", "stage", "told",
                 "unread_since", "upload", "uploaded")  # fmt: skip

    route: ServedRoute
    attempt: Attempt
    """The one under way, from stage WAITING on."""
    cookie: bytes
    end_by: float
    framing: int
    """How its answer's body goes out."""
    keep: bool
    """The client's connection may carry another request."""
    told: int  # bytes of an answer's body that its client got, once it has begun
    unread_since: float
    """When its client stopped reading the answer."""

    def __init__(self, client: ClientSide, head: RequestHead, body: bytes, uploaded: bool) -> None:
        self.client = client
        plane: Shared[Exchange] = client.plane
        self.plane = plane
        self.head = head
        self.body = body
        """Everything of the request's body that may have to be sent (again)."""
        self.size = len(body)
        self.uploaded = uploaded
        self.stage = _ARRIVED
        self.quiet_until = 0.0  # monotonic seconds; no deadline of it passes before
        self.arrived = self.asked = now = monotonic()
        self.upload = None if uploaded else Upload(plane.kept, now)
        self.id = head.request_id or plane.next_id()
        self.first: Attempt | None = None  # that failed; the present one is its replay on stable
        self.mirrored = False
        self.pairing: Pairing | None = None
        self.ending: StreamEnding | None = None  # whether a stream has said that this was all
        self.sample: Sampling | None = None
        self.spans: Spans | None = None  # where its trace is recorded
        self.reading: AnswerReading | None = None  # what it holds back, the client has not seen

    @property
    def kept(self) -> bool:
        """``body`` is the whole body so far."""
        return self.upload is None or self.upload.kept

    def whole(self) -> bytes:
        """All of the body that is kept so far."""
        if self.upload is not None:
            self.body = self.upload.behind(self.body)
        return self.body

    @property
    def batch(self) -> bool:
        """Whether it can wait, and makes room in a full queue."""
        return self.route.batch is not None and self.route.batch.names(self.head)

    @property
    def takes(self) -> bool:
        """Whether more of the request can be taken now."""
        if self.uploaded or self.upload is None:
            return True
        return self.stage is not _WAITING and not self.upload.held

    # --- select -----------------------------------------------------------------------------------

    def take(self, choice: Assignment, now: float = 0.0) -> None:
        """This version it is; a coin's arm is told. ``now``: monotonic, 0.0: not looked at yet."""
        version, unit, route, nth, who = choice.version, choice.unit, self.route, 0, 0
        if (arm := version.arm if choice.drawn else version.forced) is not None:
            arm.arrived += 1
            who = seen(self.client, self.head, route.callers)
            if choice.drawn and (users := arm.users) is not None:
                nth = users.arrive(unit)
        self.cookie, self.end_by = choice.cookie, self.arrived + (route.total_s or inf)
        attempt = Attempt(version, arm, unit, nth, who, now)
        if (share_bp := route.sampled_bp) and coin() < share_bp:
            self.sample = sampled(route, attempt, self.plane.recorder)
        self.select(attempt, None, attempt.since)

    def select(self, attempt: Attempt, avoid: Endpoint | None, now: float) -> None:
        """Ask for a connection for this attempt; the body stops flowing until there is one."""
        self.attempt, self.stage = attempt, _WAITING
        try:
            connection = attempt.version.pool.acquire(self, avoid, now)
        except Unavailable as why:
            failed(self, FAULTS[why.failure])
            return
        if connection is None:
            attempt.deadline = attempt.since + attempt.version.chance_s
            self.client.flow()
        else:
            self.forward(attempt, connection, now)

    def on_turn(self, since: float, /) -> None:
        """The wait was in our own queue: nobody was slow."""
        self.asked += monotonic() - max(since, self.asked)

    def on_connection(self, connection: Connection, /) -> None:
        """The pool's answer to a waiting exchange."""
        now = monotonic()
        if self.upload is not None:
            self.upload.since = now
        self.forward(self.attempt, connection, now)

    def on_unavailable(self, failure: Failure, endpoint: Endpoint | None, /) -> None:
        """The pool's other answer; it has observed the endpoint's part itself."""
        failed(self, FAULTS[failure], endpoint)

    # --- forward ----------------------------------------------------------------------------------

    def forward(self, attempt: Attempt, connection: Connection, now: float) -> None:
        """Write the request anew, with what there is of its body, in one write."""
        self.stage = _SENT
        attempt.connection = connection
        attempt.endpoint = connection.endpoint
        head, host = self.head, b""
        if (tracer := self.plane.tracer) is not None:
            trace = tracer.sent(self)
        else:
            trace = (head.trace or passed(head)) if head.kinds & TRACE else b""
        if now == attempt.since:
            attempt.deadline = now + attempt.version.answer_s
        else:
            attempt.expect(now, self.route.response_s)
        body = self.body if self.upload is None else self.whole()
        lines = asking(head) if self.route.loads else b""
        if asks := head.expect_continue and self.route.entry.expect_passed and not self.size:
            lines += EXPECT
        if (edit := attempt.version.edit) is not None:
            head, body, host, lines = edit.sent(self, head, body, lines)
        connection.start(
            self, head, body, self.uploaded, self.client.peer, self.id, trace, lines, host
        )  # fmt: skip
        if not self.uploaded:
            if not asks:
                self.go_on()
            self._slim()
            self.client.flow()
        elif attempt.version.mirrors:
            self.mirror()

    def go_on(self) -> None:
        """Tell a client that waits for it that its body is wanted (RFC 9110 section 10.1.1)."""
        upload = self.upload
        if self.head.expect_continue and upload is not None and not upload.continued:
            upload.continued = True
            self.client.write(CONTINUE)

    def on_upload(self, piece: bytes, complete: bool) -> None:
        """More of the request's body."""
        upload = self.upload
        if upload is None:
            return
        upload.since = monotonic()
        self.size += len(piece)
        self.uploaded = complete
        if complete:
            self.asked = upload.since  # what the client took to say it is no age of ours
        if too_large(self):
            self.client_broke(BODY_SIZE)
            return
        if upload.kept:
            upload.keep(piece)
        if self.stage is Stage.COLLECTING:
            collected(self, upload)
            return
        attempt = self.attempt
        if attempt.connection is None:
            return
        attempt.connection.write(piece, last=complete)
        if self.stage is _SENT:
            attempt.expect(upload.since, self.route.response_s)
        self._slim()
        if complete and attempt.version.mirrors:
            self.mirror()

    def _slim(self) -> None:
        """Forget a body that was sent and is too large for a replay, or for what a worker keeps."""
        upload, most = self.upload, self.plane.serving.limits.buffers_bytes
        wanted = max(self.route.keep_bytes, self.sample.most if self.sample is not None else 0)
        if upload is not None and upload.kept and (self.size > wanted or upload.crowded(most)):
            self.body = b""
            upload.forget()

    def pause_upload(self) -> None:
        """The version reads slower than the client sends."""
        if self.upload is not None and not self.uploaded:
            self.upload.held = True
            if self.stage is _SENT:
                self.attempt.expect(monotonic(), self.route.response_s)
            self.client.flow()

    def resume_upload(self) -> None:
        """It caught up, or is no longer there."""
        if self.upload is not None and self.upload.held:
            self.upload.held = False
            self.upload.since = monotonic()
            self.client.flow()

    # --- respond ----------------------------------------------------------------------------------

    def on_interim(self, head: ResponseHead, /) -> None:
        """A 1xx answer; of 100 a client hears once, of the router or of the version."""
        if head.status == 100:
            self.go_on()
        elif self.stage is _SENT:
            own, stats = self.route.own_cookie, self.attempt.version.stats
            self.client.write(interim_head(without_own(head, own, stats), self.head))

    def on_response(self, head: ResponseHead, body: bytes, complete: bool, /) -> None:
        """The version answers."""
        now = monotonic()
        route, attempt = self.route, self.attempt
        attempt.status = status = head.status
        attempt.first_byte_s = now - attempt.since
        if complete:
            attempt.connection = None
        if status in route.errors:
            if rescue(self, _ERROR, status) or fall_back(self, _ERROR):
                return
            attempt.verdict = _ERROR
        elif route.holds:
            if route.clients is not None:
                asked = self.whole() or (b"" if self.size else self.head.target)
                watch(self.client, self.head, asked, route, head, body if complete else b"")
            if (reading := reading_of(route, self.head, head, attempt.version)) is not None:
                reading.holds = reading.holds or may_rescue(self, Outcome.MALFORMED, status)
                self.reading = reading
                if self._read(reading, body, complete):
                    return
        self.respond(head, body, complete, now)

    def _read(self, reading: AnswerReading, piece: bytes, complete: bool) -> bool:
        """A piece for who reads the answer; True: it is held, or was taken care of."""
        attempt, holds = self.attempt, reading.holds
        if not reading.more(piece, complete):
            if holds:
                due, chance = reading.due(monotonic(), attempt.since), attempt.version.chance_s
                attempt.deadline = min(due, attempt.since + chance)
            return holds
        self.reading = None
        if reading.unreadable:
            attempt.verdict = Outcome.MALFORMED
            if holds and rescue(self, Outcome.MALFORMED, reading.head.status):
                return True
            if reading.withheld:
                withhold(self)
                return True
        if reading.said is not None:
            self._keep_said(reading.said)
        if holds:
            now = monotonic()
            if reading.first_byte_at_end:
                attempt.first_byte_s = now - attempt.since
            if not ask_people(self, reading, now):
                self.respond(reading.head, bytes(reading.body), complete, now)
        return holds

    def _keep_said(self, said: tuple[ResponseHead, bytes]) -> None:
        """What the version said, where the client gets something else."""
        if self.pairing is not None:
            self.pairing.said(*said)
        if self.sample is not None:
            self.sample.said(*said)

    def respond(self, head: ResponseHead, body: bytes, complete: bool, now: float) -> None:
        """The answer goes out."""
        route, attempt = self.route, self.attempt
        version = attempt.version
        if route.keeps_back:
            head = for_client(head, self.head, route, attempt)
        self.stage = _ANSWERING
        extra = b"\r\n" + self.cookie if self.cookie else b"\r\n"
        if route.tells:
            extra += told_lines(self)
        data, self.framing, self.keep = response_head(
            head, self.head, self.uploaded and self.plane.accepting, extra, body, complete,
            version.line, self.id,
        )  # fmt: skip
        if not complete:
            # Before the write, which may find the client slow: its silence is not the version's.
            attempt.deadline = now + route.body_s
        self.client.transport.write(data)
        self.told = size = len(body)
        version.stats.bytes_out += size
        if self.pairing is not None:
            self.pairing.begun(head, body)
        if self.sample is not None:
            self.sample.begun(head, body)
        if complete:
            attempt.blank = not body and head.status == 200 and self.head.method != b"HEAD"
            record(self, attempt.verdict, 0, now)
            self.client.done(self.keep, now)
        elif event_stream(head):
            self.ending = StreamEnding()
            self.ending.more(body)

    def on_body(self, piece: bytes, complete: bool, chunk: bytes = b"", /) -> None:
        """More of it; a client that takes chunks gets a whole ``chunk`` as it came."""
        now, attempt = monotonic(), self.attempt
        attempt.deadline = now + self.route.body_s
        if complete:
            attempt.connection = None
        if self.reading is not None and self._read(self.reading, piece, complete):
            return
        if self.ending is not None:
            self.ending.more(piece)
        if not chunk or self.framing != CHUNKED:
            chunk = body_piece(self.framing, piece, complete)
        self.client.transport.write(chunk)
        size = len(piece)
        self.told += size
        attempt.version.stats.bytes_out += size
        if self.pairing is not None:
            self.pairing.primary(piece)
        if self.sample is not None:
            self.sample.piece(piece)
        if complete:
            record(self, attempt.verdict, 0, now)
            self.client.done(self.keep, now)

    def pause_download(self) -> None:
        """The client reads slower than the version sends."""
        self.unread_since = monotonic()
        if self.stage >= _WAITING:
            self.attempt.deadline = inf
            if (connection := self.attempt.connection) is not None:
                connection.pause_reading()

    def resume_download(self) -> None:
        """It caught up; the time in which it did not read is no age."""
        now = monotonic()
        self.asked += now - self.unread_since
        if self.stage >= _WAITING:
            self.attempt.deadline = now + self.route.body_s
            if (connection := self.attempt.connection) is not None:
                connection.resume_reading()

    # --- failure, retry, rescue -------------------------------------------------------------------

    def on_failure(self, failure: Failure, /) -> None:
        """The version's connection is gone before its answer was complete."""
        self.attempt.connection = None
        self.resume_upload()
        outcome = FAULTS[failure].outcome
        if self.stage is _ANSWERING:
            self.cut(Outcome.TRUNCATED if outcome is Outcome.RESET else outcome)
        else:
            failed(self, FAULTS[failure])

    @property
    def said_all(self) -> bool:
        """Its protocol says that the answer is complete, whatever its framing is still short of."""
        return self.ending is not None and self.ending.said

    def mirror(self) -> None:
        """Copy the request to the shadows of the version it was routed to; never a replay."""
        if self.first is None and not self.mirrored:
            attempt, self.mirrored = self.attempt, True
            original = Original(self.head, self.whole(), self.client.peer, self.id, self.spans)
            self.pairing = self.plane.mirrors.copy(
                self.route, attempt.version, original, self.size, kept=self.kept, unit=attempt.unit
            )
            if self.pairing is not None and self.sample is not None:
                self.pairing.nonce = self.sample.nonce  # one receipt

    # --- the ends ---------------------------------------------------------------------------------

    def timed_out(self, fault: Fault) -> None:
        """A deadline has passed."""
        self.release()
        if self.stage is _ANSWERING:
            self.cut(fault.outcome)
        else:
            failed(self, fault)

    def release(self) -> None:
        """Let go of the version: its connection is reset, the queue forgets us."""
        if self.stage < _WAITING:
            return
        attempt = self.attempt
        if attempt.connection is not None:
            attempt.connection.abandon()
            attempt.connection = None
            self.resume_upload()
        elif self.stage is _WAITING:
            attempt.version.pool.cancel(self)

    def client_left(self) -> None:
        """The client is gone: its work is cancelled, and may have taken too long for it."""
        if self.stage is not Stage.ENDED:
            self.release()
            if self.said_all:
                record(self, self.attempt.verdict)
                return
            self._acquit()
            record(self, left(self))

    def client_broke(self, why: Refusal) -> None:
        """The client's message turned out bad after it was begun: never finish it upstream."""
        if self.stage is Stage.ENDED:
            return
        self.release()
        self._acquit()
        self.plane.recorder.reject(why.cause)
        begun = self.stage is _ANSWERING
        record(self, Outcome.CLIENT_ABORT)
        if begun:
            self.client.abort()
        else:
            answer(self, why, keep=False)

    def _acquit(self) -> None:
        """The endpoint has nothing to do with this end."""
        if self.stage >= _WAITING:
            self.attempt.endpoint = None

    def cut(self, outcome: Outcome) -> None:
        """The answer will never be complete: close behind what the version did say of it.

        Where the connection's end would make it look complete, reset instead.
        """
        record(self, self.attempt.verdict if self.said_all else outcome)
        if self.framing == UNTIL_CLOSE:
            self.client.abort()
        else:
            self.client.cut()

    def __repr__(self) -> str:
        return f"<Exchange {self.head!r} {self.stage.name.lower()}>"
