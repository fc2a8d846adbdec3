"""Hooks against a real server: when they are called, what their answers do, what they cannot do."""

from __future__ import annotations

import json
import time

import pytest

from router.control.outside.outside import GuardedResolver, post
from router.core.rollout.events import Pause
from router.core.rollout.rollout import Phase
from tests.control.outside_world import OutsideWorld, Server

STEPS = "[{weight: 1%, hold: 5s}, {weight: 25%, hold: 5s}]"


@pytest.fixture
async def server():
    async with Server() as made:
        yield made


@pytest.fixture
def hooked(policy, server):
    def make(*hooks, steps=STEPS, bake="5s", more=""):
        listed = "\n".join(f"        - {hook}" for hook in hooks).replace("URL", server.url)
        text = f"on_new_candidate: queue\n      {more}\n      hooks:\n{listed}"
        plain = policy(steps=steps, bake=bake).replace("on_new_candidate: queue", text)
        return OutsideWorld(plain)

    return make


ALL = (
    "confirm_rollout: {url: URL/confirm_rollout, metadata: {team: ml}}",
    "pre_rollout: {url: URL/pre_rollout}",
    "rollout: {url: URL/rollout, interval: 2s}",
    "confirm_traffic_increase: {url: URL/more}",
    "confirm_promotion: {url: URL/promotion}",
    "post_rollout: {url: URL/post}",
    "rollback: {url: URL/back, interval: 2s}",
    "event: {url: URL/event}",
)


async def test_all_eight_points_are_called_in_their_order(hooked, server):
    server.answers["back"] = 404
    async with hooked(*ALL) as w:
        await w.until(lambda: "post" in server.paths())
        await w.until(lambda: any(b["action"] == "complete" for b in server.bodies("event")))
        assert w.rollout.phase is Phase.COMPLETED
    assert [e.weight_bp for e in w.disk.entries if e.action == "start"] == [0]
    paths = server.paths()
    firsts = sorted(set(paths) - {"event", "back"}, key=paths.index)
    assert firsts == ["confirm_rollout", "pre_rollout", "more", "rollout", "promotion", "post"]
    assert paths.count("pre_rollout") == 1
    assert paths.count("post") == 1
    assert {b["step"] for b in server.bodies("more")} == {1, 2}, "before 1 % and before 25 %"
    assert paths.count("rollout") >= 5
    (asked,) = {json.dumps(b, sort_keys=True) for b in server.bodies("confirm_rollout")}
    assert json.loads(asked) == {
        "hook": "confirm_rollout", "name": "confirm_rollout", "route": "r", "rollout": "r-1",
        "attempt": 1, "phase": "progressing", "step": 1, "steps": 3, "weight_bp": 0,
        "stable": "v1", "candidate": "v2", "revision": 1,
        "reason": "rollout of v2 beside v1 started", "metadata": {"team": "ml"},
    }  # fmt: skip
    actions = [b["action"] for b in server.bodies("event")]
    moves = [a for a in actions if a != "hook"]
    assert moves == ["start", "advance", "advance", "bake", "complete"]
    ended = server.bodies("post")[0]
    assert (ended["phase"], ended["action"]) == ("completed", "complete")
    said = [e.reason for e in w.disk.entries if e.action == "hook"]
    assert said[0] == "hook confirm_rollout said go after 1 question"
    assert len(said) == 5
    assert "wait" not in [e.action for e in w.disk.entries], "an answer at once is no wait"


async def test_a_candidate_gets_nothing_until_it_is_confirmed(hooked, server):
    server.answers["ticket"] = 403
    async with hooked("confirm_rollout: {name: ticket, url: URL/ticket, interval: 3s}") as w:
        await w.until(lambda: server.paths().count("ticket") >= 3)
        assert (w.rollout.step, w.weight) == (0, 0)
        assert w.reconciler.runs["r"].waiting.reason == "waits for hook ticket: answered 403"
        waits = [e for e in w.disk.entries if e.action == "wait"]
        assert len(waits) == 1
        server.answers["ticket"] = 202
        await w.until(lambda: w.weight == 100)
        assert w.candidate_requests == 0


