"""What a worker does while control is silent: it judges by itself, and may only take away.

Control says twice a second that it lives and decides: a beat. A table or a question does not say
so, since a router that does not reach its database sends them, too. Without a beat for
:data:`SILENT_S`, because control hangs, is stopped, or has ended, the worker feeds what it counts
to the same judge that control runs, begun anew (what control knew is not here). A candidate that
this judge convicts gets nothing more from this worker. After the policy's ``control_silence`` no
candidate of a live rollout gets anything, proven or not: nobody could take it back later. A
completed rollout is left as it is, since the candidate is stable then. Nothing here ever gives a
version more than the last table did.

When control is heard again it is told, and answers with the whole table after it has decided on the
counts that it had not read.

The judge and the policy's types cost a third of a second and 25 MB to load, so a worker loads them
only when it first needs them, in a thread.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final

from router.core.wire.table import RouteEntry, RoutingTable, stable_only
from router.loops import background

if TYPE_CHECKING:
    from router.core.judge import Judge
    from router.core.wire.outcomes import Batch

SILENT_S: Final = 2.0
"""Without a word of control for so long, a worker decides by itself. Control speaks every half a
second, and its loop is never held up for more than a fraction of that."""

PREPARE_S: Final = 1.0
"""Without a word for so long, the judge is loaded and what is counted is kept for it."""

AWAY_S: Final = 1.0
"""A look that comes later than this says that this process was stopped, not control."""

BATCHES_MAX: Final = 10_000
"""Counts kept while the judge is being loaded; the oldest are forgotten beyond."""


@dataclass
class Silence:
    """One time during which control says nothing."""

    since_s: float
    batches: list[Batch] = field(default_factory=list)
    judges: dict[str, tuple[int, Judge]] = field(default_factory=dict)
    """By route, with the revision that it was begun for."""
    lowered: dict[str, str] = field(default_factory=dict)
    """Route to the sentence why it sends nothing to its candidate."""
    everything: bool = False
    """``control_silence`` has passed: stable only."""


class Alone:
    """See the module. ``lower`` puts an entry into the table in force; nothing else is touched."""

    def __init__(
        self, table: Callable[[], RoutingTable], lower: Callable[[RouteEntry], None]
    ) -> None:
        self._table = table
        self._lower = lower
        self._heard_s = self._looked_s = monotonic()
        self._gone = False
        self._silence: Silence | None = None
        self._judge_of: Callable[[RouteEntry], Judge] | None = None
        self._loading: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        lowered = len(self._silence.lowered) if self._silence else 0
        return f"<Alone for {self.silent_s:.1f} s, {lowered} routes on stable only>"

    @property
    def silent_s(self) -> float:
        """How long control has said nothing."""
        return monotonic() - self._heard_s

    @property
    def deciding(self) -> bool:
        """Whether control is silent for so long that this worker decides."""
        return self._gone or self.silent_s >= SILENT_S

    def gone(self) -> None:
        """The link closed: control has ended."""
        self._gone = True
        self._begin()

    def heard(self) -> tuple[float, dict[str, str]] | None:
        """A beat came. What was taken back while none did, and for how long none did."""
        silence, self._silence = self._silence, None
        silent_s, self._heard_s = self.silent_s, monotonic()
        return (round(silent_s, 1), silence.lowered) if silence and silence.lowered else None

    def again(self) -> None:
        """A table came without a beat: what was taken back here is taken back in it, too."""
        if self._silence is not None:
            for entry in self._table().routes:
                if entry.candidate >= 0 and entry.name in self._silence.lowered:
                    self._lower(stable_only(entry))

    def observe(self, batches: Sequence[Batch]) -> None:
        """Counts since the last time, in the turn in which they are reported."""
        if self._silence is not None:
            self._silence.batches.extend(batches)
            del self._silence.batches[:-BATCHES_MAX]
            self._judge_all(self._silence)

    def look(self) -> None:
        """Called four times a second: begin, judge, or give up on control."""
        now = monotonic()
        late_s, self._looked_s = now - self._looked_s, now
        if late_s > AWAY_S and not self._gone:
            self._heard_s = now  # its words may wait in the socket: they are read first
            return
        if self.silent_s >= PREPARE_S:
            self._begin()
        if self._silence is None:
            return
        self._judge_all(self._silence)
        table = self._table()
        if now - self._silence.since_s >= table.limits.control_silence_s:
            self._stable_only(self._silence, table)

    # --- judging --------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._silence is None:
            self._silence = Silence(self._heard_s if not self._gone else monotonic())
            if self._judge_of is None and self._loading is None:
                self._loading = background("alone", self._load())

    async def _load(self) -> None:
        self._judge_of = await asyncio.to_thread(_judge_maker)

    def _judge_all(self, silence: Silence) -> None:
        if self._judge_of is None:
            return
        entries = {entry.name: entry for entry in self._table().routes if entry.evidence}
        batches, silence.batches = silence.batches, []
        for batch in batches:
            entry = entries.get(batch.route)
            if entry is not None and entry.judge and entry.name not in silence.lowered:
                with self._judging(silence, entry):
                    self._feed(silence, entry, batch)
        if self.deciding:
            for name, (_, judge) in silence.judges.items():
                if name in entries and name not in silence.lowered:
                    with self._judging(silence, entries[name]):
                        self._decide(silence, entries[name], judge)

    @contextmanager
    def _judging(self, silence: Silence, entry: RouteEntry) -> Iterator[None]:
        """What cannot be judged here is taken back: nobody else would notice that it fails."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - told with what was taken back
            self._take_back(silence, entry, f"it cannot be judged here ({type(error).__name__})")

    def _feed(self, silence: Silence, entry: RouteEntry, batch: Batch) -> None:
        assert self._judge_of is not None  # noqa: S101 - the caller has looked
        begun = silence.judges.get(entry.name)
        if begun is None or begun[0] != entry.revision:
            begun = silence.judges[entry.name] = (entry.revision, self._judge_of(entry))
        if batch.revision >= begun[0]:
            begun[1].observe(batch, monotonic())

    def _decide(self, silence: Silence, entry: RouteEntry, judge: Judge) -> None:
        if judge.tick(monotonic()).value == "rollback":
            self._take_back(silence, entry, judge.judgement().sentence)

    def _stable_only(self, silence: Silence, table: RoutingTable) -> None:
        if silence.everything:
            return
        silence.everything = True
        why = f"control was silent for {table.limits.control_silence_s:g} s: stable only"
        for entry in table.routes:
            if entry.candidate >= 0 and entry.name not in silence.lowered:
                self._take_back(silence, entry, why)

    def _take_back(self, silence: Silence, entry: RouteEntry, why: str) -> None:
        silence.lowered[entry.name] = why
        self._lower(stable_only(entry))


def _judge_maker() -> Callable[[RouteEntry], Judge]:
    """Loads what judging needs; how a judge of an entry is begun."""
    from router.core.judge import Judge, JudgeSettings  # noqa: PLC0415 - see the module
    from router.core.policy import RolloutPolicy  # noqa: PLC0415 - see the module
    from router.core.wire.baseline import Baseline  # noqa: PLC0415 - with them

    def begun(entry: RouteEntry) -> Judge:
        policy = RolloutPolicy.model_validate(json.loads(entry.judge))
        settings = JudgeSettings.of(policy, sticky=entry.sticky is not None)
        judge = Judge(policy.gates, settings, Baseline(), monotonic())
        judge.begin_round(entry.round)
        return judge

    return begun
