"""A recording in which everything happened as it must; tests spoil it in one place each."""

import math

import pytest

from prediction_services.demo.cast import CAST
from prediction_services.demo.policy import BLUE_GREEN, CANARY, EXAMPLE, Rollout
from prediction_services.demo.recording import (
    Act,
    Attempts,
    Command,
    Entry,
    Gate,
    Mark,
    Moment,
    Recording,
    Served,
)

SHARES = (
    (4.0, {"v2": 100}), (9.0, {"v2": 100}), (12.0, {"v2": 99, "v3": 1}),
    (16.0, {"v2": 95, "v3": 5}), (20.0, {"v2": 75, "v3": 25}), (24.0, {"v2": 50, "v3": 50}),
    (46.0, {"v3": 100}), (48.0, {"v3": 95, "v4": 5}), (57.0, {"v3": 100}), (61.0, {"v5": 100}),
    (66.0, {"v3": 100}),
)  # fmt: skip
"""Until when (seconds), and how many of the 100 answers in each half second came from whom."""


def reports(capital, *gates):
    return {
        "capital": capital,
        "limit": 100.0,
        "reports": [
            {
                "gate": name, "verdict": verdict, "evidence": evidence, "limit": limit,
                "candidate": {"bad": bad, "total": total}, "sentence": f"{name} says so",
            }
            for name, verdict, evidence, limit, bad, total in gates
        ],
    }  # fmt: skip


def journal():
    quiet = reports(0.1, ("agreement", "pass", 0.1, 600.0, 18, 1004))
    lies = reports(
        180.0,
        ("error_rate", "pass", 1.0, 200.0, 0, 0),
        ("agreement", "fail", 1080.0, 600.0, 31, 161),
    )
    fails = reports(
        190.0,
        ("error_rate", "fail", 371.0, 200.0, 4, 18),
        ("agreement", "pass", 0.1, 600.0, 0, 1000),
    )
    rows = [
        (4.0, 1, "router", "start", "progressing", 0, "rollout of v3 beside v2 started", {}),
        (9.0, 1, "router", "advance", "progressing", 100, "step 1 of 5 done", quiet),
        (12.0, 1, "router", "advance", "progressing", 500, "step 2 of 5 done", quiet),
        (16.0, 1, "router", "advance", "progressing", 2_500, "step 3 of 5 done", quiet),
        (20.0, 1, "router", "advance", "progressing", 5_000, "step 4 of 5 done", quiet),
        (24.0, 1, "router", "bake", "baking", 10_000, "step 5 of 5 done; v3 bakes", quiet),
        (30.0, 1, "router", "complete", "completed", 10_000, "baked 6s; v3 is stable", quiet),
        (35.0, 2, "policy", "start", "progressing", 0, "rollout of broken-zero beside v3", {}),
        (36.2, 2, "router", "rollback", "rolled_back", 0, "agreement: 31 of 161 differ", lies),
        (40.0, 3, "policy", "start", "progressing", 0, "rollout of v4 beside v3 started", {}),
        (48.0, 3, "router", "rollback", "rolled_back", 0, "error_rate: failed: 4 of 18", fails),
        (54.0, 4, "policy", "start", "progressing", 0, "rollout of v5 beside v3 started", {}),
        (57.0, 4, "router", "bake", "baking", 10_000, "step 1 of 1 (preview) done", quiet),
        (61.0, 4, "local", "rollback", "rolled_back", 0, "rolled back by local: <odd>", quiet),
    ]
    return [
        Entry(at, number, f"flight-delay-{rollout}", actor, action, phase, 1, weight, reason, data)
        for number, (at, rollout, actor, action, phase, weight, reason, data) in enumerate(rows, 1)
    ]


def moments():
    found = []
    for begins, ends, candidate, stable, growth, differ in (
        (4, 30, "v3", "v2", -0.2, 0.018), (35, 36, "broken-zero", "v3", 4.0, 0.19),
        (40, 48, "v4", "v3", -0.2, 0.0), (54, 61, "v5", "v3", -0.2, 0.0),
    ):  # fmt: skip
        for step in range((ends - begins) * 5):
            age = step / 5
            total = min(int(200 * age), 1_000)
            agreement = Gate("agreement", "pass", 1.0, 600.0, int(total * differ), total, "...")
            found.append(
                Moment(
                    begins + age, stable, candidate, "progressing", 1, 5, 0, 10_000,
                    math.exp(growth * age), 100.0, gates=(agreement,),
                )
            )  # fmt: skip
    return found


def served():
    found, at = [], 0.0
    for until, shares in SHARES:
        while at < until:
            found += [Served(at, name, count, 0, 4.0, 9.0) for name, count in shares.items()]
            at += 0.5
    return found


def marks():
    edits = [(4.0, "v2", "v3", CANARY), (34.0, "v3", "broken-zero", CANARY),
             (39.0, "v3", "v4", CANARY), (53.0, "v3", "v5", BLUE_GREEN)]  # fmt: skip
    found = [
        Mark(at, "edit", f"policy edited: {candidate} beside {stable}",
             EXAMPLE.edited(stable, Rollout(candidate, strategy)).text())
        for at, stable, candidate, strategy in edits
    ]  # fmt: skip
    return [*found, Mark(47.4, "fault", "v4 begins to answer every request with 500")]


@pytest.fixture
def recording():
    attempts = [Attempts(float(second), "v3", "stable", 190, 0, 3.0, 8.0) for second in range(66)]
    attempts += [
        Attempts(47.0, "v4", "candidate", 14, 0), Attempts(48.5, "v4", "candidate", 6, 4),
        Attempts(42.0, "v4", "shadow", 190, 0),
    ]  # fmt: skip
    versions = {"v2": 4_000, "v3": 8_000, "v4": 20, "v5": 800}
    return Recording(
        started=1_763_700_000.0,
        rate_per_s=200.0,
        seed=1,
        versions={player.name: player.summary for player in CAST},
        acts=[
            Act(1, "A better model is promoted", "v3", 4.0, 33.0),
            Act(2, "A model that lies is caught in the shadow", "broken-zero", 33.0, 39.0),
            Act(3, "A model that fails is taken back from its canary", "v4", 39.0, 51.0),
            Act(4, "A person takes a blue-green switch back", "v5", 51.0, 66.0, "blue_green"),
        ],
        marks=marks(),
        moments=moments(),
        served=served(),
        attempts=attempts,
        journal=journal(),
        commands=[Command(61.0, "rollback", "odd", 8.3, 6.1, "rolled_back", "rolled back")],
        last_sent_s={"v2": 24.0, "v3": 65.9, "v4": 47.9, "v5": 60.99},
        load={
            "sent": 12_820, "good": 12_820, "bad": 0, "not_sent": 0, "seconds": 65.9,
            "versions": versions, "codes": {"200": 12_820},
            "latency_ms_by_version": {
                name: {"p50": 4.1, "p95": 9.9, "p99": 22.0, "max": 88.0} for name in versions
            },
        },
        ends_s=66.0,
    )  # fmt: skip
