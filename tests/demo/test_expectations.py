from dataclasses import replace

import pytest

from prediction_services.demo.expectations import EXPECTATIONS, check
from prediction_services.demo.recording import Attempts, Served


def test_a_play_that_went_well_meets_everything(recording):
    findings = check(recording)

    assert [finding.text for finding in findings if not finding.met] == []
    assert [finding.name for finding in findings] == list(EXPECTATIONS)


def change(recording, pick, **fields):
    """Replace fields of the journal entries that `pick` chooses."""
    recording.journal = [replace(e, **fields) if pick(e) else e for e in recording.journal]


def drop(recording, pick):
    recording.journal = [entry for entry in recording.journal if not pick(entry)]


def ends(rollout, action):
    return lambda entry: entry.rollout == f"flight-delay-{rollout}" and entry.action == action


def gate_of(recording, entry_pick, gate, **fields):
    """Change what a gate reported when something was decided."""
    for entry in filter(entry_pick, recording.journal):
        for report in entry.evidence["reports"]:
            if report["gate"] == gate:
                report.update(fields)


def load_stalled(r):
    r.load["sent"] = 2_000


def load_never_ran(r):
    r.load = {}


def a_client_failed(r):
    r.load["bad"] = 1


def a_request_was_not_sent(r):
    r.load["not_sent"] = 1


def shadow_never_left(r):
    drop(r, ends(1, "advance"))


def shadow_hardly_looked(r):
    gate_of(r, ends(1, "advance"), "agreement", candidate={"bad": 0, "total": 40})


def a_step_was_skipped(r):
    drop(r, lambda entry: entry.weight_bp == 500)


def never_all_traffic(r):
    drop(r, ends(1, "bake"))


def never_promoted(r):
    drop(r, ends(1, "complete"))


def promoted_but_answers_nobody(r):
    r.served = [bin_ for bin_ in r.served if bin_.version != "v3"]


def lie_not_caught(r):
    drop(r, ends(2, "rollback"))


def lie_caught_by_a_person(r):
    change(r, ends(2, "rollback"), actor="local")


def lie_caught_by_errors(r):
    change(r, ends(2, "rollback"), reason="error_rate: failed: 4 of 18")


def errors_failed_as_well(r):
    gate_of(r, ends(2, "rollback"), "error_rate", verdict="fail")


def lie_reached_a_client(r):
    r.served.append(Served(36.0, "broken-zero", 1, 0, 4.0, 4.0))


def failure_not_caught(r):
    drop(r, ends(3, "rollback"))


def failure_caught_late(r):
    gate_of(r, ends(3, "rollback"), "error_rate", candidate={"bad": 60, "total": 80})


def failure_caught_without_failures(r):
    gate_of(r, ends(3, "rollback"), "error_rate", candidate={"bad": 0, "total": 80})


def served_after_rollback(r):
    r.last_sent_s["v4"] = 49.0


def canary_without_traffic(r):
    del r.last_sent_s["v4"]


def attempts_after_rollback(r):
    r.attempts.append(Attempts(55.0, "v4", "candidate", 3, 3))


def never_switched(r):
    drop(r, ends(4, "bake"))


def switched_without_traffic(r):
    r.served = [bin_ for bin_ in r.served if bin_.version != "v5"]


def no_order(r):
    r.commands.clear()


def order_without_effect(r):
    drop(r, ends(4, "rollback"))


def taken_back_by_the_router_instead(r):
    change(r, ends(4, "rollback"), actor="router")


def slow_order(r):
    r.commands[0] = replace(r.commands[0], took_ms=4_000.0)


def served_after_the_order(r):
    r.last_sent_s["v5"] = 62.0


def a_fifth_rollout(r):
    begun = next(entry for entry in r.journal if entry.action == "start")
    r.journal.append(replace(begun, id=99, rollout="flight-delay-5"))


def a_fourth_rollback(r):
    back = next(entry for entry in r.journal if entry.action == "rollback")
    r.journal.append(replace(back, id=99, rollout="flight-delay-1"))


SPOILED = {
    load_stalled: "the load was real",
    load_never_ran: "the load was real",
    a_client_failed: "clients saw no error",
    a_request_was_not_sent: "clients saw no error",
    shadow_never_left: "v3's predictions were compared in the shadow",
    shadow_hardly_looked: "v3's predictions were compared in the shadow",
    a_step_was_skipped: "v3 took over step by step",
    never_all_traffic: "v3 took over step by step",
    never_promoted: "v3 was promoted",
    promoted_but_answers_nobody: "v3 was promoted",
    lie_not_caught: "broken-zero was caught by its predictions",
    lie_caught_by_a_person: "broken-zero was caught by its predictions",
    lie_caught_by_errors: "broken-zero was caught by its predictions",
    errors_failed_as_well: "broken-zero was caught by its predictions",
    lie_reached_a_client: "broken-zero reached no client",
    failure_not_caught: "v4 was caught by its failures",
    failure_caught_late: "v4 was caught by its failures",
    failure_caught_without_failures: "v4 was caught by its failures",
    served_after_rollback: "v4 got nothing afterwards",
    canary_without_traffic: "v4 got nothing afterwards",
    attempts_after_rollback: "v4 got nothing afterwards",
    never_switched: "v5 was switched to in one moment",
    switched_without_traffic: "v5 was switched to in one moment",
    no_order: "a person's rollback was instant",
    order_without_effect: "a person's rollback was instant",
    taken_back_by_the_router_instead: "a person's rollback was instant",
    slow_order: "a person's rollback was instant",
    served_after_the_order: "a person's rollback was instant",
    a_fifth_rollout: "nothing else happened",
    a_fourth_rollback: "nothing else happened",
}


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_what_is_missing_is_named(recording, spoil):
    spoil(recording)

    missed = {finding.name for finding in check(recording) if not finding.met}

    assert SPOILED[spoil] in missed


def test_every_expectation_has_a_failing_case():
    assert set(SPOILED.values()) == set(EXPECTATIONS)


def test_an_empty_recording_meets_nothing_and_breaks_nothing(recording):
    empty = type(recording)(started=0.0, rate_per_s=200.0, seed=1)

    met = [finding.name for finding in check(empty) if finding.met]

    assert met == ["broken-zero reached no client"]
