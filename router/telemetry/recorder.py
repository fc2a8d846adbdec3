"""What happened, counted where it happens: arrays of one worker, reported four times a second.

Nothing here allocates for a good request. An exchange keeps two references from the moment it is
routed: the counters of its version, and one :class:`Arm` of the *slice* of draws that was open at
the weight it was drawn with. It increments them when it ends, whatever table is in force by then;
that is what makes the sequential tests exact. A slice is cut every tenth of a second and at each
report, and is told whole, again and again, until everything drawn in it has ended (see
:mod:`router.core.evidence.slices`).

    forced arm (pin, rule, rescue's replay)      counters of the version only
    drawn arm                                    counters, and `Arm.arrived` at once
      ends OK                                    `ok`
      ends in a fault of the version             `bad`
      the client leaves, the router sheds        `left`: nobody has seen a failure
      its age passes a threshold                 `slow` of that threshold, answered or not
      ends before it does                        `fast` of that threshold, however it ended

Where users are drawn, the same is kept for each user's first request in `Arm.users`.
One event loop owns a recorder; there are no locks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from xxhash import xxh64_intdigest

from router.core.wire.counts import (
    ClientCounts,
    MirrorCounts,
    PairSample,
    RouteCounts,
    VersionCounts,
)
from router.core.wire.outcomes import BAD_OUTCOMES, Batch, Cell, Outcome
from router.core.wire.sampled import LOGGED_MAX, SAMPLES_AT_ONCE, SAMPLES_OPEN_MAX, Sampled
from router.core.words import FULL_BP
from router.telemetry.callers import Callers
from router.telemetry.extraction import Clients
from router.telemetry.routes import RouteStats
from router.telemetry.slices import LiveCell
from router.telemetry.users import Seen
from router.telemetry.versions import VersionStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.core.wire.table import RouteEntry

CELLS_MAX: Final = 256
"""Evidence cells kept per route. Old weights stay only while requests drawn at them are open; the
oldest beyond this bound is no longer reported."""
PAIRS_MAX: Final = 256
"""Answers to compare that wait for the link, per worker: 1,024 a second, which cost the control
process about a tenth of a core. Which ones these are depends on the time alone."""
PAIR_BYTES_MAX: Final = 4_194_304
"""Bytes of their bodies; a pair over either bound is shed and counted."""
SAMPLES_MAX: Final = 256
"""Requests that are sampled between two reports for gates and monitors, per worker: 1,024 a second.
Further ones are not, which is settled with the draw."""
SAMPLE_BYTES_MAX: Final = 4_194_304
"""Bytes of both bodies of what waits for the link, and of answers that are being kept."""

_UNIT_SEED: Final = 1
"""The cohort hash has seed 0; a unit must not reveal the bucket that chose the arm."""
_OUTCOMES: Final = len(Outcome)
_BAD: Final = tuple(outcome in BAD_OUTCOMES for outcome in Outcome)


def unit_of(key: bytes) -> int:
    """The 64-bit name under which a user's bad outcomes travel: ``XXH64(key, seed 1)``."""
    return xxh64_intdigest(key, _UNIT_SEED)


class MirrorStats:
    """What became of the copies for one shadow version."""

    __slots__ = ("delivered", "dropped", "failed", "route", "version")

    def __init__(self, route: str, version: str) -> None:
        self.route = route
        self.version = version
        self.delivered = self.failed = 0
        self.dropped: dict[str, int] = {}

    def drop(self, cause: str) -> None:
        """A copy that was due never reached the shadow."""
        self.dropped[cause] = self.dropped.get(cause, 0) + 1

    def take(self) -> MirrorCounts | None:
        """Everything since the last call, or None."""
        if not (self.delivered or self.failed or self.dropped):
            return None
        counts = MirrorCounts(self.route, self.version, self.delivered, self.failed, self.dropped)
        self.delivered = self.failed = 0
        self.dropped = {}
        return counts


@dataclass(frozen=True, slots=True)
class Delta:
    """Everything counted since the last report; the worker puts it into the link's message."""

    batches: tuple[Batch, ...] = ()
    versions: tuple[VersionCounts, ...] = ()
    mirrors: tuple[MirrorCounts, ...] = ()
    routes: tuple[RouteCounts, ...] = ()
    rejected: dict[str, int] = field(default_factory=dict)
    clients: tuple[ClientCounts, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.batches or self.versions or self.mirrors or self.routes or self.rejected)


