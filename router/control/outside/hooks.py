"""Hooks at work: who is asked, what was answered, and what follows from it.

Asking happens in the background; the decider reads the last answers and never waits. So a hook can
keep a rollout where it is, or demand its end, and can delay nothing. Answers are not stored: after
a restart a hook is asked again, which is safe, since without an answer nothing goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import msgspec
from msgspec.structs import replace

from router.control.outside.outbox import Delivery, Outbox, Undelivered, refused
from router.control.outside.outside import CALLS_AT_ONCE_MAX, NO_ANSWER, no_answer, post
from router.control.rollouts.run import Run
from router.control.state.record import Carried, JournalEntry
from router.core.policy import RolloutPolicy
from router.core.policy.hooks import Asked, Check, Hook
from router.core.rollout.plan import Ending, Plan
from router.core.rollout.rollout import Phase, Rollout
from router.core.rollout.traffic import split_for
from router.core.words import count
from router.loops import BOOKS, background

GO: Final = (200, 201, 202)
"""Flagger's answers that let a rollout go on."""

RETRY_PAUSE_S: Final = 0.2
ALWAYS: Final = -1
"""The place of hooks that are asked in every step."""


class HookBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a hook is sent as JSON."""

    hook: str
    """The point at which it is asked or told."""
    name: str
    route: str
    rollout: str
    attempt: int
    phase: str
    step: int
    """1-based."""
    steps: int
    weight_bp: int
    stable: str
    candidate: str
    revision: int
    reason: str
    metadata: dict[str, str]
    """As the policy has it for this hook."""
    action: str | None = None
    """Of the move that it is told of, as the next two; absent where it is asked."""
    actor: str | None = None
    at: float | None = None
    """Wall time, seconds since 1970."""


@dataclass
class Standing:
    """Where it stands with one hook at one place of an attempt."""

    asked: int = 0
    refused: int = 0
    """Clear answers that were not go."""
    go: bool = False
    """The last answer was."""
    text: str = "not answered yet"
    last_s: float | None = None
    """When it was asked last, rollout clock."""
    under_way: bool = False


@dataclass
class HookAnswers:
    """All standings of one attempt of a rollout."""

    about: tuple[str, int]
    standings: dict[tuple[int, str], Standing] = field(default_factory=dict)
    told: set[tuple[int, str]] = field(default_factory=set)
    """Whose go the journal knows already."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What hooks ask for at one look."""

    rollback: str = ""
    """A sentence: take the candidate back."""
    waits_for: str = ""
    """A sentence: stay where you are."""
    hook: Hook | None = None
    """Whose answer that is."""
    answered: bool = False
    """It has answered (or was given up on) before: the wait is worth telling."""


Wake = Callable[[Run], None]
Note = Callable[[Run, str, str], None]
"""``note(run, action, reason)`` writes into the journal."""