@pytest.mark.parametrize("status", [203, 204, 301, 307, 403, 500])
async def test_only_200_to_202_is_go_and_redirects_are_not_followed(hooked, server, status):
    server.answers["x"] = status
    async with hooked("confirm_rollout: {url: URL/x, interval: 1s, retries: 0}") as w:
        await w.until(lambda: len(server.calls) >= 2)
        assert w.weight == 0
        assert "elsewhere" not in server.paths()


async def test_promotion_waits_for_its_hook_and_a_freeze_asks_nobody(hooked, server):
    server.answers["p"] = 500
    async with hooked("confirm_promotion: {url: URL/p, interval: 2s}") as w:
        await w.until(lambda: "p" in server.paths())
        assert w.weight == 2_500
        await w.reconciler.freeze(True, "ann", "sale")
        await w.run(5)
        asked = len(server.calls)
        await w.run(20)
        assert len(server.calls) <= asked + 1, "at most the one that was on its way"
        await w.reconciler.freeze(False, "ann", "")
        server.answers["p"] = 200
        await w.until(lambda: w.rollout.phase is Phase.BAKING)


async def test_a_go_is_no_older_than_its_interval(hooked, server):
    """It said go when the step was done; hours later a deadline promoted on that."""
    steps = "[{weight: 1%, hold: 2s, approval: {deadline: 60s, then: promote}}, {weight: 25%}]"
    async with hooked("confirm_traffic_increase: {url: URL/more, interval: 1s}", steps=steps) as w:
        await w.until(lambda: w.rollout.phase is Phase.AWAITING_APPROVAL)
        server.answers["more"] = 403
        await w.run(70, tick=1.0)
        await w.until(lambda: "answered 403" in w.reconciler.runs["r"].waiting.reason)
        assert (w.rollout.phase, w.weight) == (Phase.AWAITING_APPROVAL, 100)
        server.answers["more"] = 200
        await w.until(lambda: w.weight == 2_500)


@pytest.mark.parametrize("paused", [False, True])
async def test_a_rollback_hook_takes_the_candidate_back(hooked, server, paused):
    server.answers["back"] = 404
    async with hooked(
        "rollback: {name: pager, url: URL/back, interval: 1s}", steps="[{weight: 1%, hold: 9h}]"
    ) as w:
        await w.until(lambda: len(server.calls) >= 3)
        if paused:
            await w.order(Pause())
        assert w.weight == 100
        server.answers["back"] = 204
        await w.until(lambda: w.rollout.phase is Phase.ROLLED_BACK)
        assert w.weight == 0
        assert w.rollout.reason == "hook pager demands a rollback: answered 204"


@pytest.mark.parametrize(("point", "weight"), [("rollout", 100), ("pre_rollout", 0)])
async def test_a_check_tolerates_its_limit_and_rolls_back_one_later(hooked, server, point, weight):
    server.answers["check"] = 500
    hook = f"{point}: {{name: load, url: URL/check, interval: 1s, failure_limit: 2}}"
    async with hooked(hook) as w:
        assert w.weight == weight
        await w.until(lambda: w.rollout.phase is Phase.ROLLED_BACK)
        assert len(server.calls) == 3
        assert w.rollout.reason == "hook load answered 500; 3 refusals, limit 2"


async def test_silence_holds_but_never_takes_back(hooked, server):
    dead = "rollout: {url: http://127.0.0.1:1/x, interval: 1s, failure_limit: 0, retries: 0}"
    async with hooked(dead) as w:
        await w.until(lambda: "no connection" in w.reconciler.runs["r"].waiting.reason)
        await w.until(lambda: w.clock.now() > 60)
        assert (w.rollout.phase, w.rollout.step) == (Phase.PROGRESSING, 0)


