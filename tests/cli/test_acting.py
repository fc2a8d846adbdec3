"""Verbs that change something: orders, questions, conflicts, permissions, lost answers."""

from __future__ import annotations

import pytest

from router.cli import orders
from router.cli.show import left
from router.control.state.errors import Busy, StoreUnavailable
from router.core.rollout import events
from tests.admin.conftest import SECRETS
from tests.cli.told import rollout

ROUTE = "flight-delay"


@pytest.mark.parametrize(
    ("arguments", "event"),
    [
        (["promote"], events.Promote),
        (["promote", "--full"], events.Promote),
        (["pause"], events.Pause),
        (["abort"], events.Abort),
        (["rollback"], events.Rollback),
        (["rollback", "--to", "v1"], events.Rollback),
        (["set-weight", "12.5%", "--for", "30m"], events.SetWeight),
    ],
)
def test_an_order_is_carried_out_and_told(router, arguments, event):
    verb, *rest = arguments
    ended = router.run(verb, ROUTE, *rest, "--reason", "because")

    assert ended.code == 0, ended
    (order,) = router.controller.orders
    assert isinstance(order, event)
    assert order.reason == "because"
    assert order.actor.startswith("local:")
    assert getattr(order, "full", False) == ("--full" in rest)
    assert getattr(order, "weight_bp", 1250) == 1250
    assert "because" in ended.out
    assert "revision 2; in force after 4ms" in ended.out


def test_pause_then_resume_and_rollback_then_retry(router):
    for verb in ("pause", "resume", "rollback", "retry"):
        assert router.run(verb, ROUTE).code == 0, verb


def test_a_weight_is_lifted(router):
    router.run("set-weight", ROUTE, "50%", "--for", "1h")

    assert router.run("set-weight", ROUTE, "--lift").code == 0
    assert router.controller.orders[-1].weight_bp is None


@pytest.mark.parametrize(
    "arguments",
    [["set-weight", ROUTE], ["set-weight", ROUTE, "5%", "--lift"], ["set-weight", ROUTE, "5%"],
     ["set-weight", ROUTE, "5", "--for", "1h"],
     ["promote", ROUTE, "--if-revision", "x"], ["promote", ROUTE, "--fulll"]],
)  # fmt: skip
def test_wrong_arguments_are_exit_2(router, arguments):
    assert router.run(*arguments).code == 2
    assert not router.controller.orders


def test_a_dry_run_changes_nothing_and_says_so(router):
    ended = router.run("promote", ROUTE, "--full", "--dry-run")

    assert ended.code == 0
    assert "would be" in ended.out
    assert "baking" in ended.out
    assert not router.controller.orders


def test_json_is_the_answer_of_the_router(router):
    result = router.run("pause", ROUTE, "-o", "json").json

    assert (result["phase"], result["revision"], result["changed"]) == ("paused", 2, True)


def test_a_moved_rollout_is_a_conflict(router):
    assert router.run("pause", ROUTE, "--if-revision", "1").code == 0

    ended = router.run("resume", ROUTE, "--if-revision", "1")

    assert (ended.code, "revision 2, not 1" in ended.err) == (5, True)


def test_what_the_machine_refuses_is_a_conflict_with_its_sentence(router):
    ended = router.run("resume", ROUTE)

    assert (ended.code, "it is not paused" in ended.err) == (5, True)


@pytest.mark.parametrize(("error", "code"), [(Busy("busy"), 6), (StoreUnavailable("full"), 1)])
def test_other_refusals_have_their_codes(router, error, code):
    router.controller.fails = error

    assert router.run("promote", ROUTE).code == code


def test_roles_decide_over_http_too(guarded, token, tmp_path, monkeypatch):
    assert guarded.run("list").code == 7

    token("viewer")
    assert guarded.run("list").code == 0
    ended = guarded.run("promote", ROUTE)
    assert (ended.code, "needs the role operator" in ended.err) == (7, True)

    monkeypatch.delenv("RAMPWAY_TOKEN")
    secret = tmp_path / "token"
    secret.write_text(SECRETS["operator"] + "\n")
    assert guarded.run("promote", ROUTE, "--token-file", str(secret)).code == 0
    assert guarded.controller.orders[0].actor == "the-operator"
    assert guarded.run("promote", ROUTE, "--token-file", "/nowhere").code == 2


def test_freeze(router):
    assert router.run("freeze", "--reason", "incident").code == 0
    assert router.controller.frozen
    assert "advance again" in router.run("freeze", "--off").out
    ended = router.run("freeze", ROUTE, "--for", "12h")
    assert ended.out == f"{ROUTE} stands still for 12h\n"
    assert router.controller.frozen_about == (ROUTE, 43_200.0)
    assert "may advance again" in router.run("freeze", ROUTE, "--off").out
    assert router.run("freeze", "nowhere").code != 0
    assert router.run("freeze", "--for", "soon").code == 2


