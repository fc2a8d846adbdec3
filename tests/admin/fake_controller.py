"""A control plane without workers, store or clock: the real machine behind the real façade."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from msgspec import structs

from router.control.state.answers import Announcement
from router.control.state.errors import (
    Conflict,
    NoRollout,
    NotLogged,
    NotPossible,
    UnknownRoute,
)
from router.control.state.record import JournalEntry
from router.control.told.answers import (
    EntryView,
    HealthView,
    JudgementView,
    LogView,
    OrderView,
    ReadyView,
    ReloadView,
    WhoisView,
    WhyView,
)
from router.control.told.compared import ShadowView
from router.control.told.data_desk import data_view
from router.control.told.data_views import DataView, PerformanceView
from router.control.told.history import RouteHistory, view_of
from router.control.told.paired import shadow_view
from router.control.told.pipeline import (
    FirstMove,
    PipelineArm,
    PipelineFeed,
    PipelineRoute,
    PipelineView,
)
from router.control.told.reviewed import QuestionView, ReviewedView, ReviewsView
from router.control.told.status import plan_view
from router.control.told.views import (
    HistoryView,
    PolicyView,
    RolloutView,
    RouteSummary,
    RouteView,
)
from router.core.pairs.compare import Compare
from router.core.pairs.shadow import ShadowBook, Terms
from router.core.rollout.events import Command, Observed, Refused
from router.core.rollout.machine import decide
from router.core.rollout.plan import Plan, Step
from router.core.rollout.rollout import Rollout, begin, remaining_s
from router.core.rollout.traffic import split_for
from router.reader.performance import performance

ROUTE = "flight-delay"
PLAIN = "churn"
SENTENCE = (
    "failed: candidate 4 of 57 (7.0 %), stable 11 of 1,083 (1.0 %); tolerated: stable + 10 %; "
    "evidence 143 : 1, limit 100 : 1"
)


class FakeDesk:
    """No monitors; the log of the test's own, if it has one."""

    def __init__(self, controller: FakeController) -> None:
        self.controller = controller

    def quality(self, route: str, signal="", segment="", *, named=False) -> DataView:
        self.controller.route(route)
        return data_view(route, None, (signal, segment), named=named)

    def pipeline(self) -> PipelineView:
        arm = PipelineArm(
            version="v2", requests=4, errors=1, faulty=0, rows=3, score=0.2, labels=0, wrong=0
        )
        feed = PipelineFeed(
            feeder=ROUTE, fed=PLAIN, by="baggage", within_s=None, joined=4, unjoined=1,
            verdict="pass", sentence="fine", arms=[arm],
        )  # fmt: skip
        route = PipelineRoute(
            route=ROUTE, stable="v1", candidate="v2", phase="progressing", weight_bp=500,
            moved_at=1.5, moved="v2 began to take over from v1",
        )  # fmt: skip
        first = FirstMove(route=ROUTE, at=1.5, sentence=f"{ROUTE} moved first")
        return PipelineView(routes=[route], feeds=[feed], moved_first=first)

    async def performance(self, route: str, span_s: float) -> PerformanceView:
        self.controller.route(route)
        if not (place := self.controller.log_file):
            raise NotLogged(f"{route} keeps no predictions")
        about = {"route": route, "file": place, "span_s": span_s, "took_s": 0.1}
        return PerformanceView.of(performance(place, route, 0.0, span_s) | about)


class FakeReviews:
    """One question, which ann has."""

    def view(self) -> ReviewsView:
        rated = {"decided": 4, "overruled": 1, "expired": 0, "overrule_rate": 0.25}
        return ReviewsView.of({"routes": {ROUTE: {
            "open": 1, "claimed": 1, "oldest": 1.0, "below": 0.9, "audit": 0.05, "then": "hold",
            "versions": {"v2": {"unsure": rated}}, "kappa": 0.5, "twice": 4,
        }}})  # fmt: skip

    async def claim(self, by: str, route: str, count: int) -> list[QuestionView]:
        return [QuestionView.of({
            "id": "q", "route": route or ROUTE, "request_id": "r", "at": 1.0, "due": 9.0,
            "lease": 2.0, "reason": "unsure", "target": "/p", "content_type": "application/json",
            "request": {"by": by, "count": count}, "version": "v2", "confidence": 0.6,
            "said": [True],
        })]  # fmt: skip

    async def release(self, by: str, item: str) -> None:
        if item != "q":
            raise NotPossible(f"{item} is not {by}'s")

    async def answer(self, by: str, item: str, said: Any) -> ReviewedView:
        await self.release(by, item)
        return ReviewedView(id=item, state="decided" if said else "open")


