"""Records of attempts into the counts of a worker: the same recorder, the same evidence.

Envoy tells each attempt twice, when the version has got it and when it ended. The first is the
draw, with the weight of the moment of routing in its route's metadata; the second settles it. An
attempt that never reached a version (no connection) has the second record alone.

Records arrive some milliseconds late, all alike; ages are taken from what Envoy measured.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from router.agent.listener import key_field
from router.agent.outcomes import Record, number, outcome_of, status_of
from router.core.wire.outcomes import BAD_OUTCOMES, Outcome
from router.core.wire.table import StickyKind
from router.proxy.attempt import Attempt
from router.proxy.keys import KEY_BYTES_MAX
from router.proxy.quota import grouped
from router.proxy.rescue import alone
from router.telemetry.recorder import Recorder, unit_of

if TYPE_CHECKING:
    from router.agent.routes import Placed
    from router.agent.samples import ClaimedSample, SampleDesk
    from router.proxy.serving import ServedRoute, ServedVersion, Serving
    from router.telemetry.slices import Arm
    from router.upstream import Endpoint

FORMER_MAX: Final = 32
"""Former entries of a route whose records are still understood."""
OPEN_MAX: Final = 100_000
"""Attempts under way that are known; beyond, the oldest are forgotten as if their clients left."""
SECOND_S: Final = 1.0
"""A second try begins within this, or there is none."""
NEVER_SENT: Final = frozenset({Outcome.REFUSED, Outcome.SHED})
"""Ends of an attempt for which there was no connection."""
STARTED, ENDED = "UpstreamPoolReady", "UpstreamEnd"


class _Open:
    """An attempt under way, with its route."""

    __slots__ = ("attempt", "nth", "request", "route", "sample", "since")

    def __init__(self, route: ServedRoute, attempt: Attempt, request: str, nth: int) -> None:
        self.route = route
        self.attempt = attempt
        self.request = request
        self.nth = nth
        """Of the attempts at this request, counted from 1."""
        self.since = 0.0
        """When it ended, while a further one is awaited."""
        self.sample: ClaimedSample | None = None


class AttemptBook:
    """See the module. One event loop owns it."""

    def __init__(
        self, recorder: Recorder, clock: Callable[[], float] = monotonic,
        samples: SampleDesk | None = None,
    ) -> None:  # fmt: skip
        self.recorder = recorder
        self.clock = clock
        self.samples = samples
        """Who is told of draws, since their answers may be read."""
        self._routes: dict[str, OrderedDict[str, ServedRoute]] = {}
        """By name and mark."""
        self._open: OrderedDict[str, _Open] = OrderedDict()
        """By Envoy's connection to the version and the nanosecond in which they began."""
        self._first: OrderedDict[str, _Open] = OrderedDict()
        """By request: failed first attempts of candidates, in whose place stable is asked; and
        those that found no connection and are made again at the same version."""
        self.unknown = 0
        """Records that nothing is known of: a former agent's, or a table's that is long gone."""

    def __repr__(self) -> str:
        return f"<AttemptBook {len(self._open)} open, {self.unknown} unknown>"

    def follow(self, serving: Serving, placed: list[Placed]) -> None:
        """Understand the records of these routes."""
        served = {route.entry.name: route for route in serving.routes}
        for mark, entry in placed:
            known = self._routes.setdefault(entry.name, OrderedDict())
            known[mark] = served[entry.name]
            while len(known) > FORMER_MAX:
                known.popitem(last=False)
        for name in [name for name in self._routes if name not in served]:
            del self._routes[name]

    @property
    def open(self) -> int:
        """Attempts under way."""
        return len(self._open)

    # --- records ----------------------------------------------------------------------------------

    def take(self, record: Record) -> None:
        """One record, as Envoy told it."""
        if record.get("route") in {None, "-"}:
            self._copy(record)
            return
        known = self._routes.get(str(record["route"]))
        route = known.get(str(record.get("mark"))) if known else None
        if route is None:
            self.unknown += 1
        elif record.get("type") == STARTED:
            self._begin(route, record)
        elif record.get("type") == ENDED:
            self._end(route, record)

    def _copy(self, record: Record) -> None:
        """A copy of a gRPC call; those of other requests are the comparer's."""
        if record.get("role") != "shadow" or record.get("type") != ENDED:
            return
        name, version = str(record["of"]), str(record["version"])
        known = self._routes.get(name)
        if not known:
            return
        errors = next(reversed(known.values())).errors
        outcome = outcome_of(record, errors)
        mirror, stats = (
            self.recorder.mirror(name, version),
            self.recorder.version(name, version, "shadow"),
        )
        stats.begin()
        whole_s, first_s = _seconds(record, 0.0)
        stats.end(outcome, status_of(record), whole_s, first_s)
        if outcome in BAD_OUTCOMES:
            mirror.failed += 1
        else:
            mirror.delivered += 1

    def _begin(self, route: ServedRoute, record: Record) -> _Open | None:
        name, key = record.get("version"), str(record["stream"])
        version = next((one for one in route.versions if one.name == name), None)
        if version is None:
            self.unknown += 1
            return None
        request, nth = str(record.get("request")), number(record.get("attempt"), 1)
        first = self._first.get(request) if nth > 1 else None
        if first is not None and first.attempt.version.name == name:
            del self._first[request]
            first.nth = nth
            first.attempt.tries += 1
            first.attempt.version.stats.retries += 1
            made = first
        else:
            if first is not None:
                first.attempt.version.stats.rescued += 1
            made = _Open(route, self._drawn(route, version, record, second=nth > 1), request, nth)
            if self.samples is not None and nth == 1:
                made.sample = self.samples.drawn(route, made.attempt, record)
        made.attempt.endpoint = _endpoint(version, str(record.get("host")))
        self._open[key] = made
        if len(self._open) > OPEN_MAX:
            _, oldest = self._open.popitem(last=False)
            self._finish(oldest, Outcome.CLIENT_ABORT, self.clock())
        return made

    def _drawn(
        self, route: ServedRoute, version: ServedVersion, record: Record, *, second: bool
    ) -> Attempt:
        arm = self._arm(route, version, record, second=second)
        unit = self._unit(route, record) if arm is not None else 0
        nth = arm.arrive(unit) if arm is not None else 0
        attempt = Attempt(version, arm, unit, nth, self._who(route, record), 0.0)
        attempt.since = self.clock()
        return attempt

    def _arm(
        self, route: ServedRoute, version: ServedVersion, record: Record, *, second: bool
    ) -> Arm | None:
        """Where it is evidence.

        A second try is none, nor what stable answers for a candidate that is ejected as a whole.
        """
        if second:
            return None
        if number(record.get("forced")):
            return version.forced
        displaced = "/else/" in str(record.get("cluster")) and version is not route.candidate
        if route.cell is None or displaced:
            return None
        if version is route.candidate:
            return route.cell.candidate
        return route.cell.stable if version is route.stable else None

    @staticmethod
    def _unit(route: ServedRoute, record: Record) -> int:
        sticky = route.entry.sticky
        if sticky is None:
            return 0
        value = record.get(key_field(sticky.name)) if sticky.kind is StickyKind.HEADER else None
        if not value or value == "-":
            return random.getrandbits(64)
        return unit_of(str(value).encode("utf-8", "surrogateescape")[:KEY_BYTES_MAX])

    @staticmethod
    def _who(route: ServedRoute, record: Record) -> int:
        """A hash of its client's address, whose place is marked as seen."""
        client = str(record.get("client") or "-")
        if client == "-":
            return 0
        who = unit_of(b"a" + grouped(client.encode())) or 1
        route.callers[who % len(route.callers)] = 1
        return who

    def _end(self, route: ServedRoute, record: Record) -> None:
        key, outcome = str(record["stream"]), outcome_of(record, route.errors)
        found = self._open.pop(key, None)
        if found is None:
            # No connection, so no start; or a start that a former process of ours was told.
            if outcome not in NEVER_SENT:
                self.unknown += 1
                return
            found = self._begin(route, record)
            if found is None:
                return
            del self._open[key]
        attempt, now = found.attempt, self.clock()
        attempt.status = status_of(record)
        whole_s, attempt.first_byte_s = _seconds(record, now - attempt.since)
        if not attempt.tries:
            attempt.since = now - whole_s
        if outcome is Outcome.CLIENT_ABORT and attempt.first_byte_s < 0:
            slow_s = route.entry.slow_abort_s
            outcome = Outcome.GIVEN_UP if slow_s and whole_s >= slow_s else outcome
        if outcome is Outcome.REFUSED and self._made_again(found, now):
            return
        self._finish(found, outcome, now, number(record.get("sent")))

    def _made_again(self, one: _Open, now: float) -> bool:
        """Whether Envoy asks the same version once more: nobody has heard of it yet."""
        entry = one.route.entry
        if entry.rescue is not None or one.nth > entry.retry.attempts:
            return False
        one.since = now
        self._first[one.request] = one
        return True

    def _finish(self, one: _Open, outcome: Outcome, now: float, size: int = 0) -> None:
        attempt, route, bad = one.attempt, one.route, outcome in BAD_OUTCOMES
        if attempt.endpoint is not None:
            attempt.version.pool.blame.observed(attempt.endpoint, bad, now)
        rescued = route.entry.rescue is not None and attempt.version is route.candidate
        replayed = bad and rescued and one.nth == 1
        if one.sample is not None and self.samples is not None:
            self.samples.ended(one.sample, outcome, now - attempt.since)
        attempt.end(outcome, attempt.since, size, now, excusable=replayed and alone(attempt))
        if replayed:
            one.since = now
            self._first[one.request] = one
        elif (first := self._first.pop(one.request, None)) is not None:
            first.attempt.clear_up(outcome, now)

    # --- time -------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Called every 50 ms: slow and failed by age, and further tries that never came."""
        now = self.clock()
        for one in self._open.values():
            attempt, arm = one.attempt, one.attempt.arm
            if arm is None:
                continue
            age_s = now - attempt.since
            if attempt.passed < len(arm.limits_s):
                attempt.passed = arm.pass_limits(age_s, attempt.passed, attempt.unit, attempt.nth)
            within_s = one.route.entry.answer_within_s
            if within_s and age_s >= within_s:
                attempt.overdue(age_s)
        due = [key for key, one in self._first.items() if now - one.since >= SECOND_S]
        if due:
            under_way = {one.request for one in self._open.values()}
            for request in due:
                if request not in under_way:
                    self._alone(self._first.pop(request), now)

    def _alone(self, one: _Open, now: float) -> None:
        """No further try came: what it was is settled."""
        if one.route.entry.rescue is None:
            one.nth = one.route.entry.retry.attempts + 1
            self._finish(one, Outcome.REFUSED, now)
        else:
            one.attempt.clear_up(Outcome.REFUSED, now)

    def lost(self) -> None:
        """Records are missing: what is under way, and what was drawn with it, nobody knows."""
        for one in self._open.values():
            self._forget_sample(one)
            one.attempt.arm = None
            one.attempt.end(Outcome.CLIENT_ABORT, one.attempt.since, 0, self.clock())
        for one in self._first.values():
            one.attempt.arm = None
            self._forget_sample(one)
            if one.route.entry.rescue is None:
                one.attempt.end(Outcome.CLIENT_ABORT, one.attempt.since, 0, self.clock())
        self._open.clear()
        self._first.clear()
        self.recorder.unknown()

    def _forget_sample(self, one: _Open) -> None:
        if one.sample is not None and self.samples is not None:
            self.samples.lost(one.sample)


def _endpoint(version: ServedVersion, host: str) -> Endpoint | None:
    """Of these addresses, whose the attempt was; instances are blamed before their version."""
    return next(
        (one for one in version.pool.endpoints
         if f"{one.ip or one.address.host}:{one.address.port}" == host), None
    )  # fmt: skip


def _seconds(record: Record, otherwise_s: float) -> tuple[float, float]:
    """Of the whole attempt and until its first byte; < 0: there was none.

    An answer that nobody got, since stable was asked again, ends with its head.
    """
    first = number(record.get("first_us"), -1)
    whole = number(record.get("whole_us"), first)
    first_s = first / 1e6 if first >= 0 else -1.0
    return (whole / 1e6 if whole >= 0 else otherwise_s), first_s
