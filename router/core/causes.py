"""Why a judge asks for what it asks: the strongest cause, with its sentence and its plain line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from router.core.gates.verdict import Counts, Verdict, of
from router.core.rollout.events import Action
from router.core.spoken import case, headline
from router.core.words import count, duration, odds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.core.gates.gate import GateState
    from router.core.judge import Judge


class Ground(NamedTuple):
    """An action and why."""

    action: Action
    sentence: str
    plain: str
    """For the one line that people read first (see :mod:`router.core.spoken`)."""


NO_CAUSE: Final = Ground(Action.CONTINUE, "", "")
"""Nothing is against it."""


def cause_of(judge: Judge) -> Ground:
    """The strongest; without one it may continue."""
    return next(_rollbacks(judge), None) or next(_holds(judge), None) or NO_CAUSE


def _rollbacks(judge: Judge) -> Iterator[Ground]:
    if judge.conviction:
        yield Ground(Action.ROLLBACK, judge.conviction, judge.case or headline(judge.conviction))
    most = judge.settings.max_bad_responses
    if most is not None and judge.jury.charged(judge.bad, most) >= most:
        seen = Counts(judge.bad, judge.answers)
        yield Ground(
            Action.ROLLBACK,
            f"max_bad_responses: candidate failed in {of(seen)}, limit {most:,} bad answers",
            f"{seen.bad:,} of its {seen.total:,} answers failed, and at most {most:,} may",
        )
    for title, state in judge.states.items():
        asked = title not in judge.shares and judge.gates[title].convicts
        if asked and state.verdict is Verdict.FAIL:
            yield Ground(Action.ROLLBACK, f"{title}: {state.sentence()}", state.plain())
    silent = judge.silence
    if silent and judge.settings.no_data_aborts:
        yield Ground(Action.ROLLBACK, silent, _silent(judge))


def _holds(judge: Judge) -> Iterator[Ground]:
    if bug := judge.router_bug:
        yield Ground(Action.HOLD, bug, "the router drew it more or less often than it should")
    capital, level = judge.capital, judge.settings.hold_level
    if capital >= level:
        state = judge.states[judge.leader]
        yield Ground(
            Action.HOLD,
            f"{judge.leader}: {state.sentence()}; all gates together {odds(capital)}, "
            + (judge.jury.missing or f"no more traffic at {odds(level)} or above"),
            case(state, judge.recent, judge.jury.replays),
        )
    for title, sentence in holders(judge):
        plain = case(judge.states[title], judge.recent, judge.jury.replays)
        yield Ground(Action.HOLD, f"{title}: {sentence}", plain)
    if silent := judge.unanswered.sentence(judge.silent_s):
        went = count(judge.unanswered.requests, "request")
        yield Ground(
            Action.HOLD, silent,
            f"none of {went} to it was answered in the last {duration(judge.silent_s)}",
        )  # fmt: skip
    if silent := judge.silence:
        yield Ground(Action.HOLD, silent, _silent(judge))


def failures(judge: Judge) -> dict[str, str]:
    """Gates that have failed now and roll nobody back, with their sentence.

    Evidence may fall again; that it sufficed once counts, here as for a rollback.
    """
    return {
        title: f"{state.sentence()}; on_fail: {gate.on_fail}"
        for title, state in judge.states.items()
        if (gate := judge.gates[title]).bets and not gate.convicts and not gate.dry_run
        if title not in judge.failed and state.verdict is Verdict.FAIL
    }


def holders(judge: Judge) -> Iterator[tuple[str, str]]:
    """Every gate that by itself keeps the candidate where it is, with its sentence."""
    for title, state in judge.states.items():
        gate = judge.gates[title]
        if not gate.holds:
            continue
        if title in judge.failed:
            yield title, judge.failed[title]
        elif state.held or (not gate.convicts and _suspects(judge, state)):
            yield title, state.sentence()


def _suspects(judge: Judge, state: GateState) -> bool:
    return state.capital >= judge.settings.hold_level or state.verdict is Verdict.FAIL


def _silent(judge: Judge) -> str:
    return f"it has not answered for {duration(judge.silent_s)}"
