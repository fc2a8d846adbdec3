"""Alerts: what happened, to whoever the policy says; in the background, bounded and counted.

Alerts hear what everybody hears (the announcements), so what is alerted is what the log, the event
stream and the journal say, with the same sentence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable
from datetime import UTC, datetime
from typing import Final, TypedDict, get_args
from urllib.parse import quote

import aiohttp
import msgspec
from msgspec.structs import replace

from router.control.outside.outbox import Delivery, Outbox, Undelivered, refused
from router.control.outside.outside import NO_ANSWER, no_answer, post
from router.control.rollouts.observe import Observatory
from router.control.rollouts.run import Live, Run
from router.control.rollouts.trial import Trial
from router.control.state.answers import Announcement
from router.core.pairs.tally import Learnt
from router.core.policy import Policy
from router.core.policy.hooks import TRIGGERS, Alert, AlertSeverity, Trigger
from router.core.policy.server import split_address
from router.core.rollout.events import Action
from router.core.rollout.rollout import Phase
from router.core.spoken import held
from router.core.wire.counts import MirrorCounts
from router.core.words import FULL_BP, percent, rate

SHADOW_WINDOW_S: Final = 60.0
"""Copies of this time are looked at together."""

SHADOW_LEAST: Final = 100
"""Copies (or requests that should have been copied) in a window before anything is said."""

WANTED: Final = frozenset({"sample", "rate"})
"""Causes of copies that are dropped because the policy wants no more."""

LASTING_S: Final = 5.0
"""What is over sooner is not told: gates that ask outside hold until their first answer."""

REPEAT_AFTER_S: Final = 600.0
"""The same about the same route is told at most this often."""

RUNBOOK: Final = "https://github.com/rampway/rampway/blob/main/docs/runbook.md#"
"""The trigger's section follows."""

NOTICE: Final = "notice"
"""Kind of the announcements that only alert: ``data["trigger"]`` says what of."""

_OF_ACTION: Final[dict[str, Trigger]] = {
    "start": "started",
    "retry": "started",
    "advance": "step_completed",
    "promote": "step_completed",
    "bake": "step_completed",
    "pause": "paused",
    "await": "approval_needed",
    "rollback": "rolled_back",
    "abort": "aborted",
    "complete": "completed",
}
"""The journal's words; what is not here is not alerted."""

_COLOURS: Final = {"info": "#2f9e44", "warn": "#f08c00", "error": "#e03131"}

TellAlert = Callable[[Trigger, Run, str], None]


def trigger_of(letter: Announcement) -> Trigger | None:
    """What an announcement alerts of."""
    if letter.kind == "problem":
        return "config_rejected"
    if letter.kind == NOTICE:
        told = letter.data.get("trigger")
        return told if told in get_args(Trigger) else None
    if letter.kind != "transition":
        return None
    if letter.data["action"] == "promote" and letter.data["phase_to"] == Phase.COMPLETED:
        return "completed"
    return _OF_ACTION.get(letter.data["action"])


class AlertBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a webhook is sent as JSON; keys that do not apply are left out."""

    trigger: Trigger
    severity: AlertSeverity
    at: float
    """Wall time, seconds since 1970."""
    route: str
    """Empty where it concerns the whole router."""
    summary: str
    text: str
    runbook: str
    rollout: str | None = None
    """With all that follows but the link: of the route's rollout, if it has one."""
    stable: str | None = None
    candidate: str | None = None
    phase: str | None = None
    step: int | None = None
    """1-based."""
    steps: int | None = None
    weight_bp: int | None = None
    revision: int | None = None
    actor: str | None = None
    link: str | None = None
    """Where people look next."""


