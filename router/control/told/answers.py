"""What people see besides routes and rollouts: the journal, the router itself, small answers."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from router.control.told.view import View
from router.control.told.views import (
    CountsView,
    OfferedRollout,
    ProblemView,
    RouteSummary,
    VersionView,
)

# --- refusals ----------------------------------------------------------------------------------


class ProblemDocument(View, frozen=True, kw_only=True, omit_defaults=True):
    """A refusal (RFC 9457)."""

    title: str
    status: int
    detail: str
    """What is wrong, and what to do about it."""
    code: str
    """For machines."""
    type: str = "about:blank"
    expected: int | None = None
    """Revision that If-Match named."""
    actual: int | None = None
    """Revision that is in force."""
    problems: list[ProblemView] = msgspec.field(default_factory=list)
    """Of a policy that was refused."""


# --- decisions ---------------------------------------------------------------------------------


class ReportView(View, frozen=True, kw_only=True):
    """One gate at the moment of a decision."""

    gate: str
    verdict: str
    """pass | pending | inconclusive | error | fail."""
    sentence: str
    evidence: float = 1.0
    """Against the candidate, ``x : 1``."""
    limit: float | None = None
    candidate: CountsView = CountsView(bad=0, total=0)
    stable: CountsView = CountsView(bad=0, total=0)
    dry_run: bool = False


class JudgementView(View, frozen=True, kw_only=True, omit_defaults=True):
    """What the judge said at a moment; empty where nothing was judged."""

    action: str = ""
    sentence: str = ""
    capital: float | None = None
    """All gates together against the candidate, ``x : 1``."""
    limit: float | None = None
    proven: bool = False
    auto_weight_bp: int = 0
    reports: list[ReportView] = msgspec.field(default_factory=list)
    samples: int = 0
    """Of the step, where a decision was made."""
    line: str = ""


NOTHING_SAID: Final = JudgementView()
"""No judge was asked."""


class EntryView(View, frozen=True, kw_only=True):
    """One entry of the journal."""

    id: int
    """0 until it is stored."""
    at: float
    """Wall time, seconds since 1970."""
    clock: float
    """Rollout clock, seconds."""
    route: str
    rollout: str
    revision: int
    actor: str
    action: str
    phase_from: str
    phase_to: str
    step: int
    """1-based; 0 where there is no rollout."""
    weight_bp: int
    """Share of the candidate afterwards."""
    reason: str
    """The sentence, as core made it."""
    line: str
    """The same as a person would say it."""
    evidence: JudgementView
    """What the judge said at that moment."""


class JournalView(View, frozen=True, kw_only=True):
    """Entries, newest first."""

    entries: list[EntryView]


class WhyView(View, frozen=True, kw_only=True, omit_defaults=True):
    """The decision that explains where the traffic is."""

    line: str
    """What a person would say."""
    sentence: str
    """The numbers."""
    entry: EntryView
    """Where both come from."""
    evidence: JudgementView
    now: JudgementView | None = None
    """The judge's present answer, of a live rollout."""


class OrderView(View, frozen=True, kw_only=True):
    """The answer to an order, given when it is durable and in force in every live worker."""

    route: str
    command: str
    changed: bool
    """False for a dry run, or an order that was carried out before."""
    revision: int
    """Of the rollout afterwards."""
    phase: str
    step: int
    """1-based."""
    weight_bp: int
    """Share of the candidate afterwards."""
    reason: str
    """The sentence that went into the journal."""
    dry_run: bool = False
    durable: bool = True
    """False: in force, but the store is broken; it is written as soon as that works."""
    repeated: bool = False
    """The same id had been carried out before; this is the old answer."""
    next: str = ""
    """What follows of itself: which candidate starts, or what it waits for; empty: nothing."""
    took_s: float = 0.0
    draining: dict[str, int] = msgspec.field(default_factory=dict)
    """Requests under way at versions that get nothing new, as workers last reported (at most a
    quarter of a second ago)."""


# --- the stream ----------------------------------------------------------------------------------


class AnnouncementView(View, frozen=True, kw_only=True):
    """Something happened."""

    id: int
    """Grows by one; a gap means that the listener was too slow and lost some."""
    kind: str
    """transition | policy | worker | store | problem | notice."""
    at: float
    route: str
    """Empty where it concerns the whole router."""
    text: str
    """One sentence."""
    data: dict[str, Any]


