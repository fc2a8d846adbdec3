"""What must have happened for the demo to succeed, checked against what was recorded.

Each expectation is one function of the recording in the visible table `EXPECTATIONS`. It returns
what was seen, in one sentence, or raises `Missing` with what was not.
"""

from collections.abc import Callable
from dataclasses import dataclass

from prediction_services.demo.cast import BROKEN_ZERO, V2, V3, V4, V5
from prediction_services.demo.policy import SHADOW_SAMPLES, STEPS_BP
from prediction_services.demo.recording import Entry, Recording

FULL_BP = 10_000

SENT_PER_S_MIN = 40.0
"""Mean rate that must have been sent even on a slow machine: a load that stalls proves nothing."""

BAD_RESPONSES_MAX = 12
"""Failures a candidate that fails every time may show before it is taken back: at most 4 are
needed (`evidence` reaches 100 : 1), the rest were under way at that moment."""

GRACE_S = 0.25
"""A request planned earlier than this after a rollback may have been on its way already."""

BACK_WITHIN_MS = 1_000.0
"""Longest acceptable time from a person's order to all traffic on stable, written and confirmed."""


class Missing(Exception):  # noqa: N818 - reads as the answer it is
    """Something that must have happened did not; the text says what was found instead."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation after the play."""

    name: str
    met: bool
    text: str


Check = Callable[[Recording], str]


def check(recording: Recording) -> list[Finding]:
    """All expectations, in the order of the play."""
    return [_find(name, expectation, recording) for name, expectation in EXPECTATIONS.items()]


def _find(name: str, expectation: Check, recording: Recording) -> Finding:
    try:
        return Finding(name, met=True, text=expectation(recording))
    except Missing as missing:
        return Finding(name, met=False, text=str(missing))


# --- what clients saw -----------------------------------------------------------------------


def _load_was_real(recording: Recording) -> str:
    sent, seconds = recording.load.get("sent", 0), recording.load.get("seconds", 0.0)
    if sent < SENT_PER_S_MIN * seconds or not sent:
        raise Missing(f"only {sent:,} requests were sent in {seconds:.0f} s")
    return f"{sent:,} requests in {seconds:.0f} s"


def _no_client_error(recording: Recording) -> str:
    load = recording.load
    bad, lost = load.get("bad", -1), load.get("not_sent", -1)
    if bad or lost:
        kinds = {**load.get("transport_errors", {}), **load.get("malformed", {})}
        codes = load.get("codes", {})
        raise Missing(f"{bad} requests failed, {lost} were not sent: statuses {codes}, {kinds}")
    return f"0 of {load['sent']:,} requests failed for their client"


# --- act 1: the good candidate --------------------------------------------------------------


def _shadow_compared(recording: Recording) -> str:
    left = next((e for e in recording.rollout_entries(V3.name) if e.action == "advance"), None)
    agreement = left.report("agreement") if left else None
    if left is None or agreement is None:
        raise Missing(f"the shadow of {V3.name} was never left for the canary")
    if agreement.total < SHADOW_SAMPLES:
        raise Missing(f"only {agreement.total} answers were compared before the canary")
    return (
        f"{agreement.total:,} answers of {V3.name} compared with {V2.name}'s, "
        f"{1 - agreement.bad / agreement.total:.1%} agree"
    )


def _ramped(recording: Recording) -> str:
    entries = recording.rollout_entries(V3.name)
    weights = [entry.weight_bp for entry in entries if entry.action in ("advance", "bake")]
    wanted = [*STEPS_BP, FULL_BP]
    if weights != wanted:
        raise Missing(f"{V3.name}'s weights were {_shares(weights)}, expected {_shares(wanted)}")
    return f"{V3.name} took {_shares(weights)}"


def _promoted(recording: Recording) -> str:
    done = recording.ending(V3.name, "completed")
    if done is None:
        raise Missing(f"{V3.name} was not promoted: {_last(recording, V3.name)}")
    if not recording.answers(V3.name, since_s=done.at_s + 1):
        raise Missing(f"{V3.name} answered nobody after its promotion")
    return f"{V3.name} is stable after {done.at_s:.0f} s"


# --- act 2: wrong predictions ---------------------------------------------------------------


def _wrong_model_caught(recording: Recording) -> str:
    back = _taken_back(recording, BROKEN_ZERO.name)
    agreement = back.report("agreement")
    if not back.reason.startswith("agreement:") or agreement is None:
        raise Missing(f"{BROKEN_ZERO.name} was not taken back by its predictions: {back.reason}")
    failing = [
        name
        for name in ("error_rate", "slo", "guard")
        if (gate := back.report(name)) and gate.verdict == "fail"
    ]
    if failing:
        raise Missing(f"{', '.join(failing)} failed as well, so predictions were not the reason")
    return (
        f"taken back after {agreement.total:,} compared answers "
        f"({agreement.bad:,} differ) while status and latency looked healthy"
    )


def _wrong_model_served_nobody(recording: Recording) -> str:
    answers = recording.answers(BROKEN_ZERO.name)
    if answers:
        raise Missing(f"clients got {answers} answers of {BROKEN_ZERO.name}")
    return f"no client got a prediction of {BROKEN_ZERO.name}"


