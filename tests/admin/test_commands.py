"""Orders over HTTP: what they become, and every way in which they are refused."""

from __future__ import annotations

import pytest

from router.admin.commands import COMMANDS
from router.control.state import errors
from router.core.rollout import events

BASE = "/api/v1/rollouts/flight-delay/"


@pytest.mark.parametrize(
    ("verb", "body", "event"),
    [
        ("promote", {"full": True}, events.Promote("local", "why", full=True)),
        ("promote", {}, events.Promote("local", "why")),
        ("pause", {}, events.Pause("local", "why")),
        ("abort", {}, events.Abort("local", "why")),
        ("rollback", {"to": "v1"}, events.Rollback("local", "why")),
        ("set-weight", {"weight": "12.5%", "for": "30m"},
         events.SetWeight("local", "why", weight_bp=1250, until=10.0 + 1800)),
    ],
)  # fmt: skip
async def test_an_order_becomes_its_event(site, verb, body, event):
    answer = await site.post(BASE + verb, {"reason": "why", **body})

    assert answer.status == 200, await answer.text()
    assert [event] == site.controller.orders
    result = await answer.json()
    assert result["changed"]
    assert f'"{result["revision"]}"' == answer.headers["ETag"]


async def test_every_command_is_a_path(site):
    assert {"promote", "pause", "resume", "abort", "rollback", "retry", "set-weight"} <= set(
        COMMANDS
    )
    for verb in COMMANDS:
        assert (await site.post(BASE + verb)).status != 404
    assert (await site.post(BASE + "explode")).status == 404


@pytest.mark.parametrize(
    ("verb", "body", "says"),
    [
        ("promote", {"full": "yes"}, "full: expected a boolean"),
        ("promote", {"full": 1}, "full: expected a boolean"),
        ("pause", {"full": True}, "known are"),
        ("pause", {"reason": "a\nb"}, "reason: one line"),
        ("pause", {"reason": "x" * 501}, "at most 500"),
        ("set-weight", {"weight": "12.5%"}, "for:"),
        ("set-weight", {"for": "1h"}, "for:"),
        ("set-weight", {"weight": "0.001%", "for": "1h"}, "0.01%"),
        ("set-weight", {"weight": "101%", "for": "1h"}, "100%"),
        ("set-weight", {"weight": "5", "for": "1h"}, "share"),
        ("set-weight", {"weight": "5%", "for": "60"}, "duration"),
        ("set-weight", {"weight": 5, "for": "1h"}, "weight: expected a string"),
    ],
)
async def test_a_wrong_field_is_422_and_named(site, verb, body, says):
    answer = await site.post(BASE + verb, body)

    assert answer.status == 422
    assert says in (await answer.json())["detail"]
    assert not site.controller.orders


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"full": NaN}', "NaN is not JSON"),
        (b'{"full": -Infinity}', "is not JSON"),
        (b'{"full": true, "full": false}', "only once"),
        (b"[" * 100_0 + b"]" * 100_0, "nest"),
        (b'{"a": ' + b"9" * 5000 + b"}", "18 digits"),
        (b'{"a": 1e999}', "out of range"),
        (b"{'a': 1}", "expected JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"[]", "object"),
        (b'"promote"', "object"),
        (b"{} {}", "expected JSON"),
    ],
)
async def test_json_with_two_readings_is_400(site, raw, says):
    answer = await site.raw("POST", BASE + "promote", raw, Content_Type="application/json")

    assert answer.status == 400
    assert says in (await answer.json())["detail"]
    assert not site.controller.orders


async def test_a_large_body_is_413(site):
    body = b'{"reason": "' + b"x" * 70_000 + b'"}'
    answer = await site.raw("POST", BASE + "promote", body, Content_Type="application/json")

    assert answer.status == 413
    assert answer.content_type == "application/problem+json"


async def test_if_match_guards_against_a_rollout_that_moved(site):
    seen = (await site.get("/api/v1/rollouts/flight-delay")).headers["ETag"]

    first = await site.post(BASE + "pause", If_Match=seen)
    second = await site.post(BASE + "resume", If_Match=seen)

    assert (first.status, second.status) == (200, 412)
    problem = await second.json()
    assert (problem["expected"], problem["actual"]) == (1, 2)


@pytest.mark.parametrize("value", ["x", "-1", '"', '"1', "1.5", "9" * 30, '"a"'])
async def test_a_malformed_if_match_is_400(site, value):
    assert (await site.post(BASE + "pause", If_Match=value)).status == 400


async def test_any_revision_is_accepted_with_a_star(site):
    assert (await site.post(BASE + "pause", If_Match="*")).status == 200


async def test_a_command_id_is_carried_out_once(site):
    first = await (await site.post(BASE + "promote", Idempotency_Key="a1")).json()
    again = await (await site.post(BASE + "promote", Idempotency_Key="a1")).json()

    assert len(site.controller.orders) == 1
    assert again["repeated"]
    assert first["revision"] == again["revision"]


async def test_a_dry_run_changes_nothing(site):
    answer = await (await site.post(BASE + "rollback", {"dry_run": True})).json()

    assert (answer["phase"], answer["dry_run"]) == ("rolled_back", True)
    assert not site.controller.orders


async def test_an_impossible_order_is_409_with_the_machines_sentence(site):
    answer = await site.post(BASE + "resume")

    assert answer.status == 409
    assert "it is not paused" in (await answer.json())["detail"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Busy("too many"), 503),
        (errors.StoreUnavailable("disk full"), 507),
        (errors.PolicyRejected("bad", [{"line": 3, "message": "bad"}]), 422),
        (errors.ControlError("other"), 500),
    ],
)
async def test_every_refusal_of_the_control_plane_has_its_status(site, error, status):
    site.controller.fails = error
    answer = await site.post(BASE + "promote")
    problem = await answer.json()

    assert (status, str(error), error.code) == (answer.status, problem["detail"], problem["code"])


async def test_a_bug_is_a_500_that_tells_nothing(site):
    site.controller.fails = RuntimeError("secret detail")
    answer = await site.post(BASE + "promote")

    assert answer.status == 500
    assert "secret" not in await answer.text()


async def test_unknown_routes_and_rollouts_are_404(site):
    for path in ("routes/nope", "rollouts/nope", "rollouts/churn", "rollouts/nope/why"):
        assert (await site.get(f"/api/v1/{path}")).status == 404
    assert (await site.post("/api/v1/rollouts/churn/promote")).status == 404


async def test_who_orders_is_in_the_journal(site):
    await site.post(BASE + "pause", X_Rampway_Actor="alice")
    await site.post(BASE + "resume", X_Rampway_Actor="eve\tx")

    assert [event.actor for event in site.controller.orders] == ["local:alice", "local"]
