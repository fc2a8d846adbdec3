"""Sampled requests through Envoy: what passed, joined with the draw that its record tells.

Envoy's filter tells what a request asked and was answered (a *passage*); the record of its attempt
tells the draw: version, weight, user. Which requests are told of is settled before the draw: by
Envoy's share, and by what finds room here when they begin. So, as on the built-in plane, neither
the arm nor what becomes of a request has a part in it; a passage that finds no draw, or a draw
without one, is no sample. What a draw has claimed is told once, however it ends, with its bodies or
a word why they are missing.

========================================= =========================================================
bound                                     what is beyond it
========================================= =========================================================
:data:`PASSAGES_A_TURN`                   is not read; Envoy keeps 256 at most and drops the others
``filtering.STREAMS_MAX`` at once         Envoy does not tell of it
what a worker keeps for the link          is no sample (:meth:`Recorder.begin_sample`)
:data:`HELD_BYTES_MAX`                    bodies are given up, and the sample is in doubt ("shed")
:data:`CLAIMED_BYTES_MAX`                 likewise
``mirroring: {body}`` of a rollout        likewise ("body")
========================================= =========================================================
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from router.agent.filtering import told_bp
from router.agent.outcomes import Record, number
from router.agent.passing import ANSWERS, Passed, PassedKind
from router.core.wire.outcomes import Outcome
from router.core.wire.receipt import Chosen
from router.core.wire.sampled import TEXT_CHARS_MAX, Sampled
from router.core.words import FULL_BP
from router.proxy.coin import coin
from router.proxy.pairing import CODING_CHARS_MAX
from router.proxy.sampling import TARGET_CHARS_MAX
from router.telemetry.recorder import SAMPLE_BYTES_MAX, SAMPLES_MAX, Recorder

if TYPE_CHECKING:
    from router.proxy.attempt import Attempt
    from router.proxy.serving import ServedRoute
    from router.telemetry.slices import Arm

PASSAGES_A_TURN: Final = SAMPLES_MAX
"""Between two reports: as many as gates are told of."""
HELD_BYTES_MAX: Final = 4_194_304
"""Of messages that have begun, and of bodies that no record has claimed."""
CLAIMED_BYTES_MAX: Final = 2 * SAMPLE_BYTES_MAX
"""Of bodies of samples, with those that wait for the link; at half of it no more are claimed."""
UNCLAIMED_MAX: Final = 1_024
"""Passages that no record has claimed."""
LATE_S: Final = 2.0
"""A record follows its passage, and the end of a passage its record, within this, or never."""

_ANSWERED: Final = frozenset((Outcome.OK, Outcome.SERVER_ERROR))


class SampleReader(Protocol):
    """A connection on which Envoy tells."""

    def pause(self) -> None:
        """Read nothing."""

    def resume(self) -> None:
        """Read on."""


class Passage:
    """What one request asked and was answered, as far as it is kept."""

    __slots__ = ("answer", "answer_head", "asked_head", "begun", "cut", "ended", "key", "most",
                 "request", "sample")  # fmt: skip

    def __init__(self, now: float) -> None:
        self.begun = now
        self.key = ""
        self.asked_head: dict[bytes, bytes] = {}
        self.answer_head: dict[bytes, bytes] = {}
        self.request, self.answer = bytearray(), bytearray()
        self.most = HELD_BYTES_MAX
        """Of a body that is kept; the route's own bound once the draw is known."""
        self.cut = ""
        self.ended = False
        """The answer is over, or nothing more will be told."""
        self.sample: ClaimedSample | None = None

    @property
    def size(self) -> int:
        """Bytes of both bodies."""
        return len(self.request) + len(self.answer)

    @property
    def status(self) -> int:
        """That the answer began with; 0: none did."""
        return number(self.answer_head.get(b":status", b"").decode("latin-1"))


class ClaimedSample:
    """One sampled request: its draw, and what passed."""

    __slots__ = ("arm", "at", "attempt", "ended", "outcome", "passage", "route", "seconds")

    def __init__(self, route: ServedRoute, attempt: Attempt, arm: Arm, passage: Passage) -> None:
        self.route = route
        self.attempt = attempt
        self.arm = arm
        self.passage = passage
        self.at = time.time()
        self.ended: float | None = None
        """When its record said how it ended."""
        self.outcome: Outcome | None = None
        self.seconds = 0.0


