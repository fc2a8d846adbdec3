"""Alerts: which events reach whom, in which form, and what happens when nobody listens."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from router.config.check import loads
from router.control.outside.alerts import (
    LASTING_S,
    REPEAT_AFTER_S,
    RUNBOOK,
    Watch,
    facts,
    page_of,
    slack,
)
from router.control.rollouts.observe import Observatory
from router.control.state.answers import Announcement
from router.core.rollout.events import Abort, Pause, Resume, Retry
from router.core.rollout.rollout import Phase
from router.core.wire.counts import MirrorCounts, PairSample
from tests.control.outside_world import OutsideWorld, Server
from tests.core.pairs.judged import judged_by

STEPS = "[{weight: 1%, hold: 5s}, {weight: 25%, hold: 5s}]"


@pytest.fixture
async def server():
    async with Server() as made:
        yield made


@pytest.fixture
def alerting(policy, server):
    def make(everywhere="", rollout="", *, steps=STEPS, text=None):
        plain = text or policy(steps=steps, bake="5s")
        if rollout:
            plain = plain.replace(
                "on_new_candidate: queue", f"on_new_candidate: queue\n      {rollout}"
            )
        return OutsideWorld(f"{everywhere}\n{plain}".replace("URL", server.url))

    return make


def triggers(server, path):
    return [body["trigger"] for body in server.bodies(path)]


async def test_a_healthy_rollout_tells_its_steps_to_those_who_want_them(alerting, server):
    everywhere = "alerts: [{url: URL/all}, {url: URL/grave, severity: error}]"
    mine = "alerts: [{url: URL/mine, on: [completed]}]"
    async with alerting(everywhere, mine) as w:
        await w.until(lambda: "mine" in server.paths())
        await w.until(lambda: len(server.bodies("all")) == 4)
        assert triggers(server, "all") == [
            "started",
            "step_completed",
            "step_completed",
            "completed",
        ]
        assert server.bodies("grave") == []
        (one,) = server.bodies("mine")
        entry = w.disk.entries[-1]
        assert one == {
            "trigger": "completed", "severity": "info", "at": entry.at, "route": "r",
            "text": f"{entry.line}\n{entry.reason}", "summary": entry.line,
            "link": "http://127.0.0.1:8081/#/route/r", "runbook": RUNBOOK + "completed",
            "rollout": "r-1", "stable": "v1", "candidate": "v2",
            "phase": "completed", "step": 2, "steps": 2, "weight_bp": 10_000, "revision": 4,
            "actor": "router",
        }  # fmt: skip
        # An answer is booked after it was read, which is after the server kept the call.
        await w.until(lambda: w.counts["alert", "delivered"] == 5)


async def test_people_and_gates_are_told_of(alerting, server):
    async with alerting("alerts: [{url: URL/a}]") as w:
        await w.order(Pause("ann", "lunch"))
        await w.order(Resume("ann"))
        await w.order(Abort("ann", "no"))
        await w.order(Retry("ann"))
        await w.until(lambda: w.rollout.step == 1)
        await w.until(lambda: w.rollout.phase is Phase.ROLLED_BACK, candidate=1.0)
        await w.until(lambda: "rolled_back" in triggers(server, "a"))
        told = triggers(server, "a")
        assert told == ["started", "paused", "aborted", "started", "step_completed", "rolled_back"]
        last = server.bodies("a")[-1]
        assert (last["severity"], last["text"]) == (
            "error", f"{w.rollout.line}\n{w.rollout.reason}",
        )  # fmt: skip
        assert w.rollout.line.startswith("v2 was taken back: ")


async def test_approval_and_hooks_ask_for_people_unless_muted(alerting, server, policy):
    steps = "[{weight: 1%, approval: {deadline: 1h}}]"
    async with alerting("alerts: [{url: URL/a, severity: warn}]", steps=steps) as w:
        await w.until(lambda: triggers(server, "a") == ["approval_needed"])
        assert w.rollout.phase is Phase.AWAITING_APPROVAL
    for muted, told in (("false", ["approval_needed"]), ("true", [])):
        server.calls.clear()
        server.answers["hook"] = 403
        hooks = (
            f"hooks: [{{confirm_rollout: {{url: URL/hook, interval: 1s, mute_alert: {muted}}}}}]"
        )
        async with alerting("alerts: [{url: URL/a, severity: warn}]", hooks) as w:
            await w.until(lambda: server.paths().count("hook") >= 3)
            await w.until(lambda told=told: triggers(server, "a") == told)


async def test_a_refused_policy_is_told_of(alerting, server):
    async with alerting("alerts: [{url: URL/a, severity: error}]") as w:
        w.announcer.announce("problem", "", "policy.yaml:3: expected a share")
        await w.until(lambda: server.calls)
        (told,) = server.bodies("a")
        assert (told["trigger"], told["text"]) == (
            "config_rejected",
            "policy.yaml:3: expected a share",
        )
        assert told["route"] == ""


async def test_a_failed_delivery_is_tried_again_and_counted(alerting, server, monkeypatch):
    monkeypatch.setattr("router.control.outside.outbox.PAUSE_S", 0.01)
    server.answers["a"] = 503
    async with alerting("alerts: [{url: URL/a, on: [started], retries: 5}]") as w:
        w.outreach.outbox._pause_s = 0.01
        await w.until(lambda: len(server.calls) >= 2)
        server.answers["a"] = 200
        await w.until(lambda: w.counts["alert", "delivered"] == 1)
    server.answers["a"] = 404
    async with alerting("alerts: [{url: URL/a, on: [started]}]") as w:
        await w.until(lambda: w.counts["alert", "failed"] == 1)
        assert w.outreach.outbox.troubles() == ["undelivered alert: answered 404"]
        server.answers["a"] = 200
        await w.order(Abort("ann", "no"))
        await w.order(Retry("ann"))
        await w.until(lambda: w.counts["alert", "delivered"] == 1)
        assert w.outreach.outbox.troubles() == []


async def test_an_edit_of_alerts_holds_at_once_and_no_url_is_kept(alerting, server):
    async with alerting(
        rollout="alerts: [{url: URL/hunter22}]", steps="[{weight: 1%, hold: 9h}]"
    ) as w:
        await w.until(lambda: server.calls)
        assert "hunter22" not in str([r.to_json() for r in w.disk.records.values()])
        await w.edit(w.text.replace("hunter22", "hunter33"))
        assert w.notes == ()
        await w.order(Pause("ann"))
        await w.until(lambda: "hunter33" in server.paths())


def test_slack_gets_text_that_cannot_be_misread():
    version = "{v1: {endpoints: ['http://127.0.0.1:1']}}"
    text = f"""