async def test_a_hook_that_hangs_delays_no_rollback(hooked, server):
    for name in ("a", "b", "c"):
        server.answers[name] = "hang"
    hooks = [f"{point}: {{url: URL/{name}, timeout: 30s}}" for point, name in
             (("rollout", "a"), ("rollback", "b"), ("event", "c"))]  # fmt: skip
    async with hooked(*hooks, steps="[{weight: 50%, hold: 9h}]") as w:
        await w.until(lambda: {"a", "b", "c"} <= set(server.paths()))
        started = time.monotonic()
        await w.run(10, candidate=1.0)
        assert w.rollout.phase is Phase.ROLLED_BACK
        assert time.monotonic() - started < 20.0, "before a hook's own time-out"


async def test_a_hook_without_answer_in_time_is_asked_again(hooked, server):
    server.answers["x"] = "hang"
    hook = "confirm_rollout: {url: URL/x, timeout: 50ms, retries: 1, interval: 1s}"
    async with hooked(hook) as w:
        await w.until(lambda: len(server.calls) == 2)
        await w.until(lambda: "no answer within 50ms" in w.reconciler.runs["r"].waiting.reason)
        assert w.weight == 0
        server.answers["x"] = 200
        await w.until(lambda: w.weight == 100)


async def test_retries_belong_to_one_question(hooked, server, monkeypatch):
    """The next question is a day away: what comes sooner is a retry, and then no more."""
    monkeypatch.setattr("router.control.outside.hooks.RETRY_PAUSE_S", 0.001)
    server.answers["x"] = "hang"
    async with hooked(
        "confirm_rollout: {url: URL/x, timeout: 200ms, retries: 2, interval: 1d}"
    ) as w:
        await w.until(lambda: server.paths() == ["x"] * 3)
        await w.until(lambda: w.clock.now() > 30)
        assert server.paths() == ["x"] * 3
        assert "no answer within 200ms" in w.reconciler.runs["r"].waiting.reason
        assert w.weight == 0


async def test_secrets_go_with_the_call_and_nowhere_else(hooked, server):
    hook = (
        'confirm_rollout: {url: URL/x, interval: 1s, headers: {Authorization: "Bearer hunter22"}}'
    )
    server.answers["x"] = 403
    async with hooked(hook) as w:
        await w.until(lambda: server.calls)
        assert server.headers[0][1]["Authorization"] == "Bearer hunter22"
        assert "hunter22" not in json.dumps([r.to_json() for r in w.disk.records.values()])
        assert "hunter22" not in str(w.disk.entries)
        await w.edit(w.text.replace("hunter22", "hunter33"))
        assert "goes on by the policy" not in str(w.notes), "a new secret needs no new attempt"
        server.headers.clear()
        await w.until(lambda: server.headers)
        assert server.headers[-1][1]["Authorization"] == "Bearer hunter33"
        await w.edit(w.text.replace(f"{server.url}/x", f"{server.url}/y"))
        server.headers.clear()
        await w.until(lambda: server.headers)
        assert server.headers[-1][0] == "x", "it goes on by the policy it began with"
        assert "Authorization" not in server.headers[-1][1]


async def test_after_a_restart_it_is_asked_again(hooked, server):
    server.answers["x"] = 403
    async with hooked("confirm_rollout: {url: URL/x, interval: 1s}") as w:
        await w.until(lambda: server.calls)
        await w.outreach.close()
        server.answers["x"] = 200
        asked = len(server.calls)
        await w.start()
        await w.until(lambda: w.weight == 100)
        assert len(server.calls) == asked + 1


async def test_names_that_lead_to_forbidden_addresses_are_not_called(monkeypatch):
    resolver = GuardedResolver()
    answers = ["169.254.169.254"]

    async def resolve(host, port, family):
        return [{"hostname": host, "host": a, "port": port, "family": family, "proto": 0,
                 "flags": 0} for a in answers]  # fmt: skip

    monkeypatch.setattr(resolver._inner, "resolve", resolve)
    with pytest.raises(OSError, match="must not be called"):
        await resolver.resolve("innocent.example.org", 80)
    answers.append("10.0.0.1")
    assert [r["host"] for r in await resolver.resolve("innocent.example.org", 80)] == ["10.0.0.1"]
    with pytest.raises(ValueError, match="metadata"):
        await post(None, "http://169.254.169.254/", {}, headers={}, timeout_s=1)
