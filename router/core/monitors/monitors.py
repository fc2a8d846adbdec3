"""Everything that one route's monitors know: inputs, answers of both arms, late labels.

What is fed: the rows of sampled requests with the arm that answered (:meth:`Monitors.observe`),
labels of stable's predictions (:meth:`Monitors.labelled`), and the time (:meth:`Monitors.tick`).
What comes out: alarms (:class:`.alarm.Alarm`), and of them what the candidate has to do with it:

=========================================== ================================================
inputs moved (they are those of both arms)   *data drift*: it waits, nobody is taken back
the answers of both arms moved               the same
the answers of the candidate alone moved     *candidate drift*: it is taken back
labels moved, inputs did not                 *concept drift*: it waits
traffic never was like the reference         *reference unlike traffic*: it does not begin
=========================================== ================================================

An alarm needs both a size that matters and a p that survives the false discovery rate over all
questions of a look. Looks happen when a slot ends, and once when the first window is full. State
is bounded (``FEATURES_MAX`` signals of some 100 kB) and goes through JSON exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from router.core.monitors.alarm import Alarm, AlarmCause, Course
from router.core.monitors.arms import Arms
from router.core.monitors.checks import Deviation
from router.core.monitors.distances import discoveries
from router.core.monitors.memory import Memory
from router.core.monitors.profile import Profile, SignalKind
from router.core.monitors.settings import FEATURES_MAX, ROWS_MAX, SLOTS, Settings
from router.core.monitors.signal import Signal, SignalLook
from router.core.monitors.truth import Correctness
from router.core.monitors.values import name_of
from router.core.snapshots import Lasting

OVER_MAX: Final = 50
"""Alarms that have ended and are remembered."""
CLEARED: Final = 0.5
"""An alarm has ended when its size is below this share of the limit."""

GRADUAL: Final = 0.4
"""A change is gradual when this share of it had come before its window."""

TRUTH: Final = ("labels", "wrong")
"""The alarm of late labels."""

SignalValues = Mapping[str, object]


class Monitors(
    Lasting, inputs="_asked_of", answers="_said_by", alarms="_listed_alarms", traffic="_counted",
    later="parts",
):  # fmt: skip
    """See the module. ``now`` is always wall seconds."""

    requests: int
    parts: dict[str, Monitors]
    """Of each segment: the first that are met, or those of the given reference."""
    arms: dict[str, Arms]
    truth: Correctness
    over: list[Alarm]
    """The last ones that ended, oldest first."""
    _about: str
    _began: float | None
    _looked: int
    """Slot at whose beginning signals were looked at last."""
    _compared: bool
    _quiet: set[str]
    """Signals that have been like their reference once."""
    _windows: int
    _coming: dict[tuple[str, str], int]
    """Looks in a row that found what is no alarm yet."""

    def __init__(
        self, settings: Settings, profiles: Mapping[str, Profile] | None = None,
        parts: Mapping[str, Mapping[str, Profile]] | None = None,
    ) -> None:  # fmt: skip
        """``profiles``: the given reference by feature, ``parts``: of segments; else learnt."""
        self.settings = settings
        self.parts = {
            name: Monitors(settings.of_segment(settings.reference), found)
            for name, found in list((parts or {}).items())[: settings.segments]
        }
        profiles = profiles or {}
        self.inputs = {
            name: Signal(name, _kind(kind), profiles.get(name))
            for name, kind in settings.features[:FEATURES_MAX]
        }
        self.outputs = {name: Signal(name) for name in settings.outputs}
        self.arms, self.over, self._coming = {}, [], {}
        self.truth = Correctness(settings.terms)
        self.alarms: dict[tuple[str, str], Alarm] = {}
        """Those that last, by signal and check."""
        self.requests = self._windows = 0
        self._traffic = {True: Memory(2), False: Memory(2)}
        """Requests and rows: of all arms for inputs (True), of stable for outputs (False)."""
        self._about = ""
        self._began = None
        self._looked = self._asked = -1
        self._compared = False
        self._quiet = set()
        self.seen: dict[str, SignalLook] = {}
        """Signals at the last look."""

    def __repr__(self) -> str:
        return f"<Monitors of {len(self.inputs)} features, {len(self.alarms)} alarms>"

    def use(self, settings: Settings) -> None:
        """An edit of the policy that needs nothing learnt anew, see :meth:`Settings.unlike`."""
        self.settings = settings
        self.truth.terms = settings.terms
        for part in self.parts.values():
            part.use(settings.of_segment(part.settings.reference))

    # --- what it is fed -------------------------------------------------------------------------

    def begin(self, about: str) -> None:
        """An attempt of a candidate began (or none is live): arms are compared anew."""
        if about != self._about:
            self._about, self.arms = about, {}
            for signal in (*self.inputs.values(), *self.outputs.values()):
                signal.arms.clear()
            for key in [k for k, a in self.alarms.items() if a.cause is AlarmCause.CANDIDATE]:
                del self.alarms[key]

    def forget_answers(self) -> None:
        """Another version is stable: what was known of answers is of another one."""
        self.outputs = {name: Signal(name) for name in self.settings.outputs}
        self.truth = Correctness(self.settings.terms)
        self._traffic[False] = Memory(2)
        self.arms = {}
        for part in self.parts.values():
            part.forget_answers()
        for key in [k for k in self.alarms if k[0] not in self.inputs]:
            del self.alarms[key]

    def observe(
        self,
        rows: Sequence[SignalValues],
        answers: Sequence[SignalValues],
        now: float,
        *,
        role: str = "stable",
        segment: str = "",
    ) -> None:
        """One request: its rows' features, and the label and score of each row of the answer.

        ``segment``: what its header says, where a header tells segments apart.
        """
        if names := self._names(rows, answers, segment):
            self._observe_segments(names, rows, answers, now, role)
        self._advance(now)
        rows, answers = rows[:ROWS_MAX], answers[:ROWS_MAX]
        arm = role if self._about and role in ("stable", "candidate") else ""
        if rows and self.inputs:
            self._booked(len(rows), inputs=True)
            for name, signal in self.inputs.items():
                for row in rows:
                    signal.add(row.get(name), arm)
        if answers and self.outputs:
            self._answered(answers, role, arm)

    def _answered(self, answers: Sequence[SignalValues], role: str, arm: str) -> None:
        """Stable's answers are watched; those of both arms are compared."""
        if role == "stable":
            self._booked(len(answers), inputs=False)
        for name, signal in self.outputs.items():
            for row in answers:
                if role == "stable":
                    signal.add(row.get(name), arm)
                elif arm:
                    signal.beside(row.get(name), arm)
        if arm:
            self._compare(answers, candidate=arm == "candidate")

    def _names(
        self, rows: Sequence[SignalValues], answers: Sequence[SignalValues], segment: str
    ) -> list[str]:
        """Of each row's segment; none where nothing tells it."""
        if self.settings.by:
            return [name_of(row.get(self.settings.by)) for row in rows[:ROWS_MAX]]
        if self.settings.header and segment:
            return [segment] * min(max(len(rows), len(answers)), ROWS_MAX)
        return []

    def _observe_segments(
        self, names: Sequence[str], rows: Sequence[SignalValues], answers: Sequence[SignalValues],
        now: float, role: str,
    ) -> None:  # fmt: skip
        """Each segment's rows to its own monitors; who moved is a question to all together."""
        for name in dict.fromkeys(names):
            if name not in self.parts and len(self.parts) < self.settings.segments and not (
                self.settings.reference
            ):  # fmt: skip
                self.parts[name] = Monitors(self.settings.of_segment(""))
            if (part := self.parts.get(name)) is not None:
                places = [place for place, one in enumerate(names) if one == name]
                asked, said = (
                    [of[place] for place in places if place < len(of)] for of in (rows, answers)
                )
                part.observe(asked, said, now, role=role)

    def _booked(self, rows: int, *, inputs: bool) -> None:
        self.requests += inputs or not self.inputs
        self._traffic[inputs].add(0)
        self._traffic[inputs].add(1, rows)

    def _compare(self, answers: Sequence[SignalValues], *, candidate: bool) -> None:
        for name, signal in self.outputs.items():
            arms = self.arms.get(name)
            if arms is None and signal.profile is not None:
                arms = self.arms[name] = Arms(signal.profile, self.settings.terms.rows)
            if arms is not None:
                arms.add([row.get(name) for row in answers], candidate=candidate)

    def labelled(self, right: int, wrong: int, now: float) -> None:
        """How many rows of one of stable's predictions were right, now that it is known."""
        if right + wrong:
            self._advance(now)
            self.truth.add(right, wrong)

    def _advance(self, now: float) -> None:
        slot = int(now // self.settings.slot_s)
        if self._began is None:
            self._began = now
        if slot == self._traffic[True].slot:
            return
        window = self.settings.terms.window
        for memory in self._traffic.values():
            memory.advance(slot)
        for signal in (*self.inputs.values(), *self.outputs.values()):
            signal.advance(slot, window)
        self.truth.advance(slot)

    # --- what it says ---------------------------------------------------------------------------

    def tick(self, now: float) -> list[Alarm]:
        """Tell the time; alarms that began or ended with it."""
        self._advance(now)
        self._settle(now)
        news = [_within(name, one) for name, part in self.parts.items() for one in part.tick(now)]
        news += self._candidates(now)
        slot = self._traffic[True].slot
        if slot != self._looked and (self._looked >= 0 or self._enough):
            self._looked = slot
            found = self.seen = self._looks()
            for name, seen in found.items():
                self.signal(name).course.append(seen.row(now))
            self._compared |= any(name in self.inputs for name in found)
            news += self._judge(found, now)
        if slot != self._asked:  # labels come without samples, too
            self._asked = slot
            news += self._concept(now)
        return news

    def _settle(self, now: float) -> None:
        """References of the past are complete when they had their time and enough requests."""
        if self._began is None or now - self._began < self.settings.learn_s:
            return
        for group, inputs in ((self.inputs, True), (self.outputs, False)):
            memory = self._traffic[inputs]
            requests, rows = memory.season
            if requests < self.settings.terms.rows:
                continue
            for signal in group.values():
                if not signal.learnt:
                    signal.settle(min(requests / rows, 1.0))

    def _slots(self, *, inputs: bool) -> int:
        """The window that has enough requests; 0: none."""
        terms = self.settings.terms
        memory = self._traffic[inputs]
        if not memory.age:
            return 0
        reach = memory.reach(terms.rows, min(memory.age, SLOTS // 2), 0)
        return max(terms.window, reach) if reach else 0

    @property
    def _enough(self) -> bool:
        """Whether the first window is full, of requests or of answers: one may never be read."""
        return bool(self._slots(inputs=True) or self._slots(inputs=False))

    def _weight(self, slots: int, *, inputs: bool) -> float:
        requests, rows = self._traffic[inputs].window(slots)
        return min(requests / rows, 1.0) if rows else 1.0

    def _looks(self) -> dict[str, SignalLook]:
        found: dict[str, SignalLook] = {}
        for group, inputs in ((self.inputs, True), (self.outputs, False)):
            if slots := self._slots(inputs=inputs):
                weight = self._weight(slots, inputs=inputs)
                for name, signal in group.items():
                    if (seen := signal.look(self.settings.terms, slots, weight)) is not None:
                        found[name] = seen
        self._windows += 1
        if self._windows % self.settings.terms.window == 0:
            for name, seen in found.items():
                self.signal(name).remember(seen)
        return found

    def signal(self, name: str) -> Signal:
        """An input or an output. Raises KeyError."""
        return self.inputs[name] if name in self.inputs else self.outputs[name]

    def _judge(self, found: Mapping[str, SignalLook], now: float) -> Iterable[Alarm]:
        asked = [
            (name, check, one) for name, seen in found.items()
            for check, one in seen.deviations.items()
        ]  # fmt: skip
        rate = self.settings.terms.false_discovery_rate
        real = discoveries([one.chance for _, _, one in asked], rate)
        for (name, check, one), sure in zip(asked, real, strict=True):
            cyclic = check in found[name].cyclic
            yield from self._one(name, check, one, found[name], now, new=sure and not cyclic)
        for name, seen in found.items():
            if not any(one.large for one in seen.deviations.values()):
                self._quiet.add(name)

    def _one(
        self, name: str, check: str, one: Deviation, seen: SignalLook, now: float, *, new: bool
    ) -> Iterable[Alarm]:
        """One answer of one look: an alarm begins, goes on, or ends."""
        key = (name, check)
        if (known := self.alarms.get(key)) is not None:
            yield from self._on(known, one, now, cyclic=check in seen.cyclic)
            return
        if not (one.large and new):
            self._coming.pop(key, None)
            return
        self._coming[key] = self._coming.get(key, 0) + 1
        cause, course = self._cause(name, seen)
        if cause is AlarmCause.REFERENCE or self._coming[key] >= self.settings.terms.to_begin:
            yield self._new(
                Alarm(*key, cause, course, now, one.size, one.limit, one.chance, one.text)
            )

    def _new(self, alarm: Alarm) -> Alarm:
        key = (alarm.signal, alarm.check)
        self._coming.pop(key, None)
        self.alarms[key] = alarm
        return alarm

    def _on(self, alarm: Alarm, one: Deviation, now: float, *, cyclic: bool) -> Iterable[Alarm]:
        """An alarm that lasts goes on, unless it was low for long enough."""
        alarm = alarm.seen(one, low=cyclic or one.size < CLEARED * one.limit)
        self.alarms[alarm.signal, alarm.check] = alarm
        if alarm.low >= self.settings.terms.to_end:
            yield self._ended(alarm, now)

    def _ended(self, alarm: Alarm, now: float) -> Alarm:
        del self.alarms[alarm.signal, alarm.check]
        ended = alarm.ended(now, self.settings.season_s)
        self.over = [*self.over, ended][-OVER_MAX:]
        return ended

    def _cause(self, name: str, seen: SignalLook) -> tuple[AlarmCause, Course]:
        given = name in self.inputs and bool(self.settings.reference)
        if given and name not in self._quiet:
            return AlarmCause.REFERENCE, Course.FROM_THE_START
        gradual = seen.earlier is not None and seen.earlier >= GRADUAL
        return AlarmCause.DATA, Course.GRADUAL if gradual else Course.SUDDEN

    def _candidates(self, now: float) -> Iterable[Alarm]:
        """The candidate alone: never while something moves for both."""
        for name, arms in self.arms.items():
            one = arms.look(self.settings.terms)
            if one is not None and not self.drifting and (name, "candidate") not in self.alarms:
                cause, text = AlarmCause.CANDIDATE, f"{one.check}: {one.text}"
                yield self._new(
                    Alarm(name, "candidate", cause, Course.SUDDEN, now, one.size, one.limit,
                          one.chance, text)
                )  # fmt: skip

    def _concept(self, now: float) -> Iterable[Alarm]:
        """Labels, while inputs are still."""
        self.truth.settle(now, self._began, self.settings.learn_s)
        one = self.truth.look()
        if one is None:
            return
        if known := self.alarms.get(TRUTH):
            yield from self._on(known, one, now, cyclic=False)
            return
        if not (one.large and one.chance <= self.settings.terms.false_discovery_rate):
            self._coming.pop(TRUTH, None)
            return
        self._coming[TRUTH] = self._coming.get(TRUTH, 0) + 1
        if self._coming[TRUTH] >= self.settings.terms.to_begin:
            moved = any(name in self.inputs for name, _ in (*self.alarms, *self._coming))
            cause = AlarmCause.DATA if moved else AlarmCause.CONCEPT
            yield self._new(
                Alarm(*TRUTH, cause, Course.SUDDEN, now, one.size, one.limit, one.chance, one.text)
            )

    def lasting(self) -> list[Alarm]:
        """All that has changed and has not ended, of segments too."""
        own = list(self.alarms.values())
        return own + [_within(n, one) for n, part in self.parts.items() for one in part.lasting()]

    def ended(self) -> list[Alarm]:
        """The last ones that have, of segments too, oldest first."""
        own = list(self.over)
        own += [_within(name, one) for name, part in self.parts.items() for one in part.ended()]
        return sorted(own, key=lambda one: one.until or 0.0)[-OVER_MAX:]

    @property
    def drifting(self) -> bool:
        """Whether something has moved that is not the candidate's."""
        return any(a.cause is not AlarmCause.CANDIDATE and a.holds for a in self.alarms.values())

    def holding(self) -> list[Alarm]:
        """Why a rollout should wait, most serious first."""
        return [a for a in self.lasting() if a.holds and a.cause is not AlarmCause.CANDIDATE]

    def convicting(self) -> Alarm | None:
        """What takes a candidate back."""
        found = (a for a in self.alarms.values() if a.cause is AlarmCause.CANDIDATE)
        return next(found, None)

    @property
    def compared(self) -> bool:
        """Whether a given reference was looked at beside traffic."""
        return self._compared or not self.settings.reference or not self.inputs

    def accept(self) -> int:
        """A person says that this is how it is now; alarms so accepted hold nobody."""
        held = [key for key, alarm in self.alarms.items() if alarm.holds]
        for key in held:
            self.alarms[key] = replace(self.alarms[key], accepted=True)
        return len(held) + sum(part.accept() for part in self.parts.values())

    def foretold(self) -> dict[str, float]:
        """Seconds until a feature that moves steadily reaches the limit."""
        limit, window = self.settings.terms.psi, self.settings.terms.window
        found = {name: s.windows_until(limit) for name, s in self.inputs.items()}
        step_s = window * self.settings.slot_s
        return {name: left * step_s for name, left in found.items() if left}

    # --- state ----------------------------------------------------------------------------------

    def snapshot(self) -> Any:
        """JSON-able, exact, with what it was learnt for."""
        return self.settings.learnt_for | super().snapshot()

    @classmethod
    def restored(cls, settings: Settings, data: Any) -> Monitors:
        """The inverse. Raises KeyError, TypeError, ValueError, also for other settings."""
        monitors = cls(settings)
        monitors.restore(data)
        return monitors

    def _formerly(self, data: Any) -> Any:
        """Earlier routers kept no segments, and did not say what was compared."""
        kept = {"by": "", "header": "", "compared": data["looked"] >= 0} | data
        kept["header"] = str(kept["header"]).lower()
        if any(kept[key] != value for key, value in self.settings.learnt_for.items()):
            raise ValueError("the snapshot is of other settings")
        return kept

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "parts":
            self.parts = {
                part: Monitors(self.settings.of_segment(str(one["reference"])))
                for part, one in data.items()
            }
        if name == "arms":
            made = ((arm, Profile.from_json(one["profile"]), one) for arm, one in data.items())
            self.arms = {arm: Arms(profile, one["rows"]) for arm, profile, one in made}

    @property
    def _asked_of(self) -> list[Signal]:
        return list(self.inputs.values())

    @property
    def _said_by(self) -> list[Signal]:
        return list(self.outputs.values())

    @property
    def _listed_alarms(self) -> list[Alarm]:
        return list(self.alarms.values())

    @_listed_alarms.setter
    def _listed_alarms(self, alarms: list[Alarm]) -> None:
        self.alarms = {(alarm.signal, alarm.check): alarm for alarm in alarms}

    @property
    def _counted(self) -> list[Memory]:
        return list(self._traffic.values())


def _within(segment: str, alarm: Alarm) -> Alarm:
    """An alarm with its segment in its name."""
    return replace(alarm, signal=f"{alarm.signal} [{segment}]")


def _kind(kind: str) -> SignalKind | None:
    return "numeric" if kind == "numeric" else "categorical" if kind == "categorical" else None