# --- act 3: failures ------------------------------------------------------------------------


def _failing_model_caught(recording: Recording) -> str:
    back = _taken_back(recording, V4.name)
    failures = _failures(back)
    if not 1 <= failures <= BAD_RESPONSES_MAX:
        raise Missing(f"{V4.name} was taken back after {failures} failures: {back.reason}")
    return f"taken back after {failures} failures of {V4.name}, all answered by {V3.name} instead"


def _failing_model_gets_nothing(recording: Recording) -> str:
    back = _taken_back(recording, V4.name)
    last = recording.last_sent_s.get(V4.name)
    if last is None:
        raise Missing(f"{V4.name} never answered a client, so its canary did not run")
    if last > back.at_s + GRACE_S:
        raise Missing(f"{V4.name} answered a request sent {last - back.at_s:.2f} s after its end")
    settled = _first_scrape_after(recording, back)
    requests = sum(
        seen.requests
        for seen in recording.attempts
        if seen.version == V4.name and seen.role == "candidate" and seen.at_s > settled
    )
    if requests:
        raise Missing(f"the router sent {requests} requests to {V4.name} after its rollback")
    return f"0 requests to {V4.name} from its rollback to the end"


def _first_scrape_after(recording: Recording, back: Entry) -> float:
    """When the first scrape after a rollback was; it still brings what was counted before it."""
    times = sorted({a.at_s for a in recording.attempts if a.at_s > back.at_s + GRACE_S})
    return times[0] if times else back.at_s


# --- act 4: a person's order ----------------------------------------------------------------


def _switched(recording: Recording) -> str:
    switch = recording.ending(V5.name, "baking")
    if switch is None:
        raise Missing(f"{V5.name} never had all traffic: {_last(recording, V5.name)}")
    answers = recording.answers(V5.name)
    if not answers:
        raise Missing(f"{V5.name} answered nobody")
    return f"{V5.name} answered {answers:,} requests after one switch"


def _order_was_instant(recording: Recording) -> str:
    order = next((c for c in recording.commands if c.verb == "rollback"), None)
    back = recording.ending(V5.name, "rolled_back")
    if order is None or back is None:
        raise Missing(f"{V5.name} was not taken back by order: {_last(recording, V5.name)}")
    if back.actor == "router":
        raise Missing(f"{V5.name} was taken back by the router, not by a person: {back.reason}")
    if order.took_ms > BACK_WITHIN_MS:
        raise Missing(f"the order took {order.took_ms:.0f} ms")
    last = recording.last_sent_s.get(V5.name, 0.0)
    if last > back.at_s + GRACE_S:
        raise Missing(f"{V5.name} answered a request sent {last - back.at_s:.2f} s after the order")
    return (
        f"all traffic back on {V3.name} {order.took_ms:.0f} ms after the order was sent, "
        "written and confirmed by the data plane"
    )


# --- nothing else ---------------------------------------------------------------------------


def _nothing_else(recording: Recording) -> str:
    """Every rollout that began ended as the play says, and no other rollout began."""
    begun = {entry.rollout: entry.reason for entry in recording.journal if entry.action == "start"}
    if len(begun) != 4:
        raise Missing(f"{len(begun)} rollouts began, expected 4: {'; '.join(begun.values())}")
    back = {
        entry.rollout: entry.reason
        for entry in recording.journal
        if entry.action in ("rollback", "abort")
    }
    if len(back) != 3:
        raise Missing(f"{len(back)} were taken back, expected 3: {'; '.join(back.values())}")
    return "4 rollouts: 1 promoted, 2 taken back by evidence, 1 by order"


EXPECTATIONS: dict[str, Check] = {
    "the load was real": _load_was_real,
    "clients saw no error": _no_client_error,
    "v3's predictions were compared in the shadow": _shadow_compared,
    "v3 took over step by step": _ramped,
    "v3 was promoted": _promoted,
    "broken-zero was caught by its predictions": _wrong_model_caught,
    "broken-zero reached no client": _wrong_model_served_nobody,
    "v4 was caught by its failures": _failing_model_caught,
    "v4 got nothing afterwards": _failing_model_gets_nothing,
    "v5 was switched to in one moment": _switched,
    "a person's rollback was instant": _order_was_instant,
    "nothing else happened": _nothing_else,
}
"""The visible table."""


def _taken_back(recording: Recording, candidate: str) -> Entry:
    back = recording.ending(candidate, "rolled_back")
    if back is None:
        raise Missing(f"{candidate} was not taken back: {_last(recording, candidate)}")
    if back.actor != "router":
        raise Missing(f"{candidate} was taken back by {back.actor}, not by evidence")
    return back


def _failures(back: Entry) -> int:
    """Failures of the candidate's real requests that the decision rests on."""
    reports = (back.report(name) for name in ("error_rate", "guard"))
    return max((gate.bad for gate in reports if gate), default=0)


def _last(recording: Recording, candidate: str) -> str:
    entries = recording.rollout_entries(candidate)
    return entries[-1].reason if entries else "its rollout never began"


def _shares(weights_bp: list[int]) -> str:
    return " → ".join(f"{weight / 100:g} %" for weight in weights_bp) or "none"