admin: {{listen: 127.0.0.1:8081, hosts: [ops.example.org]}}
routes: [{{name: r, versions: {version}, stable: v1}}]
"""
    policy = loads(text).policy
    letter = Announcement(1, "transition", 5.0, "r", "error_rate: 4 > 1 & <!channel>", {})
    sent = slack(facts(letter, "rolled_back", policy, None))
    assert sent["text"] == (
        "*r: rolled back*\nerror_rate: 4 &gt; 1 &amp; &lt;!channel&gt;\n"
        "<http://ops.example.org:8081/#/route/r|dashboard> · "
        f"<{RUNBOOK}rolled_back|what to do>"
    )
    assert sent["attachments"][0]["color"] == "#e03131"


@pytest.mark.parametrize(
    ("admin", "page"),
    [
        ("{listen: '127.0.0.1:9'}", "http://127.0.0.1:9/#/route/a%2Fb"),
        ("{listen: '[::1]:9'}", "http://[::1]:9/#/route/a%2Fb"),
        ("{listen: '127.0.0.1:9', hosts: [ops.example.org]}",
         "http://ops.example.org:9/#/route/a%2Fb"),
    ],
)  # fmt: skip
def test_the_link_leads_to_the_page_of_the_route(admin, page):
    version = "{v1: {endpoints: ['http://127.0.0.1:1']}}"
    policy = loads(f"admin: {admin}\nroutes: [{{name: r, versions: {version}, stable: v1}}]").policy
    assert page_of(policy, "a/b") == page


async def test_alertmanager_gets_one_alert_a_thing(alerting, server):
    """Named twice, told once; labels are what it is, so its own grouping keeps it one."""
    mine = "alerts: [{kind: alertmanager, url: URL/api/v2/alerts, severity: error}]"
    async with alerting(mine, mine) as w:
        await w.order(Abort("ann", "no"))
        await w.until(lambda: server.bodies("api/v2/alerts"))
        await w.until(lambda: w.counts["alert", "delivered"])
        ((one,),) = server.bodies("api/v2/alerts")
    assert one["labels"] == {
        "alertname": "RampwayAborted", "service": "rampway", "severity": "error", "route": "r",
        "rollout": "r-1", "candidate": "v2",
    }  # fmt: skip
    assert one["annotations"]["summary"] == w.disk.entries[-1].line
    assert one["annotations"]["runbook_url"] == RUNBOOK + "aborted"
    assert one["generatorURL"].endswith("/#/route/r")
    assert datetime.fromisoformat(one["startsAt"]).tzinfo is not None


# --- what is no transition --------------------------------------------------------------------


class Ears:
    def __init__(self):
        self.told = []

    def __call__(self, trigger, run, text):
        self.told.append((trigger, text))


async def watching(w, watch, seconds, **traffic):
    for _ in range(int(seconds)):
        await w.run(1, **traffic)
        watch.look(w.reconciler.runs.values(), w.clock.now())


async def test_evidence_that_holds_and_silence_are_told_once_they_last(world, policy):
    text = policy(steps="[{weight: 50%, hold: 9h}]").replace(
        "gates: [error_rate, {guard: {error_rate: 20%}}]",
        "gates: [error_rate]\n      on_no_data: {after: 60s, then: hold}",
    )
    w = await world(text).start()
    ears = Ears()
    watch = Watch(w.reconciler.observatory, ears)
    await watching(w, watch, 2, candidate=0.02, stable=0.02)
    await watching(w, watch, 55 + LASTING_S, rate=0)
    assert "no_data" not in dict(ears.told)
    await watching(w, watch, 20, rate=0)
    told = [text for trigger, text in ears.told if trigger == "no_data"]
    assert len(told) == 1
    assert "on_no_data: no candidate answer for" in told[0]
    await watching(w, watch, 60, rate=0)
    assert len([1 for trigger, _ in ears.told if trigger == "no_data"]) == 1, "not again so soon"
    await watching(w, watch, REPEAT_AFTER_S, rate=0)
    assert len([1 for trigger, _ in ears.told if trigger == "no_data"]) == 2


def shadowed(policy):
    return re.sub(r"strategy: .*", "strategy: {shadow: {mirror: 50%, hold: 9h}}", policy())


@pytest.mark.parametrize(
    ("copies", "told"),
    [
        ((95, 2, {"sample": 900, "rate": 900}), False),
        ((80, 10, {"queue": 10}), True),
        ((0, 0, {"deadline": 150}), True),
        ((95, 5, {}), False),
        ((94, 6, {}), True),
        ((49, 50, {}), False),  # too few to say anything
    ],
)
async def test_a_shadow_that_does_not_arrive_is_an_alarm(world, policy, copies, told):
    w = await world(shadowed(policy)).start()
    ears = Ears()
    watch = Watch(w.reconciler.observatory, ears)
    watch.mirrored([MirrorCounts("r", "v2", *copies)], w.clock.now())
    await watching(w, watch, 10)
    assert [t for t, _ in ears.told if t == "shadow_undelivered"] == ["shadow_undelivered"] * told
    shadow = w.reconciler.runs["r"].trial.shadow
    if told:
        text = dict(ears.told)["shadow_undelivered"]
        assert "copies of the last minute did not arrive" in text
        assert text.endswith("limit 5 %")
        assert shadow.alarm == text
        await watching(w, watch, 60)
    assert (shadow.alarm, shadow.lost_share) == ("", None if told else shadow.lost_share)


async def test_a_shadow_that_is_never_sent_is_an_alarm_too(world, policy, counts):
    w = await world(shadowed(policy)).start()
    ears = Ears()
    observatory = Observatory()
    watch = Watch(observatory, ears)
    for _ in range(70):
        await w.run(1)
        observatory.add(0, [counts("r", "v1", "stable", 10)], w.clock.now())
        watch.look(w.reconciler.runs.values(), w.clock.now())
    (text,) = [text for trigger, text in ears.told if trigger == "shadow_undelivered"]
    assert re.match(r"no copy was sent in the last minute; 50 % of \d+ requests were to be$", text)


async def test_a_shadow_whose_pairs_teach_nothing_is_an_alarm_too(world, policy):
    w = await world(shadowed(policy)).start()
    ears = Ears()
    watch = Watch(w.reconciler.observatory, ears)
    trial = w.reconciler.runs["r"].trial
    unread = PairSample("r", "v2", 1, "id", 200, 200, b"?", b"?", primary_coding="lz4")
    for _ in range(120):
        trial.shadow.add(unread, judged_by(trial.shadow, unread), 0.0)
    await watching(w, watch, 10)
    (text,) = [text for trigger, text in ears.told if trigger == "shadow_undelivered"]
    assert text.startswith("the shadow teaches nothing: 120 of 120 pairs of the last minute")
    assert trial.shadow.alarm == text
    await watching(w, watch, 70)
    assert trial.shadow.alarm == ""