def test_a_retry_is_forced_only_when_said(router):
    for force in ((), ("--force",)):
        assert router.run("abort", ROUTE).code == 0
        assert router.run("retry", ROUTE, *force).code == 0
        assert router.controller.orders[-1].force is bool(force)


@pytest.mark.parametrize(
    ("status", "waits"),
    [
        ({"remaining_s": 90, "waits_for": ""}, "1m30s"),
        ({"waits_for": "waits for hook ticket: answered 403"}, "hook ticket: answered 403"),
        ({"remaining_s": 2, "waits_for": "frozen by ann: sale"}, "2s and the freeze by ann: sale"),
        ({}, ""),
    ],
)
def test_what_a_step_waits_for_is_shown(status, waits):
    plain = {"remaining_s": 0, "waits_for": ""}
    assert left(rollout(**plain | status)) == waits


class Terminal:
    """Answers the question and remembers it."""

    def __init__(self, monkeypatch, answer: bool) -> None:
        self.asked = 0
        self.answer = answer
        monkeypatch.setattr(orders, "interactive", lambda: True)
        monkeypatch.setattr(orders, "confirm", self.confirm)

    def confirm(self, _text: str) -> bool:
        self.asked += 1
        return self.answer


def test_at_a_terminal_more_traffic_is_asked_for_first(router, monkeypatch):
    terminal = Terminal(monkeypatch, answer=False)

    ended = router.run("promote", ROUTE)

    assert terminal.asked == 1
    assert "would be" in ended.out
    assert ended.code == 2
    assert not router.controller.orders
    terminal.answer = True
    assert router.run("promote", ROUTE).code == 0
    assert len(router.controller.orders) == 1


def test_what_was_confirmed_is_what_is_done(router, monkeypatch):
    terminal = Terminal(monkeypatch, answer=True)

    def confirm(_text: str) -> bool:
        router.observe(samples=1, auto_weight_bp=None)
        router.call(router.controller.command(ROUTE, events.Pause("somebody else")))
        return True

    monkeypatch.setattr(orders, "confirm", confirm)

    assert router.run("promote", ROUTE).code == 5
    assert terminal.asked == 0


def test_nobody_is_asked_with_yes_or_for_taking_traffic_back(router, monkeypatch):
    terminal = Terminal(monkeypatch, answer=False)

    assert router.run("promote", ROUTE, "--yes").code == 0
    assert router.run("rollback", ROUTE).code == 0
    assert router.run("retry", ROUTE, "-y").code == 0
    assert router.run("abort", ROUTE).code == 0
    assert terminal.asked == 0


def test_an_order_whose_answer_was_lost_is_carried_out_once(router, monkeypatch):
    from router.cli.client import Client, Unreachable

    real = Client.post
    sent = []

    def post(self, kind, path, body, headers):
        answer = real(self, kind, path, body, headers)
        sent.append(headers["Idempotency-Key"])
        if len(sent) == 1:
            raise Unreachable(self.url, ConnectionResetError("reset"))
        return answer

    monkeypatch.setattr(Client, "post", post)
    monkeypatch.setattr(orders, "AGAIN_S", 0.0)

    ended = router.run("promote", ROUTE)

    assert ended.code == 0
    assert sent[0] == sent[1]
    assert len(router.controller.orders) == 1
    assert "carried out before" in ended.out


def test_an_order_for_a_pattern_goes_to_each_route_that_it_can_mean(router):
    ended = router.run("abort", "flight-*", "--reason", "incident")
    assert ended.code == 0, ended
    assert "flight-delay: " in ended.out
    assert [type(order) for order in router.controller.orders] == [events.Abort]
    ended = router.run("abort", "*")
    assert (ended.code, "nothing of * has a live rollout" in ended.err) == (2, False)
    assert "has no live rollout" in ended.err
    assert "is no route with a rollout" in router.run("pause", "churn*").err
    assert router.run("retry", "*").code == 0


def test_who_refuses_keeps_none_of_the_others_from_it(router):
    assert router.run("abort", "*", "--if-revision", "1").code == 2
    router.controller.fails = Busy("256 commands are under way")
    ended = router.run("pause", "*", "-o", "json")
    assert ended.code == 6
    assert list(ended.json["refused"]) == [ROUTE]
    assert "1 of 1 refused" in ended.err
    router.controller.fails = None
    ended = router.run("pause", "*", "--dry-run")
    assert (ended.code, "would be" in ended.out, router.controller.orders) == (0, True, [])
