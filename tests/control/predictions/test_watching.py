"""Rows that move: the rollout waits, or goes back, and everybody is told once."""

import asyncio
import csv
import json
import random

import pytest
from msgspec.structs import replace

from router.cli.monitors import _row as table_row
from router.config.check import loads
from router.config.problems import PolicyError
from router.control.predictions.watching import RouteWatch
from router.control.state import layout
from router.control.told.monitored import monitor_gauges, monitors_view
from router.core.policy.kept import sampled_headers
from router.core.policy.monitors import MonitorsPolicy
from router.core.rollout.rollout import Phase
from tests.control.predictions.conftest import MONITORS, PREDICTIONS, Plant, monitored
from tests.core.monitors.test_monitors import Feed, made


async def test_moved_inputs_hold_and_take_nobody_back(plant):
    p = await plant()
    await p.slots(60)
    assert p.told_of("drift") == []
    await p.slots(30, age=60.0)
    told = p.told_of("drift")
    assert told[0].startswith("data drift in age (distribution, sudden): PSI ")
    assert "nobody is taken back" in told[0]
    assert ("drift", "r") in [(trigger, run.route.name) for trigger, run, _ in p.alerts]
    assert p.rollout.phase is Phase.PROGRESSING
    assert p.run_.waiting.reason.startswith("data drift in age")
    assert p.run_.drift
    p.clock.advance(3_600)
    await p.settle()
    assert p.rollout.step == 0  # its hold is over long ago


async def test_what_a_person_accepts_holds_no_more(plant):
    p = await plant()
    await p.slots(60)
    await p.slots(30, age=60.0)
    assert p.watching.accept(p.run_, "ann", "campaign") == len(p.run_.drift)
    assert p.told_of("drift")[-1].startswith("ann accepts ")
    await p.settle()
    assert "drift" not in p.run_.waiting.reason
    assert p.watching.accept(p.run_, "ann", "") == 0


async def test_drift_that_is_only_told_holds_nobody(plant):
    p = await plant(monitored(MONITORS.replace("}, season", "}, on_drift: notify, season")))
    await p.slots(60)
    await p.slots(30, age=60.0)
    assert p.told_of("drift")
    assert "drift" not in p.run_.waiting.reason


async def test_a_candidate_that_alone_answers_otherwise_is_taken_back(plant):
    p = await plant()
    await p.slots(60)
    assert p.rollout.phase is Phase.PROGRESSING
    await p.slots(40, own=0.25)
    assert p.rollout.phase in (Phase.ABORTED, Phase.ROLLED_BACK)
    assert "so it is the candidate" in p.rollout.reason
    assert "candidate drift in score" in p.rollout.reason


async def test_or_held_where_the_policy_says_so(plant):
    p = await plant(monitored(MONITORS.replace("}, season", "}, on_candidate: hold, season")))
    await p.slots(60)
    await p.slots(40, own=0.25)
    assert p.rollout.phase is Phase.PROGRESSING
    assert p.run_.waiting.reason.startswith("candidate drift in score")


async def test_what_was_learnt_survives_a_restart(plant):
    p = await plant()
    await p.slots(60)
    p.watching.keep()
    before = p.watching.watches["r"].monitors.snapshot()
    assert json.loads(json.dumps(p.disk.settings[layout.MONITORS + "r"])) == before
    await p.start()
    after = p.watching.watches["r"].monitors.snapshot()
    assert [one["profile"] for one in after["inputs"]] == [
        one["profile"] for one in before["inputs"]
    ]
    await p.slots(30, age=60.0)
    assert p.told_of("drift")


async def test_a_damaged_memory_is_begun_anew(plant):
    p = await plant()
    await p.slots(30)
    p.watching.keep()
    p.disk.settings[layout.MONITORS + "r"] = {"features": 3}
    await p.start()
    assert p.watching.watches["r"].monitors.requests == 0


async def test_a_store_that_fails_keeps_nothing_and_stops_nobody(plant):
    p = await plant()
    p.store.broken = True
    await p.slots(5)
    p.watching.keep()
    p.store.broken = False
    p.watching.keep()
    assert layout.MONITORS + "r" in p.disk.settings


async def test_without_monitors_nobody_looks(plant):
    p = await plant()
    await p.edit(monitored(""))
    for part in p.watching.parts():
        part()
    assert p.watching.watches == {}
    await p.slots(2)


async def test_people_and_prometheus_see_each_signal(plant):
    p = await plant()
    await p.slots(60)
    await p.slots(30, age=60.0)
    view = monitors_view(p.watching.watches["r"]).to_json()
    age = next(one for one in view["signals"] if one["name"] == "age")
    assert age["sizes"]["distribution"] > 0.1
    assert view["alarms"][0]["cause"] == "data drift"
    assert view["reference"] == "the past"
    gauges = list(monitor_gauges("r", p.watching.watches["r"]))
    assert ("monitor_alarms", (("route", "r"), ("cause", "data drift")), 1) in [
        (name, series, min(value, 1)) for name, series, value in gauges
    ]


# --- a reference file -----------------------------------------------------------------------------


def write(path, mean, rows=3_000):
    draw = random.Random(5)
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["plan", "age", "unused"])
        lines.writerows((draw.choice("ab"), draw.gauss(mean, 10.0), "x") for _ in range(rows))