class Hooks:
    """Asks the hooks of every rollout and remembers what they said."""

    def __init__(self, outbox: Outbox, wake: Wake, note: Note) -> None:
        self._outbox = outbox
        self._wake = wake
        self._note = note
        self._attempts: dict[str, HookAnswers] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"<Hooks {len(self._tasks)} questions under way>"

    async def close(self) -> None:
        """Give up all questions."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what the decider asks --------------------------------------------------------------------

    def look(self, run: Run, live: Carried, now: float, *, ready: bool) -> Reaction:
        """What the hooks of a live rollout ask for; asks those whose turn it is.

        ``ready``: nothing else keeps the rollout in its step.
        """
        policy, plan, rollout = live.policy, live.plan, live.rollout
        if not policy.hooks:
            return Reaction()
        attempt = self._attempt(run, rollout)
        demanded = self._demanded(run, live, attempt, now)
        if demanded.rollback:
            return demanded
        checks = _checks(policy, plan, rollout)
        waiting = [h for h in checks if not self._asked(run, live, h, ALWAYS, now).go]
        gates = _gates(policy, plan, rollout) if ready else ()
        for hook in gates:
            standing = self._standing(attempt, hook, rollout.step)
            settled = standing.go and isinstance(hook, Check)
            if not settled:
                self._asked(run, live, hook, rollout.step, now)
            # What was said before a wait (an approval, a window) is no word on what follows it.
            if not settled and (not standing.go or standing.under_way):
                waiting.append(hook)
                break
            self._said_go(run, attempt, hook, rollout.step)
        spent = self._spent(attempt, (*checks, *gates), rollout)
        if spent:
            return Reaction(rollback=spent)
        if not waiting:
            return Reaction()
        place = ALWAYS if waiting[0] in checks else rollout.step
        standing = self._standing(attempt, waiting[0], place)
        text = f"waits for hook {waiting[0].title}: {standing.text}"
        return Reaction(waits_for=text, hook=waiting[0], answered=standing.asked > 0)

    def _demanded(self, run: Run, live: Carried, attempt: HookAnswers, now: float) -> Reaction:
        """Hooks that are asked in every live phase whether to go back; also in a pause."""
        for hook in live.policy.hooks_at("rollback"):
            standing = self._standing(attempt, hook, ALWAYS)
            if standing.go:
                return Reaction(rollback=f"hook {hook.title} demands a rollback: {standing.text}")
            self._asked(run, live, hook, ALWAYS, now)
        return Reaction()

    def _spent(self, attempt: HookAnswers, hooks: tuple[Hook, ...], rollout: Rollout) -> str:
        for hook in hooks:
            place = rollout.step if hook.point == "pre_rollout" else ALWAYS
            if isinstance(hook, Check):
                standing = self._standing(attempt, hook, place)
                if standing.refused > hook.failure_limit:
                    refusals = count(standing.refused, "refusal")
                    return (
                        f"hook {hook.title} {standing.text}; {refusals}, limit {hook.failure_limit}"
                    )
        return ""

    def _attempt(self, run: Run, rollout: Rollout) -> HookAnswers:
        about = (rollout.id, rollout.attempt)
        known = self._attempts.get(run.route.name)
        if known is None or known.about != about:
            known = self._attempts[run.route.name] = HookAnswers(about)
        return known

    def _standing(self, attempt: HookAnswers, hook: Hook, place: int) -> Standing:
        return attempt.standings.setdefault((place, hook.title), Standing())

    def _said_go(self, run: Run, attempt: HookAnswers, hook: Hook, place: int) -> None:
        """Into the journal, once a step."""
        if (place, hook.title) not in attempt.told:
            attempt.told.add((place, hook.title))
            questions = count(self._standing(attempt, hook, place).asked, "question")
            self._note(run, "hook", f"hook {hook.title} said go after {questions}")

    # --- asking -------------------------------------------------------------------------------

    def _asked(self, run: Run, live: Carried, hook: Hook, place: int, now: float) -> Standing:
        """The standing; a question is sent when it is due and there is room."""
        standing = self._standing(self._attempts[run.route.name], hook, place)
        if not isinstance(hook, Asked):
            return standing
        due = standing.last_s is None or now - standing.last_s >= hook.interval
        if due and not standing.under_way and len(self._tasks) < CALLS_AT_ONCE_MAX:
            standing.under_way, standing.last_s = True, now
            body = payload(run, live, hook)
            task = background("hooks", self._ask(run, hook, standing, body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return standing

    async def _ask(self, run: Run, hook: Hook, standing: Standing, body: HookBody) -> None:
        if self.session is None:
            return  # the router stops
        headers = headers_of(run, hook)
        for attempt in range(hook.retries + 1):
            if attempt:
                await asyncio.sleep(RETRY_PAUSE_S)
            try:
                status = await post(
                    self.session, hook.url, msgspec.to_builtins(body), headers=headers,
                    timeout_s=hook.timeout,
                )  # fmt: skip
            except NO_ANSWER as error:
                standing.go, standing.text = False, no_answer(error, hook.timeout)
            except Exception as error:  # noqa: BLE001 - whatever it was: it is asked again
                BOOKS.failed("hooks", error)
                standing.go, standing.text = False, "could not be asked"
            else:
                demands = hook.point == "rollback"
                standing.go = 200 <= status < 300 if demands else status in GO
                standing.refused += not standing.go
                standing.text = f"answered {status}"
                break
        standing.asked += 1
        standing.under_way = False
        self._wake(run)

    # --- telling ------------------------------------------------------------------------------

    def moved(self, run: Run, entry: JournalEntry) -> None:
        """Tell hooks of the points `event` and `post_rollout`."""
        carried = run.record.carried
        if carried is None or entry.rollout != carried.rollout.id:
            return
        ended = entry.phase_to != entry.phase_from and not carried.rollout.phase.live
        for hook in carried.policy.hooks:
            if hook.point == "event" or (hook.point == "post_rollout" and ended):
                body = replace(
                    payload(run, carried, hook), action=entry.action, actor=entry.actor,
                    reason=entry.reason, at=entry.at,
                )  # fmt: skip
                self._send(run, hook, body)

    def _send(self, run: Run, hook: Hook, body: HookBody) -> None:
        headers = headers_of(run, hook)

        async def send() -> None:
            if self.session is None:
                raise Undelivered("the router stops")
            try:
                status = await post(
                    self.session, hook.url, msgspec.to_builtins(body), headers=headers,
                    timeout_s=hook.timeout,
                )  # fmt: skip
            except NO_ANSWER as error:
                raise Undelivered(no_answer(error, hook.timeout)) from None
            if not 200 <= status < 300:
                raise Undelivered(f"answered {status}", final=refused(status))

        def done(error: str) -> None:
            if error and hook.point == "post_rollout":
                self._note(run, "hook", f"hook {hook.title} was not told: {error}")

        self._outbox.put(hook.url, Delivery(hook.point, send, hook.retries, done))


def _checks(policy: RolloutPolicy, plan: Plan, rollout: Rollout) -> tuple[Hook, ...]:
    """Checks that run now: while the candidate has traffic or copies, and nobody paused it."""
    split = split_for(rollout, plan)
    seen = split.candidate_bp or split.mirror_bp
    return policy.hooks_at("rollout") if seen and rollout.phase is not Phase.PAUSED else ()


def _gates(policy: RolloutPolicy, plan: Plan, rollout: Rollout) -> tuple[Hook, ...]:
    """Hooks that must say go before the present step is left."""
    if rollout.phase not in (Phase.PROGRESSING, Phase.AWAITING_APPROVAL):
        return ()
    if rollout.step == 0 and policy.asks_first:
        return policy.hooks_at("confirm_rollout", "pre_rollout", "confirm_traffic_increase")
    step, following = plan.steps[rollout.step], rollout.step + 1
    if following == len(plan.steps):
        return policy.hooks_at("confirm_promotion") if plan.ending is Ending.PROMOTE else ()
    after = plan.steps[following]
    more = after.weight_bp > step.weight_bp or after.mirror_bp > step.mirror_bp
    return policy.hooks_at("confirm_traffic_increase") if more else ()


def headers_of(run: Run, hook: Hook) -> dict[str, str]:
    """The hook's header fields, from the policy of the moment.

    The policy that a rollout began with is kept without secrets, and a secret may have changed
    since. One that is no longer in the file, or is at another URL now, gets none.
    """
    rollout = run.route.rollout
    for known in rollout.hooks if rollout else ():
        if (known.point, known.title, known.url) == (hook.point, hook.title, hook.url):
            return {name: value.get_secret_value() for name, value in known.headers.items()}
    return {}


def payload(run: Run, carried: Carried, hook: Hook) -> HookBody:
    """What a hook is told."""
    rollout = carried.rollout
    return HookBody(
        hook=hook.point,
        name=hook.title,
        route=run.route.name,
        rollout=rollout.id,
        attempt=rollout.attempt,
        phase=rollout.phase.value,
        step=rollout.step + 1,
        steps=len(carried.plan.steps),
        weight_bp=carried.split.candidate_bp,
        stable=rollout.stable,
        candidate=rollout.candidate,
        revision=rollout.revision,
        reason=rollout.reason,
        metadata=dict(hook.metadata),
    )