class Recorder:
    """All counters of one worker.

    ``wake`` is called whenever something happened that a rollback may depend on at once: a bad
    outcome of a candidate that was drawn; ``soon`` for a slow one (absent: ``wake`` too), which
    happens to every second request where a threshold is stable's median. Both may be called many
    times in one loop turn.
    """

    def __init__(
        self, wake: Callable[[], None] = lambda: None, soon: Callable[[], None] | None = None,
        source: int = 0, first_slice: int = 1,
    ) -> None:  # fmt: skip
        """``source`` and ``first_slice``: see :class:`router.core.wire.outcomes.Cell`."""
        self.wake = wake
        self.soon = soon or wake
        self.source = source
        self._slice = first_slice - 1
        self._cells: dict[str, dict[tuple[object, ...], LiveCell]] = {}
        self._current: dict[str, LiveCell | None] = {}
        self._forced: dict[str, LiveCell] = {}
        self._seen: dict[str, Seen] = {}
        self._callers: dict[str, Callers] = {}
        self._versions: dict[tuple[str, str, str], VersionStats] = {}
        self._mirrors: dict[tuple[str, str], MirrorStats] = {}
        self._routes: dict[str, RouteStats] = {}
        self._clients: dict[str, Clients] = {}
        self._rejected: dict[str, int] = {}
        self._pairs: list[PairSample] = []
        self._pair_bytes = self._pairs_shed = 0
        self._samples: list[Sampled] = []
        self._sampled = 0
        self.samples_ready: Callable[[], None] = lambda: None
        """Called when :data:`SAMPLES_AT_ONCE` wait, and again with each further one."""
        self.sample_bytes = 0
        """Of waiting samples, and of answers that are being kept for one."""
        self.samples_open = 0

    def next_slice(self) -> int:
        """The number of a new slice."""
        self._slice += 1
        return self._slice

    def cell(self, entry: RouteEntry) -> LiveCell | None:
        """The cell for requests routed by this entry; None where outcomes are no evidence.

        The weight is the candidate's share among both arms: what other versions take never reaches
        the coin between these two. Equal weights under equal thresholds share one cell per revision
        of the rollout.
        """
        if not entry.evidence:
            self._current[entry.name] = None
            return None
        candidate, stable = entry.weights_bp[entry.candidate], entry.weights_bp[entry.stable]
        weight_bp = round(candidate * FULL_BP / (candidate + stable))
        key = (entry.revision, entry.round, weight_bp, entry.thresholds_s, entry.slow_tolerance,
               entry.sticky is not None)  # fmt: skip
        cells = self._cells.setdefault(entry.name, {})
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = LiveCell(self, entry, weight_bp, self._seen_of(entry))
        self._current[entry.name] = cell
        return cell

    def forced(self, entry: RouteEntry) -> LiveCell | None:
        """The cell for requests that nobody draws: of pins, rules, and batch that goes ahead."""
        if entry.candidate < 0 or not (entry.rules or entry.pinnable or entry.batch):
            self._forced.pop(entry.name, None)
            return None
        key = ("forced", entry.revision)
        cells = self._cells.setdefault(entry.name, {})
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = LiveCell(self, entry, FULL_BP, None, forced=True)
        self._forced[entry.name] = cell
        return cell

    def _seen_of(self, entry: RouteEntry) -> Seen | None:
        """Who was met in this round of this attempt; a new one begins with everybody."""
        if entry.sticky is None:
            return None
        seen = self._seen.get(entry.name)
        about = (entry.rollout_id, entry.attempt, entry.round)
        if seen is None or seen.about != about:
            seen = self._seen[entry.name] = Seen(about, entry.bets_a_user)
        return seen

    def callers(self, entry: RouteEntry) -> bytearray:
        """Where places of clients are marked, anew in each attempt."""
        about = entry.rollout_id, entry.attempt
        known = self._callers.get(entry.name)
        if known is None or known.about != about:
            known = self._callers[entry.name] = Callers(about)
        return known.marks

    def cut(self) -> None:
        """Called every tenth of a second: slices end, so that one slow request holds up little."""
        for cell in (*self._current.values(), *self._forced.values()):
            if cell is not None:
                cell.cut()

    def unknown(self) -> None:
        """Of what is under way, and was drawn with it, it is lost how it ended: in both arms."""
        for cells in self._cells.values():
            for cell in cells.values():
                cell.forget()

    def version(self, route: str, version: str, role: str) -> VersionStats:
        """The counters of a version in a role (stable | candidate | shadow | other)."""
        key = (route, version, role)
        stats = self._versions.get(key)
        if stats is None:
            stats = self._versions[key] = VersionStats(route, version, role)
        return stats

    def mirror(self, route: str, version: str) -> MirrorStats:
        """The counters of the copies for one shadow version."""
        key = (route, version)
        stats = self._mirrors.get(key)
        if stats is None:
            stats = self._mirrors[key] = MirrorStats(route, version)
        return stats

    def route(self, name: str) -> RouteStats:
        """The counters of a route itself."""
        stats = self._routes.get(name)
        if stats is None:
            stats = self._routes[name] = RouteStats(name)
        return stats

    def clients(self, entry: RouteEntry) -> Clients | None:
        """Who asks, where a route wants to know; kept while what it wants to know is the same."""
        name, extraction = entry.name, entry.extraction
        if extraction is None:
            self._clients.pop(name, None)
            return None
        known = self._clients.get(name)
        if known is None or known.about != extraction:
            known = self._clients[name] = Clients(name, extraction)
        return known

    def reject(self, cause: str) -> None:
        """The router itself refused a request; ``cause`` is one of ours, never from input."""
        self._rejected[cause] = self._rejected.get(cause, 0) + 1

    def keep_routes(self, names: set[str]) -> None:
        """Forget routes that are gone once they have been reported and nothing is open there."""
        for name in [name for name in self._current if name not in names]:
            del self._current[name]
            self._seen.pop(name, None)
            self._callers.pop(name, None)
            self._forced.pop(name, None)
        self._routes = {n: one for n, one in self._routes.items() if n in names or one.dirty}
        self._clients = {name: one for name, one in self._clients.items() if name in names}
        for key, stats in list(self._versions.items()):
            busy = stats.dirty or stats.in_flight or stats.tunnels
            if key[0] not in names and not busy:
                del self._versions[key]
        for pair, mirror in list(self._mirrors.items()):
            if pair[0] not in names and not (mirror.delivered or mirror.failed or mirror.dropped):
                del self._mirrors[pair]

    def room_for_pair(self, size: int) -> bool:
        """Whether two answers of ``size`` bytes together still find room; if not, they are shed."""
        if len(self._pairs) < PAIRS_MAX and self._pair_bytes + size <= PAIR_BYTES_MAX:
            return True
        self._pairs_shed += 1
        return False

    def pair(self, sample: PairSample) -> None:
        """Two answers to compare; shed when the link is behind."""
        size = len(sample.primary_body) + len(sample.shadow_body) + len(sample.request)
        if self.room_for_pair(size):
            self._pairs.append(sample)
            self._pair_bytes += size

    def take_pairs(self) -> tuple[tuple[PairSample, ...], int]:
        """Pairs since the last call, and how many were shed."""
        pairs, shed = tuple(self._pairs), self._pairs_shed
        self._pairs = []
        self._pair_bytes = self._pairs_shed = 0
        return pairs, shed

    def begin_sample(self, *, logged: bool = False) -> bool:
        """Whether one more request may be sampled. Asked with its draw, which it must not know."""
        if (
            self._sampled >= (LOGGED_MAX if logged else SAMPLES_MAX)
            or self.samples_open >= SAMPLES_OPEN_MAX
            or self.sample_bytes >= SAMPLE_BYTES_MAX
        ):
            self.reject("sample_shed")
            return False
        self._sampled += 1
        self.samples_open += 1
        return True

    @property
    def read(self) -> bool:
        """Whether gates and monitors read the sample that was just begun, not the log alone."""
        return self._sampled <= SAMPLES_MAX

    def sample(self, sample: Sampled) -> None:
        """A sampled request has ended; its bodies are in :attr:`sample_bytes`."""
        self.samples_open -= 1
        self._samples.append(sample)
        if len(self._samples) >= SAMPLES_AT_ONCE:
            self.samples_ready()

    def take_samples(self, *, again: bool = True) -> tuple[Sampled, ...]:
        """Those that ended since the last call; ``again``: as many may be sampled from now on."""
        samples, self._samples = tuple(self._samples), []
        self.sample_bytes -= sum(sample.size for sample in samples)
        if again:
            self._sampled = 0
        return samples

    def delta(self) -> Delta:
        """Everything since the last call; the counters start again from zero."""
        rejected, self._rejected = self._rejected, {}
        return Delta(
            batches=tuple(self._batches()),
            versions=tuple(stats.take() for stats in self._versions.values() if stats.dirty),
            mirrors=tuple(c for c in (m.take() for m in self._mirrors.values()) if c is not None),
            routes=tuple(stats.take() for stats in self._routes.values() if stats.dirty),
            rejected=rejected,
            clients=tuple(one for known in self._clients.values() for one in known.take()),
        )

    def _batches(self) -> list[Batch]:
        batches: list[Batch] = []
        for route, cells in self._cells.items():
            by_revision: dict[int, list[Cell]] = {}
            replays: dict[int, tuple[int, int]] = {}
            for cell in cells.values():
                news = cell.news()
                if news or any(cell.replays):
                    by_revision.setdefault(cell.revision, []).extend(news)
                    a, b = replays.get(cell.revision, (0, 0))
                    replays[cell.revision] = a + cell.replays[0], b + cell.replays[1]
                    cell.replays = [0, 0]
            for revision, found in by_revision.items():
                callers = self._callers.get(route)
                lanes = callers.take() if callers is not None else ()
                again = replays[revision]
                batches.append(Batch(route, revision, tuple(found), lanes=lanes, replays=again))
            self._drop_finished(route, cells)
        for route in [route for route, cells in self._cells.items() if not cells]:
            del self._cells[route]
        return batches

    def _drop_finished(self, route: str, cells: dict[tuple[object, ...], LiveCell]) -> None:
        kept = self._current.get(route), self._forced.get(route)
        for key in [k for k, cell in cells.items() if cell not in kept and not cell.open]:
            del cells[key]
        for key in [k for k, cell in cells.items() if cell not in kept][:-CELLS_MAX]:
            del cells[key]
