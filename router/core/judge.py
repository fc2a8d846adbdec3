"""The judge: all gates of one rollout, one evidence, one answer with one sentence.

What it is fed: counted outcomes (:meth:`Judge.observe`), answers from outside
(:meth:`Judge.measure`), and the time. What it says, from strongest to weakest:

========= ======================================================================================
ROLLBACK  the combined evidence reached 1 / alpha (with at least ``min_bad`` bad answers); or the
          budget of bad answers is spent; or a gate that asks outside failed; or no data came and
          the policy says abort. A conviction is remembered: evidence may fall again, it counts.
HOLD      the combined evidence is at ``hold_level`` or above; a gate asks to hold or cannot
          answer; no data came; or the router's own coin is broken (a bug of ours, not theirs).
CONTINUE  nothing of that.
========= ======================================================================================

Only the first line's first rule is under the promise "at most alpha of good candidates are ever
rolled back"; the other rules are the operator's own. Whether the candidate is *proven* not worse
is said beside the action, and only steps that ask for proof wait for it.

Telling and asking are apart. The decider tells the time (:meth:`Judge.tick`): only that moves the
clock of silence and the ramp. Whoever asks (:meth:`Judge.judgement`: API, alerts, journal) gets
what holds since the last tick and changes nothing, however often they ask.

State is small, and :meth:`Judge.snapshot` carries it through JSON exactly: a judge that is restored
goes on to the same decisions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

from router.core.alarm import RINGS, FailureAlarm
from router.core.cap import Cap
from router.core.causes import cause_of, failures
from router.core.evidence import PromoteEvidence, SampleRatio
from router.core.evidence.combine import average
from router.core.evidence.drawn import Drawn
from router.core.evidence.ledger import Addition, Ledger
from router.core.evidence.promote import ANSWERS_PER_MARGIN
from router.core.evidence.ramp import finite
from router.core.evidence.recent import Recent, Stretch
from router.core.evidence.users import Users
from router.core.evidence.waits import Waits
from router.core.gates.by import SegmentKeys
from router.core.gates.error_rate import error_rows
from router.core.gates.gate import Gate, GateContext, GateState, Measurement, parts, thresholds_of
from router.core.gates.verdict import Counts, GateReport, Verdict, convicted, of
from router.core.judgement import Judgement, JudgeSettings, promotion_report
from router.core.jury import Jury
from router.core.rollout.events import Action
from router.core.snapshots import Lasting, codec_of
from router.core.spoken import case
from router.core.unanswered import Unanswered
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import Batch
from router.core.words import count, duration, odds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from router.core.gates.gate import SlowLimit

__all__ = ["RAMP_INTERVAL_S", "Judge", "JudgeSettings", "Judgement"]

RAMP_INTERVAL_S = 1.0
"""How often the evidence-driven ramp may change the weight."""


_BASELINE: Final = codec_of(Baseline)


class Judge(
    Lasting,
    gates="states",
    conviction="conviction _convicted_gate case",
    unanswered="unanswered",
    counts="answers bad pairs _seen",
    ramp="_ramp_bp _requests_per_s",
    clock="started _first_answer_s _last_answer_s _ramp_s _now",
    later="alarm jury drawn case failed recent _now",
):
    """Evidence of one attempt of one rollout. ``now`` is always rollout clock seconds."""

    states: dict[str, GateState]
    baseline: Baseline
    promotion: PromoteEvidence
    sample_ratio: SampleRatio
    waits: Waits
    cap: Cap
    alarm: FailureAlarm
    jury: Jury
    unanswered: Unanswered
    ledger: Ledger
    drawn: Drawn
    users: Users | None
    conviction: str
    _convicted_gate: str
    case: str
    failed: dict[str, str]
    recent: Recent
    answers: int
    bad: int
    pairs: int
    _seen: int
    started: float
    _first_answer_s: float | None
    _last_answer_s: float
    _ramp_s: float | None
    _now: float
    _ramp_bp: int
    _requests_per_s: float

    def __init__(
        self, gates: Sequence[Gate], settings: JudgeSettings, baseline: Baseline, started: float
    ) -> None:
        """Raises ValueError for two gates of one name or shares that exceed 100 %."""
        self.gates = {gate.title: gate for gate in gates}
        if len(self.gates) != len(gates):
            raise ValueError("two gates of one kind need a `name` each")
        self.settings = settings
        self.baseline = baseline
        self.started = started
        self.shares = parts(gates)
        self.states: dict[str, GateState] = {}
        self.promotion = PromoteEvidence(baseline.bad_rate, settings.margin)
        self.ledger = Ledger()
        self.users = Users() if settings.sticky else None
        self.drawn = Drawn(sticky=settings.sticky)
        self.told = SegmentKeys(gates)
        """What its samples and pairs tell segments apart by."""
        self.sample_ratio = SampleRatio()
        self.conviction = ""
        """Sentence of the first moment at which the evidence sufficed; empty until then."""
        self.failed: dict[str, str] = {}
        """Gates that failed and roll nobody back (`on_fail`), with their sentence of then."""
        self.case = ""
        """What was against the candidate then, as a person would say it."""
        self.recent = Recent()
        self.answers = self.bad = self.pairs = 0
        self._convicted_gate = ""
        self.unanswered = Unanswered()
        self.cap = Cap()
        self.alarm = FailureAlarm(baseline.bad_rate)
        self.jury = Jury()
        self.waits = Waits.of(baseline)
        self._last_answer_s = started
        self._first_answer_s: float | None = None
        self._now = started
        """The last tick; what is said to those who ask is said as of then."""
        self._ramp_bp = settings.ramp.min_bp
        self._ramp_s: float | None = None
        self._seen = 0
        self._requests_per_s = finite(baseline.requests_per_s)
        self.learn(baseline)

    # --- what the data plane must count ---------------------------------------------------

    @property
    def tolerance(self) -> float:
        """The candidate is slow above ``threshold * (1 + tolerance)``; one for all thresholds."""
        found = (limit.candidate_s / limit.stable_s - 1.0 for limit in self._limits())
        return round(max(found, default=0.0), 9)

    @property
    def thresholds_s(self) -> tuple[float, ...]:
        """Latency thresholds on stable's axis, ascending.

        A gate with another tolerance than :attr:`tolerance` adds the point at which the candidate
        is counted for it.
        """
        return thresholds_of(self._limits(), self.tolerance)

    def _limits(self) -> Iterable[SlowLimit]:
        for title in self.states:
            yield from self.gates[title].limits(self.baseline)

    def learn(self, baseline: Baseline) -> bool:
        """Start what was waiting for more of stable's past; True if something did.

        Gates that run keep what they began with: a threshold may not move with the data it judges.
        """
        waiting = [g for t, g in self.gates.items() if t not in self.states and g.ready(baseline)]
        if waiting:
            self.baseline = baseline
        for gate in waiting:
            self.states[gate.title] = self._start(gate, baseline)
        before = self.waits
        if not before.known:
            self.waits = Waits.of(baseline)
        return bool(waiting) or self.waits != before

    @property
    def settled(self) -> bool:
        """Whether nothing waits for more of stable's past."""
        return self.waits.known and len(self.states) == len(self.gates)

    def _start(self, gate: Gate, baseline: Baseline) -> GateState:
        share = self.shares.get(gate.title, 1.0) or 1.0
        return gate.start(
            GateContext(
                baseline=baseline,
                sticky=self.settings.sticky,
                max_duration_s=self.settings.max_duration_s,
                hold_level=self.settings.hold_level,
                min_bad=self.settings.min_bad,
                limit=1.0 / (self.settings.false_rollback_rate * share),
                pairs_share=self.settings.pairs_share,
                told=self.told,
            )
        )

    # --- what it is fed -------------------------------------------------------------------

    def observe(self, batch: Batch, now: float) -> int:
        """Take in counted outcomes; answers of the candidate that are new in them.

        Forced arms must not be in the cells.
        """
        changes = [self.ledger.book(cell) for cell in batch.cells]
        answers = sum(change.candidate_answers for change in changes)
        self.jury.observe(batch)
        pairs = batch.pairs
        compared = pairs.agreed + pairs.disagreed + pairs.failed if pairs is not None else 0
        if answers or compared or (pairs is not None and pairs.learning):
            self._last_answer_s = now
            self._first_answer_s = now if self._first_answer_s is None else self._first_answer_s
        drawn = sum(change.candidate_drawn for change in changes)
        self.unanswered.count(drawn, answered=bool(answers))
        warm = self._warming_up(now)
        self.answers += answers
        self.pairs += compared
        self.bad += sum(change.candidate_bad for change in changes)
        self._seen += sum(change.candidate_answers + change.stable_answers for change in changes)
        self._check_coin(batch, changes)
        if self.users is not None:
            batch = replace(batch, cells=tuple(map(self.users.admit, batch.cells)))
        if (samples := self.drawn.admit(batch, now)) or batch.samples:
            batch = replace(batch, samples=samples)
        if not warm:
            self.alarm.take(changes)
            self._remember(batch, changes)
            self._feed(batch)
        return answers

    def _remember(self, batch: Batch, changes: list[Addition]) -> None:
        """Answers of both arms, copies too: for the line that people read."""
        for c in changes:
            stable = c.stable_bad, c.stable_answers
            self.recent.add(Stretch(c.candidate_bad, c.candidate_answers, *stable))
        if (pairs := batch.pairs) is not None and not pairs.reverse:
            self.recent.add(Stretch(pairs.failed, pairs.agreed + pairs.disagreed + pairs.failed))

    def _check_coin(self, batch: Batch, changes: list[Addition]) -> None:
        """All arrivals against their weights; one user's many requests are one draw, not many."""
        if not self.settings.sticky:
            for cell, change in zip(batch.cells, changes, strict=True):
                if not cell.forced:
                    drawn = change.candidate_drawn, change.stable_drawn
                    self.sample_ratio.observe(cell.weight_bp, *drawn)

    def _feed(self, batch: Batch) -> None:
        for key, draws, _ in error_rows(batch):
            self.promotion.book(key, draws)
        for state in self.states.values():
            state.observe(batch)
        self._convict()
        self._restrain()

    def begin_round(self, round_: int) -> None:
        """What is drawn in this round is evidence of its own; users count anew."""
        self.cap.round = round_
        if self.users is not None:
            self.users.begin(round_, self._now)

    def _restrain(self) -> None:
        """Trials begin, the brake is put on or let go."""
        for title, state in self.states.items():
            if state.wants_trial and not self.conviction and self.gates[title].holds:
                if self.users is None or not self.users.comparing:
                    self._count_anew()
                state.begin_trial(self.cap.round)
        self.cap.trial = any(state.on_trial for state in self.states.values())
        if not self.settings.sticky and (leader := self.leader):
            bad = self.states[leader].candidate.bad >= self.settings.min_bad
            suspicion = self.capital / self.settings.hold_level if bad or self.cap.braked else 0.0
            self.cap.brake(suspicion, self.alarm.level / RINGS, self.gates[leader].brake_bp)
        self._renew()
        if not self.cap.reason and self.cap.bp is not None:
            self.cap.because(cause_of(self).sentence or self._quiet_sentence())

    def _renew(self) -> None:
        """At the beginning of an alarm, reserves are put in play."""
        if self.alarm.rings():
            for state in self.states.values():
                state.renew()
            if self.users is not None and self.users.used_up and not self.cap.trial:
                self._count_anew()

    def _count_anew(self) -> None:
        """A new round in which evidence about users begins afresh, beside what it was."""
        self.begin_round(self.cap.round + 1)
        for state in self.states.values():
            state.begin_round(self.cap.round)

    def abandon(self, source: int | None) -> None:
        """A worker is gone (None: all of them). What it had under way ended without an answer."""
        self.ledger.abandon(source)
        self.promotion.abandon(source)
        self.drawn.abandon(source)
        if self.users is not None:
            self.users.abandon(source)
        for state in self.states.values():
            state.abandon(source)
        self._convict()

    def _warming_up(self, now: float) -> bool:
        s = self.settings
        first = now if self._first_answer_s is None else self._first_answer_s
        seen = self.answers + self.pairs  # a copy warms a candidate as well as a client does
        return seen < s.warm_up_requests or now - first < s.warm_up_s

    def measure(self, title: str, measurement: Measurement, now: float) -> None:
        """Take in an answer from outside for the gate ``title``. Raises KeyError, TypeError."""
        self.states[title].measure(measurement, now)

    def due(self, now: float) -> tuple[str, ...]:
        """Names of the gates that want an answer from outside now."""
        return tuple(title for title, state in self.states.items() if state.due(now))

    # --- what it says ---------------------------------------------------------------------

    @property
    def capital(self) -> float:
        """Combined evidence against the candidate: shares times capital, waiting shares at 1."""
        started = [
            (self.shares[t], self.states[t].capital) for t in self.shares if t in self.states
        ]
        return average(started)

    @property
    def limit(self) -> float:
        """Combined evidence that rolls back."""
        return 1.0 / self.settings.false_rollback_rate

    @property
    def proven(self) -> bool:
        """Whether the proof for promotion was ever complete (it then stays so).

        Never without answers of the candidate, whatever it did not answer.
        """
        enough = self.answers >= ANSWERS_PER_MARGIN / self.settings.margin
        return enough and self.promotion.best >= 1.0 / self.settings.risk

    @property
    def leader(self) -> str:
        """The gate with the largest part of the combined evidence; empty without betting gates."""
        running = [title for title in self.shares if title in self.states]
        return max(running, key=lambda t: self.shares[t] * self.states[t].capital, default="")

    def _convict(self) -> None:
        self.failed |= failures(self)
        if self.conviction or not self.shares:
            return
        capital = self.capital
        if capital < self.limit:
            return
        leader = self.leader
        state = self.states[leader]
        enough = state.enough and state.candidate.bad >= self.settings.min_bad
        if enough and self.jury.hears(self):
            self._convicted_gate = leader
            alpha = self.settings.false_rollback_rate
            told = convicted(self.states[leader].report(), capital, alpha)
            self.conviction = "; ".join(filter(None, (told, self.jury.said())))
            self.case = case(self.states[leader], self.recent, self.jury.replays)

    def tick(self, now: float, *, expecting: bool = True, ramping: bool = False) -> Action:
        """Tell the time; only the decider does. Answers the action, :meth:`judgement`'s.

        ``expecting``: the present step sends the candidate requests, so that silence is news.
        ``ramping``: the evidence sets its weight, see :attr:`auto_weight_bp`.
        """
        self._now = now
        if self.users is not None and self.users.stale(now):
            self._count_anew()
        if not expecting:
            self._last_answer_s = now
        cause = cause_of(self)
        if ramping:
            self._ramp(now, held=cause.action is not Action.CONTINUE)
        return cause.action

    def judgement(self) -> Judgement:
        """The answer as of the last tick. Asking changes nothing."""
        cause = cause_of(self)
        return Judgement(
            action=cause.action,
            sentence=cause.sentence or self._quiet_sentence(),
            plain=cause.plain,
            capital=self.capital,
            limit=self.limit,
            proven=self.proven,
            reports=self.reports(),
            auto_weight_bp=self.auto_weight_bp,
        )

    @property
    def silent_s(self) -> float:
        """Since the candidate's last answer, as of the last tick."""
        return self._now - self._last_answer_s

    @property
    def silence(self) -> str:
        """That no answer came for longer than the policy puts up with; empty otherwise."""
        silent_s, limit_s = self.silent_s, self.settings.no_data_after_s
        if silent_s < limit_s:
            return ""
        return (
            f"on_no_data: no candidate answer for {duration(silent_s)}, limit {duration(limit_s)}; "
            f"{count(self.answers + self.pairs, 'answer')} so far"
        )

    @property
    def router_bug(self) -> str:
        """That the coin did not follow its weights: our fault, never the candidate's. Or empty."""
        ratio = self.sample_ratio
        if not ratio.broken:
            return ""
        drawn = of(Counts(ratio.candidate, ratio.candidate + ratio.stable))
        return (
            f"router bug, not the candidate's: {drawn} requests were drawn to it against the "
            f"weights in force; evidence {odds(ratio.best)}, limit 10,000 : 1"
        )

    def _quiet_sentence(self) -> str:
        leader = self.leader
        text = f"{leader}: {self.states[leader].sentence()}; " if leader else ""
        return f"{text}all gates together {odds(self.capital)}, limit {odds(self.limit)}"

    def reports(self) -> tuple[GateReport, ...]:
        """One report a gate in the policy's order, then the promotion's."""
        return (*map(self._report, self.gates), promotion_report(self))

    def _report(self, title: str) -> GateReport:
        state = self.states.get(title)
        if state is None:
            waits = "waits for more of stable's past answers to fix its thresholds"
            return GateReport(title, Verdict.PENDING, waits, dry_run=self.gates[title].dry_run)
        report = state.report()
        if title == self._convicted_gate or title in self.failed:
            return GateReport(
                title, Verdict.FAIL, report.sentence, report.evidence, report.limit,
                report.candidate, report.stable, report.dry_run,
            )  # fmt: skip
        return report

    @property
    def auto_weight_bp(self) -> int:
        """The ramp's weight, basis points, as of the last tick of a step that ramps."""
        return self._ramp_bp

    def _ramp(self, now: float, *, held: bool) -> None:
        """Let the ramp go on; its weight changes at most once in :data:`RAMP_INTERVAL_S`."""
        since = now - (self._ramp_s if self._ramp_s is not None else now)
        if self._ramp_s is not None and since < RAMP_INTERVAL_S:
            return
        if since > 0.0:
            measured = self._seen / since
            self._requests_per_s = max(measured, (measured + self._requests_per_s) / 2)
        self._seen, self._ramp_s = 0, now
        self._ramp_bp = self.settings.ramp.weight_bp(
            bad=self.bad, requests=self.answers, requests_per_s=self._requests_per_s,
            present_bp=self._ramp_bp, held=held, proven=self.proven,
        )  # fmt: skip

    # --- through a restart ----------------------------------------------------------------

    @classmethod
    def restored(cls, gates: Sequence[Gate], settings: JudgeSettings, data: Any) -> Self:
        """A judge as it was when ``data`` was taken, with the same gates and settings.

        Raises ValueError, KeyError or TypeError if the snapshot is damaged or of other gates.
        """
        baseline = _BASELINE.load(data["baseline"], None)
        judge = cls(gates, settings, baseline, data["clock"][0])
        judge.restore(data)
        return judge

    def _make_parts(self, name: str, data: Any) -> None:
        if name == "states" and set(self.states) != set(data):
            raise ValueError("the snapshot is of other gates")

    def __repr__(self) -> str:
        """Counts and evidence in one line."""
        return (
            f"Judge({', '.join(self.gates)}: {self.bad} bad of {self.answers}, "
            f"{self.capital:.3g} : 1 of {self.limit:g} : 1)"
        )