class Alerts:
    """Sends each announcement to those who want it."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.session: aiohttp.ClientSession | None = None

    def hear(self, letter: Announcement, policy: Policy, run: Run | None) -> None:
        """``run`` is the route that it is about, if any."""
        trigger = trigger_of(letter)
        if trigger is None:
            return
        rollout = run.route.rollout if run is not None else None
        told: set[tuple[str, str]] = set()
        for alert in (*policy.alerts, *(rollout.alerts if rollout else ())):
            to = alert.kind, alert.url.get_secret_value()
            if alert.wants(trigger) and to not in told:  # once, whoever named it
                told.add(to)
                self._send(alert, facts(letter, trigger, policy, run))

    def _send(self, alert: Alert, body: AlertBody) -> None:
        url = alert.url.get_secret_value()
        headers = {name: value.get_secret_value() for name, value in alert.headers.items()}
        sent = _FORMS[alert.kind](body)

        async def send() -> None:
            if self.session is None:
                raise Undelivered("the router stops")
            try:
                status = await post(
                    self.session, url, sent, headers=headers, timeout_s=alert.timeout
                )
            except NO_ANSWER as error:
                raise Undelivered(no_answer(error, alert.timeout)) from None
            if not 200 <= status < 300:
                raise Undelivered(f"answered {status}", final=refused(status))

        self._outbox.put(url, Delivery("alert", send, alert.retries))


def told(letter: Announcement) -> str:
    """What a person would say, below it the numbers."""
    numbers = letter.data.get("reason", letter.text)
    return letter.text if numbers == letter.text else f"{letter.text}\n{numbers}"


def facts(letter: Announcement, trigger: Trigger, policy: Policy, run: Run | None) -> AlertBody:
    """The payload of a webhook."""
    body = AlertBody(
        trigger=trigger,
        severity=TRIGGERS[trigger],
        at=letter.at,
        route=letter.route,
        summary=letter.text,
        text=told(letter),
        runbook=RUNBOOK + trigger,
        link=page_of(policy, letter.route) or None,
    )
    if run is None or (carried := run.record.carried) is None:
        return body
    rollout = carried.rollout
    return replace(
        body,
        rollout=rollout.id,
        stable=rollout.stable,
        candidate=rollout.candidate,
        phase=rollout.phase.value,
        step=rollout.step + 1,
        steps=len(carried.plan.steps),
        weight_bp=carried.split.candidate_bp,
        revision=rollout.revision,
        actor=rollout.actor,
    )


def page_of(policy: Policy, route: str) -> str:
    """Where people look next: the route's page, by the admin interface's first name.

    Without a name it is the address that is listened on; empty where that is any.
    """
    host, port = split_address(policy.admin.listen)
    name = policy.admin.hosts[0] if policy.admin.hosts else host
    if name in ("0.0.0.0", "::"):
        return ""
    shown = f"[{name}]" if ":" in name else name
    base = f"{'https' if policy.admin.tls else 'http'}://{shown}:{port}/"
    return f"{base}#/route/{quote(route, safe='')}" if route else base


class SlackAttachment(TypedDict):
    """What gives a message its colour."""

    color: str
    fallback: str


class SlackMessage(TypedDict):
    """What incoming webhooks of Slack read."""

    text: str
    attachments: list[SlackAttachment]


def slack(body: AlertBody) -> SlackMessage:
    """The same for a chat: a line in bold, the sentence, a colour; ``&<>`` as Slack wants them."""
    title = body.trigger.replace("_", " ")
    about = f"{body.route}: " if body.route else ""
    where = ""
    if body.candidate is not None and body.weight_bp is not None:
        where = f" ({body.candidate} at {percent(body.weight_bp)})"
    lines = [f"*{_plain(about + title)}*{_plain(where)}", _plain(body.text)]
    if body.link:
        lines.append(f"<{body.link}|dashboard> · <{body.runbook}|what to do>")
    text = "\n".join(lines)
    colour = _COLOURS[body.severity]
    return {"text": text, "attachments": [{"color": colour, "fallback": _plain(body.text)}]}


class AlertmanagerAlert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One entry of ``POST /api/v2/alerts``."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str
    generator_url: str = msgspec.field(name="generatorURL")


def alertmanager(body: AlertBody) -> AlertmanagerAlert:
    """The same for ``POST /api/v2/alerts``: labels say which thing it is, so it is grouped once.

    https://prometheus.io/docs/alerting/latest/alerts_api/ . It is over for Alertmanager after its
    ``resolve_timeout``: what is told here has happened.
    """
    title = "".join(word.capitalize() for word in body.trigger.split("_"))
    labels = {"alertname": f"Rampway{title}", "service": "rampway", "severity": body.severity}
    about = {"route": body.route, "rollout": body.rollout, "candidate": body.candidate}
    return AlertmanagerAlert(
        labels=labels | {name: value for name, value in about.items() if value},
        annotations={
            "summary": body.summary, "description": body.text, "runbook_url": body.runbook,
        },
        starts_at=datetime.fromtimestamp(body.at, UTC).isoformat(timespec="milliseconds"),
        generator_url=body.link or "",
    )  # fmt: skip


def _whole(body: AlertBody) -> object:
    return msgspec.to_builtins(body)


_FORMS: Final[dict[str, Callable[[AlertBody], object]]] = {
    "webhook": _whole,
    "slack": slack,
    "alertmanager": lambda body: [msgspec.to_builtins(alertmanager(body))],
}


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Watch:
    """Tells of what is no transition: evidence that holds, silence, copies that do not arrive.

    Looked at about once a second; told once it lasts, and not again for a while.
    """

    def __init__(self, observatory: Observatory, tell: TellAlert) -> None:
        self._observatory = observatory
        self._tell = tell
        self._since: dict[str, dict[Trigger, float]] = {}
        """By route."""
        self._told: dict[tuple[str, Trigger], float] = {}
        self._copies: dict[tuple[str, str], deque[tuple[float, int, int]]] = {}
        self._learnt: dict[str, deque[tuple[float, Learnt]]] = {}

    def mirrored(self, counts: Iterable[MirrorCounts], now: float) -> None:
        """Book copies: how many arrived, and how many did not that should have."""
        for one in counts:
            lost = one.failed + sum(n for cause, n in one.dropped.items() if cause not in WANTED)
            if one.delivered or lost:
                copies = self._copies.setdefault((one.route, one.version), deque(maxlen=1_000))
                copies.append((now, one.delivered, lost))

    def look(self, runs: Iterable[Run], now: float) -> None:
        """Tell what has lasted for :data:`LASTING_S`; ``now`` is the rollout clock."""
        for run in runs:
            before, seen = self._since.pop(run.route.name, {}), {}
            for trigger, text in self._found(run, run.live, now) if run.live else ():
                key = (run.route.name, trigger)
                since = seen[trigger] = before.get(trigger, now)
                lasts = now - since >= LASTING_S
                if lasts and now - self._told.get(key, float("-inf")) >= REPEAT_AFTER_S:
                    self._told[key] = now
                    self._tell(trigger, run, text)
            if seen:
                self._since[run.route.name] = seen

    def keep_only(self, routes: Container[str]) -> None:
        """Forget what was found at routes that are gone."""
        self._since = {name: seen for name, seen in self._since.items() if name in routes}

    def _found(self, run: Run, live: Live, now: float) -> Iterable[tuple[Trigger, str]]:
        trial = live.trial
        if live.rollout.phase is Phase.PAUSED:
            return
        judgement = trial.judgement()
        if judgement.action is Action.HOLD:
            silent = trial.judge.silence
            said = f"{held(live.rollout, judgement.plain)}\n{judgement.sentence}"
            yield "no_data" if silent else "held", silent or said
        for title, sentence in trial.judge.failed.items():
            if not trial.judge.gates[title].holds:
                yield "gate_failed", f"{title}: {sentence}"
        mirror_bp = live.split.mirror_bp
        trial.shadow.alarm = (
            self._undelivered(run, trial, mirror_bp, now) or self._unlearnt(run, trial, now)
            if mirror_bp
            else ""
        )
        if trial.shadow.alarm:
            yield "shadow_undelivered", trial.shadow.alarm

    def _undelivered(self, run: Run, trial: Trial, mirror_bp: int, now: float) -> str:
        """Too many copies lost, or none sent although requests for them came."""
        version, limit_bp = trial.shadow.terms.candidate, trial.policy.mirroring.undelivered
        copies = self._copies.get((run.route.name, version), deque())
        while copies and now - copies[0][0] > SHADOW_WINDOW_S:
            copies.popleft()
        arrived, lost = sum(c[1] for c in copies), sum(c[2] for c in copies)
        sent = arrived + lost
        trial.shadow.lost_share = lost / sent if sent >= SHADOW_LEAST else None
        if sent >= SHADOW_LEAST and lost / sent * FULL_BP > limit_bp:
            return (
                f"the shadow is not delivered: {lost:,} of {sent:,} copies of the last minute did "
                f"not arrive ({rate(lost / sent)}), limit {percent(limit_bp)}"
            )
        began = run.rollout.step_since if run.rollout else now
        if sent or now - began < SHADOW_WINDOW_S:
            return ""
        served = self._observatory.view(run.route.name, run.record.stable, now).requests
        wanted = int(served * mirror_bp / FULL_BP)
        if wanted < SHADOW_LEAST:
            return ""
        share = percent(mirror_bp)
        return f"no copy was sent in the last minute; {share} of {served:,} requests were to be"

    def _unlearnt(self, run: Run, trial: Trial, now: float) -> str:
        """Copies arrive, but most of the last minute's pairs teach nothing."""
        seen = self._learnt.setdefault(run.route.name, deque(maxlen=int(SHADOW_WINDOW_S) * 2))
        learnt = trial.shadow.candidate.learnt
        if seen and sum(learnt) < sum(seen[-1][1]):
            seen.clear()  # another attempt
        if not seen:
            seen.append((now, Learnt(0, 0, 0)))
        seen.append((now, learnt))
        while now - seen[0][0] > SHADOW_WINDOW_S:
            seen.popleft()
        return trial.shadow.unlearnt(seen[0][1])
