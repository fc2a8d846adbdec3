"""What the store has of a route: typed in the process, text on the disk, readable for years."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from router.config.check import load, loads
from router.control.rollouts.lifecycle import settle
from router.control.state.record import Identity, RouteRecord, kept
from router.core.policy.segments import expanded

ROOT = Path(__file__).parents[3]

HOOKED = """
routes:
  - name: r
    match: {path: /*}
    versions:
      v1: {endpoints: [http://127.0.0.1:9001]}
      v2.a: {endpoints: [http://127.0.0.1:9002]}
    stable: v1
    rollout:
      candidate: v2.a
      strategy: {canary: {steps: [{weight: 1%, hold: 1h}]}}
      gates: [error_rate]
      hooks: [{confirm_rollout: {url: "https://ci/x", headers: {Authorization: hush-hush}}}]
      alerts: [{url: "https://chat/secret-path", on: [rolled_back]}]
"""


def through_text(record):
    return RouteRecord.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False)))


def records():
    for file in sorted((ROOT / "configs").glob("*.yaml")):
        for route in expanded(load(file).policy).routes:
            if route.rollout is not None:
                yield pytest.param(settle(route, None, 1.0).record, id=f"{file.stem} {route.name}")


@pytest.mark.parametrize("record", list(records()))
def test_every_policy_of_ours_is_the_same_after_the_disk(record):
    again = through_text(record)
    assert again == record
    assert again.pinned.plan == record.pinned.plan


def test_secrets_and_alerts_are_not_kept_and_their_edit_is_no_other_rollout():
    route = loads(HOOKED).policy.routes[0]
    record = settle(route, None, 1.0).record
    text = json.dumps(record.to_json())
    assert "hush-hush" not in text
    assert "secret-path" not in text
    edited = loads(HOOKED.replace("hush-hush", "changed").replace("secret-path", "other"))
    assert kept(edited.policy.routes[0].rollout) == record.pinned.policy
    assert settle(edited.policy.routes[0], through_text(record), 2.0).notes == ()
    longer = loads(HOOKED.replace("1h", "2h")).policy.routes[0]
    assert "goes on by the policy it began with" in settle(longer, record, 2.0).notes[0]


def test_an_identity_is_a_pair_and_the_same_text_as_ever():
    record = settle(loads(HOOKED).policy.routes[0], None, 1.0).record
    identity = record.pinned.identity
    assert identity.candidate == "v2.a"
    assert record.to_json()["identity"] == f"{identity.candidate}+{identity.plan}"
    assert Identity.parse(str(identity)) == identity


OLD = {
    "route": "r", "declared_stable": "v1", "stable": "v1", "revision": 3, "number": 1,
    "rollout": {
        "id": "r-1", "route": "r", "stable": "v1", "candidate": "v2", "revision": 3,
        "started": 0.0, "step_since": 0.0, "phase": "progressing",
    },
    "pinned": {
        "candidate": "v2",
        "strategy": {"canary": {"steps": [{"weight": "1%", "hold": "1m"}]}},
        "gates": [{"error_rate": {}}],
    },
    "identity": "v2@0123456789abcdef+fedcba9876543210",
    "blocked": ["v0@0000000000000000"],
    "done": ["v9@1111111111111111+2222222222222222"],
}  # fmt: skip
"""A record as it was written before there were retries."""


def test_a_record_of_before_is_read():
    record = RouteRecord.from_json(OLD)
    assert record.live.key == "v2", "endpoints are no part of it any more"
    assert record.blocked == ("v0",)
    assert record.live.split.candidate_bp == 100
    assert record.done == (Identity("v9@1111111111111111", "2222222222222222"),)
    assert record.retries == ()
    assert record.to_json()["identity"] == "v2+fedcba9876543210"


def test_a_policy_that_is_not_understood_any_more_stops_a_live_rollout_only():
    old = json.loads(json.dumps(OLD))
    old["pinned"]["gates"] = [{"tea_leaves": {}}]
    with pytest.raises(ValueError, match=r"r: the rollout of v2 began with a policy .*end it with"):
        RouteRecord.from_json(old)
    old["rollout"]["phase"] = "completed"
    record = RouteRecord.from_json(old)
    assert (record.pinned, record.carried, record.rollout.candidate) == (None, None, "v2")
