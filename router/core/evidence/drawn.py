"""Sampled requests in the order of drawing: what is known of a later one waits for the earlier.

What a request predicted is known when it was answered and read, and how long both take may depend
on the arm and on the prediction. Evidence in that order would convict the innocent. So facts are
handed on slice by slice, in the order in which slices were drawn, when everything sampled in a
slice is known: the *strict frontier* of docs/statistics.md. Reports say how many were sampled of
each arm; a fact that does not come in time, or of which its reader says that it is lost, is handed
on in doubt for the accused: as the worst that stable, and the best that the candidate could have
said. A fact may be known before the report that tells of its slice; it is kept until that comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from router.core.evidence.distinct import DistinctUnits
from router.core.evidence.ledger import key_of
from router.core.evidence.slices import Key
from router.core.snapshots import Lasting
from router.core.wire.outcomes import Cell
from router.core.wire.sampled import Facts, SampleFacts
from router.core.words import FULL_BP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from router.core.wire.outcomes import Batch

LATE_S: Final = 120.0
"""Seconds after which what is not known of a slice is no longer waited for."""

WAITING_MAX: Final = 4_096
"""Facts that wait; beyond, the oldest slice is no longer waited for."""

LOST: Final = Facts(why="lost")


class _Slice(Lasting, listed="since weight_bp wanted known"):
    """What was sampled in one slice of draws, and what is known of it."""

    __slots__ = ("known", "since", "wanted", "weight_bp")

    since: float
    weight_bp: int
    wanted: list[int]
    known: list[SampleFacts]

    def __init__(self, cell: Cell, now: float) -> None:
        self.since = now
        self.weight_bp = cell.weight_bp
        self.wanted = [cell.candidate.sampled, cell.stable.sampled]
        self.known = []

    def missing(self, *, candidate: bool) -> int:
        known = sum(1 for one in self.known if one.candidate is candidate)
        return max(self.wanted[0 if candidate else 1] - known, 0)

    @property
    def complete(self) -> bool:
        return len(self.known) >= sum(self.wanted)


class Drawn(Lasting, early="_told_early", later="_told_early"):
    """See the module. ``sticky``: users are drawn, and only the first request of each counts."""

    lost: int
    _met: DistinctUnits | None
    _slices: dict[Key, _Slice]
    _newest: dict[int, int]

    def __init__(self, *, sticky: bool = False) -> None:
        """Nothing was drawn."""
        self.lost = 0
        """Sampled requests of which nothing will be known."""
        self._sticky = sticky
        self._met = DistinctUnits() if sticky else None
        self._slices: dict[Key, _Slice] = {}
        self._newest: dict[int, int] = {}
        self._waiting = 0
        self._early: dict[Key, list[SampleFacts]] = {}
        """Facts whose slice was not told of yet; as many as may wait."""

    def __repr__(self) -> str:
        return f"<Drawn {len(self._slices)} slices open, {self._waiting} facts wait>"

    def admit(self, batch: Batch, now: float) -> tuple[SampleFacts, ...]:
        """Take in what a batch says; the facts whose turn has come, in order."""
        for cell in batch.cells:
            self._open(cell, now)
        at_once = [self._known(one) for one in batch.samples]
        released = [*self._release(now), *(one for one in at_once if one is not None)]
        return tuple(self._counted(released))

    def _open(self, cell: Cell, now: float) -> None:
        key = key_of(cell)
        if key is None or cell.forced or key[1] <= self._newest.get(key[0], 0):
            return
        self._newest[key[0]] = key[1]
        early = self._early.pop(key, [])
        if self._early:  # slices that were passed over are never told of
            kept = self._early.items()
            self._early = {k: v for k, v in kept if k[0] != key[0] or k[1] > key[1]}
        coin = 0 < cell.weight_bp < FULL_BP
        if coin and (cell.candidate.sampled or cell.stable.sampled):
            self._slices[key] = slice_ = _Slice(cell, now)
            slice_.known += early
            self._waiting += len(early)

    def _known(self, one: SampleFacts) -> SampleFacts | None:
        """Put a fact where it belongs; itself, if it was drawn and known at once."""
        if not one.slice:
            return one if 0 < one.weight_bp < FULL_BP else None
        if (where := self._slices.get((one.source, one.slice))) is not None:
            where.known.append(one)
            self._waiting += 1
        elif one.slice > self._newest.get(one.source, 0) and self._room:
            self._early.setdefault((one.source, one.slice), []).append(one)
        return None

    @property
    def _room(self) -> bool:
        return sum(map(len, self._early.values())) < WAITING_MAX

    def _release(self, now: float) -> Iterator[SampleFacts]:
        for key, first in list(self._slices.items()):
            given_up = now - first.since > LATE_S or self._waiting > WAITING_MAX
            if not (first.complete or given_up):
                return
            del self._slices[key]
            self._waiting -= len(first.known)
            yield from first.known
            for candidate in (True, False):
                doubtful = SampleFacts(*key, first.weight_bp, candidate, 0, (), LOST)
                for _ in range(first.missing(candidate=candidate)):
                    yield doubtful

    def _counted(self, released: Iterable[SampleFacts]) -> Iterator[SampleFacts]:
        for one in released:
            self.lost += one.facts.why == "lost"
            if self._met is None or not one.unit or self._met.add((one.unit,)):
                yield one

    def abandon(self, source: int | None) -> None:
        """A worker is gone (None: all of them): what it had under way is not waited for."""
        self._early = {k: v for k, v in self._early.items() if source not in (None, k[0])}
        for key, slice_ in self._slices.items():
            if source is None or key[0] == source:
                known = sum(one.candidate for one in slice_.known)
                slice_.wanted = [known, len(slice_.known) - known]
        if source is None:
            self._newest.clear()

    # --- through a restart ------------------------------------------------------------------------

    @property
    def _told_early(self) -> list[SampleFacts]:
        return [one for early in self._early.values() for one in early]

    @_told_early.setter
    def _told_early(self, facts: list[SampleFacts]) -> None:
        self._early = {}
        for one in facts:
            self._early.setdefault((one.source, one.slice), []).append(one)

    def _formerly(self, data: Any) -> Any:
        slices = [[*slice_, list(map(_facts, known))] for *slice_, known in data["slices"]]
        return data | {"slices": slices, "early": list(map(_facts, data.get("early", [])))}

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "_slices":
            self._slices = {(source, n): _Slice(Cell(0), 0.0) for source, n, *_ in data}

    def _restored(self) -> None:
        self._waiting = sum(len(one.known) for one in self._slices.values())


def _facts(told: list[Any]) -> list[Any]:
    """As they are told today; earlier routers told a round, and the facts beside it."""
    return told if len(told) == 7 else [*told[:2], *told[3:7], [*told[7:9], None, *told[9:10]]]