class SampleDesk:
    """See the module. One event loop owns it."""

    def __init__(self, recorder: Recorder, clock: Callable[[], float] = monotonic) -> None:
        self.recorder = recorder
        self.clock = clock
        self.readers: set[SampleReader] = set()
        self.held = 0
        self._begun = 0
        """Since the last turn."""
        self._unclaimed: OrderedDict[str, Passage] = OrderedDict()
        self._claimed: set[ClaimedSample] = set()

    def __repr__(self) -> str:
        return f"<SampleDesk {len(self._unclaimed)} unclaimed, {len(self._claimed)} claimed>"

    # --- what passes ------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether as many were told of in this turn as may be."""
        return self._begun >= PASSAGES_A_TURN

    def pause(self) -> None:
        """Nothing more is read until the next turn."""
        for reader in self.readers:
            reader.pause()

    def turn(self) -> None:
        """Called with each report: as many again may be told of."""
        if self.full:
            for reader in self.readers:
                reader.resume()
        self._begun = 0

    def begin(self) -> Passage | None:
        """A request passes; None: it is not sampled, since others were."""
        if self.full:
            return None
        self._begun += 1
        return Passage(self.clock())

    def take(self, passage: Passage, told: Passed) -> bool:
        """One message about it; False: nothing more is wanted."""
        if told.kind is PassedKind.ASKED:
            return self._asked(passage, told)
        if not passage.key:
            return False
        if told.kind is PassedKind.ANSWERED:
            passage.answer_head = told.head
        elif told.kind is PassedKind.REQUEST_BODY:
            self._keep(passage, passage.request, told.body)
        elif told.kind is PassedKind.ANSWER_BODY:
            self._keep(passage, passage.answer, told.body)
        if told.ended and told.kind in ANSWERS:
            passage.ended = True
        return self.has_room(passage)

    def _asked(self, passage: Passage, told: Passed) -> bool:
        request = told.head.get(b"x-request-id", b"").decode("latin-1")
        if passage.key or not request:
            return False
        key = f"{request} {told.connection}"
        passage.asked_head = told.head
        passage.key = key
        if (other := self._unclaimed.pop(key, None)) is not None:
            # Two requests of one id on one connection: nobody knows whose record is whose.
            self._drop(other)
            passage.key = ""
            return False
        self._unclaimed[key] = passage
        if len(self._unclaimed) > UNCLAIMED_MAX:
            self._drop(self._unclaimed.popitem(last=False)[1])
        return True

    def _keep(self, passage: Passage, body: bytearray, piece: bytes) -> None:
        if passage.cut:
            return
        body += piece
        self._holds(passage, len(piece))
        if len(body) > passage.most:
            self._forget(passage, "body")

    def has_room(self, passage: Passage) -> bool:
        """Whether more of it is kept; if not, its bodies are given up."""
        if passage.sample is None:
            full = self.held > HELD_BYTES_MAX
        else:
            full = self.recorder.sample_bytes > CLAIMED_BYTES_MAX
        if full:
            self._forget(passage, "shed")
        return not passage.cut

    def _holds(self, passage: Passage, more: int) -> None:
        if passage.sample is None:
            self.held += more
        else:
            self.recorder.sample_bytes += more

    def _forget(self, passage: Passage, why: str) -> None:
        self._holds(passage, -passage.size)
        passage.cut = passage.cut or why
        passage.request, passage.answer = bytearray(), bytearray()

    def _drop(self, passage: Passage) -> None:
        """No draw will claim it: what comes of it is read no further."""
        self._forget(passage, "shed")
        passage.key = ""

    def over(self, passage: Passage) -> None:
        """Nothing more is told of it."""
        if not passage.ended and not passage.cut:
            self._forget(passage, "shed")
        passage.ended = True
        if passage.sample is not None:
            self._done(passage.sample)

    # --- the draw ---------------------------------------------------------------------------------

    def drawn(self, route: ServedRoute, attempt: Attempt, record: Record) -> ClaimedSample | None:
        """The first attempt of a request of which Envoy tells; None: it is no sample."""
        arm, entry = attempt.arm, route.entry
        if not number(record.get("sampled")) or entry.sampling is None:
            return None
        key = f"{record.get('request')} {record.get('connection')}"
        passage = self._unclaimed.pop(key, None)
        if passage is None:
            return None
        told = told_bp(entry)
        counted = arm is not None and not (
            arm.slice.cell.forced or (arm.users is not None and attempt.nth)
        )
        thinned = told and coin() * told >= entry.sampling.share_bp * FULL_BP
        if arm is None or not counted or thinned or not self.recorder.begin_sample():
            self._drop(passage)
            return None
        arm.sampled += 1
        self.held -= passage.size
        self.recorder.sample_bytes += passage.size
        sample = passage.sample = ClaimedSample(route, attempt, arm, passage)
        passage.most = entry.mirror_limits.body_bytes
        if max(len(passage.request), len(passage.answer)) > passage.most:
            self._forget(passage, "body")
        self._claimed.add(sample)
        return sample

    def ended(self, sample: ClaimedSample, outcome: Outcome, seconds: float) -> None:
        """How its attempt ended."""
        sample.ended, sample.outcome, sample.seconds = self.clock(), outcome, seconds
        self._done(sample)

    def lost(self, sample: ClaimedSample) -> None:
        """How it ended nobody knows: it is told in doubt."""
        self._forget(sample.passage, "shed")
        sample.passage.ended = True
        sample.ended = self.clock()
        self._done(sample)

    def sweep(self) -> None:
        """What never comes is not waited for."""
        late = self.clock() - LATE_S
        while self._unclaimed:
            key, passage = next(iter(self._unclaimed.items()))
            if passage.begun > late:
                break
            del self._unclaimed[key]
            self._drop(passage)
        for sample in [one for one in self._claimed if one.ended is not None and one.ended < late]:
            self.over(sample.passage)

    def _done(self, sample: ClaimedSample) -> None:
        """Tell of it when both are over."""
        passage, attempt = sample.passage, sample.attempt
        if sample.ended is None or not (passage.ended or passage.cut):
            return
        if sample not in self._claimed:
            return
        self._claimed.discard(sample)
        self.recorder.sample(self._told(sample, passage, attempt))

    def _told(self, sample: ClaimedSample, passage: Passage, attempt: Attempt) -> Sampled:
        route, arm, head = sample.route, sample.arm, passage.asked_head
        outcome = sample.outcome
        answered = outcome in _ANSWERED
        # Without a word of its end it has the status it began with, so that it is in doubt.
        status = attempt.status if answered else 0
        if outcome is None:
            status = passage.status or 200
        if not 200 <= status < 300:
            self._forget(passage, passage.cut)
        request, answer = bytes(passage.request), bytes(passage.answer)
        passage.request, passage.answer = bytearray(), bytearray()
        # Of what is told now, its bytes are given back with it: whatever comes is of nobody.
        passage.sample = None
        target = head.get(b":path", b"")
        return Sampled(
            route=route.entry.name, version=attempt.version.name, revision=route.entry.revision,
            role=attempt.version.stats.role,
            arm=(Chosen.CANDIDATE if arm.candidate else Chosen.STABLE).value,
            weight_bp=arm.slice.cell.weight_bp, source=self.recorder.source,
            slice=arm.slice.number, counted=True, unit=attempt.unit,
            request_id=_text(head, b"x-request-id"), segments=_segments(head, route), at=sample.at,
            seconds=sample.seconds, status=status,
            outcome=int(Outcome.CLIENT_ABORT if outcome is None else outcome),
            target=target[:TARGET_CHARS_MAX].decode("latin-1"),
            request=request, request_coding=_text(head, b"content-encoding"), answer=answer,
            answer_coding=_text(passage.answer_head, b"content-encoding"),
            payload=route.payload_at(target.partition(b"?")[0]), cut=passage.cut,
        )  # fmt: skip


def _segments(head: dict[bytes, bytes], route: ServedRoute) -> tuple[str, ...]:
    sampling = route.entry.sampling
    names = sampling.headers if sampling is not None else ()
    values = (head.get(name.encode(), b"") for name in names)
    return tuple(value[:TEXT_CHARS_MAX].decode("latin-1") for value in values)


def _text(head: dict[bytes, bytes], name: bytes) -> str:
    return head.get(name, b"")[:CODING_CHARS_MAX].decode("latin-1")