class SnapshotView(View, frozen=True, kw_only=True, omit_defaults=True):
    """What a listener begins with."""

    routes: list[RouteSummary]
    rollouts: dict[str, OfferedRollout | None] | None = None
    """By route; None where only lines were asked for."""
    versions: dict[str, VersionView] | None = None
    """Of the one route that was asked for, where it has no rollout."""


class StatusView(View, frozen=True, kw_only=True, omit_defaults=True):
    """A route has changed."""

    route: str
    summary: RouteSummary
    rollout: OfferedRollout | None
    versions: dict[str, VersionView] | None = None


# --- the router ----------------------------------------------------------------------------------


class WorkerView(View, frozen=True, kw_only=True):
    """One process that serves clients."""

    worker: int
    replica: str
    """The machine, or pod, that it runs on."""
    pid: int | None
    """None: on another machine."""
    port: int
    term: int
    """Of the table that it has applied: of which leader; and in that term which."""
    generation: int


class ReaderView(View, frozen=True, kw_only=True):
    """The process that reads foreign bodies."""

    pid: int
    """0: none yet."""
    restarts: int
    waiting: int
    """Pairs that wait for it."""


class FreezeView(View, frozen=True, kw_only=True):
    """Who stopped every advance, and why."""

    actor: str
    reason: str
    at: float
    until: float | None


class FreezesView(View, frozen=True, kw_only=True, omit_defaults=True):
    """Of everything, if there is an actor, and of single routes."""

    actor: str = ""
    reason: str = ""
    at: float = 0.0
    until: float | None = None
    routes: dict[str, FreezeView] = msgspec.field(default_factory=dict)


class ReadyView(View, frozen=True, kw_only=True):
    """Whether every worker has applied the current table; who may not look hears ``ok`` alone."""

    ok: bool
    problems: list[str] | None = None
    """Empty where there are none; left out for who may not look."""
    generation: int | None = None


class LeaderView(View, frozen=True, kw_only=True):
    """The router that decides, where this one follows it."""

    replica: str
    admin: str
    """Where its admin interface answers."""


class HealthView(ReadyView, frozen=True, kw_only=True):
    """Whether anybody serves; who may not look hears ``ok`` alone."""

    notes: list[str] = msgspec.field(default_factory=list)
    workers: list[WorkerView] = msgspec.field(default_factory=list)
    reader: ReaderView | None = None
    frozen: FreezesView | None = None
    term: int = 0
    """In which this router holds its store; workers follow the latest."""
    replicas: str = ""
    """Where several routers share a store: how many of them serve by the newest table."""
    replica: str = ""
    """Of a router that follows another one: what it is called."""
    leader: LeaderView | None = None
    """Whom it follows, where it hears somebody."""
    listen: str = ""


class ReloadView(View, frozen=True, kw_only=True):
    """What reading the policy file did."""

    changed: bool
    digest: str
    notes: list[str]


class WhoisView(View, frozen=True, kw_only=True):
    """Where a sticky key goes."""

    bucket: int
    """Of 10,000."""
    offset: int
    """Where the candidate's interval begins."""
    version: str
    weight_bp: int
    sticky: bool


class SessionView(View, frozen=True, kw_only=True):
    """Who is asking."""

    name: str
    role: str
    open: bool
    """Nobody needs a token."""


class FrozenView(View, frozen=True, kw_only=True):
    """As it is now."""

    frozen: bool


# --- predictions ---------------------------------------------------------------------------------


class RefusedView(View, frozen=True, kw_only=True):
    """A statement that was not taken."""

    index: int
    """Its place in what was sent, from 0."""
    why: str


class StatementsView(View, frozen=True, kw_only=True):
    """What became of statements about predictions."""

    accepted: int
    refused: list[RefusedView]
    joined: int
    waiting: int
    """No prediction of theirs is logged yet."""
    waiting_ids: list[str]
    duplicates: int


class LagView(View, frozen=True, kw_only=True):
    """How late truths come."""

    truths: int
    p50_s: float
    p95_s: float


class LogView(View, frozen=True, kw_only=True):
    """How the prediction log stands."""

    file: str
    """Empty: there is none."""
    written: int
    dropped: dict[str, int]
    held: dict[str, int]
    unknown: int
    unknown_ids: list[str]
    error: str
    lag: dict[str, LagView]


class PredictionsView(View, frozen=True, kw_only=True):
    """Rows of the prediction log, newest first, with the columns of its table."""

    route: str
    rows: list[dict[str, Any]]