async def read(p):
    """Wait for the process that reads the file."""
    async with asyncio.timeout(30):
        while p.watching.watches["r"].reading:
            await asyncio.sleep(0.01)
    for part in p.watching.parts():
        part()
    await p.settle()


def filed(path, more=""):
    return monitored(
        f"monitors: {{reference: {path}, season: 168s, window: 24s, requests: 200{more}}}"
    )


@pytest.mark.parametrize(("mean", "begins"), [(40.0, True), (55.0, False)])
async def test_traffic_is_compared_with_a_file_before_any_weight(tmp_path, mean, begins):
    write(tmp_path / "train.csv", mean)
    p = Plant(filed(tmp_path / "train.csv"))
    p.probed = True  # it stands until workers have seen the candidate
    await p.start()
    await read(p)
    before = p.watching.before(p.run_.route)
    assert "traffic is compared with" in before
    assert "0 of 200 sampled requests" in before
    await p.slots(20)
    assert p.rollout.standing or begins
    told = p.told_of("drift")
    if begins:
        assert told == []
        assert p.watching.before(p.run_.route) == ""
    else:
        assert told[0].startswith("reference unlike traffic in age (distribution, from the start)")
        assert p.run_.waiting.reason.count("reference unlike traffic") >= 1
        assert p.tables.last.routes[0].weights_bp[p.tables.last.routes[0].candidate] == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no column"),
        ("age,plan\n", "has no rows"),
        ("years,plan\n1,a\n", "has no column age; it has years, plan"),
        (None, "No such file"),
    ],
)
async def test_a_file_that_is_no_reference_is_told_and_holds(tmp_path, text, why):
    if text is not None:
        (tmp_path / "train.csv").write_text(text)
    p = Plant(filed(tmp_path / "train.csv"))
    await p.start()
    await read(p)
    assert why in p.told_of("drift")[0]
    assert why in p.watching.before(p.run_.route)
    write(tmp_path / "train.csv", 40.0)
    p.clock.advance(61)
    for part in p.watching.parts():
        part()
    await read(p)
    assert "traffic is compared" in p.watching.before(p.run_.route)


async def test_each_segment_of_a_file_is_a_reference_of_its_own(tmp_path):
    """Plan b alone is older than in the file; plan a is as it was."""
    draw, path = random.Random(5), tmp_path / "train.csv"
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["age", "plan"])
        for _ in range(3_000):
            plan = draw.choice("ab")
            lines.writerow([draw.gauss(40.0 if plan == "a" else 25.0, 10.0), plan])
    p = await Plant(filed(path, ", by: {feature: plan}")).start()
    await read(p)
    await p.slots(40)
    watch = p.watching.watches["r"]
    assert {"age [b]"} <= {alarm.signal for alarm in watch.monitors.lasting()}
    assert "age [a]" not in {alarm.signal for alarm in watch.monitors.lasting()}
    view = monitors_view(watch).to_json()
    assert {one["segment"] for one in view["signals"]} == {"", "a", "b"}
    p.watching.keep()
    await p.settle()
    kept = p.disk.settings[layout.MONITORS + "r"]
    assert set(kept["parts"]) == {"a", "b"}


def test_the_speed_of_change_is_told_in_days():
    """A slow ramp: when PSI will be at its limit, in the API and in the command's table."""
    feed = Feed(made()).slots(60)
    for day in range(16):
        feed.slots(24, x=0.018 * day)
    view = monitors_view(RouteWatch(feed.one, MonitorsPolicy()))
    moving = next(one for one in view.signals if one.name == "x")
    assert 0 < moving.limit_in_s < 168 * 3
    assert table_row(moving)[-1].endswith("m")
    assert table_row(replace(moving, limit_in_s=811_684.0))[-1] == "9d9h"


def test_segments_are_told_apart_by_a_declared_feature():
    with pytest.raises(PolicyError, match=r"monitors.by.feature among predictions.features \(age"):
        loads(monitored(MONITORS.replace("window", "by: {feature: colour}, window")))


async def test_a_feature_that_no_request_has_is_told_once():
    more = PREDICTIONS.replace("plan:", "agee: numeric, plan:")
    p = await Plant(monitored(predictions=more)).start()
    await p.slots(40)
    assert p.told_of("drift") == ["no request had the feature agee, so nothing is watched of it"]
    view = monitors_view(p.watching.watches["r"]).to_json()
    assert {one["name"]: one["text"] for one in view["signals"]}["agee"] == "no request had it"


async def test_a_header_tells_segments_apart_whatever_gates_tell_of():
    """Its value is the last that a sample tells: plan b alone is older than it was."""
    text = monitored(MONITORS.replace("window", "by: {header: X-Plan}, window"))
    gate = "nulls: {by: {header: X-Country}}"
    p = await Plant(text.replace("gates: [", f"gates: [{gate}, ")).start()
    headers = sampled_headers(p.run_.route, p.run_.live.policy.gates)
    assert headers == ("x-country", "x-plan")
    p.headers = headers
    await p.slots(40)
    await p.slots(40, older=20.0)
    found = {alarm.signal for alarm in p.watching.watches["r"].monitors.lasting()}
    assert "age [b]" in found
    assert "age [a]" not in found