class FakeController:
    """Two routes: one in a canary, one without a rollout."""

    def __init__(self) -> None:
        self.log_file = ""
        self.data = FakeDesk(self)
        self.reviews = FakeReviews()
        self.plan = Plan(
            (Step(weight_bp=100, hold_s=60), Step(weight_bp=2500, hold_s=60)), bake_s=60
        )
        self.state: Rollout = begin(f"{ROUTE}-1", ROUTE, "v1", "v2", revision=1, now=0.0)
        self.time = 10.0
        self.entries: deque[EntryView] = deque(maxlen=1000)
        self.done: dict[str, OrderView] = {}
        self.orders: list[Command] = []
        self.queues: list[asyncio.Queue[Announcement]] = []
        self.subscribed = asyncio.Event()
        self.announced = 0
        self.frozen = False
        self.ok = True
        self.fails: Exception | None = None
        self.note(self.state.reason, "router")

    # --- the façade ---

    async def routes(self):
        return [RouteSummary.of(one) for one in self.summaries()]

    async def rollouts(self):
        return {
            one["name"]: (
                RouteSummary.of(one), self.rollout(ROUTE) if one["name"] == ROUTE else None
            )
            for one in self.summaries()
        }  # fmt: skip

    def summaries(self) -> list[dict[str, Any]]:
        return [
            {
                "name": ROUTE, "match": {"path": "/v2/*"}, "stable": "v1", "candidate": "v2",
                "strategy": "canary", "phase": self.state.phase, "health": self.state.phase.health,
                "weight_bp": self.weight_bp(), "revision": self.state.revision, "frozen": "",
                "shares_bp": self.shares_bp(), "reason": self.state.reason,
                "line": self.state.reason, "decided_at": None, "notes": [],
                **self.beside(),
            },
            {
                "name": PLAIN, "match": {"path": "/churn"}, "stable": "v3", "candidate": None,
                "strategy": None, "phase": None, "health": "Healthy", "weight_bp": 0, "revision": 0,
                "frozen": "", "shares_bp": {"v3": 10_000}, "reason": "", "line": "",
                "decided_at": None, "notes": [],
                **self.beside(),
            },
        ]  # fmt: skip

    def beside(self) -> dict[str, Any]:
        return {"step": 0, "steps": 0, "since": None, "requests_per_s": 0.0, "error_ratio": 0.0,
                "attention": None}  # fmt: skip

    def names(self) -> tuple[str, ...]:
        return (ROUTE, PLAIN)

    def summary(self, name: str) -> RouteSummary:
        return RouteSummary.of(self.plain_route(name))

    def history(self, name: str, since: float = 0.0) -> HistoryView:
        self.route(name)
        history = RouteHistory()
        history.point(0.0, 1.0, {"share": 0.01})
        history.point(1.0, 2.0, {"share": 0.01})
        return view_of(name, history, None, since)

    async def policy(self) -> PolicyView:
        return PolicyView(
            file="policy.yaml", ok=True, digest="a1", accepted_at=1.0, text="apiVersion: 1\n",
            pending=[], report="", problems=[], notes=[],
        )  # fmt: skip

    async def acknowledge(self, name: str, *, actor: str, reason: str = "") -> bool:
        self.route(name)
        self.note(f"seen {reason}", actor)
        return True

    def accept(self, name: str, *, actor: str, reason: str = "") -> int:
        self.route(name)
        self.note(f"accepted {reason}", actor)
        return 2

    def route(self, name: str) -> RouteView:
        return RouteView.of(self.plain_route(name))

    def plain_route(self, name: str) -> dict[str, Any]:
        for summary in self.summaries():
            if summary["name"] == name:
                rollout = self.plain_rollout(name) if name == ROUTE else None
                return {
                    **summary,
                    "versions": self.versions(),
                    "feedback": {},
                    "rollout": rollout,
                    "monitors": None,
                }
        raise UnknownRoute(f"no route is called {name!r}")

    def versions(self) -> dict[str, Any]:
        window = {
            "requests": 570,
            "requests_per_s": 57.0,
            "errors": 6,
            "error_ratio": 0.01,
            "p50_s": 0.012,
            "p99_s": 0.08,
            "window_s": 10.0,
            "in_flight": 0,
            "shadow": None,
            "endpoints": [],
            "usage": None,
        }
        return {
            "v1": window,
            "v2": {**window, "requests": 57, "requests_per_s": 5.7, "error_ratio": 0.07},
        }

    def rollout(self, name: str) -> RolloutView:
        return RolloutView.of(self.plain_rollout(name))

    def plain_rollout(self, name: str) -> dict[str, Any]:
        if name == PLAIN:
            raise NoRollout(f"{name} has no rollout")
        if name != ROUTE:
            raise UnknownRoute("no such route")
        state = self.state
        return {
            "id": state.id, "route": name, "stable": state.stable, "candidate": state.candidate,
            "phase": state.phase.value, "revision": state.revision, "attempt": state.attempt,
            "paused_from": state.paused_from and state.paused_from.value,
            "reason": state.reason, "line": state.line or state.reason,
            "actor": state.actor, "age_s": self.time - state.started,
            "override": None, "plan": plan_view(self.plan).to_json(), "writing": False,
            "evidence": {"capital": 1.4, "limit": 100.0}, "shadow": None,
            "strategy": "canary", "health": state.phase.health, "step": state.step + 1,
            "serving_stable": "v2" if state.phase == "completed" else "v1",
            "steps": len(self.plan.steps), "weight_bp": self.weight_bp(),
            "measured_bp": self.weight_bp(), "mirror_bp": 0, "samples": 57, "until_samples": 0,
            "remaining_s": remaining_s(state, self.plan, self.time), "action": "continue",
            "sentence": SENTENCE, "approval": None,
            "gates": self.gates(),
            "versions": self.versions(), "in_flight": {"v1": 2, "v2": 0}, "generation": 7,
            "unsaved": False, "notes": [], "shares_bp": self.shares_bp(), "waits_for": "",
            "decided_at": 1_001.0, "through_at": 5_000.0, "risks": ["a slower candidate passes"],
            "next_advance_at": None, "draining": {}, "feedback": {}, "bandit": None,
        }  # fmt: skip

    def shares_bp(self) -> dict[str, int]:
        weight_bp = self.weight_bp()
        return {name: bp for name, bp in (("v1", 10_000 - weight_bp), ("v2", weight_bp)) if bp}

    def gates(self) -> list[dict[str, Any]]:
        return [
            {
                "name": "error_rate", "gate": "error_rate", "verdict": "pass",
                "sentence": SENTENCE, "evidence": 1.4, "limit": 100.0,
                "candidate": {"bad": 4, "total": 57}, "stable": {"bad": 11, "total": 1083},
                "dry_run": False, "lacks": "",
            }
        ]  # fmt: skip

    def reports(self) -> list[dict[str, Any]]:
        """Gates at a moment, as the journal has them."""
        own = ("name", "lacks")
        return [{k: v for k, v in gate.items() if k not in own} for gate in self.gates()]

    async def command(self, route, event, *, if_revision=None, key=None, dry_run=False):
        self.rollout(route)
        if self.fails is not None:
            raise self.fails
        if key in self.done:
            return structs.replace(self.done[key], repeated=True, changed=False)
        if if_revision is not None and if_revision != self.state.revision:
            raise Conflict(if_revision, self.state.revision)
        try:
            after = decide(self.state, self.plan, event, self.time)
        except Refused as refused:
            raise NotPossible(str(refused)) from None
        if not dry_run:
            self.orders.append(event)
            self.become(after)
        result = OrderView(
            route=route, command=type(event).__name__.lower(), changed=not dry_run,
            revision=after.revision, phase=after.phase.value, step=after.step + 1,
            weight_bp=split_for(after, self.plan).candidate_bp, reason=after.reason,
            dry_run=dry_run, took_s=0.004,
        )  # fmt: skip
        if key and not dry_run:
            self.done[key] = result
        return result

    async def freeze(self, frozen: bool, *, actor: str, reason: str = "", route: str = "",
                     lasting_s: float | None = None) -> None:  # fmt: skip
        if route:
            self.rollout(route)
        self.frozen = frozen
        self.frozen_about = (route, lasting_s)
        self.note(f"frozen: {frozen} {reason}", actor)

    async def reload(self, *, force: bool = False, actor: str = "operator") -> ReloadView:
        if self.fails is not None:
            raise self.fails
        return ReloadView(changed=force, digest="a1b2", notes=[])

    async def journal(self, route=None, *, since=None, limit=100):
        return [
            entry
            for entry in reversed(self.entries)
            if (route is None or entry.route == route) and (since is None or entry.id > since)
        ][:limit]

    async def why(self, route: str, at: float | None = None) -> WhyView:
        status = self.rollout(route)
        entry = (await self.journal(route, limit=1))[0]
        return WhyView(
            line=status.line, sentence=status.reason, entry=entry, evidence=entry.evidence
        )  # fmt: skip

    def prediction_log(self) -> LogView:
        return LogView(
            file=self.log_file, written=3, dropped={"queue": 1}, held={"predictions": 3},
            unknown=0, unknown_ids=[], error="", lag={},
        )  # fmt: skip

    def shadow(self, route: str) -> ShadowView:
        rollout = self.rollout(route)
        book = ShadowBook(Terms(rollout.stable, rollout.candidate, Compare()))
        return shadow_view(book, route=route, rollout=rollout.id, live=True)

    async def subscribe(self, route: str | None = None):
        queue: asyncio.Queue[Announcement] = asyncio.Queue(256)
        self.queues.append(queue)
        self.subscribed.set()
        while True:
            yield await queue.get()

    def whois(self, route: str, key: str) -> WhoisView:
        self.rollout(route)
        return WhoisView(bucket=len(key), offset=17, version="v1", weight_bp=9900, sticky=True)

    def now(self) -> float:
        return self.time

    def health(self) -> HealthView:
        return HealthView(ok=self.ok, problems=[] if self.ok else ["store: disk full"])

    def ready(self) -> ReadyView:
        return ReadyView(ok=self.ok, problems=[])

    async def metrics_text(self, *, openmetrics: bool = False) -> str:
        end = "# EOF\n" if openmetrics else ""
        return end + (
            '# TYPE rampway_weight_ratio gauge\nrampway_weight_ratio{route="flight-delay"} 0.01\n'
        )

    # --- what tests do to it ---

    def weight_bp(self) -> int:
        return split_for(self.state, self.plan).candidate_bp

    def become(self, state: Rollout) -> None:
        self.state = state
        self.note(state.reason, state.actor)
        self.announced += 1
        said = Announcement(
            self.announced, "transition", 1000.0 + self.announced, ROUTE, state.reason,
            {"phase": state.phase.value, "revision": state.revision},
        )  # fmt: skip
        for queue in self.queues:
            queue.put_nowait(said)

    def observe(self, **seen: Any) -> None:
        self.become(decide(self.state, self.plan, Observed(**seen), self.time))

    def note(self, reason: str, actor: str, action: str = "advance") -> None:
        entry = JournalEntry(
            at=1000.0 + len(self.entries), clock=self.time, route=ROUTE, rollout=self.state.id,
            revision=self.state.revision, actor=actor, action=action, phase_from="progressing",
            phase_to=self.state.phase.value, step=self.state.step + 1, weight_bp=self.weight_bp(),
            reason=reason, evidence=JudgementView.of({"reports": self.reports()}),
            id=len(self.entries) + 1,
        )  # fmt: skip
        self.entries.append(EntryView.like(entry))
